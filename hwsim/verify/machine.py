"""What a measurement was taken on: processor, the vector instructions that matter, versions."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path

from hwsim._version import __version__

INSTRUCTIONS = {
    "avx2": "avx2",
    "avx512f": "avx512f",
    "avx512vnni": "avx512vnni",
    "avxvnni": "avx_vnni",
    "neon": "neon",
    "dotprod": "neon_dotprod",
    "i8mm": "neon_i8mm",
}
"""Features in LLVM's spelling to the usual one, for those that integer kernels use."""

PACKAGES = ("numpy", "numba", "llvmlite", "ai-edge-litert", "tflite-micro")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine and what is installed there.

    Parameters
    ----------
    processor : its maker's name
    cores : that this process may use
    instructions : out of `INSTRUCTIONS`
    versions : by package; those that are missing are left out
    """

    processor: str
    cores: int
    instructions: tuple[str, ...]
    versions: dict[str, str]

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{self.processor}, {self.cores} cores, {' '.join(self.instructions) or 'no vector units'}; {versions}"


def this_machine() -> Machine:
    """The machine that this process runs on."""
    present = import_module("llvmlite.binding").get_host_cpu_features()
    versions = {"hwsim": __version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return Machine(_processor(), cores, tuple(name for key, name in INSTRUCTIONS.items() if present.get(key)), versions)


def _processor() -> str:
    """The name in /proc/cpuinfo, or what macOS says, or else the architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()
