import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.engines import Rule
from hwsim.errors import InputError
from hwsim.graph import Graph, Node, NodeView, Tensor
from hwsim.kernels.requantize import GENERAL_ROUNDINGS
from hwsim.ops import operator
from hwsim.verify import compare, explain_accumulators
from hwsim.verify.explain import NOTES
from tests import naive
from tests.build import GENERATOR_SEED, codes, single, tensor
from tests.random_graphs import beside

Array = np.ndarray[Any, Any]

RULES = {
    "litert-reference": Rule("double_rounding"),
    "litert-optimized": Rule("double_half_up"),
    "tflite-micro": Rule("double_rounding"),
    "xnnpack": Rule("float32", "float32"),
}
PAIRS = [
    ("litert-reference", "litert-optimized"),
    ("litert-reference", "xnnpack"),
    ("litert-optimized", "tflite-micro"),
    ("litert-optimized", "xnnpack"),
    ("xnnpack", "litert-reference"),
    ("xnnpack", "litert-optimized"),
]
OPTIONS = {"padding": "same", "stride_h": 2, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "activation": "none"}
INPUT_SCALE, OUTPUT_SCALE = float(np.float32(0.05)), float(np.float32(0.02))


def convolution(seed: int = 0, bias: int = 500) -> Graph:
    """A convolution whose multipliers are 0.05 to 0.12, so that roundings matter and few codes are clamped."""
    g = np.random.default_rng([GENERATOR_SEED, seed])
    scales = g.uniform(0.02, 0.05, 4).astype(np.float32)
    x, y = (
        tensor("x", (1, 5, 4, 3), scale=INPUT_SCALE, zero_point=-9),
        tensor("y", (1, 3, 4, 4), scale=OUTPUT_SCALE, zero_point=5),
    )
    weights = tensor("w", (4, 2, 2, 3), scale=scales, axis=0, data=g.integers(-15, 15, (4, 2, 2, 3)))
    return single(
        "conv2d", [x, weights, tensor("b", (4,), "int32", scale=None, data=g.integers(-bias, bias, 4))], y, **OPTIONS
    )


GRAPH = convolution()
IMAGES = codes(np.random.default_rng(GENERATOR_SEED), (8, 5, 4, 3))


def accumulators() -> Array:
    _, w, b, _ = GRAPH.tensors
    return naive.conv2d(IMAGES, w.data, b.data, stride=(2, 1), padding="same", input_zero_point=-9)


def real_scales(engine: str) -> list[float]:
    return naive.effective_scales(
        RULES[engine].scale, INPUT_SCALE, GRAPH.tensors[1].format.scale.tolist(), OUTPUT_SCALE
    )


def oracle(engine: str) -> Array:
    return naive.output_stage(accumulators(), RULES[engine].algorithm, real_scales(engine), 5, -128, 127)


def recorded(graph: Graph, engine: str, x: Any) -> dict[str, Array]:
    return hwsim.simulate(graph, x, engine, keep_tensors=True).tensors


def under(graph: Graph, rule: Rule, x: Array) -> Array:
    """The only node's output under any rule."""
    (node,), output = graph.nodes, graph.tensors[graph.outputs[0]]
    constants = [np.broadcast_to(t.data, (len(x), *t.shape)) for t in graph.tensors if t.data is not None]
    out = np.empty((len(x), *output.shape), output.dtype)
    view = NodeView(graph, node)
    operator(view).bind(view, rule)([x[:, None], *constants], [out])
    return out[:, 0]


def reason(used: Rule, found: Rule) -> str:
    return f"simulated with {used}; {found} ({NOTES[found.algorithm]}) makes all elements equal"


