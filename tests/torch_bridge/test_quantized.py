"""Networks that torch's own tools quantized: every tensor equals torch's engine."""

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError, UnsupportedError
from tests.processor import has_vnni

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'hwsim[torch]'")
from torch import nn  # noqa: E402

from hwsim.torch_bridge import compare_quantized, import_module, import_quantized  # noqa: E402
from hwsim.torch_bridge.quantized import ENGINES, engine_of_torch, in_order, torch_tensors  # noqa: E402
from tests.torch_bridge import quantized_modules as modules  # noqa: E402

BACKENDS = [
    pytest.param(
        backend,
        marks=[
            pytest.mark.skipif(
                backend not in torch.backends.quantized.supported_engines, reason=f"this torch has no {backend}"
            ),
            pytest.mark.skipif(
                backend != "qnnpack" and not has_vnni(), reason="the rules are those of a processor with AVX-512 VNNI"
            ),
        ],
    )
    for backend in ENGINES
]


@pytest.fixture(autouse=True)
def torch_engine(monkeypatch):
    """Torch's engine is a global: put it back."""
    before = torch.backends.quantized.engine
    yield
    torch.backends.quantized.engine = before


def images(count, size=16):
    return torch.from_numpy(np.random.default_rng(5).normal(0, 1, (count, 3, size, size)).astype(np.float32))


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_random_layers_equal_torch(backend, per_channel, reduced):
    torch.backends.quantized.engine = backend
    for number in range(3):
        g = np.random.default_rng(number)
        module = modules.Layers(g, per_channel=per_channel, reduced=reduced)
        x = module.images(g)
        proof = compare_quantized(import_quantized(module, (x,)), module, x)
        assert proof.exact, proof.differing
        assert len(proof.differing) == 9 and proof.codes > 8000


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", BACKENDS)
def test_random_sums_products_and_pools_equal_torch(backend):
    torch.backends.quantized.engine = backend
    for number in range(3):
        g = np.random.default_rng(number)
        module = modules.Elementwise(g)
        x = module.images(g)
        proof = compare_quantized(import_quantized(module, (x,)), module, x)
        assert proof.exact, proof.differing
        assert len(proof.differing) == 19


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_residual_network_of_fx_equals_torch(backend):
    torch.manual_seed(1)
    module = modules.fx_quantized(modules.Residual(), backend, [images(8)])
    x = images(12)
    graph = import_quantized(module, (x[:1],), "residual")
    proof = compare_quantized(graph, module, x, chunk=5)
    assert graph.name == "residual" and proof.exact, proof.differing
    outputs = hwsim.simulate(graph, in_order(x), engine_of_torch()).outputs[0]
    with torch.no_grad():
        np.testing.assert_array_equal(outputs, torch.cat([module(x[i : i + 1]) for i in range(12)]).numpy())


@pytest.mark.filterwarnings("ignore")
def test_a_comparison_sees_one_changed_code():
    module = modules.fx_quantized(modules.Residual(), "qnnpack", [images(8)])
    x = images(2)
    graph = import_quantized(module, (x[:1],))
    weights = graph.tensor("linear_weight").data
    weights[3] += np.where(weights[3] < 100, 20, -20).astype(np.int8)
    differing = compare_quantized(graph, module, x).differing
    assert differing["linear"] > 0 and differing["depthwise"] == 0


@pytest.mark.filterwarnings("ignore")
def test_functions_of_one_code_are_tables():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Hardswish(), nn.Conv2d(8, 8, 1), nn.Sigmoid(), nn.Conv2d(8, 4, 1))
    quantized = modules.fx_quantized(module, "qnnpack", [images(4)])
    x = images(3)
    graph = import_quantized(quantized, (x[:1],))
    assert [node.op for node in graph.nodes].count("lookup") == 2
    assert compare_quantized(graph, quantized, x).exact


@pytest.mark.filterwarnings("ignore")
def test_what_is_not_imported_is_named_with_its_line():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)

        def forward(self, x):
            return self.conv(x).mean((2, 3))

    quantized = modules.fx_quantized(Mean(), "qnnpack", [images(4)])
    with pytest.raises(UnsupportedError, match=r"return self\.conv\(x\)\.mean\(\(2, 3\)\): torch averages real values"):
        import_quantized(quantized, (images(1),))


@pytest.mark.filterwarnings("ignore")
def test_import_module_names_the_other_function():
    quantized = modules.fx_quantized(modules.Residual(), "qnnpack", [images(4)])
    with pytest.raises(UnsupportedError, match=r"^GraphModule is quantized already; import it with import_quantized$"):
        import_module(quantized, (images(1),))


@pytest.mark.filterwarnings("ignore")
def test_samples_must_fill_the_batch():
    quantized = modules.fx_quantized(modules.Residual(), "qnnpack", [images(4)])
    graph = import_quantized(quantized, (images(2),))
    with pytest.raises(InputError, match=r"^3 samples; expected a multiple of the graph's batch, 2$"):
        compare_quantized(graph, quantized, images(3))


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not has_vnni(), reason="the rules are those of a processor with AVX-512 VNNI")
def test_a_lowered_pt2e_module_equals_torch():
    pytest.importorskip("torchao", reason="needs torchao: pip install torchao")
    torch.manual_seed(1)
    lowered = modules.pt2e_lowered(modules.Residual(), images(4))
    x = images(5)
    graph = import_quantized(lowered, (x[:1],))
    proof = compare_quantized(graph, lowered, x, engine="onednn:pt2e")
    assert proof.exact, proof.differing
    assert {"add", "cast", "conv2d", "depthwise_conv2d"} <= {node.op for node in graph.nodes}


@pytest.mark.filterwarnings("ignore")
def test_a_pt2e_module_is_to_be_lowered_first():
    pytest.importorskip("torchao", reason="needs torchao: pip install torchao")
    converted = modules.pt2e_converted(modules.Residual(), images(2))
    with pytest.raises(UnsupportedError, match=r"lower_pt2e_quantized_to_x86"):
        import_quantized(converted, (images(1),))


@pytest.mark.filterwarnings("ignore")
def test_brevitas_has_the_same_integers():
    pytest.importorskip("brevitas", reason="needs brevitas: pip install brevitas")
    x = images(40)
    module = modules.brevitas_network(x[:16])
    graph = import_quantized(module, (x[:1],))
    ours = hwsim.simulate(graph, in_order(x), "onednn", keep_tensors=True).tensors
    expected = torch_tensors(module, x, 1)
    assert len(expected) == 7
    for name, codes in expected.items():
        off = np.abs(ours[name].reshape(codes.shape).astype(int) - codes)
        assert off.max() <= 1 and (off != 0).mean() < 1e-4, name  # float32 sums near a tie
    outputs = hwsim.simulate(graph, in_order(x), "onednn").outputs[0]
    with torch.no_grad():
        assert (outputs.argmax(1) == torch.as_tensor(module(x)).numpy().argmax(1)).all()
