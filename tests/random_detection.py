"""Random graphs of the post-processing of detections; see `tests.random_graphs`."""

from typing import Any

import numpy as np

from hwsim.graph import Graph, Node, Tensor
from tests.build import codes, tensor
from tests.random_moves import pick

Generator = np.random.Generator


def detection_postprocess(g: Generator, dtype: str) -> Graph:
    """Scores of few levels, so that many are equal; 'float32_many' has several classes for a box, which TFLM lacks."""
    kind, many = dtype.partition("_")[0], dtype.endswith("_many")
    boxes, classes, more = int(g.integers(1, 40)), int(g.integers(1, 9)), int(g.integers(0, 3))
    background, levels = int(g.integers(0, 2)), int(pick(g, 4, 30, 200))
    if kind == "uint8":
        x = tensor("x", (1, boxes, 4 + more), kind, float(g.uniform(0.02, 0.1)), int(g.integers(100, 150)))
        s = tensor("s", (1, boxes, classes + background), kind, float(g.uniform(0.003, 0.1)), int(pick(g, 0, 0, 7)))
        anchors = tensor("a", (boxes, 4), kind, float(g.uniform(0.003, 0.01)), 0, data=codes(g, (boxes, 4), kind) | 1)
    else:
        x, s = (Tensor(n, (1, boxes, d), kind) for n, d in (("x", 4 + more), ("s", classes + background)))
        anchors = Tensor("a", (boxes, 4), kind, None, g.uniform(0.01, 1, (boxes, 4)).astype(kind))
    most, per_box = int(g.integers(1, 12)), int(g.integers(1, 4)) if many else 1
    options: dict[str, Any] = {
        "max_detections": most, "max_classes_per_detection": per_box, "num_classes": classes,
        "use_regular_nms": bool(g.integers(2)), "nms_score_threshold": float(pick(g, 0.0, 1e-8, 0.2, 0.6)),
        "nms_iou_threshold": float(pick(g, 0.1, 0.5, 0.6, 1.0)), "y_scale": 10.0, "x_scale": 10.0,
        "h_scale": float(pick(g, 1.0, 5.0)), "w_scale": 5.0,
    }  # fmt: skip
    if pick(g, True, False):
        options["detections_per_class"] = int(g.integers(1, 20))
    if kind == "float32":
        options |= {"y_scale": 1.0 * levels}
    shapes = (1, most * per_box, 4), (1, most * per_box), (1, most * per_box), (1,)
    outputs = [Tensor(f"y{i}_", shape, "float32") for i, shape in enumerate(shapes)]
    node = Node("detection_postprocess", "y", (0, 1, 2), (3, 4, 5, 6), options)
    return Graph("detections", (x, s, anchors, *outputs), (node,), (0, 1), (3, 4, 5, 6))


def detection_inputs(graph: Graph, samples: int, seed: int = 0) -> list[Any]:
    """Offsets, and scores of which many are equal, in every other sample."""
    g = np.random.default_rng(seed)
    return [detection_values(g, graph.tensors[index], samples) for index in graph.inputs]


def detection_values(g: Generator, x: Tensor, samples: int) -> Any:
    shape = (samples, *x.shape[1:])
    if x.dtype == "uint8":
        values = codes(g, shape, "uint8")
        values[::2] = values[::2] // 32 * 32
    else:
        values = g.uniform(-1 if x.name.startswith("x") else 0, 1, shape).astype(np.float32)
        values[::2] = np.round(values[::2], 1)
    return values