@pytest.mark.parametrize(("real", "simulated"), PAIRS)
def test_first_difference_shows_what_lies_behind_it(real, simulated):
    expected, actual, sums = oracle(real), oracle(simulated), accumulators()
    index = tuple(np.argwhere(expected != actual)[0].tolist())
    first = hwsim.verify(GRAPH, engine=simulated, against=recorded(GRAPH, real, IMAGES)).first_difference
    assert (first.tensor, first.op, first.node, first.index) == ("y", "conv2d", "y", index)
    assert (first.expected, first.actual) == (expected[index], actual[index])
    scale = real_scales(simulated)[index[-1]]
    multiplier, shift = naive.quantize_multiplier(scale)
    numbers = {"accumulator": sums[index], "multiplier": multiplier, "shift": shift, "scale": scale, "zero_point": 5}
    assert first.details == numbers


@pytest.mark.parametrize(("real", "simulated"), PAIRS)
def test_explanation_names_the_rule_of_the_recorded_engine(real, simulated):
    check = hwsim.verify(GRAPH, engine=simulated, against=recorded(GRAPH, real, IMAGES))
    assert check.reasons["y"].equal[0] == RULES[real]
    assert RULES[simulated] not in check.reasons["y"].equal
    first, second = check.explanation.splitlines()
    assert first == f"first difference: {check.first_difference}"
    assert second.startswith(f"conv2d, 1 node: {reason(RULES[simulated], RULES[real])}")


def test_counts_equal_the_oracle():
    expected, actual = oracle("xnnpack").astype(int), oracle("tflite-micro").astype(int)
    check = hwsim.verify(GRAPH, engine="tflite-micro", against=recorded(GRAPH, "xnnpack", IMAGES))
    (record,) = check.tensors
    differing = np.count_nonzero(expected != actual)
    assert (record.elements, record.differing, record.alone) == (expected.size, differing, differing)
    assert (record.largest, check.samples, check.compared) == (abs(expected - actual).max(), 8, 1)


def test_npz_explains_as_arrays_do(tmp_path):
    arrays = recorded(GRAPH, "xnnpack", IMAGES)
    np.savez(tmp_path / "chip.npz", **arrays)
    one, two, three = (
        hwsim.verify(GRAPH, engine="tflite-micro", against=against)
        for against in (arrays, tmp_path / "chip.npz", str(tmp_path / "chip.npz"))
    )
    assert one.explanation == two.explanation == three.explanation
    assert (one.against, two.against, three.against) == ("recorded arrays", "chip.npz", "chip.npz")


@pytest.mark.parametrize("engine", RULES)
def test_engine_is_exact_against_its_own_recording(engine):
    check = hwsim.verify(GRAPH, engine=engine, against=recorded(GRAPH, engine, IMAGES))
    assert (check.exact, check.first_difference, check.explanation, check.reasons) == (True, None, "", {})


def test_text_of_difference_is_one_line():
    first = hwsim.verify(GRAPH, engine="tflite-micro", against=recorded(GRAPH, "xnnpack", IMAGES)).first_difference
    numbers = ", ".join(f"{k} {v:.9g}" if k == "scale" else f"{k} {v}" for k, v in first.details.items())
    at = ", ".join(map(str, first.index))
    assert str(first) == f"conv2d 'y', element [{at}]: expected {first.expected}, simulated {first.actual}; {numbers}"


def test_saturating_pairs_are_recognised():
    graph = convolution()
    big = replace(graph.tensors[1], data=np.full((4, 2, 2, 3), 127, np.int8))
    graph = replace(
        graph,
        tensors=(
            graph.tensors[0],
            big,
            graph.tensors[2],
            replace(graph.tensors[3], format=tensor("", (), scale=2.0, zero_point=5).format),
        ),
    )
    pairs = Rule("float32", "float32", "int16_pairs")
    check = hwsim.verify(graph, IMAGES, engine="xnnpack", against={"y": under(graph, pairs, IMAGES)})
    equal = check.reasons["y"].equal
    assert pairs in equal and {rule.accumulator for rule in equal} == {"int16_pairs"}
    assert NOTES["int16_pairs"] in check.explanation


