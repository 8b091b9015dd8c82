"""The bridge to PyTorch, the only room that imports torch: `pip install 'hwsim[torch]'`."""

from hwsim.errors import UnsupportedError

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise UnsupportedError("the bridge needs PyTorch, which is not installed; pip install 'hwsim[torch]'") from error

from hwsim.torch_bridge.module import import_module

__all__ = ["import_module"]
