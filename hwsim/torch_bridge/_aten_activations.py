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
    place = to.value(source)
    layer = to.layer_of(place)
    maker = None if layer is None else to.builder.nodes[layer]
    fusable = maker is not None and maker.op in FUSING and maker.attributes.get("activation") == "none"
    if fusable and to.only_reader(source, node):
        to.builder.set_attributes(layer, activation=name)
        to.values[node] = place
    else:
        to.add(node, name, (place,))


@handles("aten.hardswish.default", "aten.hardswish_.default")
def _hard_swish(to: Importer, node: fx.Node) -> None:
    to.add(node, "hard_swish", (to.value(node.args[0]),))


@handles("aten.hardsigmoid.default", "aten.hardsigmoid_.default")
def _hard_sigmoid(to: Importer, node: fx.Node) -> None:
    """ReLU6 of x + 3, over 6."""
    source = to.value(node.args[0])
    shape = to.builder.shape(source)
    six = to.builder.node("add", (source, to.value(3.0)), shape, f"{node.name}_sum", activation="relu6")
    to.add(node, "mul", (six, to.value(1 / 6)), activation="none")


@handles("aten.clamp.default", "aten.clamp_.default", "aten.clamp_min.default", "aten.clamp_max.default")
def _clamp(to: Importer, node: fx.Node) -> None:
    ends = [argument(node, 1, node.kwargs.get("min")), argument(node, 2, node.kwargs.get("max"))]
    if "clamp_max" in str(node.target):
        ends = [None, node.args[1]]
    if (ends[0], ends[1]) in ((0, None), (0, 6)):
        activate(to, node, "relu" if ends[1] is None else "relu6")
        return
    place = to.value(node.args[0])
    for op, end in zip(("maximum", "minimum"), ends, strict=True):
        if end is not None:
            place = to.builder.node(op, (place, to.value(float(end))), to.builder.shape(place), node.name)  # type: ignore[arg-type]
    to.values[node] = place


@handles("aten.elu.default", "aten.elu_.default")
def _elu(to: Importer, node: fx.Node) -> None:
    if any(argument(node, position, 1) != 1 for position in (1, 2, 3)):
        raise to.refuse(node, "elu with alpha or scale; hwsim has it with 1")
    to.add(node, "elu", (to.value(node.args[0]),))


@handles("aten.prelu.default")
def _prelu(to: Importer, node: fx.Node) -> None:
    slopes = to.array(node.args[1])
    assert slopes is not None
    shape = to.builder.shape(to.value(node.args[0]))
    if len(shape) not in (2, 4) and slopes.size > 1:
        raise to.refuse(node, f"prelu with a slope per channel on {len(shape)} dimensions; hwsim has it on 2 and 4")
    constant = to.builder.constant(f"{node.name}_slopes", slopes.reshape((1,) * (len(shape) - 2) + (-1,)))
    to.add(node, "prelu", (to.value(node.args[0]), constant))


@handles("aten.sigmoid.default", "aten.sigmoid_.default")
def _sigmoid(to: Importer, node: fx.Node) -> None:
    to.add(node, "logistic", (to.value(node.args[0]),))


@handles("aten.tanh.default", "aten.tanh_.default")
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
        if isinstance(node.args[1], fx.Node):
            rank = len(node.meta["val"].shape)
            to.add(node, op, [to.broadcast(part, rank) for part in node.args[:2]], activation="none")
        else:
            with_number(to, node, op, to.value(node.args[1]))

    return handler


def with_number(to: Importer, node: fx.Node, op: str, number: int) -> None:
    """An operator of a tensor and a number; where the tensor was moved, it is moved after instead."""
    source = to.value(node.args[0])
    maker = to.builder.maker(source)
    if maker is None or maker.op != "transpose":
        to.add(node, op, (source, number), activation="none")
        return
    source = unturned(to, source, node.name)
    result = to.builder.node(op, (source, number), to.builder.shape(source), f"{node.name}_first", activation="none")
    to.values[node] = turned(to, result, node.name)


for _name in ("add", "sub", "mul"):
    handles(f"aten.{_name}.Tensor", f"aten.{_name}_.Tensor", f"aten.{_name}.Scalar")(binary(_name))


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
    maker, argument_ = to.builder.maker(source), node.args[0]
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
