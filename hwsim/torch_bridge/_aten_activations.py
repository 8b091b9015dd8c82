"""Torch's elementwise operators and softmax."""

from torch import fx

from hwsim.torch_bridge._importer import (
    FUSING,
    Handler,
    Importer,
    argument,
    handles,
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
        to.add(node, op, (to.value(node.args[0]), to.value(node.args[1])), activation="none")

    return handler


for _name in ("add", "sub", "mul"):
    handles(f"aten.{_name}.Tensor", f"aten.{_name}_.Tensor")(binary(_name))


@handles("aten.softmax.int", "aten._softmax.default")
def _softmax(to: Importer, node: fx.Node) -> None:
    rank = len(node.meta["val"].shape)
    if node.args[1] % rank != rank - 1 or rank == 4:
        raise to.refuse(node, "softmax over an axis that is not the last of fewer than four; hwsim takes that one only")
    to.add(node, "softmax", (to.value(node.args[0]),), beta=1.0)
