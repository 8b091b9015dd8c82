"""What reductions over constant axes share."""

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Op, Shape, TfliteOptions


class Reduction(Op):
    """One value out of all along the axes that input 1 names."""

    options = TfliteOptions("ReducerOptions", {"keep_dims": "KeepDims"})

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, axes = view.input(0).shape, reduced_axes(view)
        if view.attributes.get("keep_dims"):
            return (tuple(1 if i in axes else size for i, size in enumerate(shape)),)
        return (tuple(size for i, size in enumerate(shape) if i not in axes),)


def reduced_axes(view: NodeView) -> Shape:
    """The axes in order, each once, counted from the front."""
    dimensions = len(view.input(0).shape)
    axes = [int(axis) for axis in view.constant(1).reshape(-1)]
    if any(not -dimensions <= axis < dimensions for axis in axes):
        raise ShapeError(f"{view.label}: axes are {axes}; each must be in [{-dimensions}, {dimensions - 1}]")
    return tuple(sorted({axis % dimensions for axis in axes}))


def kept_axes(view: NodeView) -> Shape:
    """The other axes."""
    return tuple(i for i in range(len(view.input(0).shape)) if i not in reduced_axes(view))
