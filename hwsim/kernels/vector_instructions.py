"""Multiply-add instructions that Numba does not find by itself, as LLVM intrinsics, where this processor has them.

`WIDTH` is the number of int32 lanes of a vector, 0 where only the portable kernels may run. `BYTES` says whether four
products of unsigned and signed bytes can be added at once (VNNI); otherwise two products of int16 are (AVX2, AVX-512).
"""

import os
from functools import cache
from typing import Any

from llvmlite import binding, ir
from numba import config

from hwsim.errors import InputError

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F32, F64 = ir.FloatType(), ir.DoubleType()

LIMITS = ("portable", "avx2", "avx512", "vnni")
"""Values of HWSIM_SIMD, each allowing what those before it do and more."""

PAIRS = {16: "llvm.x86.avx512.pmaddw.d.512", 8: "llvm.x86.avx2.pmadd.wd"}
QUADS = {16: "llvm.x86.avx512.vpdpbusd.512", 8: "llvm.x86.avx512.vpdpbusd.256"}


def vector(element: Any, lanes: int) -> Any:
    """An LLVM vector type."""
    return ir.VectorType(element, lanes)


@cache
def host() -> tuple[int, bool]:
    """Int32 lanes of a vector and whether it has byte dot products; (0, False) where portable kernels must do.

    The environment variable HWSIM_SIMD limits it: 'portable', 'avx2', 'avx512', 'vnni' (default: what the host has).
    """
    limit = os.environ.get("HWSIM_SIMD", LIMITS[-1])
    if limit not in LIMITS:
        raise InputError(f"HWSIM_SIMD is {limit!r}; expected {', '.join(LIMITS[:-1])} or {LIMITS[-1]}")
    if config.DISABLE_JIT or limit == "portable":
        return 0, False
    features = binding.get_host_cpu_features()
    if limit != "avx2" and features.get("avx512bw") and _accepted(PAIRS[16], I16, 16, 2):
        quads = limit == "vnni" and features.get("avx512vnni") and _accepted(QUADS[16], I8, 16, 4)
        return 16, bool(quads)
    if features.get("avx2") and _accepted(PAIRS[8], I16, 8, 2):
        return 8, False
    return 0, False


@cache
def wide_tables() -> bool:
    """Whether bytes can be looked up in 128 others at once (AVX-512 VBMI), within the limit of HWSIM_SIMD."""
    return host() == (16, True) and bool(binding.get_host_cpu_features().get("avx512vbmi"))


def multiply_add(builder: Any, total: Any, left: Any, right: Any, lanes: int, quads: bool) -> Any:
    """`total` plus the sums of `lanes` groups of neighbouring products: two int16 each, or four uint8 by int8."""
    if quads:
        return builder.call(_declare(builder.module, QUADS[lanes], I8, lanes, 4), [total, left, right])
    return builder.add(total, builder.call(_declare(builder.module, PAIRS[lanes], I16, lanes, 2), [left, right]))


def _signature(element: Any, lanes: int, group: int) -> Any:
    sums, values = vector(I32, lanes), vector(element, lanes * group)
    return ir.FunctionType(sums, [sums, values, values] if group == 4 else [values, values])


def _declare(module: Any, name: str, element: Any, lanes: int, group: int) -> Any:
    return module.globals.get(name) or ir.Function(module, _signature(element, lanes, group), name)


def _accepted(name: str, element: Any, lanes: int, group: int) -> bool:
    """Whether this LLVM knows the intrinsic under this signature, which has changed between versions: a call tells."""
    module, signature = ir.Module(), _signature(element, lanes, group)
    intrinsic = ir.Function(module, signature, name)
    caller = ir.Function(module, signature, "caller")
    builder = ir.IRBuilder(caller.append_basic_block())
    builder.ret(builder.call(intrinsic, caller.args))
    try:
        binding.parse_assembly(str(module)).verify()
    except RuntimeError:
        return False
    return True
