import sys, struct, collections, json, re
from unicorn import *
from unicorn.arm_const import *
from capstone import *
from elftools.elf.elffile import ELFFile
import random

CLS = {}


def classify(m):
    m = m.split(".")[0]
    if m.startswith("ldm") or m.startswith("pop"):
        return "loadm"
    if m.startswith("ldr"):
        return "load"
    if m.startswith("stm") or m.startswith("push"):
        return "storem"
    if m.startswith("str"):
        return "store"
    if re.match(r"(b|bl|bx|blx|cbz|cbnz|bne|beq|bgt|bge|blt|ble|bhi|bls|bcc|bcs|bpl|bmi|blo|bhs|bvc|bvs|tbb)$", m):
        return "branch"
    if re.match(r"(mul|mla|mls|smul|smla|umul|smmul|umla)", m):
        return "multiply"
    if "div" in m:
        return "divide"
    return "alu"


class Machine:
    def __init__(s, elf, cpu):
        s.uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        s.uc.ctl_set_cpu_model(cpu)
        f = ELFFile(open(elf, "rb"))
        s.sym = {}
        s.uc.mem_map(0, 0x100000)
        s.uc.mem_map(0x20000000, 0x2000000)
        for seg in f.iter_segments():
            if seg["p_type"] == "PT_LOAD":
                s.uc.mem_write(seg["p_vaddr"], seg.data())
        for x in f.get_section_by_name(".symtab").iter_symbols():
            s.sym[x.name] = x["st_value"]
        s.md = Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)
        s.cnt = collections.Counter()
        s.uc.hook_add(UC_HOOK_CODE, s.hook)
        s.cache = {}

    def hook(s, uc, a, size, _):
        s.cnt[a] += 1
        if a not in s.cache:
            s.cache[a] = bytes(uc.mem_read(a, size))

    def run(s, fn, arg):
        s.cnt.clear()
        s.top = 0x21F00000
        s.uc.reg_write(UC_ARM_REG_SP, s.top)
        s.uc.reg_write(UC_ARM_REG_R0, arg)
        s.uc.reg_write(UC_ARM_REG_LR, 0xF0001)
        s.uc.emu_start(s.sym[fn] | 1, 0xF0000)
        out = collections.Counter()
        for a, n in s.cnt.items():
            i = next(s.md.disasm(s.cache[a], a))
            c = classify(i.mnemonic)
            if c in ("loadm", "storem"):
                k = i.op_str.count(",") + (0 if i.mnemonic[0:2] in ("ld", "st") else 1)
                out[c[:-1]] += n * max(k, 1)
                out["moves"] += n * max(k, 1) - n
            else:
                out[c] += n
        return out


def conv(s, fn, ih, iw, ic, oh, ow, oc, k, st, pad):
    base = 0x20000000
    rnd = random.Random(1)
    inb = base + 0x1000
    wb = base + 0x400000
    bb = base + 0x600000
    mb = bb + 0x10000
    shb = mb + 0x10000
    ob = base + 0x800000
    buf = base + 0xC00000
    nw = oc * k * k * ic if fn != "depthwise" else k * k * ic
    s.uc.mem_write(inb, bytes(rnd.randrange(256) for _ in range(ih * iw * ic)))
    s.uc.mem_write(wb, bytes(rnd.randrange(256) for _ in range(nw)))
    n = max(oc, ic)
    s.uc.mem_write(bb, struct.pack("<%di" % n, *[rnd.randrange(-1000, 1000) for _ in range(n)]))
    s.uc.mem_write(mb, struct.pack("<%di" % n, *[rnd.randrange(1 << 30, 1 << 31) for _ in range(n)]))
    s.uc.mem_write(shb, struct.pack("<%di" % n, *[-9 for _ in range(n)]))
    s.uc.mem_write(
        base, struct.pack("<11i7I", ih, iw, ic, oh, ow, oc, k, st, pad, 128, -128, inb, wb, bb, mb, shb, ob, buf)
    )
    return s.run(fn, base)


def add(s, n):
    base = 0x20000000
    s.uc.mem_write(
        base,
        struct.pack(
            "<10i3I",
            n,
            128,
            127,
            1 << 30,
            -1,
            1500000000,
            0,
            1600000000,
            -18,
            -128,
            base + 0x1000,
            base + 0x10000,
            base + 0x20000,
        ),
    )
    return s.run("add", base)


shapes = {
    "conv2d": [
        (16, 16, 16, 16, 16, 16, 3, 1, 1),
        (8, 8, 64, 8, 8, 64, 3, 1, 1),
        (32, 32, 3, 32, 32, 16, 3, 1, 1),
        (16, 16, 32, 8, 8, 32, 3, 2, 0),
        (16, 16, 64, 8, 8, 64, 1, 2, 0),
        (48, 48, 3, 24, 24, 8, 3, 2, 0),
    ],
    "pointwise": [
        (16, 16, 16, 16, 16, 16, 1, 1, 0),
        (8, 8, 64, 8, 8, 64, 1, 1, 0),
        (24, 24, 8, 24, 24, 16, 1, 1, 0),
        (6, 6, 128, 6, 6, 128, 1, 1, 0),
        (4, 4, 128, 4, 4, 256, 1, 1, 0),
    ],
    "depthwise": [
        (24, 24, 8, 24, 24, 8, 3, 1, 1),
        (16, 16, 64, 8, 8, 64, 3, 2, 0),
        (12, 12, 32, 12, 12, 32, 3, 1, 1),
        (6, 6, 128, 6, 6, 128, 3, 1, 1),
        (3, 3, 256, 3, 3, 256, 3, 1, 1),
    ],
    "fully_connected": [
        (1, 1, 64, 1, 1, 9, 1, 1, 0),
        (1, 1, 256, 1, 1, 63, 1, 1, 0),
        (1, 1, 640, 1, 1, 129, 1, 1, 0),
        (1, 1, 8, 1, 1, 129, 1, 1, 0),
    ],
    "average_pool": [(8, 8, 64, 1, 1, 64, 8, 1, 0), (16, 16, 32, 8, 8, 32, 2, 2, 0), (3, 3, 256, 1, 1, 256, 3, 1, 0)],
    "max_pool": [(16, 16, 32, 8, 8, 32, 2, 2, 0), (8, 8, 16, 4, 4, 16, 2, 2, 0)],
}
if __name__ == "__main__":
    res = []
    for elf, cpu, name in [
        ("k_cortex-m3.elf", UC_CPU_ARM_CORTEX_M3, "armv7m"),
        ("k_cortex-m0plus.elf", UC_CPU_ARM_CORTEX_M0, "thumb"),
    ]:
        m = Machine(elf, cpu)
        for fn, ss in shapes.items():
            for sh in ss:
                c = conv(m, fn, *sh)
                res.append((name, fn, sh, dict(c)))
                print(name, fn, sh, sum(c.values()) - c["moves"], dict(c), flush=True)
        for n in (64, 1024):
            c = add(m, n)
            res.append((name, "add", (n,), dict(c)))
            print(name, "add", n, sum(c.values()) - c["moves"], dict(c))
    json.dump(res, open("counts.json", "w"))
