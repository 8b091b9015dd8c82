"""ADD_N: the sum of tensors of one shape."""

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere


class AddN(Op):
    """Added from the first to the last. Source: TFLite reference/add_n.h; TFLM micro/kernels/add_n.cc."""

    name = "add_n"
    sources = {"tflite": "ADD_N"}
    options = TfliteOptions("AddNOptions")
    rules = everywhere("in_order", "int32", "float32", micro=("float32",))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shapes = [view.input(position).shape for position in range(len(view.node.inputs))]
        if len(shapes) < 2 or len(set(shapes)) != 1:
            raise ShapeError(f"{view.label}: inputs are {[[*shape] for shape in shapes]}; expected two or more alike")
        return (shapes[0],)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        def step(inputs: Arrays, outputs: Arrays) -> None:
            total = inputs[0].copy()
            for array in inputs[1:]:
                total += array
            outputs[0][...] = total

        return step


OP = AddN()
