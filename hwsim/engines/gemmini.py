"""Gemmini, Berkeley's systolic array, in its default int8 configuration."""

from hwsim.engines._profile import LAYERS, Engine, Rule, on_bytes, requantizing

_RULE = Rule("float32", "float32")

ENGINE = Engine(
    name="gemmini",
    summary="Gemmini, default int8 configuration: float32 scale of the accumulator, ties to even",
    lineage=("gemmini", "litert-reference"),
    rules={
        **on_bytes(LAYERS, _RULE),
        **on_bytes(("add",), Rule("each_saturated_float32", "float32")),
        **on_bytes(("mean",), Rule("centered_float32", "float32")),
        **requantizing(Rule("float32")),
    },
    processor="Gemmini with float scales; integer configurations shift",
    source="ucb-bar/gemmini src/main/scala/gemmini (AccumulatorScale, Configs), ucb-bar/gemmini-rocc-tests include "
    "(ACC_SCALE, MVIN_SCALE), read, not run; it has no zero points: hwsim adds the output's after rounding; other "
    "operators as on its host, LiteRT's reference",
)
