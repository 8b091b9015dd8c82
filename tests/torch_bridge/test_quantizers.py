"""Trained quantizers: their values are those of their codes, their gradients those of the papers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'hwsim[torch]'")

from hwsim.graph import Levels  # noqa: E402
from hwsim.quantizers.companding import Companding  # noqa: E402
from hwsim.torch_bridge.distill import distillation, features  # noqa: E402
from hwsim.torch_bridge.grids import Signs, additive_powers_of_two, powers_of_two  # noqa: E402
from hwsim.torch_bridge.lcq import LCQ, compand, table  # noqa: E402
from hwsim.torch_bridge.lsq import LSQ, PACT, STARTS, Uniform  # noqa: E402
from hwsim.torch_bridge.noise import QuantNoise, StochasticLSQ  # noqa: E402


def values(signed, seed=0, count=4000):
    x = torch.randn(4, count // 4, generator=torch.Generator().manual_seed(seed))
    return x if signed else x.relu()


MADE = {
    "LSQ": (lambda: LSQ(4, signed=True), True),
    "LSQ unsigned": (lambda: LSQ(3), False),
    "LSQ+ zero": (lambda: LSQ(4, offset="zero"), True),
    "LSQ+ free": (lambda: LSQ(4, offset="free"), True),
    "LSQ+ unsigned codes, signed values": (lambda: LSQ(4, signed=False, offset="free"), True),
    "8 bits": (lambda: LSQ(8, signed=True), True),
    "PACT": (lambda: PACT(4), False),
    "LCQ": (lambda: LCQ(4), False),
    "LCQ weights": (lambda: LCQ(3, signed=True, normalize=True), True),
    "PoT": (lambda: powers_of_two(4), True),
    "APoT": (lambda: additive_powers_of_two(4), True),
    "APoT unsigned": (lambda: additive_powers_of_two(4, signed=False), False),
    "binary": (lambda: Signs(zero=False), True),
    "ternary": (lambda: Signs(zero=True), True),
    "QuantNoise": (lambda: QuantNoise(LSQ(3, signed=True)), True),
    "stochastic": (lambda: StochasticLSQ(4, signed=True), True),
}


@pytest.mark.parametrize("name", MADE)
def test_codes_stand_for_the_quantized_values(name):
    make, signed = MADE[name]
    quantizer, x = make().eval(), values(signed)
    with torch.no_grad():
        quantized = quantizer(x)
        codes, form = quantizer.codes(x).numpy(), quantizer.format()
    if isinstance(form, Levels):
        assert codes.min() >= 0 and codes.max() < form.table.shape[1] <= 2**quantizer.bits
        real = form.table[0][codes] * form.scale[0] * quantizer.factor_of(x)
    else:
        assert codes.min() >= -(2 ** (quantizer.bits - 1)) and codes.max() < 2 ** (quantizer.bits - 1)
        real = (codes - form.zero_point[0]) * form.scale[0] + quantizer.remainder()
    np.testing.assert_allclose(real, quantized.numpy(), atol=3e-6)
    error = float(((quantized - x) ** 2).mean() / (x**2).mean())
    assert error < (0.4 if quantizer.bits < 2 else 0.25 if quantizer.bits == 2 else 0.06)


def lsq_surrogate(x, scale, offset, low, high, x0, scale0, offset0):
    """Clipping is followed, rounding is what it was at the point: what a straight-through estimator differentiates."""
    limited0 = ((x0 - offset0) / scale0).clamp(low, high)
    limited = ((x - offset) / scale).clamp(low, high)
    return (limited + (limited0.round() - limited0)) * scale + offset


@pytest.mark.parametrize("ends", [(-8, 7), (0, 15), (-2, 1)])
def test_lsq_gradients_are_finite_differences_of_the_surrogate(ends):
    x = values(True, count=400).double() * 2
    point = [x, torch.tensor(0.37, dtype=torch.float64), torch.tensor(-0.21, dtype=torch.float64)]
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    leaves = [p.clone().requires_grad_() for p in point]
    (Uniform.apply(*leaves, *ends) * weights).sum().backward()
    for place, step in ((1, 1e-7), (2, 1e-7)):
        sides = []
        for sign in (1, -1):
            moved = [p.clone() for p in point]
            moved[place] = moved[place] + sign * step
            sides.append(float((lsq_surrogate(*moved, *ends, *point) * weights).sum()))
        assert float(leaves[place].grad) == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5)
    inside = ((x - point[2]) / point[1] >= ends[0]) & ((x - point[2]) / point[1] <= ends[1])
    assert torch.equal(leaves[0].grad, weights * inside)


def lcq_surrogate(v, shares, steps, v0, shares0):
    """f and its inverse are followed, rounding is what it was."""

    def compress(v, shares):
        count = len(shares)
        place = (v * count).clamp(max=count - 1).long()
        return (shares.cumsum(0) - shares)[place] + shares[place] * (v * count - place)

    def expand(u, shares, place):
        return (place + (u - (shares.cumsum(0) - shares)[place]) / shares[place]) / len(shares)

    u0 = compress(v0, shares0)
    rounded = (u0 * steps).round() / steps
    place = torch.searchsorted(shares0.cumsum(0) - shares0, rounded, right=True) - 1
    return expand(compress(v, shares) + rounded - u0, shares, place)


def test_lcq_gradients_of_shares_are_finite_differences_of_the_surrogate():
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(300, generator=generator, dtype=torch.float64) * 1.5
    shares = torch.rand(16, generator=generator, dtype=torch.float64).softmax(0)
    alpha = torch.tensor(1.2, dtype=torch.float64)
    weights = torch.randn(300, generator=generator, dtype=torch.float64)
    leaves = [x.clone().requires_grad_(), alpha.clone().requires_grad_(), shares.clone().requires_grad_()]
    out, _ = compand(*leaves, 15, 1 << 40)
    (out * weights).sum().backward()
    inside = x < alpha
    v = x[inside] / alpha
    for place in range(15):
        sides = []
        for sign in (1, -1):
            moved = shares.clone()
            moved[place] += sign * 1e-7
            sides.append(float((alpha * lcq_surrogate(v, moved, 15, v, shares) * weights[inside]).sum()))
        assert float(leaves[2].grad[place]) == pytest.approx((sides[0] - sides[1]) / 2e-7, rel=1e-4, abs=1e-5)
    assert torch.equal(leaves[0].grad, weights * inside)
    expected = torch.where(inside, (out.detach() - x) / alpha, torch.ones_like(x))
    assert float(leaves[1].grad) == pytest.approx(float((expected * weights).sum()))


def test_lcq_levels_are_those_of_exact_fractions():
    theta = torch.randn(16, generator=torch.Generator().manual_seed(2)) * 0.8
    shares = theta.softmax(0)
    exact = Companding(4, 1.0, tuple(shares.tolist()), signed=False)
    assert (table(shares, 15, 255) * 255).round().int().tolist() == [round(float(m) * 255) for m in exact.magnitudes()]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_lcq_codes_are_those_of_the_thresholds_in_exact_fractions(bits):
    quantizer, x = LCQ(bits), values(True) * 1.3
    quantizer(x.relu())
    quantizer.theta.data = torch.randn(16, generator=torch.Generator().manual_seed(bits)) * 0.8
    thresholds = torch.from_numpy(quantizer.format().thresholds[0].astype(np.float64))
    edges = torch.cat([thresholds.float(), torch.tensor([0.0, -1.0, 1e30, float(quantizer.alpha.detach())])])
    sure = torch.cat([x.reshape(-1), edges[-4:]])
    near = (sure.double().reshape(-1, 1) - thresholds).abs().amin(1) < 1e-6
    expected = torch.searchsorted(thresholds, sure.double(), right=True)
    assert torch.equal(quantizer.codes(sure)[~near], expected[~near]) and int(near.sum()) < 20


def test_lcq_learns_levels_as_fast_as_its_clipping_point():
    """With values denser near 0, levels move towards 0 within a few steps."""
    quantizer, x = LCQ(2), values(False) ** 2
    quantizer(x)
    optimizer = torch.optim.SGD(quantizer.parameters(), lr=0.05)
    before = table(quantizer.shares().detach(), 3, 255)
    for _ in range(60):
        optimizer.zero_grad()
        ((quantizer(x) - x) ** 2).sum().backward()
        optimizer.step()
    after = table(quantizer.shares().detach(), 3, 255)
    assert after[1] < before[1] - 0.03 and after[2] < before[2] - 0.03


def test_pact_and_grids_learn_where_they_clip():
    x = torch.tensor([0.2, 0.7, 3.0, 5.0])
    pact = PACT(2)
    pact.ready.fill_(True)
    pact.signed = False
    pact.scale.data = torch.tensor(0.5)  # clips at 1.5
    pact(x).sum().backward()
    assert float(pact.scale.grad) == pytest.approx(2 * 3)  # two values at the clipping point 3 * scale
    grid = powers_of_two(3)
    grid.ready.fill_(True)
    leaf = torch.tensor([0.1, -3.0], requires_grad=True)
    grid(leaf).sum().backward()
    assert leaf.grad.tolist() == [1.0, 0.0]
    assert float(grid.alpha.grad) == pytest.approx((float(grid(torch.tensor(0.1)).detach()) - 0.1) - 1)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("offset", ["none", "zero", "free"])
@pytest.mark.parametrize("signed", [True, False])
def test_every_configuration_and_start_is_usable(start, offset, signed):
    x = torch.nn.functional.silu(values(True))
    quantizer = LSQ(4, signed=signed, offset=offset, start=start)
    error = float(((quantizer(x).detach() - x) ** 2).mean() / (x**2).mean())
    assert error < 0.2
    if offset == "zero":
        assert bool((quantizer(torch.zeros(3)) == 0).all())


def test_mse_starts_nearest():
    x = torch.nn.functional.silu(values(True))
    errors = {s: float(((LSQ(2, signed=True, offset="free", start=s)(x).detach() - x) ** 2).mean()) for s in STARTS}
    assert errors["mse"] == min(errors.values())


def test_stochastic_rounding_is_right_on_average():
    quantizer = StochasticLSQ(4, signed=True, start="min-max").train()
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 41)
    quantizer(x)
    mean = torch.stack([quantizer(x).detach() for _ in range(2000)]).mean(0)
    assert float((mean - x)[3:-3].abs().max()) < 4 * float(quantizer.scale.detach()) / 2 / np.sqrt(2000)


def test_quant_noise_quantizes_a_share():
    torch.manual_seed(0)
    quantizer, x = QuantNoise(LSQ(3, signed=True), share=0.25, block=4).train(), values(True)
    left = float((quantizer(x).detach() == x).float().mean())
    assert 0.7 < left < 0.8
    assert float((quantizer.eval()(x) == x).float().mean()) < 0.05


def test_distillation():
    generator = torch.Generator().manual_seed(0)
    logits, teacher = (torch.randn(8, 5, generator=generator) for _ in range(2))
    labels = teacher.argmax(1)
    assert float(distillation(teacher, teacher)) == pytest.approx(0, abs=1e-6)
    hard = torch.nn.functional.cross_entropy(logits, labels)
    assert float(distillation(logits, teacher, labels, soft_share=0.0)) == pytest.approx(float(hard))
    p, q = (torch.softmax(part.double() / 2, 1) for part in (teacher, logits))
    expected = float((p * (p / q).log()).sum(1).mean()) * 4
    assert float(distillation(logits, teacher, temperature=2.0)) == pytest.approx(expected, rel=1e-5)
    assert float(features([logits], [logits])) == 0
