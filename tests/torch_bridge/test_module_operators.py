"""Operators of published networks: pooling beyond the border, gates, broadcasts, moves, what constants make."""

import numpy as np
import pytest

import hwsim
from hwsim.errors import UnsupportedError

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'hwsim[torch]'")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from hwsim.torch_bridge import import_module  # noqa: E402


class Of(nn.Module):
    """A function with parameters of the shapes given."""

    def __init__(self, function, *shapes):
        super().__init__()
        self.function = function
        self.own = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in shapes)

    def forward(self, x):
        return self.function(x, *self.own)


class Squeeze(nn.Module):
    """Squeeze and excitation, as in MobileNet v3."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 6, 1)

    def forward(self, x):
        gate = F.hardsigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))), inplace=True)
        return x * gate


class Shuffle(nn.Module):
    """Channels dealt out between groups, as in ShuffleNet."""

    def forward(self, x):
        first, second = x.chunk(2, dim=1)
        joined = torch.cat((first, F.relu(second)), 1)
        batch, channels, height, width = joined.shape
        return joined.view(batch, 2, channels // 2, height, width).transpose(1, 2).flatten(1, 2)


def masked(x):
    """A mask that is filled in place, as shifted windows have it."""
    mask = x.new_zeros((4, 4))
    mask[1:, :2] = 1
    return x + mask.masked_fill(mask != 0, -5.0)


CASES = {
    "squeeze and excitation": (Squeeze, (2, 6, 5, 5)),
    "channel shuffle": (Shuffle, (2, 8, 4, 4)),
    "max pool with ceiling": (lambda: nn.MaxPool2d(3, 2, ceil_mode=True), (1, 3, 8, 8)),
    "max pool with ceiling, whole": (lambda: nn.MaxPool2d(3, 2, ceil_mode=True), (1, 3, 9, 9)),
    "max pool, same": (lambda: nn.MaxPool2d(3, 1, 1), (1, 3, 6, 6)),
    "avg pool, same, not counted": (lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False), (1, 3, 6, 6)),
    "avg pool with ceiling": (lambda: nn.AvgPool2d(3, 2, ceil_mode=True), (1, 3, 8, 8)),
    "adaptive pool": (lambda: nn.AdaptiveAvgPool2d((2, 3)), (1, 3, 8, 9)),
    "adaptive pool of that size": (lambda: nn.AdaptiveAvgPool2d(4), (1, 3, 4, 4)),
    "nearest": (lambda: nn.Upsample(scale_factor=2), (1, 3, 4, 5)),
    "bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 3, 4, 5)),
    "bilinear, corners": (lambda: nn.Upsample(size=(7, 9), mode="bilinear", align_corners=True), (1, 3, 4, 5)),
    "pixel shuffle": (lambda: nn.PixelShuffle(2), (2, 12, 3, 5)),
    "clamp": (lambda: Of(lambda x: x.clamp(-0.3, 0.7)), (1, 3, 4, 4)),
    "clamp as relu6": (lambda: Of(lambda x: x.clamp(0, 6)), (1, 3, 4, 4)),
    "elu": (nn.ELU, (1, 3, 4, 4)),
    "prelu": (lambda: nn.PReLU(3), (1, 3, 4, 4)),
    "one prelu for all": (nn.PReLU, (2, 3, 4)),
    "layer scale": (lambda: Of(lambda x, a: x * a, (3, 1, 1)), (2, 3, 4, 5)),
    "columns": (lambda: Of(lambda x, a: x + a, (5,)), (2, 3, 4, 5)),
    "a computed row meets an image": (lambda: Of(lambda x, a: x + (x[0, 0] * a), (4, 5)), (2, 3, 4, 5)),
    "class token": (lambda: Of(lambda x, a: torch.cat((a.expand(2, -1, -1), x), 1), (1, 1, 6)), (2, 3, 6)),
    "expand": (lambda: Of(lambda x: x.mean(-1, keepdim=True).expand(-1, -1, -1, 5)), (2, 3, 4, 5)),
    "roll": (lambda: Of(lambda x: torch.roll(x, (1, -2), (2, 3))), (1, 3, 4, 5)),
    "stack": (lambda: Of(lambda x: torch.stack((x, -1 * x), 1)), (2, 3, 4)),
    "mask": (lambda: Of(masked), (2, 4, 4)),
    "convolutions of signals": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 8, 9, 4),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(8, 8, 3, padding=1, groups=8),
            nn.BatchNorm1d(8),
            nn.ReLU6(),
            nn.Conv1d(8, 6, 3, dilation=2),
            nn.AvgPool1d(2),
            nn.AdaptiveAvgPool1d(1),
        ),
        (3, 2, 121),
    ),
    "batch norm of rows": (lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3)), (2, 3, 7)),
}


@pytest.mark.parametrize("case", CASES)
def test_graph_gives_what_torch_gives(case):
    make, shape = CASES[case]
    torch.manual_seed(0)
    module, x = make().eval(), torch.randn(shape, generator=torch.Generator().manual_seed(5))
    graph = import_module(module, (x,))
    ours = x.permute(0, 2, 3, 1) if x.ndim == 4 else x
    got = hwsim.simulate(graph, ours.contiguous().numpy(), "float").outputs[0]
    with torch.no_grad():
        expected = module(x)
    expected = expected.permute(0, 2, 3, 1) if expected.ndim == 4 else expected
    assert got.shape == tuple(expected.shape)
    np.testing.assert_allclose(got, expected.numpy(), atol=2e-6 * float(expected.abs().max()) + 1e-6)


REFUSED = {
    "uneven windows": (lambda: nn.AdaptiveAvgPool2d(3), (1, 3, 8, 8), r"adaptive pooling of \[8, 8\] to \[3, 3\]"),
    "negative borders": (lambda: nn.MaxPool2d(3, 2, 1), (1, 3, 8, 8), "pads values that may be negative"),
    "uncounted borders": (
        lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), (1, 3, 8, 8), r"does not count its borders",
    ),
    "elu with alpha": (lambda: nn.ELU(0.5), (1, 3, 4, 4), "elu with alpha"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_said_is_refused(case):
    make, shape, message = REFUSED[case]
    with pytest.raises(UnsupportedError, match=message):
        import_module(make(), (torch.randn(shape),))


def test_signals_stay_images_between_layers():
    first, second = ((nn.Conv1d(size, 4, 3), nn.BatchNorm1d(4), nn.ReLU()) for size in (2, 4))
    module = nn.Sequential(*first, nn.MaxPool1d(2), *second).eval()
    graph = import_module(module, (torch.randn(1, 2, 20),))
    moves = ["transpose", "reshape"]
    assert [node.op for node in graph.nodes] == [*moves, "conv2d", "max_pool_2d", "conv2d", *reversed(moves)]
    assert [node.attributes["activation"] for node in graph.nodes if node.op == "conv2d"] == ["relu", "relu"]
