import numpy as np
import pytest

from hwsim.cost_models import network_of
from hwsim.errors import HwsimError
from hwsim.simulate import compile
from tests.build import constant, single, tensor


def depthwise():
    weights = tensor("w", (1, 3, 5, 8), data=np.ones((1, 3, 5, 8)))
    graph = single(
        "depthwise_conv2d",
        [tensor("x", (1, 10, 12, 8)), weights, constant("b", [0] * 8)],
        tensor("y", (1, 5, 6, 8)),
        padding="same", stride_h=2, stride_w=2, dilation_h=1, dilation_w=1, multiplier=1, activation="none",
    )  # fmt: skip
    return network_of(graph)


def test_work_of_a_depthwise_convolution():
    (work,) = depthwise().works
    assert (work.op, work.input_size, work.output_size) == ("depthwise_conv2d", (10, 12, 8), (5, 6, 8))
    assert (work.kernel, work.stride, work.groups, work.is_depthwise) == ((3, 5), (2, 2), 8, True)
    assert (work.macs, work.weights, work.bias_bytes) == (5 * 6 * 8 * 15, 120, 32)
    assert (work.input_bytes, work.output_bytes, work.weight_bytes) == (960, 240, 152)
    assert work.gemm == (30, 15, 1)


def test_work_of_an_addition_reads_both_inputs():
    graph = single("add", [tensor("a", (1, 4, 4, 2)), tensor("b", (1, 4, 4, 2))], tensor("y", (1, 4, 4, 2)))
    (work,) = network_of(graph).works
    assert (work.inputs, work.other_elements, work.input_bytes, work.macs) == (32, 32, 64, 0)


def test_work_of_two_dimensions_and_wide_codes():
    weights = tensor("w", (3, 7), data=np.ones((3, 7)))
    graph = single("fully_connected", [tensor("x", (2, 7), "int16"), weights, None], tensor("y", (2, 3), "int16"))
    (work,) = network_of(graph).works
    assert (work.input_size, work.output_size, work.macs) == ((1, 2, 7), (1, 2, 3), 42)
    assert (work.activation_bits, work.weight_bits, work.output_bytes, work.gemm) == (16, 8, 12, (2, 7, 3))


def test_arena_is_the_planner_s_and_live_bytes_stay_below_it(shared_models):
    import hwsim

    graph = hwsim.load(shared_models("pretrainedResnet_quant.tflite"))
    network = network_of(graph)
    assert network.arena_bytes == compile(graph, "tflite-micro").arena_bytes
    assert max(network.live_bytes) <= network.arena_bytes
    assert network.macs == 12501632


@pytest.mark.parametrize("samples", [1])
def test_flash_is_all_constants(samples):
    assert depthwise().flash_bytes == 120 + 32


def test_a_scalar_is_one_element():
    graph = single("add", [tensor("a", ()), tensor("b", (1, 3))], tensor("y", (1, 3)), activation="none")
    (work,) = network_of(graph).works
    assert (work.input_size, work.output_size) == ((1, 1, 1), (1, 1, 3))


def test_shapes_that_contradict_options_are_named():
    weights = tensor("w", (4, 3, 3, 2), data=np.ones((4, 3, 3, 2)))
    graph = single(
        "conv2d", [tensor("x", (1, 8, 8, 2)), weights, constant("b", [0] * 4)], tensor("y", (1, 8, 8, 4)),
        padding="same", stride_h=0, stride_w=0, dilation_h=1, dilation_w=1, activation="none",
    )  # fmt: skip
    with pytest.raises(HwsimError, match="stride"):
        network_of(graph)