def test_noise_is_not_explained_away():
    arrays = recorded(GRAPH, "xnnpack", IMAGES)
    flat = arrays["y"].reshape(-1)
    where = np.random.default_rng(GENERATOR_SEED).choice(flat.size, 40, replace=False)
    flat[where] ^= 1
    known = len(operator(NodeView(GRAPH, GRAPH.nodes[0])).known_rules(NodeView(GRAPH, GRAPH.nodes[0])))
    check = hwsim.verify(GRAPH, engine="xnnpack", against=arrays)
    assert str(check.reasons["y"]) == (
        f"simulated with float32, float32 scale; none of the {known} known rules makes all {flat.size} elements equal; "
        "nearest is float32, float32 scale, under which 40 differ"
    )
    assert check.explanation.splitlines()[1] == f"conv2d 'y': {check.reasons['y']}"


def test_nodes_of_one_operator_are_summed_up_in_one_line():
    graph = beside([convolution(seed) for seed in range(3)], "three")
    check = hwsim.verify(graph, engine="xnnpack", against=recorded(graph, "tflite-micro", [IMAGES] * 3))
    assert check.reasons.keys() == {"y0", "y1", "y2"}
    _, line = check.explanation.splitlines()
    assert line.startswith(f"conv2d, 3 nodes: {reason(RULES['xnnpack'], RULES['tflite-micro'])}")


def test_nodes_that_no_common_rule_explains_have_lines_of_their_own():
    graph = beside([convolution(seed) for seed in range(2)], "two")
    mixed = recorded(graph, "tflite-micro", [IMAGES] * 2) | {
        "y1": recorded(graph, "litert-optimized", [IMAGES] * 2)["y1"]
    }
    _, *lines = hwsim.verify(graph, engine="xnnpack", against=mixed).explanation.splitlines()
    assert [line.split(":")[0] for line in lines] == ["conv2d 'y0'", "conv2d 'y1'"]
    assert [re.search(r"; (\w+) \(", line).group(1) for line in lines] == ["double_rounding", "double_half_up"]


def with_flat(graph: Graph) -> Graph:
    """`graph` and a reshape behind it."""
    flat = Tensor("flat", (1, 48), "int8", graph.tensors[3].format)
    node = Node("reshape", "flat", (3,), (4,), {"new_shape": (1, 48)})
    return Graph("g", (*graph.tensors, flat), (*graph.nodes, node), graph.inputs, (4,))


def test_inherited_difference_is_not_the_nodes_own():
    graph = with_flat(GRAPH)
    check = hwsim.verify(graph, engine="xnnpack", against=recorded(graph, "tflite-micro", IMAGES))
    own, inherited = check.tensors
    assert own.differing == own.alone == inherited.differing > 0
    assert inherited.alone == 0
    assert check.reasons.keys() == {"y"}
    assert check.first_difference.tensor == "y"


def test_node_without_multipliers_shows_its_zero_point():
    graph = with_flat(GRAPH)
    arrays = recorded(graph, "xnnpack", IMAGES)
    arrays["flat"] = arrays["flat"] ^ 1
    check = hwsim.verify(graph, engine="xnnpack", against=arrays)
    assert check.first_difference.details == {"zero_point": 5}
    assert check.explanation.splitlines()[1] == (
        "reshape 'flat': simulated with copy; none of the 1 known rules makes all 384 elements equal; "
        "nearest is copy, under which 384 differ"
    )


def test_nan_equals_nan():
    graph = single("reshape", [Tensor("x", (1, 2), "float32")], Tensor("y", (2, 1), "float32"), new_shape=(2, 1))
    x = np.array([[np.nan, 1]], np.float32)
    assert hwsim.verify(graph, x, engine="tflite-micro", against={"y": x}).exact
    check = hwsim.verify(graph, x, engine="tflite-micro", against={"y": np.array([[np.nan, 3]], np.float32)})
    assert (check.tensors[0].differing, check.tensors[0].largest, check.first_difference.index) == (1, 2, (1, 0))
    check = hwsim.verify(graph, x, engine="tflite-micro", against={"y": np.array([[4, 1]], np.float32)})
    assert (check.tensors[0].differing, check.tensors[0].largest) == (1, np.inf)


