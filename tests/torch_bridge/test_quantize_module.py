"""`hwsim.quantize` of a torch module."""

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError, UnsupportedError
from hwsim.solver.quantize import quantize_network

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'hwsim[torch]'")
from torch import nn  # noqa: E402

from hwsim.torch_bridge import import_module  # noqa: E402


class Two(nn.Module):
    """An image and a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.line, self.end = nn.Conv2d(3, 4, 3), nn.Linear(6, 4), nn.Linear(4, 5)

    def forward(self, image, vector):
        return self.end(torch.relu(self.conv(image).mean((2, 3)) + self.line(vector)))


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 3, 5),
    ).train()  # fmt: skip


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(0, 1, (32, 3, 8, 6)).astype(np.float32)


def test_a_module_is_the_graph_that_the_bridge_imports(module, images):
    turned = images.transpose(0, 2, 3, 1)
    labels = np.arange(32) % 5
    found = quantize_network(module, images, weights=4, labelled=(images, labels))
    assert module.training
    graph = import_module(module, (torch.from_numpy(images[:1]),))
    expected = quantize_network(graph, turned, weights=4, labelled=(turned, labels))
    assert found.history[-1].errors == expected.history[-1].errors
    assert found.history[-1].accuracy == expected.history[-1].accuracy
    for a, b in zip(found.graph.tensors, expected.graph.tensors, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    assert found.graph.tensors[found.graph.inputs[0]].shape == (1, 8, 6, 3)


def test_integers_answer_as_the_module_does(module, images):
    found = quantize_network(module, torch.from_numpy(images))
    form = found.graph.tensors[found.graph.inputs[0]]
    codes = np.clip(np.rint(images.transpose(0, 2, 3, 1) / form.scale) + form.zero_point, -128, 127).astype(np.int8)
    out = hwsim.simulate(found.graph, codes, "dyadic").outputs[0]
    end = found.graph.tensors[found.graph.outputs[0]]
    with torch.no_grad():
        wanted = module.eval()(torch.from_numpy(images)).numpy()
    got = (out.astype(np.float64) - end.zero_point) * end.scale
    assert np.abs(got - wanted).max() < 0.05 * np.abs(wanted).max()


def test_a_module_of_several_inputs_takes_a_list(images):
    vectors = np.random.default_rng(1).normal(0, 1, (32, 6))
    graph = hwsim.quantize(Two(), [images, vectors])
    assert [graph.tensors[i].shape for i in graph.inputs] == [(1, 8, 6, 3), (1, 6)]
    with pytest.raises(InputError, match=r"^a module's inputs have no names; give its samples as a list"):
        hwsim.quantize(Two(), {"image": images, "vector": vectors})


def test_another_order_of_axes_is_named(module, images):
    message = (
        r"^Sequential does not take samples of shape \['batch', 8, 6, 3\] \(.*\); give them as the module takes them, "
        r"images as \(batch, channels, height, width\)$"
    )
    with pytest.raises(InputError, match=message):
        hwsim.quantize(module, images.transpose(0, 2, 3, 1))
    assert module.training


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            np.zeros((0, 3, 8, 6), np.float32),
            r"^calibration data are float32 of shape \[0, 3, 8, 6\]; expected numbers",
        ),
        (np.full((2, 3, 8, 6), "a"), r"^calibration data are <U1 of shape \[2, 3, 8, 6\]; expected numbers, one row"),
        (np.full((4, 3, 8, 6), np.nan), r"^calibration data: input '.*' holds values that are not finite"),
        (np.float32(1), r"^calibration data are float32 of shape \[\]; expected numbers, one row a sample$"),
    ],
)
def test_bad_samples_are_named(module, x, message):
    with pytest.raises(InputError, match=message):
        hwsim.quantize(module, x)


def test_what_cannot_be_imported_is_named(images):
    with pytest.raises(UnsupportedError, match=r"hwsim has no operator for aten\.erfinv"):
        hwsim.quantize(nn.Sequential(nn.Conv2d(3, 4, 3), Inverse()), images)


class Inverse(nn.Module):
    def forward(self, x):
        return torch.erfinv(x)
