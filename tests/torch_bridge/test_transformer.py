"""Encoder layers from torch to I-BERT's integers."""

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError, UnsupportedError

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'hwsim[torch]'")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from hwsim.torch_bridge import compare, import_module, prove  # noqa: E402


class Attention(nn.Module):
    """As people write it by hand: one layer for three, heads by view and transpose, division by the root."""

    def __init__(self, width=16, heads=2):
        super().__init__()
        self.heads, self.read, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        batch, tokens, width = x.shape
        depth = width // self.heads
        query, key, value = (
            part.view(batch, tokens, self.heads, depth).transpose(1, 2) for part in self.read(x).chunk(3, -1)
        )
        shares = functional.softmax(query @ key.transpose(-2, -1) / depth**0.5, -1)
        return self.norm(x + self.out((shares @ value).transpose(1, 2).reshape(batch, tokens, width)))


def layer(before):
    return nn.TransformerEncoderLayer(16, 2, 24, activation="gelu", batch_first=True, norm_first=before)


CASES = {"by hand": Attention, "norm after": lambda: layer(False), "norm before": lambda: layer(True)}


def made(case, batch=1):
    torch.manual_seed(0)
    module, x = CASES[case]().eval(), torch.randn(24, 6, 16)
    with torch.no_grad():
        for norm in (part for part in module.modules() if isinstance(part, nn.LayerNorm)):
            norm.weight += 0.3 * torch.randn(16)
            norm.bias += 0.3 * torch.randn(16)
    return module, x, import_module(module, (x[:batch],))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("batch", [1, 3])
def test_graph_gives_what_torch_gives(case, batch):
    module, x, graph = made(case, batch)
    with torch.no_grad():
        np.testing.assert_allclose(hwsim.simulate(graph, x.numpy(), "float").outputs[0], module(x).numpy(), atol=3e-6)
    ops = [node.op for node in graph.nodes]
    assert ops.count("layer_norm") == (1 if case == "by hand" else 2)
    assert "mul" not in ops and "rsqrt" not in ops
    assert next(n for n in graph.nodes if n.op == "softmax").attributes["beta"] == pytest.approx(8**-0.5)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("batch", [1, 3])
def test_integers_equal_the_reference_and_are_near_the_module(case, batch):
    module, x, graph = made(case, batch)
    integers = hwsim.quantize(graph, x.numpy(), engine="ibert", ranges="min_max")
    proof = prove(integers, x, "ibert")
    assert proof.exact, proof.differing
    assert len(proof.differing) == 1 + len(integers.nodes)
    difference = compare(integers, module, x, engine="ibert")
    assert difference.largest <= 6
    error = difference.integer_outputs - difference.float_outputs
    assert np.std(error) < 0.03 * np.std(difference.float_outputs)


def test_parts_of_images_are_cut_as_they_lie():
    class Parts(nn.Module):
        def forward(self, x):
            a, b = x.chunk(2, 1)
            return torch.cat([a[:, :, 1:3], b.split(2, dim=2)[0]], 1) + x.select(2, 0).unsqueeze(2)[:, :, :, -4:]

    x = torch.randn(1, 4, 5, 6)
    graph = import_module(Parts(), (x[:, :, :, :4],))
    got = hwsim.simulate(graph, x[:, :, :, :4].permute(0, 2, 3, 1).contiguous().numpy(), "float").outputs[0]
    np.testing.assert_array_equal(got, Parts()(x[:, :, :, :4]).permute(0, 2, 3, 1).numpy())
    ops = [node.op for node in graph.nodes]
    assert ops.count("strided_slice") == 5 and ops.count("transpose") <= 2


def test_dyadic_proves_attention_s_products():
    class Products(nn.Module):
        def forward(self, x):
            return x @ x.transpose(1, 2)

    x = torch.randn(16, 6, 8)
    integers = hwsim.quantize(import_module(Products(), (x[:1],)), x.numpy(), ranges="min_max")
    assert prove(integers, x).exact


def test_a_moved_value_is_activated_only_where_nobody_else_reads_it():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            y = self.linear(x)
            return functional.relu(y.transpose(0, 1).transpose(0, 1)) + y

    module, x = Twice().eval(), torch.randn(3, 4)
    got = hwsim.simulate(import_module(module, (x,)), x.numpy(), "float").outputs[0]
    with torch.no_grad():
        np.testing.assert_allclose(got, module(x).numpy(), atol=1e-6)


def test_what_is_refused():
    module = nn.TransformerEncoderLayer(16, 2, 24, batch_first=True)

    class Masked(nn.Module):
        def forward(self, x):
            return functional.scaled_dot_product_attention(x, x, x, is_causal=True)

    x = torch.randn(1, 6, 16)
    with pytest.raises(UnsupportedError, match=r"is_causal=True\): attention with a mask or grouped "):
        import_module(Masked(), (x,))
    integers = hwsim.quantize(import_module(module, (x,)), x.numpy(), engine="ibert", ranges="min_max")
    with pytest.raises(InputError, match="engine with a reference 'shift'"):
        prove(integers, x, "shift")
