"""What the post-processing of detections does with scores and boxes: the largest of many, and no two that overlap.

Source: TensorFlow Lite kernels/detection_postprocess.cc; GCC libstdc++ bits/stl_heap.h and bits/stl_algo.h, whose
partial sort decides which of several equal scores comes first.
"""

import numpy as np

from hwsim.kernels import kernel


@kernel
def intersection_over_union(one, other):
    """Of two boxes (ymin, xmin, ymax, xmax), float32; 0 where either has no area."""
    area = (one[2] - one[0]) * (one[3] - one[1])
    other_area = (other[2] - other[0]) * (other[3] - other[1])
    if area <= 0 or other_area <= 0:
        return np.float32(0.0)
    height = max(min(one[2], other[2]) - max(one[0], other[0]), np.float32(0.0))
    width = max(min(one[3], other[3]) - max(one[1], other[1]), np.float32(0.0))
    common = height * width
    return common / (area + other_area - common)


@kernel
def suppress(boxes, candidates, limit, selected):
    """Choose candidates in order, leaving out those that overlap one chosen before by more than `limit`.

    boxes : float32 (boxes, 4); candidates : int64 (candidates,), best first; limit : float32
    selected : int64 (most,), -1 where there are no more
    """
    active = np.ones(candidates.shape[0], np.uint8)
    count = np.int64(0)
    selected[:] = -1
    for i in range(candidates.shape[0]):
        if count >= selected.shape[0]:
            break
        if not active[i]:
            continue
        selected[count] = candidates[i]
        count += 1
        for j in range(i + 1, candidates.shape[0]):
            if active[j] and intersection_over_union(boxes[candidates[i]], boxes[candidates[j]]) > limit:
                active[j] = 0


@kernel
def sink(values, heap, hole, size, index):
    """Put `index` into a heap that has a hole, the smallest value on top: the hole sinks to a leaf, then `index` rises.

    values : float32; heap : int64 indices into it, of which the first `size` are the heap
    """
    top, child = hole, hole
    while child < (size - 1) // 2:
        child = 2 * (child + 1)
        if values[heap[child]] > values[heap[child - 1]]:
            child -= 1
        heap[hole] = heap[child]
        hole = child
    if size % 2 == 0 and child == (size - 2) // 2:
        child = 2 * (child + 1)
        heap[hole] = heap[child - 1]
        hole = child - 1
    parent = (hole - 1) // 2
    while hole > top and values[heap[parent]] > values[index]:
        heap[hole] = heap[parent]
        hole = parent
        parent = (hole - 1) // 2
    heap[hole] = index


@kernel
def largest_partial_sort(values, heap):
    """Indices of the largest values, largest first, equal ones in the order that libstdc++'s partial sort gives.

    values : float32 (n,); heap : int64 (count,), count from 1 to n
    """
    count = heap.shape[0]
    for i in range(count):
        heap[i] = i
    for hole in range((count - 2) // 2 if count > 1 else -1, -1, -1):
        sink(values, heap, hole, count, heap[hole])
    for i in range(count, values.shape[0]):
        if values[i] > values[heap[0]]:
            sink(values, heap, 0, count, i)
    for last in range(count - 1, 0, -1):
        index = heap[last]
        heap[last] = heap[0]
        sink(values, heap, 0, last, index)


@kernel
def leading_classes(scores, out):
    """The classes of the largest scores of every row. scores : float32 (rows, classes); out : int64 (rows, count)."""
    for row in range(scores.shape[0]):
        largest_partial_sort(scores[row], out[row])
