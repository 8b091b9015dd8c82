"""A trained module as integers: equal to an independent reference on every tensor, close to the float forward."""

from functools import lru_cache

import numpy as np
import pytest

from hwsim.errors import HwsimError, InputError

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'hwsim[torch]'")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from hwsim.torch_bridge import Config, compare, export_module, import_module, prepare, prove  # noqa: E402


class Net(nn.Module):
    """A strided shortcut, a depthwise layer, pooling and batch norm with factors below zero."""

    def __init__(self, activation=F.relu) -> None:
        super().__init__()
        self.first, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.deep, self.bn2 = nn.Conv2d(8, 8, 3, 2, 1, groups=8, bias=False), nn.BatchNorm2d(8)
        self.side, self.mix = nn.Conv2d(8, 8, 1, 2), nn.Conv2d(8, 8, 3, padding=1)
        self.last, self.activation = nn.Linear(8, 5), activation
        for norm in (self.bn1, self.bn2):
            nn.init.uniform_(norm.weight, -1.0, 1.0)
            nn.init.normal_(norm.bias)

    def forward(self, x):
        x = self.activation(self.bn1(self.first(x)))
        y = self.activation(self.bn2(self.deep(x))) + self.side(x)
        y = F.max_pool2d(F.relu(y), 2)
        y = F.relu(self.mix(y) + y)
        return self.last(F.adaptive_avg_pool2d(y, 1).flatten(1))


def prepared(config, activation=F.relu):
    torch.manual_seed(1)
    net, x = Net(activation), torch.randn(48, 3, 16, 16)
    with torch.no_grad():
        net(x), net(x * 1.2)
        net.eval()
        module = prepare(net, config).eval()
        module(x)
    return module, x


CONFIGS = {
    "8 bits": Config(8, 8),
    "LSQ+": Config(4, 4),
    "2 bits": Config(2, 2),
    "LSQ": Config(4, 4, activations_by="lsq"),
    "PACT": Config(4, 4, activations_by="pact"),
    "LCQ": Config(4, 4, weights_by="lcq", activations_by="lcq"),
    "3-bit LCQ": Config(3, 3, weights_by="lcq", activations_by="lcq"),
    "PoT": Config(4, 4, weights_by="pot"),
    "APoT": Config(4, 4, weights_by="apot", activations_by="apot"),
    "ternary": Config(2, 4, weights_by="ternary"),
    "binary": Config(1, 4, weights_by="binary"),
    "stochastic": Config(4, 4, weights_by="stochastic"),
    "QuantNoise": Config(4, 4, weights_by="quant-noise"),
    "mixed": Config(4, 4, layers={"deep": (8, 6), "mix": (3, 5)}),
}


@lru_cache
def exported(name):
    module, x = prepared(CONFIGS[name])
    return module, x, export_module(module, x)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_tensor_equals_the_reference(name):
    _, x, graph = exported(name)
    assert all(t.dtype != "float32" for t in graph.tensors)
    proof = prove(graph, x)
    assert proof.exact, proof.differing
    assert len(proof.differing) >= len(graph.nodes)


@pytest.mark.parametrize("name", CONFIGS)
def test_integers_are_near_the_float_forward(name):
    module, x, graph = exported(name)
    found = compare(graph, module, x)
    spread = found.float_outputs.std()
    assert np.sqrt(((found.integer_outputs - found.float_outputs) ** 2).mean()) < 0.25 * spread


def test_an_offset_below_zero():
    module, x = prepared(Config(4, 4), F.hardswish)
    graph = export_module(module, x)
    found = compare(graph, module, x)
    assert np.sqrt(((found.integer_outputs - found.float_outputs) ** 2).mean()) < 0.3 * found.float_outputs.std()


def test_a_free_offset_is_folded_into_the_bias():
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    x = torch.rand(64, 6) + 0.3
    module = prepare(net, Config(8, 8)).eval()
    with torch.no_grad():
        module(x)
        for part in (module[0], module[2], module[4]):
            part.input_quantizer.offset += 0.37 * part.input_quantizer.scale
    assert module[2].input_quantizer.remainder() != 0
    graph = export_module(module, x)
    assert [node.op for node in graph.nodes].count("lookup") == 3
    assert prove(graph, x).exact
    found = compare(graph, module, x)
    assert np.abs(found.integer_outputs - found.float_outputs).max() < 0.03 * np.abs(found.float_outputs).max()


def test_a_channel_that_batch_norm_all_but_removes():
    torch.manual_seed(4)
    net, x = (
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3)),
        torch.rand(16, 2, 8, 8),
    )
    with torch.no_grad():
        net[1].weight[0], net[1].weight[1] = 1e-25, -1e-12
        module = prepare(net, Config(4, 4)).eval()
        module(x)
    graph = export_module(module, x)
    assert prove(graph, x).exact


def test_padding_is_real_zero():
    """A constant image through one convolution: borders see fewer taps, as in float."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 1))
    x = torch.rand(8, 1, 6, 6) * 2 + 1
    module = prepare(net, Config(8, 8)).eval()
    with torch.no_grad():
        module(x)
    found = compare(export_module(module, x), module, x)
    assert found.largest <= 2


def test_unseen_quantizers_are_refused():
    with pytest.raises(InputError, match="has seen no values"):
        export_module(prepare(nn.Sequential(nn.Linear(4, 4))), torch.randn(2, 4))


def test_unknown_names_are_suggested():
    with pytest.raises(InputError, match=r"unknown quantizer of weights 'lqs'; did you mean 'lsq'\?"):
        prepare(nn.Linear(2, 2), Config(weights_by="lqs"))
    with pytest.raises(InputError, match="unknown layer 'deeper'"):
        prepare(nn.Sequential(nn.Linear(2, 2)), Config(layers={"deeper": (4, 4)}))


def test_a_prepared_module_has_no_float_graph():
    module, x = prepared(Config(4, 4))
    with pytest.raises(HwsimError):
        import_module(module, (x[:1],))
