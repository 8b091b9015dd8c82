"""The size of codes under a Huffman code: what the frequency of codes saves in flash.

Source: Huffman, A Method for the Construction of Minimum-Redundancy Codes, 1952; used so by Deep Compression (arXiv
1510.00149).
"""

from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTH_BITS = 8
"""A canonical code is stored as the length of every code word, a byte each."""


def code_lengths(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bits of each symbol's word in a Huffman code, 0 for symbols that do not occur; an only symbol takes 1.

    counts : int64 (symbols,), how often each occurs
    """
    lengths = np.zeros(counts.size, np.int64)
    heap = [(int(count), symbol, [symbol]) for symbol, count in enumerate(counts) if count > 0]
    heapify(heap)
    if len(heap) == 1:
        lengths[heap[0][1]] = 1
    while len(heap) > 1:
        first, second = heappop(heap), heappop(heap)
        members = first[2] + second[2]
        lengths[members] += 1
        heappush(heap, (first[0] + second[0], min(first[1], second[1]), members))
    return lengths


def huffman_bits(codes: NDArray[Any], bits: int) -> int:
    """Bits that `codes` take under a Huffman code made for them, with the lengths of its 2^bits words.

    codes : integers of any shape and sign, at most 2^bits different ones
    """
    _, counts = np.unique(codes, return_counts=True)
    return int((code_lengths(counts.astype(np.int64)) * counts).sum()) + (LENGTH_BITS << bits)