def test_chunks_change_nothing(monkeypatch):
    heard: list[int] = []
    arrays = recorded(GRAPH, "xnnpack", IMAGES)
    arrays["y"][:3] = oracle("tflite-micro")[:3]
    whole = hwsim.verify(GRAPH, engine="tflite-micro", against=arrays)
    monkeypatch.setattr(compare, "CHUNK_BYTES", 1)
    chunked = hwsim.verify(GRAPH, engine="tflite-micro", against=arrays, progress=heard.append)
    assert heard == [1] * 8
    assert (chunked.tensors, chunked.first_difference) == (whole.tensors, whole.first_difference)
    assert whole.first_difference.index[0] >= 3


EVERYWHERE = ("double_rounding", "double_half_up", "single_rounding", "float32", "float64")
KNOWN = len(GENERAL_ROUNDINGS)
SUMS = np.arange(-900, 900, dtype=np.int32).reshape(-1, 3)


@pytest.mark.parametrize("scales", [[1 / 16], [1 / 16, 1 / 8, 1 / 32]])
@pytest.mark.parametrize("rounding", EVERYWHERE)
def test_explain_accumulators_finds_the_rounding(rounding, scales):
    observed = naive.output_stage(SUMS, rounding, scales, 3, -128, 127)
    found = explain_accumulators(SUMS, observed, scale=scales if len(scales) > 1 else scales[0], zero_point=3)
    assert [rule.algorithm for rule in found.equal if rule.algorithm in EVERYWHERE] == [rounding]
    assert (found.equal[0], found.differing, found.tried, found.elements) == (Rule(rounding), 0, KNOWN, 1800)


def test_explain_accumulators_in_words():
    observed = naive.output_stage(SUMS, "double_half_up", [1 / 16], 0, -128, 127)
    assert str(explain_accumulators(SUMS.tolist(), observed.tolist(), scale=1 / 16)) == (
        f"simulated with double_rounding; double_half_up ({NOTES['double_half_up']}) makes all 1800 elements equal"
    )


def test_explain_accumulators_of_other_codes():
    observed = naive.output_stage(SUMS, "float32", [1 / 16], 100, 90, 200, np.uint8)
    found = explain_accumulators(SUMS, observed, scale=1 / 16, zero_point=100, minimum=90, maximum=200, used="float64")
    even = {Rule(name) for name in ("float32", "dyadic_half_even", "float64_half_even")}  # ties of an exact product
    assert (found.equal[0], {*found.equal}, found.used) == (Rule("float32"), even, Rule("float64"))


def test_explain_accumulators_without_a_rule_that_fits():
    observed = naive.output_stage(SUMS, "float64", [1 / 16], 0, -128, 127)
    observed[5] += 1
    assert str(explain_accumulators(SUMS, observed, scale=1 / 16)) == (
        f"simulated with double_rounding; none of the {KNOWN} known rules makes all 1800 elements equal; "
        "nearest is float64, under which 3 differ"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"observed": SUMS[1:]}, "accumulator has shape [600, 3], observed [599, 3]; expected equal ones"),
        ({"accumulator": 1, "observed": 1}, "accumulator has shape []; expected [..., channels], none of them 0"),
        ({"accumulator": SUMS[:, :0]}, "accumulator has shape [600, 0]; expected [..., channels], none of them 0"),
        ({"accumulator": SUMS * 2.5},
         "accumulator is float64 and has values that int32 does not; expected int32"),
        ({"accumulator": SUMS.astype(np.int64) << 32},
         "accumulator is int64 and has values that int32 does not; expected int32"),
        ({"scale": [0.1, 0.2]}, "scale has 2 values; expected 1 or 3, one per channel"),
        ({"scale": [0.1, np.nan, 0.2]}, "scale is nan; expected 0 to 2^30 - 1"),
        ({"scale": 2.0**30}, "scale is 1.07374e+09; expected 0 to 2^30 - 1"),
    ],
)  # fmt: skip
def test_explain_accumulators_refuses(arguments: Mapping[str, Any], message: str):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        explain_accumulators(**{"accumulator": SUMS, "observed": SUMS, "scale": 0.1, **arguments})
