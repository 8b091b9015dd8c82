"""Packed codes of 1 to 8 bits, as `quantizers.packing` defines them: a stream that fills each byte from its low bit."""

import numpy as np

from hwsim.kernels import kernel


@kernel
def unpack_codes(stream, bits, out):
    """The codes of a stream. stream : uint8 (bytes,), as many as out.size codes take; out : uint8 (codes,)."""
    mask = (np.int64(1) << np.int64(bits)) - np.int64(1)
    held, count, position = np.int64(0), np.int64(0), 0
    for i in range(out.shape[0]):
        if count < bits:
            held |= np.int64(stream[position]) << count
            count += np.int64(8)
            position += 1
        out[i] = np.uint8(held & mask)
        held >>= np.int64(bits)
        count -= np.int64(bits)


@kernel
def pack_codes(codes, bits, out):
    """The stream of codes. codes : uint8 (codes,), each < 2^bits; out : uint8 (bytes,), as many as they take."""
    held, count, position = np.int64(0), np.int64(0), 0
    for i in range(codes.shape[0]):
        held |= np.int64(codes[i]) << count
        count += np.int64(bits)
        if count >= 8:
            out[position] = np.uint8(held & np.int64(255))
            held >>= np.int64(8)
            count -= np.int64(8)
            position += 1
    if count:
        out[position] = np.uint8(held)
