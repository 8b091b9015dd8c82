"""Operators that move codes: what they refuse, and in which words; and slices that name only the first axes."""

import re

import numpy as np
import pytest

import hwsim
from hwsim.errors import GraphError, ShapeError, UnsupportedError
from hwsim.graph import Tensor
from hwsim.verify.reference import installed
from tests.build import codes, constant, single, tensor
from tests.random_moves import several

NO_MASKS = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0) | {
    "offset": False
}


def one(op, *constants, out=(1, 1), shape=(1, 4, 6, 3), **options):
    return single(op, [tensor("x", shape), *constants], tensor("y", out), **options)


def strided(begin, end, strides, out=(1, 1), **masks):
    ends = constant("b", begin), constant("e", end), constant("s", strides)
    return one("strided_slice", *ends, out=out, **NO_MASKS | masks)


def paddings(widths):
    return constant("w", widths)


X = tensor("x", (1, 4, 6, 3))
PLAIN = Tensor("v", (), "int8", None, np.int8(3) * np.ones((), np.int8))
REFUSED = [
    (one("transpose", constant("p", (0, 1, 1, 2))), "permutation is [0, 1, 1, 2]; expected every axis of 0..3 once"),
    (one("transpose", constant("p", (0, 1))), "permutation has 2 values; expected 4"),
    (one("slice", constant("b", (0, 2, 0, 0)), constant("s", (1, 3, 6, 3))),
     "begin [0, 2, 0, 0] and size [1, 3, 6, 3] leave the input [1, 4, 6, 3]"),
    (strided((0, 0), (1, 2), (1, 0)), "stride is 0 along axis 1; expected any but 0"),
    (strided((0, 4), (1, 5), (1, 1), shrink_axis_mask=2), "begin is 4 along axis 1; must be in [-4, 3]"),
    (strided((0,) * 5, (1,) * 5, (1,) * 5), "begin has 5 values; expected at most 4"),
    (several("split", [constant("a", 2), X], X, [(1, 4, 1, 3)] * 4, num_splits=4),
     "6 along axis 2 do not split into 4 equal parts"),
    (several("split", [constant("a", 2), X], X, [(1, 4, 3, 3)] * 2, num_splits=3),
     "num_splits is 3; expected 2, one per output"),
    (several("split_v", [X, constant("n", (2, 3)), constant("a", 2)], X, [(1, 4, 2, 3), (1, 4, 3, 3)], num_splits=2),
     "sizes are [2, 3]; expected sizes >= 0, at most one -1, 6 together"),
    (one("pack", values_count=2, axis=0), "values_count is 2; it has 1 inputs"),
    (one("pack", values_count=1, axis=5), "axis is 5; must be in [-5, 4]"),
    (one("pack", tensor("z", (1, 4)), values_count=2, axis=0), "inputs are [[1, 4, 6, 3], [1, 4]]; expected one shape"),
    (one("unpack", num=1, axis=1), "num is 1; axis 1 of [1, 4, 6, 3] has 4"),
    (one("expand_dims", constant("a", -6)), "axis is -6; must be in [-5, 4]"),
    (one("gather", constant("i", (0, 4)), axis=1, batch_dims=0), "indices are 0 to 4; each must be in [0, 3]"),
    (one("gather", constant("i", (0, 1)), axis=1, batch_dims=1),
     "batch_dims is 1 of values [1, 4, 6, 3] and indices [2]; expected equal sizes, and no more of them than axes "
     "before the chosen one"),
    (one("space_to_depth", block_size=4), "block_size is 4; must be >= 1 and divide 4 and 6"),
    (one("depth_to_space", block_size=2), "block_size is 2; must be >= 1 and its square divide 3"),
    (one("mirror_pad", paddings([[0, 0], [4, 0], [0, 0], [0, 0]]), mode="reflect"),
     "paddings are [[0, 0], [4, 0], [0, 0], [0, 0]]; 'reflect' allows at most [0, 3, 5, 2]"),
    (one("pad_v2", paddings([[0, 0]]), PLAIN), "paddings are [[0, 0]]; expected 4 pairs of sizes >= 0"),
    (one("resize_nearest_neighbor", constant("n", (0, 3))),
     "size is [0, 3]; expected a height and a width of at least 1"),
]  # fmt: skip
UNSUPPORTED = [
    (strided((0, 0), (1, 2), (1, 1), ellipsis_mask=1), "ellipsis_mask is 1; hwsim runs 0 only"),
    (one("mirror_pad", paddings([[0, 0]] * 4), mode="wrap"), "mode is 'wrap'; expected 'reflect' or 'symmetric'"),
    (one("pad_v2", paddings([[0, 0]] * 4), PLAIN, out=(1, 4, 6, 3)),
     "'v' has None, the output scale 0.100000001, zero_point 0; must be equal"),
]  # fmt: skip


@pytest.mark.parametrize(("graph", "message"), REFUSED)
def test_options_that_do_not_fit_are_refused(graph, message):
    with pytest.raises(ShapeError, match=f"^{graph.nodes[0].op} 'y': {re.escape(message)}$"):
        hwsim.compile(graph, "litert-reference")


@pytest.mark.parametrize(("graph", "message"), UNSUPPORTED)
def test_what_hwsim_does_not_run_is_said(graph, message):
    with pytest.raises(UnsupportedError, match=f"^{graph.nodes[0].op} 'y': {re.escape(message)}$"):
        hwsim.compile(graph, "litert-reference")


def test_a_slice_of_the_first_axes_keeps_the_others_whole():
    graph = strided((0, 1), (1, 3), (1, 1), out=(1, 2, 6, 3))
    x = codes(np.random.default_rng(0), (1, 4, 6, 3))
    np.testing.assert_array_equal(hwsim.simulate(graph, x, "litert-reference").outputs[0], x[:, 1:3])


def test_tflite_micro_wants_a_begin_for_every_axis():
    graph = strided((0, 1), (1, 3), (1, 1), out=(1, 2, 6, 3))
    message = "strided_slice 'y': begin has 2 values; TensorFlow Lite Micro needs one for each of 4 axes"
    with pytest.raises(UnsupportedError, match=f"^{re.escape(message)}$"):
        hwsim.compile(graph, "tflite-micro")


def test_split_without_its_option_is_refused():
    with pytest.raises(GraphError, match=r"^split 'y': option 'num_splits' is None; expected an integer$"):
        hwsim.compile(several("split", [constant("a", 2), X], X, [(1, 4, 3, 3)] * 2), "litert-reference")


@pytest.mark.engine
@pytest.mark.parametrize("engine", ["litert-reference", "litert-optimized", "xnnpack"])
def test_a_slice_of_the_first_axes_equals_the_real_engine(engine):
    if installed(hwsim.engines()[engine]) is None:
        pytest.skip("needs the package ai-edge-litert: pip install 'hwsim[verify]'")
    for mask, out in ((0, (1, 2, 6, 3)), (1, (2, 6, 3))):
        graph = strided((0, -1), (1, 1), (1, -1), out=out, shrink_axis_mask=mask)
        assert hwsim.verify(graph, codes(np.random.default_rng(0), (3, 4, 6, 3)), engine=engine).exact
