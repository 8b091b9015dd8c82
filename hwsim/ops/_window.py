"""Sliding windows: what convolutions and pooling share."""

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.kernels.conv2d import Window


def output_size(size: int, filter_size: int, stride: int, dilation: int, padding: str) -> tuple[int, int]:
    """Output size and padding before, along one axis. Source: TFLite tflite/kernels/padding.h."""
    span = (filter_size - 1) * dilation + 1
    if padding == "valid":
        return max((size - span + stride) // stride, 0), 0
    out = -(-size // stride)
    return out, max((out - 1) * stride + span - size, 0) // 2


def window(view: NodeView, filter_height: int, filter_width: int) -> tuple[Window, int, int]:
    """The window of a node with options stride_*, dilation_* and padding; and its output height and width."""
    strides = _positive(view, "stride")
    dilations = _positive(view, "dilation") if "dilation_h" in view.attributes else (1, 1)
    padding = view.text("padding")
    if padding not in ("same", "valid"):
        raise ShapeError(f"{view.label}: padding is {padding!r}; expected 'same' or 'valid'")
    _, height, width, _ = view.input(0).shape
    out_height, top = output_size(height, filter_height, strides[0], dilations[0], padding)
    out_width, left = output_size(width, filter_width, strides[1], dilations[1], padding)
    if out_height < 1 or out_width < 1:
        raise ShapeError(f"{view.label}: a {filter_height}x{filter_width} filter does not fit a {height}x{width} input")
    return Window(filter_height, filter_width, *strides, *dilations, top, left), out_height, out_width


def _positive(view: NodeView, what: str) -> tuple[int, int]:
    values = view.integer(f"{what}_h"), view.integer(f"{what}_w")
    if min(values) < 1:
        raise ShapeError(f"{view.label}: {what} is {values[0]}x{values[1]}; each must be at least 1")
    return values
