"""Quantize the network that train_demo.py trained, and write what hwsim/demo ships.

    python scripts/build_demo.py --network FOLDER

Writes network.tflite (int8, per channel), images.npz (the first 500 test images of Fashion-MNIST with labels) and
golden.npz (every engine's outputs and a SHA-256 of every tensor, from the real engines). It needs hwsim[verify].
"""

import argparse
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hwsim
from hwsim.engines import real_engines
from hwsim.graph import Affine, Graph, Node, Tensor
from hwsim.importers.tflite_writer import to_tflite
from hwsim.verify.reference import ReferenceSession

IMAGES = 500
SHIPPED = Path(hwsim.__file__).parent / "demo"
Array = NDArray[Any]
Layer = dict[str, Any]


class Builder:
    """Collects the tensors and nodes of the integer graph."""

    def __init__(self, ranges: dict[str, tuple[float, float]]) -> None:
        self.tensors: list[Tensor] = []
        self.nodes: list[Node] = []
        self.index: dict[str, int] = {}
        self.ranges = ranges

    def tensor(self, name: str, shape: tuple[int, ...], dtype: str, form: Affine | None, data: Array | None) -> int:
        """Add a tensor; its index."""
        self.tensors.append(Tensor(name, shape, dtype, form, data))
        self.index[name] = len(self.tensors) - 1
        return self.index[name]

    def activation(self, name: str, shape: tuple[int, ...]) -> int:
        """Add an int8 tensor whose codes cover the range seen in calibration, zero included."""
        low, high = min(self.ranges[name][0], 0.0), max(self.ranges[name][1], 0.0)
        scale = np.float32((high - low) / 255)
        zero_point = int(np.clip(np.rint(-128 - low / scale), -128, 127))
        return self.tensor(name, shape, "int8", Affine.per_tensor(float(scale), zero_point), None)

    def weights(self, layer: Layer, weight: Array, bias: Array) -> tuple[int, int]:
        """Add symmetric per-channel int8 weights, and the bias at the accumulator's scale."""
        axis = 3 if layer["kind"] == "depthwise_conv2d" else 0
        others = tuple(i for i in range(weight.ndim) if i != axis)
        scale = (np.abs(weight).max(axis=others) / 127).astype(np.float32)
        shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
        codes = np.clip(np.rint(weight / scale.reshape(shape)), -127, 127).astype(np.int8)
        source = self.tensors[self.index[layer["inputs"][0]]]
        sums = (scale * np.float32(source.scale)).astype(np.float32)
        values = np.rint(bias / sums.astype(np.float64)).astype(np.int32)
        name = layer["output"]
        return (
            self.tensor(f"{name}/weights", weight.shape, "int8", Affine.per_channel(scale, axis), codes),
            self.tensor(f"{name}/bias", bias.shape, "int32", Affine.per_channel(sums, 0), values),
        )

    def node(self, layer: Layer, inputs: tuple[int, ...], shape: tuple[int, ...], **attributes: Any) -> None:
        """Add a node and its output."""
        output = self.activation(layer["output"], shape)
        self.nodes.append(Node(layer["kind"], layer["output"], inputs, (output,), attributes))


def quantize(layers: list[Layer], ranges: dict[str, tuple[float, float]], arrays: dict[str, Array]) -> Graph:
    """The integer graph of the float layers."""
    build = Builder(ranges)
    image = build.activation("image", (1, 28, 28, 1))
    for layer in layers:
        add_layer(build, layer, arrays)
    last = build.index[layers[-1]["output"]]
    return Graph("fashion", tuple(build.tensors), tuple(build.nodes), (image,), (last,))


def add_layer(build: Builder, layer: Layer, arrays: dict[str, Array]) -> None:
    """Append one layer."""
    inputs = tuple(build.index[name] for name in layer["inputs"])
    batch, *rest = build.tensors[inputs[0]].shape
    stride, kernel = layer["stride"], layer["kernel"]
    moving = {"padding": layer["padding"].lower(), "stride_h": stride, "stride_w": stride}
    options: dict[str, Any] = {"activation": layer["activation"]}
    shape: tuple[int, ...] = (batch, *rest)
    if layer["kind"] in ("conv2d", "depthwise_conv2d", "fully_connected"):
        inputs += build.weights(layer, arrays[f"{layer['output']}.weight"], arrays[f"{layer['output']}.bias"])
        shape = (batch, *(-(-size // stride) for size in rest[:-1]), layer["channels"])
    if layer["kind"] in ("conv2d", "depthwise_conv2d"):
        options |= moving | {"dilation_h": 1, "dilation_w": 1}
        options |= {"depth_multiplier": 1} if layer["kind"] == "depthwise_conv2d" else {}
    elif layer["kind"] == "average_pool_2d":
        options |= moving | {"filter_h": kernel, "filter_w": kernel}
        shape = (batch, 1, 1, rest[-1])
    elif layer["kind"] == "reshape":
        shape = (batch, layer["channels"])
        inputs += (build.tensor("features/shape", (2,), "int32", None, np.array([-1, layer["channels"]], np.int32)),)
        options = {"new_shape": (-1, layer["channels"])}
    elif layer["kind"] == "softmax":
        options = {"beta": 1.0}
    elif layer["kind"] == "add":
        options |= {"pot_scale_int16": False}
    elif layer["kind"] == "fully_connected":
        options |= {"keep_num_dims": False, "weights_format": "default"}
    build.node(layer, inputs, shape, **options)


def golden(graph: Graph, codes: Array) -> dict[str, Array]:
    """Outputs of every real engine, and a digest of every tensor that it computed."""
    stored = {}
    for name, profile in real_engines().items():
        tensors = ReferenceSession(graph, profile).tensors({graph.inputs[0]: codes[:, None]})
        stored[f"{name}/output"] = tensors[graph.outputs[0]].reshape(len(codes), -1)
        for node in graph.nodes:
            for index in node.outputs:
                digest = sha256(np.ascontiguousarray(tensors[index]).tobytes()).digest()
                stored[f"{name}/sha256/{graph.tensors[index].name}"] = np.frombuffer(digest, np.uint8)
    return stored


def main() -> None:
    """Quantize, write, and record the real engines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", type=Path, required=True, help="what train_demo.py wrote with --out")
    options = parser.parse_args()
    info = json.loads((options.network / "float_network.json").read_text())
    with np.load(options.network / "float_network.npz") as arrays:
        graph = quantize(info["layers"], info["ranges"], dict(arrays))
    (SHIPPED / "network.tflite").write_bytes(to_tflite(graph))
    with np.load(options.network / "images.npz") as data:
        x, y = data["x"][:IMAGES], data["y"][:IMAGES]
    np.savez_compressed(SHIPPED / "images.npz", x=x, y=y)
    shipped = hwsim.load(SHIPPED / "network.tflite")
    codes = (x.astype(np.int16) - 128).astype(np.int8)
    np.savez_compressed(SHIPPED / "golden.npz", **golden(shipped, codes))
    for name in real_engines():
        right = (hwsim.simulate(shipped, codes, name).outputs[0].argmax(axis=1) == y).mean()
        print(f"{name}: {100 * right:.1f} % of {IMAGES} images")


if __name__ == "__main__":
    main()
