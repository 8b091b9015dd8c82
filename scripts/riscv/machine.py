"""An RV32IM machine that counts instructions by class, from the RISC-V unprivileged specification (20191213)."""

from collections import Counter

CLASSES = ("alu", "shift", "mul", "mulh", "load", "load_use", "store", "taken", "not_taken", "jump", "jump_register")
SIZE = 1 << 20
MASK = (1 << 32) - 1
CYCLE = 0xB00


def run(image: bytes, entry: int = 0x80) -> Counter[str]:
    """The classes of the instructions executed between a program's first two reads of mcycle.

    `load_use` counts loads whose result the next instruction uses; the loads themselves are in `load` as well.
    """
    memory = bytearray(image.ljust(SIZE, b"\0"))
    registers = [0] * 32
    decoded: dict[int, tuple[int, ...]] = {}
    pc, counts, reads, loaded = entry, Counter[str](), 0, 0
    while True:
        if pc not in decoded:
            decoded[pc] = _decode(int.from_bytes(memory[pc : pc + 4], "little"))
        word, opcode, rd, funct, rs1, rs2, immediate = decoded[pc]
        if opcode == 0x73 and word >> 20 == CYCLE:
            reads += 1
            if reads == 2:
                return counts
        a, b = registers[rs1], registers[rs2]
        used = (rs1, rs2) if opcode in (0x33, 0x63, 0x23) else (rs1,) if opcode in (0x13, 0x03, 0x67) else ()
        if loaded and loaded in used:
            counts["load_use"] += reads == 1
        loaded, result, kind, following = 0, None, "alu", pc + 4
        if opcode == 0x13 or (opcode == 0x33 and word >> 25 != 1):
            other = immediate & MASK if opcode == 0x13 else b
            minus = word >> 30 & 1 and (opcode == 0x33 or funct == 5)
            result = _alu(funct, a, other, bool(minus))
            kind = "shift" if funct in (1, 5) else "alu"
        elif opcode == 0x33:
            product = (_signed(a) if funct < 3 else a) * (_signed(b) if funct < 2 else b)
            if funct > 3:
                raise NotImplementedError("division")
            result, kind = (product, "mul") if funct == 0 else (product >> 32, "mulh")
        elif opcode == 0x03:
            size = 1 << (funct & 3)
            at = (a + immediate) & (SIZE - 1)
            result = int.from_bytes(memory[at : at + size], "little", signed=funct < 4)
            kind, loaded = "load", rd
        elif opcode == 0x23:
            size, at = 1 << funct, (a + immediate) & MASK
            if at < SIZE:
                memory[at : at + size] = (b & ((1 << 8 * size) - 1)).to_bytes(size, "little")
            kind = "store"
        elif opcode == 0x63:
            taken = _taken(funct, a, b)
            following = pc + immediate if taken else following
            kind = "taken" if taken else "not_taken"
        elif opcode == 0x6F:
            result, following, kind = following, pc + immediate, "jump"
        elif opcode == 0x67:
            result, following, kind = following, (a + immediate) & MASK & ~1, "jump_register"
        elif opcode in (0x37, 0x17):
            result = immediate + (pc if opcode == 0x17 else 0)
        elif opcode == 0x73:
            result = 0
        else:
            raise NotImplementedError(f"instruction {word:#010x} at {pc:#x}")
        if result is not None and rd:
            registers[rd] = result & MASK
        counts[kind] += reads == 1
        pc = following


def _decode(word: int) -> tuple[int, ...]:
    opcode = word & 0x7F
    top = _signed(word)
    immediate = top >> 20
    if opcode == 0x23:
        immediate = top >> 25 << 5 | word >> 7 & 31
    elif opcode == 0x63:
        immediate = top >> 31 << 12 | (word >> 7 & 1) << 11 | (word >> 25 & 63) << 5 | (word >> 8 & 15) << 1
    elif opcode == 0x6F:
        immediate = top >> 31 << 20 | (word >> 12 & 255) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 1023) << 1
    elif opcode in (0x37, 0x17):
        immediate = word & ~0xFFF
    return word, opcode, word >> 7 & 31, word >> 12 & 7, word >> 15 & 31, word >> 20 & 31, immediate


def _alu(funct: int, a: int, b: int, minus: bool) -> int:
    shift = b & 31
    right = _signed(a) >> shift if minus else a >> shift
    less, below = int(_signed(a) < _signed(b)), int(a < b)
    return (a - b if minus else a + b, a << shift, less, below, a ^ b, right, a | b, a & b)[funct]


def _taken(funct: int, a: int, b: int) -> bool:
    base = a == b if funct < 2 else _signed(a) < _signed(b) if funct < 6 else a < b
    return base != bool(funct & 1)


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value
