"""A torch module as a float graph gives what torch gives."""

import numpy as np
import pytest

import hwsim
from hwsim.errors import UnsupportedError
from hwsim.ops import operators

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'hwsim[torch]'")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from hwsim.torch_bridge import import_module  # noqa: E402


class Block(nn.Module):
    """A residual block with a strided shortcut, as in ResNet."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.inside, self.outside, self.stride = inside, outside, stride

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride != 1:
            extra = (self.outside - self.inside) // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, extra, extra))
        return F.relu(y + x)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        scores = torch.matmul(self.q(x), self.k(x).transpose(1, 2)) * 0.35
        return torch.matmul(F.softmax(scores, dim=-1), self.v(x))


def image(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


CONV = dict(kernel_size=3, padding=1)  # noqa: C408
CASES = {
    "conv": (lambda: nn.Sequential(nn.Conv2d(3, 4, **CONV), nn.ReLU()), (2, 3, 8, 8)),
    "strided conv": (lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1), (1, 3, 8, 8)),
    "strided conv odd": (lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1), (1, 3, 9, 7)),
    "conv without bias": (lambda: nn.Conv2d(3, 4, 5, bias=False), (1, 3, 8, 8)),
    "dilated": (lambda: nn.Conv2d(3, 4, 3, dilation=2, padding=2), (1, 3, 9, 9)),
    "grouped": (lambda: nn.Conv2d(4, 6, 3, groups=2, padding=1), (1, 4, 6, 6)),
    "depthwise": (
        lambda: nn.Sequential(nn.Conv2d(4, 8, groups=4, **CONV), nn.BatchNorm2d(8), nn.ReLU6()),
        (1, 4, 6, 6),
    ),
    "batch norm alone": (lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)), (1, 3, 4, 4)),
    "max pool": (lambda: nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, 1)), (1, 3, 8, 8)),
    "avg pool": (lambda: nn.AvgPool2d(2), (1, 3, 8, 8)),
    "padded avg pool": (lambda: nn.AvgPool2d(3, 1, 1), (1, 3, 8, 8)),
    "global pool": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5)), (2, 3, 8, 8)),
    "flatten": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5)), (1, 3, 8, 8)),
    "activations": (
        lambda: nn.Sequential(nn.SiLU(), nn.Hardswish(), nn.Sigmoid(), nn.Tanh(), nn.LeakyReLU(0.2)),
        (1, 3, 4, 4),
    ),
    "hardtanh": (lambda: nn.Hardtanh(), (1, 3, 4, 4)),
    "linear": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3), nn.Softmax(-1)),
        (4, 6),
    ),
    "linear rows": (lambda: nn.Linear(6, 8), (2, 3, 6)),
    "layer norm": (lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8)), (2, 3, 6)),
    "attention": (lambda: Attention(), (2, 5, 8)),
    "gelu": (lambda: nn.Sequential(nn.Linear(6, 8), nn.GELU()), (2, 6)),
    "residual": (lambda: nn.Sequential(Block(4, 4, 1), Block(4, 8, 2)), (2, 4, 8, 8)),
}


WAITING = {"attention": "batch_matmul", "gelu": "gelu", "layer norm": "rsqrt"}


@pytest.mark.parametrize("case", CASES)
def test_graph_gives_what_torch_gives(case):
    if case in WAITING and WAITING[case] not in operators():
        pytest.skip(f"waits for hwsim's operator {WAITING[case]!r}")
    make, shape = CASES[case]
    torch.manual_seed(0)
    module, x = make(), image(*shape)
    module.train()
    with torch.no_grad():
        module(x), module(x * 1.3)  # batch norm has seen something
    module.eval()
    graph = import_module(module, (x,))
    ours = x.permute(0, 2, 3, 1) if x.ndim == 4 else x
    got = hwsim.simulate(graph, ours.contiguous().numpy(), "float").outputs[0]
    with torch.no_grad():
        expected = module(x)
    expected = expected.permute(0, 2, 3, 1) if expected.ndim == 4 else expected
    assert got.shape == tuple(expected.shape)
    np.testing.assert_allclose(got, expected.numpy(), atol=2e-6 * float(expected.abs().max()) + 1e-6)


def test_batch_norm_and_relu_leave_no_node():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    graph = import_module(module, (image(1, 3, 8, 8),))
    assert [node.op for node in graph.nodes] == ["conv2d"]
    assert graph.nodes[0].attributes["activation"] == "relu"


def test_a_value_read_twice_is_not_activated():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            y = self.conv(x)
            return F.relu(y) + y

    assert [node.op for node in import_module(Twice(), (image(1, 3, 4, 4),)).nodes] == ["conv2d", "relu", "add"]


def test_what_hwsim_lacks_is_named_with_its_line():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.cumsum(x, dim=1)

    with pytest.raises(
        UnsupportedError, match=r"return torch.cumsum\(x, dim=1\): hwsim has no operator for aten.cumsum"
    ):
        import_module(Odd(), (image(2, 3),))


def test_the_module_stays_as_it_was():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module.train()
    import_module(module, (image(1, 3, 8, 8),))
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
