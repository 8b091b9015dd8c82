import json

import numpy as np

import hwsim
from hwsim.engines import Rule
from hwsim.reports.console import check_facts
from hwsim.verify import Check, Difference, reference
from hwsim.verify.check import TensorCheck
from hwsim.verify.explain import Explanation
from tests.test_simulate import ROWS, layers, two_layers

EQUAL = TensorCheck("h", "add", "int8", elements=4)
WRONG = TensorCheck("y", "add", "int8", elements=4, differing=1, largest=2.0, alone=1)
MISSING = TensorCheck("z", "add", "int8", missing="not given by the reference")
FIRST = Difference("y", "add", "y", (0, 3), 5, 7, {"zero_point": -1, "scale": 0.1})


def check(*tensors: TensorCheck, first: Difference | None = None) -> Check:
    reason = Explanation("add", Rule("tflite"), (Rule("xnnpack"),), Rule("xnnpack"), 0, 3, 4)
    return Check("tflite-micro", "chip.npz", 2, tensors, first, {"y": reason} if first else {})


def test_check_is_exact_only_where_something_was_compared():
    assert not check().exact
    assert not check(MISSING).exact
    assert check(EQUAL, MISSING).exact
    assert not check(EQUAL, WRONG).exact


def test_check_counts_what_was_compared():
    assert [check(*tensors).compared for tensors in ((), (MISSING,), (EQUAL, MISSING, WRONG))] == [0, 0, 2]


def test_explanation_says_where_and_why():
    assert check(EQUAL, WRONG, first=FIRST).explanation == (
        "first difference: add 'y', element [0, 3]: expected 5, simulated 7; zero_point -1, scale 0.1\n"
        "add, 1 node: simulated with tflite; xnnpack makes all elements equal"
    )


def test_explanation_is_empty_where_all_is_equal():
    assert check(EQUAL, MISSING).explanation == ""


def test_explanation_says_that_nothing_was_compared():
    assert check(MISSING).explanation == "nothing was compared: chip.npz gives no tensor that a node computes"


def test_text_of_difference_without_details():
    plain = Difference("y", "add", "a" * 70, (0,), 1.5, float("inf"), {})
    assert str(plain) == f"add '{'a' * 57}...', element [0]: expected 1.5, simulated inf"


def test_table_has_one_row_per_tensor():
    table = check(EQUAL, WRONG, MISSING).table
    assert list(table.columns) == ["tensor", "op", "dtype", "elements", "differing", "largest", "alone", "missing"]
    assert table["tensor"].tolist() == ["h", "y", "z"]
    assert table.iloc[1].tolist() == ["y", "add", "int8", 4, 1, 2.0, 1, ""]


def test_table_of_nothing_has_its_columns():
    table = check().table
    assert (len(table), len(table.columns)) == (0, 8)


def test_reasons_of_the_real_engine_reach_the_tensors(monkeypatch):
    class Session:
        """Gives the end, and says why it does not give the middle."""

        version, missing = "1.0", {}

        def __init__(self, graph, engine, **options):
            pass

        def tensors(self, inputs):
            self.missing[3] = "the engine folds it"
            return {5: layers(ROWS)["y"].reshape(-1, 1, 1)}

    monkeypatch.setattr(reference, "ReferenceSession", Session)
    found = hwsim.verify(two_layers(), ROWS, engine="tflite-micro")
    assert [(t.tensor, t.missing) for t in found.tensors] == [("h", "the engine folds it"), ("y", "")]
    assert found.exact and found.table["missing"].tolist() == ["the engine folds it", ""]


def test_facts_survive_json():
    recorded = {name: value.astype(np.int8) for name, value in layers(ROWS).items()}
    recorded["y"] ^= 1
    found = hwsim.verify(two_layers(), engine="tflite-micro", against=recorded)
    facts = check_facts(found)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    first = facts["first_difference"]
    assert (first["index"], first["details"]["multiplier"], facts["exact"]) == ([0, 0], 1 << 30, False)
    assert [t["differing"] for t in facts["tensors"]] == [0, 7]


def test_facts_of_an_exact_check():
    facts = check_facts(check(EQUAL))
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["exact"], facts["first_difference"], facts["explanation"]) == (True, None, "")
