"""Which tensors of a graph must share one number format, because an operator between them only moves codes."""

from hwsim.graph import Graph

MOVES = (
    "reshape", "squeeze", "expand_dims", "transpose", "slice", "strided_slice", "split", "split_v", "pad", "pad_v2",
    "mirror_pad", "pack", "unpack", "gather", "concatenation", "max_pool_2d", "average_pool_2d", "maximum", "minimum",
    "space_to_depth", "depth_to_space", "resize_nearest_neighbor", "resize_bilinear",
)  # fmt: skip
"""Operators whose outputs have the format of their inputs under every TFLite engine."""


def tied(graph: Graph) -> dict[int, int]:
    """For each computed float tensor and input, the smallest index among those that share its format."""
    parent = {i: i for i, t in enumerate(graph.tensors) if t.data is None and t.dtype == "float32"}

    def root(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    for node in graph.nodes:
        if node.op not in MOVES:
            continue
        members = sorted(root(i) for i in (*node.inputs, *node.outputs) if i in parent)
        for other in members[1:]:
            parent[other] = members[0]
    return {index: root(index) for index in parent}
