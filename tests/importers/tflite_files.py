"""Hand-made `.tflite` files, well-formed or not, straight from the schema."""

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import tflite

TENSOR = {"shape": (1, 4), "type": "INT8", "name": "x", "scale": (0.5,), "zero_point": (0,)}
RELU = {"code": 0, "inputs": (0,), "outputs": (1,)}


class File:
    """Builds one file: tables by name and fields."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(0)

    def table(self, name: str, **fields: Any) -> int:
        getattr(tflite, f"{name}Start")(self.builder)
        for field, value in fields.items():
            if value is not None:
                getattr(tflite, f"{name}Add{field}")(self.builder, value)
        return getattr(tflite, f"{name}End")(self.builder)

    def numbers(self, values: Any, dtype: str = "int32") -> int | None:
        return None if values is None else self.builder.CreateNumpyVector(np.array(values, dtype))

    def offsets(self, tables: Sequence[int]) -> int:
        self.builder.StartVector(4, len(tables), 4)
        for offset in reversed(tables):
            self.builder.PrependUOffsetTRelative(offset)
        return self.builder.EndVector()

    def text(self, value: str | bytes | None) -> int | None:
        return None if value is None else self.builder.CreateString(value)

    def tensor(self, shape: Any = (), type: Any = "FLOAT32", buffer: int = 0, name: Any = None, scale: Any = None,
               zero_point: Any = None, axis: int = 0, variable: bool = False, sparse: bool = False,
               details: int = 0) -> int:  # fmt: skip
        quantization = None
        if scale is not None or details:
            vectors = {"Scale": self.numbers(scale, "float32"), "ZeroPoint": self.numbers(zero_point, "int64")}
            quantization = self.table("QuantizationParameters", **vectors, QuantizedDimension=axis, DetailsType=details)
        code = getattr(tflite.TensorType, type) if isinstance(type, str) else type
        sparsity = self.table("SparsityParameters") if sparse else None
        vectors = {"Shape": self.numbers(shape), "Name": self.text(name)}
        return self.table(
            "Tensor", **vectors, Type=code, Buffer=buffer, Quantization=quantization, IsVariable=variable,
            Sparsity=sparsity,
        )  # fmt: skip

    def operator(self, code: int = 0, inputs: Any = (), outputs: Any = (), options: Any = None,
                 intermediates: Any = None) -> int:  # fmt: skip
        union = {}
        if options is not None:
            name, fields = options
            union = {
                "BuiltinOptionsType": getattr(tflite.BuiltinOptions, name),
                "BuiltinOptions": self.table(name, **fields),
            }
        vectors = {"Inputs": self.numbers(inputs), "Outputs": self.numbers(outputs)}
        return self.table("Operator", **vectors, OpcodeIndex=code, Intermediates=self.numbers(intermediates), **union)

    def operator_code(self, code: int | str, custom: Any = None, deprecated: int = 0) -> int:
        number = getattr(tflite.BuiltinOperator, code) if isinstance(code, str) else code
        return self.table(
            "OperatorCode", BuiltinCode=number, DeprecatedBuiltinCode=deprecated, CustomCode=self.text(custom)
        )

    def buffer(self, content: Any) -> int:
        if isinstance(content, tuple):
            return self.table("Buffer", Offset=content[0], Size=content[1])
        return self.table("Buffer", Data=self.builder.CreateByteVector(content) if content else None)


def tflite_file(
    tensors: Sequence[dict[str, Any]],
    operators: Sequence[dict[str, Any]] = (),
    codes: Sequence[Any] = ("RELU",),
    buffers: Sequence[Any] = (),
    inputs: Any = (0,),
    outputs: Any = (0,),
    version: int = 3,
    subgraphs: int = 1,
    tail: bytes = b"",
) -> bytes:
    """A file of one subgraph (or the same one `subgraphs` times); buffer 0 is empty, `buffers` follow it."""
    file = File()
    vectors = {
        "Tensors": file.offsets([file.tensor(**tensor) for tensor in tensors]),
        "Operators": file.offsets([file.operator(**operator) for operator in operators]),
        "Inputs": file.numbers(inputs),
        "Outputs": file.numbers(outputs),
    }
    subgraph = file.table("SubGraph", **vectors)
    model = file.table(
        "Model",
        Version=version,
        OperatorCodes=file.offsets([file.operator_code(*np.atleast_1d(code).tolist()) for code in codes]),
        Subgraphs=file.offsets([subgraph] * subgraphs),
        Buffers=file.offsets([file.buffer(content) for content in (b"", *buffers)]),
    )
    file.builder.Finish(model, b"TFL3")
    return bytes(file.builder.Output()) + tail


def constant_file(buffer: Any, tail: bytes = b"", **tensor: Any) -> bytes:
    """A file whose only tensor is a constant."""
    return tflite_file([{"name": "w", **tensor, "buffer": 1}], buffers=[buffer], inputs=(), tail=tail)


def unary_file(**operator: Any) -> bytes:
    """A file of one operator from tensor 0 to tensor 1; `source` names the built-in."""
    source = operator.pop("source", "RELU")
    tensors = [TENSOR, {**TENSOR, "name": "y"}]
    return tflite_file(tensors, [{**RELU, **operator}], [source], outputs=(1,))
