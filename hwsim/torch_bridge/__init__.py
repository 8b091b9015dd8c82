"""The bridge to PyTorch, the only room that imports torch: `pip install 'hwsim[torch]'`."""

from hwsim.errors import UnsupportedError

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise UnsupportedError("the bridge needs PyTorch, which is not installed; pip install 'hwsim[torch]'") from error

from hwsim.torch_bridge.export import export_module
from hwsim.torch_bridge.hessian import Traces, hessian_traces
from hwsim.torch_bridge.layers import Config, prepare
from hwsim.torch_bridge.module import import_module
from hwsim.torch_bridge.proof import compare, prove
from hwsim.torch_bridge.quantized import compare_quantized, import_quantized
from hwsim.torch_bridge.train import Plan, fine_tune

__all__ = [
    "Config",
    "Plan",
    "Traces",
    "compare",
    "compare_quantized",
    "export_module",
    "fine_tune",
    "hessian_traces",
    "import_module",
    "import_quantized",
    "prepare",
    "prove",
]
