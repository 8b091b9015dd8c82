"""ASSIGN_VARIABLE: a resource variable takes a value, which later nodes and the next step read."""

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.graph.graph import DTYPES
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere


class AssignVariable(Op):
    """The variable is a tensor of the graph; files have handles of it.

    Source: LiteRT tflite/kernels/assign_variable.cc; TFLM micro/kernels/assign_variable.cc.
    """

    name = "assign_variable"
    sources = {"tflite": "ASSIGN_VARIABLE"}
    options = TfliteOptions("AssignVariableOptions")
    rules = everywhere("move", *DTYPES)
    state = (0,)

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        variable, value = view.input(0), view.input(1)
        if (variable.shape, variable.dtype) != (value.shape, value.dtype):
            raise ShapeError(
                f"{view.label}: {value.name!r} is {value.dtype} {list(value.shape)}; "
                f"its variable {variable.name!r} is {variable.dtype} {list(variable.shape)}"
            )
        return ()

    def bind(self, view: NodeView, rule: Rule) -> Step:
        def step(inputs: Arrays, outputs: Arrays) -> None:  # noqa: ARG001
            inputs[0][...] = inputs[1]

        return step


OP = AssignVariable()
