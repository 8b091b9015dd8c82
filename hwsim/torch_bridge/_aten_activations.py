"""Torch's elementwise operators, softmax and attention."""

from torch import fx

from hwsim.torch_bridge._importer import (
    FUSING,
    Handler,
    Importer,
    argument,
    handles,
    turned,
    unturned,
)  # fmt: skip


@handles("aten.relu.default", "aten.relu_.default")
def _relu(to: Importer, node: fx.Node) -> None:
    activate(to, node, "relu")


@handles("aten.relu6.default", "aten.relu6_.default", "aten.hardtanh.default", "aten.hardtanh_.default")
def _relu6(to: Importer, node: fx.Node) -> None:
    ends = (0, 6) if "relu6" in str(node.target) else (argument(node, 1, -1.0), argument(node, 2, 1.0))
    if ends == (0, 6):
        activate(to, node, "relu6")
    elif ends == (-1, 1):
        to.add(node, "relu_n1_to_1", (to.value(node.args[0]),))
    else:
        raise to.refuse(node, f"hardtanh limits to {ends}; hwsim has 0 to 6 and -1 to 1")


def activate(to: Importer, node: fx.Node, name: str) -> None:
    """An activation, fused into the operator before it where nobody else reads that."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    place, last = to.value(source), to.builder.nodes[-1] if to.builder.nodes else None
    fusable = last is not None and last.op in FUSING and last.outputs == (place,)
    if fusable and last is not None and last.attributes.get("activation") == "none" and to.only_reader(source, node):
        to.builder.set_attributes(activation=name)
        to.values[node] = place
    else:
        to.add(node, name, (place,))


@handles("aten.hardswish.default", "aten.hardswish_.default")
def _hard_swish(to: Importer, node: fx.Node) -> None:
    to.add(node, "hard_swish", (to.value(node.args[0]),))


@handles("aten.sigmoid.default")
def _sigmoid(to: Importer, node: fx.Node) -> None:
    to.add(node, "logistic", (to.value(node.args[0]),))


@handles("aten.tanh.default")
def _tanh(to: Importer, node: fx.Node) -> None:
    to.add(node, "tanh", (to.value(node.args[0]),))


@handles("aten.gelu.default")
def _gelu(to: Importer, node: fx.Node) -> None:
    approximate = node.kwargs.get("approximate", "none") == "tanh"
    to.add(node, "gelu", (to.value(node.args[0]),), approximate=approximate)


@handles("aten.silu.default", "aten.silu_.default")
def _silu(to: Importer, node: fx.Node) -> None:
    source = to.value(node.args[0])
    gate = to.builder.node("logistic", (source,), to.builder.shape(source), f"{node.name}_gate")
    to.add(node, "mul", (source, gate), activation="none")


@handles("aten.leaky_relu.default", "aten.leaky_relu_.default")
def _leaky_relu(to: Importer, node: fx.Node) -> None:
    to.add(node, "leaky_relu", (to.value(node.args[0]),), alpha=float(argument(node, 1, 0.01)))


def binary(op: str) -> Handler:
    """An operator of two tensors, or of a tensor and a number."""

    def handler(to: Importer, node: fx.Node) -> None:
        if argument(node, 2, node.kwargs.get("alpha", 1)) != 1:
            raise to.refuse(node, f"{node.target} with alpha; hwsim has none")
        first, second = to.value(node.args[0]), to.value(node.args[1])
        if isinstance(node.args[1], fx.Node):
            to.add(node, op, (first, second), activation="none")
        else:
            with_number(to, node, op, second)

    return handler


def with_number(to: Importer, node: fx.Node, op: str, number: int) -> None:
    """An operator of a tensor and a number; where the tensor was moved, it is moved after instead."""
    source = to.value(node.args[0])
    maker = to.maker(source)
    if maker is None or maker.op != "transpose":
        to.add(node, op, (source, number), activation="none")
        return
    source = unturned(to, source, node.name)
    result = to.builder.node(op, (source, number), to.builder.shape(source), f"{node.name}_first", activation="none")
    to.values[node] = turned(to, result, node.name)


for _name in ("add", "sub", "mul"):
    handles(f"aten.{_name}.Tensor", f"aten.{_name}_.Tensor")(binary(_name))


@handles("aten.div.Tensor")
def _div(to: Importer, node: fx.Node) -> None:
    """By a number it is a product with the reciprocal."""
    if isinstance(node.args[1], fx.Node):
        to.add(node, "div", (to.value(node.args[0]), to.value(node.args[1])), activation="none")
    else:
        with_number(to, node, "mul", to.value(1.0 / float(node.args[1])))


@handles("aten.softmax.int", "aten._softmax.default")
def _softmax(to: Importer, node: fx.Node) -> None:
    shape = node.meta["val"].shape
    axis = node.args[1] % len(shape)
    source = to.value(node.args[0])
    if len(shape) == 4 and axis == 1:
        to.add(node, "softmax", (source,), beta=1.0)
        return
    if axis != len(shape) - 1:
        raise to.refuse(node, "softmax over an axis that is not the last; hwsim takes that one only, or channels")
    source, beta = _scaled(to, node, unturned(to, source, node.name))
    to.values[node] = turned(to, to.builder.node("softmax", (source,), shape, node.name, beta=beta), node.name)


def _scaled(to: Importer, node: fx.Node, source: int) -> tuple[int, float]:
    """What softmax reads, and the positive number that it is multiplied by before: softmax does that itself."""
    maker, argument_ = to.maker(source), node.args[0]
    assert isinstance(argument_, fx.Node)
    if maker is None or maker.op != "mul" or not to.only_reader(argument_, node):
        return source, 1.0
    number = to.builder.tensors[maker.inputs[1]].data
    if number is None or number.size != 1 or number.item() <= 0:
        return source, 1.0
    return maker.inputs[0], float(number.item())


@handles("aten.scaled_dot_product_attention.default")
def _attention(to: Importer, node: fx.Node) -> None:
    """Products of queries and keys, softmax, products with values."""
    asked = [argument(node, 3, node.kwargs.get("attn_mask")), argument(node, 5, node.kwargs.get("is_causal"))]
    if any(part not in (None, False) for part in (*asked, node.kwargs.get("enable_gqa"))):
        raise to.refuse(node, "attention with a mask or grouped queries; hwsim has it without")
    query, key, value = (unturned(to, to.value(part), node.name) for part in node.args[:3])
    *outer, rows, depth = to.builder.shape(query)
    columns = to.builder.shape(key)[-2]
    beta = float(node.kwargs.get("scale") or depth**-0.5)  # type: ignore[arg-type]
    scores = to.builder.node(
        "batch_matmul", (query, key), (*outer, rows, columns), f"{node.name}_scores", adj_x=False, adj_y=True
    )
    shares = to.builder.node("softmax", (scores,), (*outer, rows, columns), f"{node.name}_shares", beta=beta)
    found = to.builder.node(
        "batch_matmul", (shares, value), node.meta["val"].shape, f"{node.name}_mixed", adj_x=False, adj_y=False
    )
    to.values[node] = turned(to, found, node.name)
