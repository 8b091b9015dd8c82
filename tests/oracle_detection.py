"""The post-processing of detections in plain Python: every float32 operation rounded by hand, no array arithmetic."""

import math
import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from hwsim.graph import Tensor

Box = tuple[float, float, float, float]
Found = list[tuple[Box, int, float]]


def f32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def detections(options: Any, tensors: list[Tensor], values: list[Any], engine: str) -> tuple[Found, int]:
    """Box, class and score of every detection, the fast way's blanks left out; and how many boxes were chosen."""
    boxes = [_box(options, tensors, *row) for row in zip(values[0][0].tolist(), values[2].tolist(), strict=True)]
    scores = _scores(tensors[1], values[1])
    classes = options["num_classes"]
    rows = [row[len(row) - classes :] for row in scores]
    limits = f32(options["nms_score_threshold"]), f32(options["nms_iou_threshold"])
    if options.get("use_regular_nms"):
        return _regular(boxes, rows, options, limits)
    count = min(options["max_classes_per_detection"], classes)
    order = [_heap_order(row, count) if count > 1 else [max(range(classes), key=row.__getitem__)] for row in rows]
    best = [row[first[0]] for row, first in zip(rows, order, strict=True)]
    chosen = _suppressed(boxes, best, options["max_detections"], *limits)
    return [(boxes[i], k, rows[i][k]) for i in chosen for k in order[i]], len(chosen)


def _regular(boxes: list[Box], rows: list[list[float]], options: Any, limits: Any) -> tuple[Found, int]:
    kept: Found = []
    for k in range(options["num_classes"]):
        chosen = _suppressed(boxes, [row[k] for row in rows], options.get("detections_per_class", 100), *limits)
        kept += [(boxes[i], k, rows[i][k]) for i in chosen]
        kept = sorted(kept, key=lambda found: -found[2])[: options["max_detections"]]
    return kept, len(kept)


def _suppressed(boxes: list[Box], scores: list[float], most: int, least: float, limit: float) -> list[int]:
    waiting = sorted((i for i, score in enumerate(scores) if score >= least), key=lambda i: -scores[i])
    chosen: list[int] = []
    while waiting and len(chosen) < most:
        chosen.append(waiting.pop(0))
        waiting = [i for i in waiting if not _overlap(boxes[chosen[-1]], boxes[i]) > limit]
    return chosen


def _overlap(one: Box, other: Box) -> float:
    areas = [f32(f32(box[2] - box[0]) * f32(box[3] - box[1])) for box in (one, other)]
    if min(areas) <= 0:
        return 0.0
    height = max(f32(min(one[2], other[2]) - max(one[0], other[0])), 0.0)
    width = max(f32(min(one[3], other[3]) - max(one[1], other[1])), 0.0)
    common = f32(height * width)
    return f32(common / f32(f32(areas[0] + areas[1]) - common))


def _box(options: Any, tensors: list[Tensor], offsets: list[float], anchor: list[float]) -> Box:
    y, x, h, w = (_real(tensors[0], value) for value in offsets[:4])
    cy, cx, ah, aw = (_real(tensors[2], value) for value in anchor)
    ys, xs, hs, ws = (f32(options[f"{axis}_scale"]) for axis in "yxhw")
    cy, cx = f32(y / ys * ah + cy), f32(x / xs * aw + cx)
    hh, hw = f32(0.5 * math.exp(h / hs) * ah), f32(0.5 * math.exp(w / ws) * aw)
    return f32(cy - hh), f32(cx - hw), f32(cy + hh), f32(cx + hw)


def _real(tensor: Tensor, value: float) -> float:
    if tensor.dtype == "float32":
        return value
    return f32((value - tensor.zero_point) * f32(tensor.scale))


def _scores(tensor: Tensor, codes: Any) -> list[list[float]]:
    """uint8 ones in vectors of eight as product and sum, the rest rounded once."""
    flat = codes[0].reshape(-1).tolist()
    if tensor.dtype == "uint8":
        scale, zero = f32(tensor.scale), tensor.zero_point
        whole = len(flat) - len(flat) % 8
        flat = [f32(f32(c * scale) + f32(-zero * scale)) for c in flat[:whole]] + [
            f32(scale * (c - zero)) for c in flat[whole:]
        ]
    width = codes.shape[2]
    return [flat[start : start + width] for start in range(0, len(flat), width)]


def _heap_order(values: list[float], count: int) -> list[int]:
    """The first `count` of C++'s partial_sort as GCC writes it: a heap with the worst of the best on top."""
    heap = list(range(count))
    for root in reversed(range(count // 2)):
        _sift(heap, root, count, heap[root], values)
    for i in range(count, len(values)):
        if values[i] > values[heap[0]]:
            _sift(heap, 0, count, i, values)
    for size in reversed(range(1, count)):
        moved, heap[size] = heap[size], heap[0]
        _sift(heap, 0, size, moved, values)
    return heap


def _sift(heap: list[int], root: int, size: int, item: int, values: list[float]) -> None:
    """The hole goes down along the smaller children to a leaf, then `item` goes up from there."""
    path = [root]
    while (right := 2 * path[-1] + 2) <= size:
        one = right == size or values[heap[right]] > values[heap[right - 1]]
        path.append(right - one)
    for above, below in pairwise(path):
        heap[above] = heap[below]
    while len(path) > 1 and values[heap[path[-2]]] > values[item]:
        heap[path[-1]] = heap[path[-2]]
        path.pop()
    heap[path[-1]] = item


def boxes(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Any:
    """The first output, zeros after the last detection."""
    found, _ = detections(options, tensors, values, engine)
    flat = [coordinate for box, _, _ in found for coordinate in box]
    out = np.zeros(output.shape, np.float32)
    out.reshape(-1)[: len(flat)] = flat
    return out


HANDLERS_DETECTION: dict[str, Callable[..., Any]] = {"detection_postprocess": boxes}
