"""TFLite_Detection_PostProcess, an operator outside the schema: all outputs, against plain Python and the engines."""

from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim.engines import real_engines
from hwsim.errors import HwsimError, InputError, ModelFormatError, UnsupportedError
from hwsim.importers import load_bytes
from hwsim.importers._tflite_custom import read_custom, written_custom
from hwsim.importers.tflite_writer import to_tflite
from hwsim.verify.reference import installed
from tests.oracle_detection import detections
from tests.random_detection import detection_inputs, detection_postprocess
from tests.random_graphs import beside

LITERT = ("litert-reference", "litert-optimized", "xnnpack")
CASES = [(kind, engine) for kind in ("uint8", "float32", "uint8_many", "float32_many") for engine in LITERT]
CASES.append(("float32", "tflite-micro"))


@pytest.mark.parametrize(("kind", "engine"), CASES)
def test_detections_equal_the_oracle(kind, engine):
    for seed in range(40):
        graph = detection_postprocess(np.random.default_rng(seed), kind)
        inputs, options = detection_inputs(graph, 2, seed), graph.nodes[0].attributes
        boxes, classes, scores, number = hwsim.simulate(graph, inputs, engine).outputs
        wanted = 1 if options["use_regular_nms"] else options["max_classes_per_detection"]
        shown = min(wanted, options["num_classes"])
        for row in range(2):
            values = [inputs[0][row : row + 1], inputs[1][row : row + 1], graph.tensors[2].data]
            found, count = detections(options, list(graph.tensors[:3]), values, engine)
            places = [group * wanted + k for group in range(count) for k in range(shown)]
            assert number[row] == count
            assert boxes[row, places].tolist() == [list(box) for box, _, _ in found]
            assert classes[row, places].tolist() == [kind for _, kind, _ in found]
            assert scores[row, places].tolist() == [score for _, _, score in found]


@pytest.mark.engine
@pytest.mark.parametrize(("kind", "engine"), CASES)
def test_detections_equal_the_real_engine(kind, engine):
    if installed(hwsim.engines()[engine]) is None:
        pytest.skip(f"needs the package {hwsim.engines()[engine].package}: pip install 'hwsim[verify]'")
    g = np.random.default_rng(7)
    graph = beside([detection_postprocess(g, kind) for _ in range(50)], "50 detections")
    check = hwsim.verify(graph, detection_inputs(graph, 4), engine=engine)
    assert check.exact, check.explanation
    assert check.compared == 200


def test_shapes_that_a_converter_leaves_out_are_found():
    graph = detection_postprocess(np.random.default_rng(3), "uint8")
    bare = replace(graph, tensors=(*graph.tensors[:3], *(replace(t, shape=()) for t in graph.tensors[3:])))
    loaded = load_bytes(to_tflite(bare), "detections.tflite")
    assert [t.shape for t in loaded.tensors] == [t.shape for t in graph.tensors]
    assert dict(loaded.nodes[0].attributes) == dict(graph.nodes[0].attributes)
    if installed(real_engines()["litert-reference"]) is not None:
        assert hwsim.verify(loaded, detection_inputs(loaded, 2), engine="litert-reference").exact


def test_custom_options_are_refused_or_read_whatever_the_bytes():
    fields, generator = {"a": "a", "b": "b"}, np.random.default_rng(1)
    raw = written_custom({"a": 3, "b": 0.5}, fields)
    assert read_custom(raw, fields) == {"a": 3, "b": 0.5}
    assert read_custom(b"", fields) == {}
    refused = 0
    for _ in range(2000):
        damaged = bytearray(raw)
        damaged[generator.integers(len(raw))] = generator.integers(256)
        try:
            read_custom(bytes(damaged[: int(generator.integers(1, len(raw) + 1))]), fields)
        except ModelFormatError:
            refused += 1
    assert refused > 500


def test_an_unknown_custom_operator_is_named():
    graph = detection_postprocess(np.random.default_rng(3), "uint8")
    data = to_tflite(graph).replace(b"TFLite_Detection_PostProcess", b"Another_Detection_PostProcess"[:28])
    loaded = load_bytes(data, "another.tflite")
    with pytest.raises(UnsupportedError, match=r"hwsim has no operator 'CUSTOM:Another_Detection_PostProces'"):
        hwsim.compile(loaded, "xnnpack")


def test_a_box_that_ends_before_it_begins_has_no_result():
    graph = detection_postprocess(np.random.default_rng(3), "float32")
    anchors = replace(graph.tensors[2], data=-graph.tensors[2].data)
    graph = replace(graph, tensors=(*graph.tensors[:2], anchors, *graph.tensors[3:]))
    with pytest.raises(InputError, match="a box ends before it begins"):
        hwsim.simulate(graph, detection_inputs(graph, 1), "xnnpack")


@pytest.mark.parametrize("key", ["max_detections", "nms_iou_threshold", "num_classes"])
def test_options_that_make_no_sense_are_refused(key):
    graph = detection_postprocess(np.random.default_rng(3), "float32")
    node = replace(graph.nodes[0], attributes={**graph.nodes[0].attributes, key: -1})
    with pytest.raises(HwsimError):
        hwsim.compile(replace(graph, nodes=(node,)), "xnnpack")
