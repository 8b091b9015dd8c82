"""CAST: values in another dtype, number formats aside."""

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions

LITERT = ("int8", "uint8", "int16", "int32", "int64", "float32", "bool")
MICRO = ("int8", "int16", "int32", "float32", "bool")


def _pairs(dtypes: tuple[str, ...]) -> dict[str, Rule]:
    return {f"{source}>{target}": Rule("c_conversion") for source in dtypes for target in dtypes}


class Cast(Op):
    """As C converts: integers wrap, floats are truncated; what is not 0 is true.

    A float beyond the target's range has no result that C defines; hwsim gives that of x86-64.
    Source: LiteRT tflite/kernels/cast.cc; TFLM micro/kernels/cast.cc.
    """

    name = "cast"
    sources = {"tflite": "CAST"}
    options = TfliteOptions("CastOptions", {"in_data_type": "InDataType", "out_data_type": "OutDataType"})
    rules = {"litert-reference": _pairs(LITERT), "tflite-micro": _pairs(MICRO), "float": _pairs(LITERT)}

    def signature(self, view: NodeView) -> str:
        return f"{view.input(0).dtype}>{view.output().dtype}"

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        target = np.dtype(view.output().dtype)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            values = inputs[0]
            if values.dtype.kind == "f" and target.kind in "iu":
                wide, ends = (np.int64, 2.0**63) if target.itemsize == 8 else (np.int32, 2.0**31)
                fits = np.abs(values) < ends
                values = np.where(fits, np.where(fits, values, 0).astype(wide), np.iinfo(wide).min)
            outputs[0][...] = values.astype(target)

        return step


OP = Cast()
