"""Joules of a layer: what each operation and access takes, and the board's base power for as long as it runs.

    energy = macs * mac_pj * (weight_bits * activation_bits / 64) + instructions * instruction_pj + decoding
           + sum over memories (read_bytes * read_pj + written_bytes * write_pj) + base_power_w * seconds

The product of the widths is how a multiplier's energy grows (Horowitz, ISSCC 2014: 0.2 pJ at 8 bits, 3.1 at 32). On
microcontrollers the base power dominates (MLPerf Tiny results: mean power varies by 3 to 13 % over four networks).
"""

from math import prod

from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.work import Work
from hwsim.targets import Profile


def layer_energy_j(work: Work, cost: LayerCost, profile: Profile, seconds: float) -> float:
    """Joules of one layer that takes `seconds`."""
    energy = profile.energy
    arithmetic = cost.arithmetic_pj
    if arithmetic is None:
        arithmetic = arithmetic_pj(work, energy.mac_pj)
    control = cost.instructions * energy.instruction_pj
    accesses = sum(
        read * profile.memories[name].read_pj_per_byte + written * profile.memories[name].write_pj_per_byte
        for name, (read, written) in cost.traffic_bytes.items()
    )
    return (arithmetic + control + accesses + cost.decode_pj) * 1e-12 + energy.base_power_w * seconds


def arithmetic_pj(work: Work, mac_pj: float) -> float:
    """Picojoules of a layer's multiply-accumulates, at `mac_pj` for 8 by 8 bits."""
    return work.macs * mac_pj * prod(work.multiplied_bits) / 64


def is_priced(profile: Profile) -> bool:
    """Whether the target says anything of energy."""
    energy = profile.energy
    memories = (m.read_pj_per_byte + m.write_pj_per_byte for m in profile.memories.values())
    return energy.base_power_w + energy.mac_pj + energy.instruction_pj + sum(memories) > 0
