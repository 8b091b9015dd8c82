"""Count the instructions of formats.c by class on a Cortex-M4, in an emulator, for hwsim/targets/loops/formats-dsp.csv.

    arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -Ofast -ffreestanding -nostdlib -Wl,-e,0 -Wl,-Ttext=0x10000 \
        -o formats.elf formats.c -lgcc
    python scripts/instruction_counts/count_formats.py formats.elf      (needs unicorn, capstone, pyelftools)

Each figure is the difference of two depths, so that only what is in the loop counts. Before a loop of pairs counts, its
sums must be those of plain Python integers.
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
    check(machine, kernel, depth)
    return [counts[name] for name in CLASSES]


def words(machine: Machine, place: int, count: int, kind: str = "I") -> list[int]:
    """So many numbers at `place`."""
    return list(struct.unpack(f"<{count}{kind}", machine.core.mem_read(place, count * struct.calcsize(kind))))


def halves(words: list[int], mask: int, step: int) -> list[tuple[int, int]]:
    """The pairs that masks take out of each word turned right by 0, `step`, ..."""
    turned = [(w >> n | w << (32 - n)) & 0xFFFFFFFF for w in words for n in range(0, 16, step)]
    return [(t & mask, t >> 16 & mask) for t in turned]


def of_three(words: list[int]) -> list[tuple[int, int]]:
    """Pairs of 3 bits: two words of low parts, one of high bits."""
    found = []
    for start in range(0, len(words), 3):
        low, high = halves(words[start : start + 2], 3, 2), halves(words[start + 2 : start + 3], 1, 1)
        found += [(a + 4 * c, b + 4 * d) for (a, b), (c, d) in zip(low, high, strict=True)]
    return found


def looked_up(words: list[int], table: list[int], bits: int) -> list[tuple[int, int]]:
    """Pairs of levels behind two codes each."""
    pairs = [
        table[w >> n & (1 << 2 * bits) - 1] for w in words for n in range(0, 32 // (2 * bits) * 2 * bits, 2 * bits)
    ]
    return [struct.unpack("<2h", struct.pack("<I", pair)) for pair in pairs]


def check(machine: Machine, kernel: str, depth: int) -> None:
    """Stop unless the sums are right that `kernel` has just left, where it is a loop of pairs."""
    table = words(machine, TABLE, 256)
    per = {"w4": 8, "w2": 16, "w1": 32, "w3": 32 / 3, "t4": 8, "t3": 10, "t2": 16, "t1": 32}
    if kernel not in per:
        return
    row = int(depth / per[kernel])
    columns = [list(zip(*[iter(words(machine, at, depth, "h"))] * 2, strict=True)) for at in (PATCH, SECOND)]
    for pair in range(ROWS // 2):
        sums = []
        for which in (0, 1):
            codes = words(machine, WEIGHTS + 4 * row * (2 * pair + which), row)
            masks = {"w4": (15, 4), "w2": (3, 2), "w1": (1, 1)}
            if kernel in masks:
                found = halves(codes, *masks[kernel])
            else:
                found = of_three(codes) if kernel == "w3" else looked_up(codes, table, int(kernel[1]))
            sums += [sum(i * s + j * t for (i, j), (s, t) in zip(found, column, strict=True)) for column in columns]
        wrapped = [(total + 2**31) % 2**32 - 2**31 for total in sums]
        assert words(machine, OUTPUT + 16 * pair, 4, "i") == wrapped, kernel


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
