"""Hutchinson's traces against those of whole Hessians, and a choice of widths made by them."""

from itertools import product

import pytest
from numpy.testing import assert_allclose

import hwsim
from hwsim.errors import InputError
from hwsim.solver.choices import layers_of

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'hwsim[torch]'")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from hwsim.torch_bridge import hessian_traces, import_module, prepare  # noqa: E402

SAMPLES = 60


def drawn(*shape, seed=5):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Small(nn.Module):
    """Layers written in another order than they run in, one of them depthwise, with batch norms to fold."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 3)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.first = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.unused = nn.Linear(4, 3)
        self.norm1, self.norm2 = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x):
        x = F.relu(self.norm1(self.first(x)))
        x = F.relu(self.norm2(self.depthwise(x)))
        return self.last(x.mean((2, 3)))


NAMES = {"1_conv2d": "first", "2_depthwise_conv2d": "depthwise", "4_fully_connected": "last"}
NORMS = {"1_conv2d": "norm1", "2_depthwise_conv2d": "norm2"}


def small(uniform):
    """In training mode; `uniform`: batch norm multiplies all channels alike."""
    torch.manual_seed(1)
    module = Small()
    for norm in (module.norm1, module.norm2):
        with torch.no_grad():
            norm.weight.fill_(1.7) if uniform else norm.weight.uniform_(1, 4)
            norm.running_var.fill_(0.6) if uniform else norm.running_var.uniform_(0.5, 2)
            norm.running_mean.normal_(0, 0.3)
    return module.train()


def factors(module, layer):
    """What batch norm multiplies the channels of a layer by."""
    if layer not in NORMS:
        return torch.ones(len(getattr(module, NAMES[layer]).weight))
    norm = getattr(module, NORMS[layer])
    return (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()


def exact(module, name, x, target):
    """The diagonal of the whole Hessian of the mean cross-entropy in the module's parameter `name`."""
    state = {key: value.detach() for key, value in module.state_dict().items()}

    def loss(weights):
        return F.cross_entropy(torch.func.functional_call(module.eval(), {**state, name: weights}, (x,)), target)

    whole = torch.autograd.functional.hessian(loss, state[name])
    return whole.reshape(state[name].numel(), -1).diagonal().reshape(state[name].shape)


@pytest.mark.parametrize("labels", [False, True])
def test_traces_of_folded_weights(labels):
    module, x = small(uniform=True), drawn(6, 2, 6, 6)
    y = torch.arange(6) % 3
    found = hessian_traces(module, x, y if labels else None, samples=SAMPLES, batch=4)
    assert module.training
    assert list(found) == list(NAMES) == list(layers_of(import_module(module, (x[:1],))))
    target = y if labels else F.softmax(module.eval()(x), 1).detach()
    for layer, name in NAMES.items():
        folded = exact(module, f"{name}.weight", x, target) / factors(module, layer)[0] ** 2
        error = found.standard_errors[layer]
        assert error < 0.2 * folded.mean()
        assert abs(found[layer] - folded.mean()) < 4 * error


def test_channels_with_their_own_factors():
    """The traces price an error in proportion to the weights as the module's own mean trace does."""
    module, x = small(uniform=False), drawn(6, 2, 6, 6)
    found = hessian_traces(module, x, samples=SAMPLES)
    target = F.softmax(module.eval()(x), 1).detach()
    for layer, name in NAMES.items():
        weights = getattr(module, name).weight.detach()
        folded = weights * factors(module, layer).reshape(-1, *[1] * (weights.ndim - 1))
        expected = exact(module, f"{name}.weight", x, target).mean() * weights.square().sum() / folded.square().sum()
        assert abs(found[layer] - expected) < 4 * found.standard_errors[layer]


