"""Operators: one file each; the registry lists this folder."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from hwsim.errors import UnsupportedError
from hwsim.graph import NodeView
from hwsim.ops._base import Op

__all__ = ["Op", "by_source", "operator", "operators"]


@cache
def operators() -> dict[str, Op]:
    """Every operator by hwsim's name."""
    names = sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_"))
    return {name: import_module(f"{__name__}.{name}").OP for name in names}


@cache
def by_source(source: str) -> dict[str, Op]:
    """Every operator by its name in a file format, 'tflite' or 'onnx'."""
    return {op.sources[source]: op for op in operators().values() if source in op.sources}


def operator(view: NodeView) -> Op:
    """The operator of a node; UnsupportedError where hwsim has none of that name."""
    op = operators().get(view.node.op)
    if op is None:
        raise UnsupportedError(f"{view.label}: hwsim has no operator {view.node.op!r}")
    return op
