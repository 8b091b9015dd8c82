"""Count the instructions of formats.c by class on a Cortex-M4, in an emulator, for hwsim/targets/loops/formats-dsp.csv.

    arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -Ofast -ffreestanding -nostdlib -Wl,-e,0 -Wl,-Ttext=0x10000 \
        -o formats.elf formats.c -lgcc
    python scripts/instruction_counts/count_formats.py formats.elf      (needs unicorn, capstone, pyelftools)

Each figure is the difference of two depths, so that only what is in the loop counts.
"""

import random
import struct
import sys
from pathlib import Path

from count import CLASSES, OUTPUT, PATCH, RAM, WEIGHTS, Machine

DEPTHS = (320, 960)
ROWS, COLUMNS = 8, 2
SECOND, TABLE = RAM + 0x100000, RAM + 0x200000
SOURCE = "scripts/instruction_counts/formats.c, gcc 12.2, counted in an emulator"
PRODUCTS = ("w8", "w4", "w3", "w2", "w1", "t1", "t2", "t3", "t4", "t8", "shift_add", "bit_serial", "xnor", "product")
TABLES = ("bit_serial_tables", "xnor_planes", "product_tables")
VALUES = ("unpack1", "unpack2", "unpack3", "unpack4", "unpack",
          "look2", "look4", "look", "look_product", "multiply_runs")  # fmt: skip
BITS = 6
"""Of the widths that have no loop of their own."""


def counted(machine: Machine, kernel: str, rows: int, depth: int) -> list[int]:
    """Instructions by class of one call."""
    random.seed(1)
    for place, size in ((WEIGHTS, 1 << 16), (PATCH, 1 << 16), (SECOND, 1 << 16), (TABLE, 1 << 16)):
        machine.core.mem_write(place, random.randbytes(size))
    machine.core.mem_write(RAM, struct.pack("<2i5I", rows, depth, WEIGHTS, PATCH, SECOND, TABLE, OUTPUT))
    counts = machine.run(kernel)
    return [counts[name] for name in CLASSES]


def main() -> None:
    """Print the rows."""
    machine = Machine(Path(sys.argv[1]), "dsp")
    print(",".join(["kernel", "per", *CLASSES, "source"]))
    for kernel in (*PRODUCTS, *TABLES, *VALUES):
        share = (ROWS * COLUMNS if kernel in PRODUCTS else 1) * (DEPTHS[1] - DEPTHS[0])
        rows = ROWS if kernel in PRODUCTS else BITS
        few, many = (counted(machine, kernel, rows, depth) for depth in DEPTHS)
        figures = (f"{(b - a) / share:.4g}" for a, b in zip(few, many, strict=True))
        level = "mac" if kernel in PRODUCTS else "patch" if kernel in TABLES else "weight"
        print(",".join([kernel, level, *figures, f'"{SOURCE}"']))


if __name__ == "__main__":
    main()
