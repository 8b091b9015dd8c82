"""TFLite_Detection_PostProcess: boxes from anchors and offsets, of which no two overlap much."""

from collections.abc import Sequence
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import InputError, ShapeError, UnsupportedError
from hwsim.graph import NodeView, Tensor
from hwsim.kernels.detection import leading_classes, suppress
from hwsim.kernels.quantize import dequantize, dequantize_multiply_add
from hwsim.ops._base import CUSTOM_OPTIONS, Arrays, Op, Shape, Step, TfliteOptions, no_rule, rank
from hwsim.ops._vectors import body_and_tail
from hwsim.ops.dequantize import VECTOR

Reals = NDArray[np.float32]
Indices = NDArray[np.int64]

COORDINATES, PER_CLASS = 4, 100
KEYS = (
    "max_detections", "max_classes_per_detection", "detections_per_class", "use_regular_nms", "nms_score_threshold",
    "nms_iou_threshold", "num_classes", "y_scale", "x_scale", "h_scale", "w_scale",
)  # fmt: skip


class DetectionPostprocess(Op):
    """Boxes are decoded in float64 and kept in float32, scores are float32.

    The fast way suppresses boxes by their best score and then gives the best classes of each; the regular way
    suppresses within every class and keeps the best of all. Of equal scores LiteRT's order is that of libstdc++'s
    partial sort, TFLM takes the first. What the engines leave unwritten, where there are fewer detections than
    outputs, is 0 here. TFLM takes floats only.

    Source: LiteRT tflite/kernels/detection_postprocess.cc; TFLM micro/kernels/detection_postprocess.cc.
    """

    name = "detection_postprocess"
    sources = {"tflite": "CUSTOM:TFLite_Detection_PostProcess"}
    options = TfliteOptions(CUSTOM_OPTIONS, {key: key for key in KEYS})
    rules = {
        "litert-reference": dict.fromkeys(("uint8", "float32"), Rule("partial_sort")),
        "tflite-micro": {"float32": Rule("first_of_equals")},
        "float": {"float32": Rule("partial_sort")},
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        batch, boxes, coordinates = rank(view, 0, 3)
        classes, anchors = rank(view, 1, 3), rank(view, 2, 2)
        if batch != 1 or coordinates < COORDINATES or classes[:2] != (1, boxes) or anchors != (boxes, COORDINATES):
            raise ShapeError(
                f"{view.label}: offsets are {[batch, boxes, coordinates]}, scores {[*classes]} and anchors "
                f"{[*anchors]}; expected [1, n, 4 or more], [1, n, classes] and [n, 4]"
            )
        if classes[2] - view.integer("num_classes") not in (0, 1):
            raise ShapeError(
                f"{view.label}: has {classes[2]} scores for num_classes {view.integer('num_classes')}; "
                "expected as many, or one more for the background"
            )
        count = view.integer("max_detections") * view.integer("max_classes_per_detection")
        return (1, count, COORDINATES), (1, count), (1, count), (1,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule.algorithm not in ("partial_sort", "first_of_equals"):
            raise no_rule(view, rule)
        _check(view, rule)
        regular, choose = bool(view.attributes.get("use_regular_nms", False)), _Chooser(view, rule)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            for sample in range(inputs[0].shape[0]):
                boxes = _decoded(view, inputs[0][sample, 0], inputs[2][sample])
                if (boxes[:, 0] > boxes[:, 2]).any() or (boxes[:, 1] > boxes[:, 3]).any() or np.isnan(boxes).any():
                    raise InputError(f"{view.label}: a box ends before it begins, for which no engine has a result")
                scores = _scores(view.input(1), inputs[1][sample, 0])
                found = choose.regular(boxes, scores) if regular else choose.fast(boxes, scores)
                for out, values in zip(outputs, found, strict=True):
                    out[sample] = 0
                    out[sample].reshape(-1, *values.shape[1:])[: len(values)] = values

        return step

    def unwritten(self, view: NodeView, outputs: Arrays) -> Sequence[NDArray[np.bool_]]:
        most, wanted = view.integer("max_detections"), view.integer("max_classes_per_detection")
        number, place = outputs[3], np.arange(most * wanted)
        if view.attributes.get("use_regular_nms", False):
            gap = np.broadcast_to(place >= most, outputs[1].shape)
        else:
            gap = place // wanted >= number[:, :, None]
            gap |= place % wanted >= min(wanted, view.integer("num_classes"))
        return np.broadcast_to(gap[..., None], outputs[0].shape), gap, gap, np.zeros(number.shape, np.bool_)


class _Chooser:
    """Which boxes and classes are given: boxes (n, 4), classes (n,), scores (n,), how many (1,)."""

    def __init__(self, view: NodeView, rule: Rule) -> None:
        self.stable = rule.algorithm == "first_of_equals"
        self.most, self.classes = view.integer("max_detections"), view.integer("num_classes")
        self.wanted = view.integer("max_classes_per_detection")
        self.per_class = view.integer("detections_per_class", PER_CLASS)
        self.least, self.overlap = _real(view, "nms_score_threshold"), _real(view, "nms_iou_threshold")
        self.background = view.input(1).shape[2] - self.classes

    def fast(self, boxes: Reals, scores: Reals) -> tuple[Reals, ...]:
        scores = np.ascontiguousarray(scores[:, self.background :])
        count = min(self.wanted, self.classes)
        chosen = self._leading(scores, count, self.stable)
        best = np.take_along_axis(scores, chosen, axis=1)
        selected = self._suppressed(boxes, best[:, 0], self.most)
        classes, values = np.zeros((2, len(selected), self.wanted), np.float32)
        classes[:, :count], values[:, :count] = chosen[selected], best[selected]
        places = np.zeros((len(selected), self.wanted, COORDINATES), np.float32)
        places[:, :count] = boxes[selected][:, None]
        number = np.array([len(selected)], np.float32)
        return places.reshape(-1, COORDINATES), classes.reshape(-1), values.reshape(-1), number

    def regular(self, boxes: Reals, scores: Reals) -> tuple[Reals, ...]:
        anchors, classes = np.empty(0, np.int64), np.empty(0, np.int64)
        values = np.empty(0, np.float32)
        for number in range(self.classes):
            of_class = np.ascontiguousarray(scores[:, number + self.background])
            selected = self._suppressed(boxes, of_class, self.per_class)
            anchors, values = np.append(anchors, selected), np.append(values, of_class[selected])
            classes = np.append(classes, np.full(len(selected), number))
            count = min(len(values), self.most)
            kept = self._leading(values[None], count, True)[0] if count else np.empty(0, np.int64)
            anchors, classes, values = anchors[kept], classes[kept], values[kept]
        return boxes[anchors], classes.astype(np.float32), values, np.array([len(values)], np.float32)

    def _leading(self, scores: Reals, count: int, stable: bool) -> Indices:
        """The indices of the `count` largest of each row, largest first."""
        if stable or count == 1:
            return np.argsort(-scores, axis=1, kind="stable")[:, :count]
        chosen: Indices = np.empty((len(scores), count), np.int64)
        leading_classes(scores, chosen)
        return chosen

    def _suppressed(self, boxes: Reals, scores: Reals, most: int) -> Indices:
        kept = np.flatnonzero(scores >= self.least)
        order = kept[np.argsort(-scores[kept], kind="stable")]
        selected: Indices = np.empty(min(most, len(order)), np.int64)
        suppress(boxes, order, self.overlap, selected)
        return selected[selected >= 0]


def _check(view: NodeView, rule: Rule) -> None:
    for key in KEYS[:3]:
        if view.integer(key, PER_CLASS if key == "detections_per_class" else None) < 1:
            raise UnsupportedError(f"{view.label}: {key} is {view.integer(key)}; must be at least 1")
    if not 0 < _real(view, "nms_iou_threshold") <= 1:
        raise UnsupportedError(
            f"{view.label}: nms_iou_threshold is {_real(view, 'nms_iou_threshold')}; must be in (0, 1]"
        )
    if view.input(2).dtype != view.input(0).dtype or view.input(1).dtype not in ("uint8", "float32"):
        raise UnsupportedError(
            f"{view.label}: offsets are {view.input(0).dtype}, scores {view.input(1).dtype} and anchors "
            f"{view.input(2).dtype}; expected anchors like offsets, and scores of uint8 or float32"
        )
    if rule.algorithm == "first_of_equals":
        _check_micro(view)


def _check_micro(view: NodeView) -> None:
    if view.input(1).dtype != "float32":
        raise UnsupportedError(f"{view.label}: TensorFlow Lite Micro takes float32 scores only")
    if not view.attributes.get("use_regular_nms") and view.integer("max_classes_per_detection") > 1:
        raise UnsupportedError(
            f"{view.label}: max_classes_per_detection is {view.integer('max_classes_per_detection')}; TensorFlow Lite "
            "Micro then writes beyond its outputs"
        )


def _real(view: NodeView, key: str) -> np.float32:
    return np.float32(view.attributes.get(key, 0.0))  # type: ignore[arg-type]


def _decoded(view: NodeView, offsets: NDArray[Any], anchors: NDArray[Any]) -> Reals:
    """Corners (ymin, xmin, ymax, xmax) of centers and sizes relative to the anchors'."""
    moved = _dequantized(view.input(0), offsets[:, :COORDINATES]).astype(np.float64)
    anchor = _dequantized(view.input(2), anchors).astype(np.float64)
    scales = np.array([_real(view, f"{axis}_scale") for axis in "yxhw"], np.float64)
    with np.errstate(all="ignore"):  # as C: infinite, or no number
        relative = moved / scales
        centers = (relative[:, :2] * anchor[:, 2:] + anchor[:, :2]).astype(np.float32)
        growth = np.array([_exp(value) for value in relative[:, 2:].reshape(-1)]).reshape(-1, 2)
        halves = (0.5 * growth * anchor[:, 2:]).astype(np.float32)
        return np.ascontiguousarray(np.concatenate([centers - halves, centers + halves], axis=1))


def _exp(value: float) -> float:
    try:
        return exp(value)  # C's, which NumPy's is not
    except OverflowError:
        return float("inf")


def _dequantized(tensor: Tensor, codes: NDArray[Any]) -> Reals:
    if tensor.dtype == "float32":
        return codes
    return (codes.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)


def _scores(tensor: Tensor, codes: NDArray[Any]) -> Reals:
    if tensor.dtype == "float32":
        return codes
    values = np.empty((1, codes.size), np.float32)
    scale, zero_point = tensor.scale, tensor.zero_point
    body_and_tail(
        codes.size,
        VECTOR,
        lambda part, out: dequantize_multiply_add(part, scale, zero_point, out),
        lambda part, out: dequantize(part, scale, zero_point, out),
    )(codes.reshape(1, -1), values)
    return values.reshape(codes.shape)


OP = DetectionPostprocess()
