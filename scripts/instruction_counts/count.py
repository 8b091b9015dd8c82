"""Count the instructions of kernels.c by class on a Cortex-M3 and a Cortex-M0+, in an emulator; count_formats.py: M4.

    arm-none-eabi-gcc -mcpu=cortex-m0plus -mthumb -Ofast -ffreestanding -nostdlib -Wl,-e,0 -Wl,-Ttext=0x10000 \
        -o thumb.elf kernels.c -lgcc
    python scripts/instruction_counts/count.py thumb.elf thumb > rows.csv      (needs unicorn, capstone, pyelftools)

kernels.c holds plain C with the loop nests of CMSIS-NN for cores without DSP. On the Cortex-M3, whose counts of the
library itself are known, it takes 1 to 4 % fewer instructions for convolutions and 0.1 % for pointwise ones.
"""

import random
import re
import struct
import sys
from collections import Counter
from pathlib import Path

import unicorn
from capstone import CS_ARCH_ARM, CS_MODE_MCLASS, CS_MODE_THUMB, Cs
from elftools.elf.elffile import ELFFile
from unicorn import arm_const

CPUS = {
    "armv7m": arm_const.UC_CPU_ARM_CORTEX_M3,
    "dsp": arm_const.UC_CPU_ARM_CORTEX_M4,
    "thumb": arm_const.UC_CPU_ARM_CORTEX_M0,
}
CLASSES = ("alu", "load", "store", "multiply", "branch")
RAM, STACK, END = 0x20000000, 0x21F00000, 0xF0000
INPUT, WEIGHTS, BIAS, MULTIPLIERS, SHIFTS, OUTPUT, PATCH = (
    RAM + at for at in (0x1000, 0x400000, 0x600000, 0x610000, 0x620000, 0x800000, 0xC00000)
)
# in_h, in_w, in_c, out_h, out_w, out_c, kernel, stride, padding
SHAPES = {
    "conv2d": ["16 16 16 16 16 16 3 1 1", "8 8 64 8 8 64 3 1 1", "32 32 3 32 32 16 3 1 1", "16 16 32 8 8 32 3 2 0",
               "16 16 64 8 8 64 1 2 0", "48 48 3 24 24 8 3 2 0"],
    "pointwise": ["16 16 16 16 16 16 1 1 0", "8 8 64 8 8 64 1 1 0", "24 24 8 24 24 16 1 1 0", "6 6 128 6 6 128 1 1 0",
                  "4 4 128 4 4 256 1 1 0"],
    "depthwise": ["24 24 8 24 24 8 3 1 1", "16 16 64 8 8 64 3 2 0", "12 12 32 12 12 32 3 1 1",
                  "6 6 128 6 6 128 3 1 1", "3 3 256 3 3 256 3 1 1"],
    "fully_connected": ["1 1 64 1 1 9 1 1 0", "1 1 256 1 1 63 1 1 0", "1 1 640 1 1 129 1 1 0", "1 1 8 1 1 129 1 1 0"],
    "average_pool": ["8 8 64 1 1 64 8 1 0", "16 16 32 8 8 32 2 2 0", "3 3 256 1 1 256 3 1 0"],
    "max_pool": ["16 16 32 8 8 32 2 2 0", "8 8 16 4 4 16 2 2 0"],
    "add": ["64", "1024"],
}  # fmt: skip


def class_of(mnemonic: str) -> str:
    """The class of an instruction; division counts as arithmetic."""
    name = mnemonic.split(".")[0]
    patterns = {
        "load": r"ldr|ldm|pop",
        "store": r"str|stm|push",
        "multiply": r"mul|mla|mls|smul|smla|umul|umla|smmul",
        "branch": r"(b|bl|bx|blx|cbz|cbnz|b(eq|ne|gt|ge|lt|le|hi|ls|hs|lo|pl|mi|vc|vs))$",
    }
    return next((kind for kind, pattern in patterns.items() if re.match(pattern, name)), "alu")


class Machine:
    """An emulated core with a program."""

    def __init__(self, program: Path, isa: str) -> None:
        self.core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.core.ctl_set_cpu_model(CPUS[isa])
        self.core.mem_map(0, 0x100000)
        self.core.mem_map(RAM, 0x2000000)
        with program.open("rb") as file:
            elf = ELFFile(file)
            for segment in elf.iter_segments("PT_LOAD"):
                self.core.mem_write(segment["p_vaddr"], segment.data())
            self.symbols = {s.name: s["st_value"] for s in elf.get_section_by_name(".symtab").iter_symbols()}
        self.disassembler = Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)
        self.runs: Counter[tuple[int, int]] = Counter()
        self.core.hook_add(unicorn.UC_HOOK_CODE, lambda _core, at, size, _data: self.runs.update([(at, size)]))

    def run(self, function: str) -> Counter[str]:
        """Instructions by class of one call with its argument at the start of RAM; a list of registers counts each."""
        self.runs.clear()
        for register, value in (("SP", STACK), ("R0", RAM), ("LR", END | 1)):
            self.core.reg_write(getattr(arm_const, f"UC_ARM_REG_{register}"), value)
        self.core.emu_start(self.symbols[function] | 1, END)
        counts: Counter[str] = Counter()
        for (at, size), times in self.runs.items():
            found = next(self.disassembler.disasm(bytes(self.core.mem_read(at, size)), at))
            registers = found.op_str[found.op_str.find("{") :].count(",") + 1 if "{" in found.op_str else 1
            counts[class_of(found.mnemonic)] += times * registers
            counts["instructions"] += times
        return counts

    def arguments(self, kernel: str, shape: list[int]) -> None:
        """Random operands of a kernel, and the structure that tells it of them."""
        random.seed(1)
        if kernel == "add":
            numbers = (shape[0], 128, 127, 1 << 30, -1, 1500000000, 0, 1600000000, -18, -128, INPUT, WEIGHTS, OUTPUT)
            self.core.mem_write(RAM, struct.pack("<10i3I", *numbers))
            return
        in_h, in_w, in_c, _, _, out_c, size, _, _ = shape
        self.core.mem_write(INPUT, random.randbytes(in_h * in_w * in_c))
        self.core.mem_write(WEIGHTS, random.randbytes(size * size * in_c * (1 if kernel == "depthwise" else out_c)))
        channels = max(in_c, out_c)
        for where, low, high in ((BIAS, -1000, 1000), (MULTIPLIERS, 1 << 30, (1 << 31) - 1), (SHIFTS, -9, -9)):
            values = [random.randint(low, high) for _ in range(channels)]
            self.core.mem_write(where, struct.pack(f"<{channels}i", *values))
        places = (INPUT, WEIGHTS, BIAS, MULTIPLIERS, SHIFTS, OUTPUT, PATCH)
        self.core.mem_write(RAM, struct.pack("<11i7I", *shape, 128, -128, *places))


def main() -> None:
    """Print rows for cortex_m.csv."""
    machine = Machine(Path(sys.argv[1]), sys.argv[2])
    for kernel, shapes in SHAPES.items():
        for text in shapes:
            shape = [int(number) for number in text.split()]
            machine.arguments(kernel, shape)
            counts = machine.run(kernel)
            size = [1, 1, shape[0], 1, 1, shape[0], 1, 1] if kernel == "add" else shape[:8]
            row = [sys.argv[2], kernel, *size, 8, 8, counts["instructions"], *(counts[name] for name in CLASSES)]
            print(",".join(map(str, [*row, "unicorn"])))


if __name__ == "__main__":
    main()
