"""What the processor can do, where an engine computes differently for it."""

from pathlib import Path


def has_vnni() -> bool:
    """Whether x86's byte dot products are there, which sum exactly."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return bool({"avx512_vnni", "avx_vnni"} & {*flags})
