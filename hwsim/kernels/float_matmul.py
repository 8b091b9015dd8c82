"""float32 products of rows and weights in one stated order, on this thread alone.

BLAS starts threads of its own, which cost far more than they bring where others use the processor.
"""

from hwsim.kernels import kernel

TILE_ROWS = 64


@kernel
def accumulate_float(rows, weights, bias, out):
    """out[p, c] = bias[c], plus the products of four neighbouring k at a time, each four as (a + b) + (c + d).

    Every product and sum is rounded to float32, so that the result does not depend on how many rows there are.

    rows : float32 (pixels, depth); weights : float32 (depth, channels); bias : float32 (channels,)
    out : float32 (pixels, channels)
    """
    depth, channels = weights.shape
    whole = depth // 4 * 4
    for start in range(0, rows.shape[0], TILE_ROWS):
        stop = min(start + TILE_ROWS, rows.shape[0])
        for p in range(start, stop):
            for c in range(channels):
                out[p, c] = bias[c]
        for k in range(0, whole, 4):
            for p in range(start, stop):
                first, second, third, fourth = rows[p, k], rows[p, k + 1], rows[p, k + 2], rows[p, k + 3]
                for c in range(channels):
                    pair = first * weights[k, c] + second * weights[k + 1, c]
                    other = third * weights[k + 2, c] + fourth * weights[k + 3, c]
                    out[p, c] += pair + other
        for k in range(whole, depth):
            for p in range(start, stop):
                value = rows[p, k]
                for c in range(channels):
                    out[p, c] += value * weights[k, c]
