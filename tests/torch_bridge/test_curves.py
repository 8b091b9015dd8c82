"""An activation and the quantizer behind it, exported as one table."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'hwsim[torch]'")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from hwsim.graph import Levels  # noqa: E402
from hwsim.torch_bridge import Config, compare, export_module, prepare, prove  # noqa: E402
from hwsim.torch_bridge.curves import CURVES, Curved  # noqa: E402
from hwsim.torch_bridge.lsq import LSQ  # noqa: E402


class Net(nn.Module):
    """Two activations that one layer reads, and one that a shortcut reads too."""

    def __init__(self, activation) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(i, 8, 3) for i in (3, 8, 8))
        self.mix, self.last, self.activation = nn.Conv2d(8, 8, 1), nn.Linear(8, 5), activation

    def forward(self, x):
        for layer in self.layers:
            x = self.activation(layer(x))
        return self.last(F.adaptive_avg_pool2d(x + self.mix(x), 1).flatten(1))


def exported(activation, config):
    torch.manual_seed(3)
    module, x = prepare(Net(activation), config).eval(), torch.randn(32, 3, 12, 12)
    with torch.no_grad():
        for layer in module.layers:
            layer.weight *= 3
        module(x)
    return module, x, export_module(module, x)


@pytest.mark.parametrize("bits", [2, 4])
def test_swish_is_rounded_once(bits):
    module, x, graph = exported(F.silu, Config(bits, bits))
    operators = [node.op for node in graph.nodes]
    assert operators.count("logistic") == 1  # the shortcut's
    assert prove(graph, x).exact
    found = compare(graph, module, x)
    error = np.sqrt(((found.integer_outputs - found.float_outputs) ** 2).mean())
    assert error < (0.25 if bits == 2 else 0.15) * found.float_outputs.std()


@pytest.mark.parametrize("config", [Config(4, 4, signed=False, activations_by="lsq"), Config(4, 4, signed=True)])
def test_every_entry_is_the_code_of_the_function(config):
    module, _, graph = exported(F.silu, config)
    behind = {i for node in graph.nodes if node.op == "conv2d" for i in node.outputs}
    node = next(node for node in graph.nodes if node.op == "lookup" and node.inputs[0] in behind)
    source, table = (graph.tensors[i] for i in node.inputs)
    real = (np.arange(-128, 128) - source.zero_point) * np.float64(source.scale)
    quantizer = module.layers[1].input_quantizer
    scale, offset = (float(value.detach().double()) for value in quantizer.learned())
    low, high = quantizer.ends
    place = (real / (1 + np.exp(-real)) - offset) / scale
    sure = np.abs(place - np.floor(place) - 0.5) > 1e-4
    expected = np.rint(np.clip(place, low, high)) - (0 if quantizer.signed else 8)
    np.testing.assert_array_equal(table.data.reshape(-1)[sure], expected[sure])


def test_finer_accumulators_round_biases_less():
    module, x, graph = exported(F.silu, Config(2, 2))
    finer = export_module(module, x, fraction_bits=5)
    assert prove(finer, x).exact
    assert {t.format.bits for t in finer.tensors if isinstance(t.format, Levels)} == {2}
    errors = [
        np.sqrt(((found.integer_outputs - found.float_outputs) ** 2).mean())
        for found in (compare(graph, module, x), compare(finer, module, x))
    ]
    assert errors[1] < 0.5 * errors[0]


def test_eight_bits_keep_their_operators():
    _, _, graph = exported(F.silu, Config(8, 8))
    assert [node.op for node in graph.nodes].count("logistic") == 3


@pytest.mark.parametrize("name", CURVES)
def test_reach_is_where_the_code_changes(name):
    inner = LSQ(3, signed=False, offset="free")
    inner(torch.linspace(-0.4, 2.0, 500))
    quantizer = Curved(inner, CURVES[name])
    low, high = quantizer.reach(-30.0, 30.0)
    grid = torch.linspace(-30.0, 30.0, 9001)
    codes = quantizer.codes(grid)
    assert -30 < low < high < 30
    assert codes[grid < low].unique().numel() == 1 and codes[grid > high].unique().numel() == 1