def test_one_feature_by_hand():
    """Of two classes with probability p and 1 - p, either weight's curvature is p (1 - p) x^2."""
    module = nn.Linear(1, 2, bias=False)
    x = drawn(7, 1)
    found = hessian_traces(module, x, samples=64)
    p = F.softmax(module(x), 1).detach()
    expected = (p * (1 - p) * x.square()).mean().item()
    assert abs(found["0_fully_connected"] - expected) < 4 * found.standard_errors["0_fully_connected"]


def test_seed_and_batches():
    module, x = small(uniform=False), drawn(6, 2, 6, 6)
    one = hessian_traces(module, x, samples=4, seed=3)
    assert hessian_traces(module, x, samples=4, seed=3) == one
    assert hessian_traces(module, x, samples=4, seed=4) != one
    other = hessian_traces(module, x, samples=4, seed=3, batch=2)
    assert_allclose(list(other.values()), list(one.values()), rtol=1e-4)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.b = self.a = nn.Linear(3, 3)

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


def test_shared_weights_count_once():
    torch.manual_seed(2)
    module, x = Twice(), drawn(8, 3)
    found = hessian_traces(module, x, samples=SAMPLES)
    first, second = found.values()
    assert first == second
    target = F.softmax(module(x), 1).detach()
    state = {name: value.detach() for name, value in module.named_parameters()}

    def loss(weights):
        return F.cross_entropy(torch.func.functional_call(module, {**state, "b.weight": weights}, (x,)), target)

    trace = torch.autograd.functional.hessian(loss, state["b.weight"]).reshape(9, 9).trace()
    assert abs(2 * first - trace / 9) < 4 * 2 * found.standard_errors["0_fully_connected"]


def test_what_is_refused():
    module, x = nn.Linear(3, 4), drawn(5, 3)
    with pytest.raises(InputError, match=r"y is torch.float32 \(5,\); expected torch.int64"):
        hessian_traces(module, x, torch.zeros(5))
    with pytest.raises(InputError, match="y has classes 0 to 4; the logits have 0 to 3"):
        hessian_traces(module, x, torch.arange(5))
    with pytest.raises(InputError, match="samples 1 must be at least 2"):
        hessian_traces(module, x, samples=1)
    with pytest.raises(InputError, match="ReLU has no layers with weights"):
        hessian_traces(nn.ReLU(), x)
    with pytest.raises(InputError, match=r"gives \(5, 2, 4\); expected logits"):
        hessian_traces(module, drawn(5, 2, 3))
    with pytest.raises(InputError, match="the trace is nan"):
        hessian_traces(module, x * float("nan"))
    prepared = prepare(nn.Sequential(nn.Linear(3, 4)))
    prepared(x)
    with pytest.raises(InputError, match="Sequential has quantizers; give the float module"):
        hessian_traces(prepared, x)


def test_solves():
    """A choice of widths by the traces: the least of all that fit, counted one by one."""
    module, x = small(uniform=False), drawn(20, 2, 6, 6)
    graph = import_module(module, (x[:1],))
    given = dict(choices=["w8a8", "w4a8", "w2a8"], pin_ends=False, engine="dyadic", cache=False)  # noqa: C408
    traces = hessian_traces(module, x, samples=8)
    images = x.permute(0, 2, 3, 1).numpy()
    widest = hwsim.solve(graph, "gap9", images, traces=traces, **given)
    limit = widest.predicted["flash_kib"] * 0.7
    answer = hwsim.solve(graph, "gap9", images, max_flash_kib=limit, traces=traces, **given)
    assert answer.status == "optimal"
    layers = list(NAMES)
    every = [dict(zip(layers, some, strict=True)) for some in product(given["choices"], repeat=3)]
    found = [answer.layers.predicted(choice) for choice in every]
    best = min(row["degradation"] for row in found if row["flash_kib"] <= limit)
    assert answer.predicted["flash_kib"] <= limit < widest.predicted["flash_kib"]
    assert answer.predicted["degradation"] == pytest.approx(best, rel=1e-9)
