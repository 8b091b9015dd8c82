"""Arm Ethos-U55 and U65, as Vela programs them."""

from hwsim.engines._profile import Engine, Rule


def _layers(rounding: str) -> dict[tuple[str, str], Rule]:
    return {
        ("conv2d", "int8"): Rule(rounding),
        ("conv2d", "uint8"): Rule(rounding, "float32_product"),
        ("depthwise_conv2d", "int8"): Rule(rounding),
        ("depthwise_conv2d", "uint8"): Rule(rounding, "float32_product"),
        ("fully_connected", "int8"): Rule(rounding, "float32_product"),
        ("fully_connected", "uint8"): Rule(rounding, "float32_product"),
    }


ENGINE = Engine(
    name="ethos-u",
    summary="Arm Ethos-U55/U65 under Vela, output rounding TFL (its default); variants truncate and natural",
    lineage=("tflite-micro", "litert-reference"),
    rules=_layers("double_rounding"),
    processor="Ethos-U55, U65; what Vela leaves to the host as TensorFlow Lite for Microcontrollers",
    source="Arm Vela ethosu/vela/scaling.py, high_level_command_to_npu_op.py (mirror of December 2023), read, not run",
    variants={"truncate": {"rules": _layers("dyadic_truncate")}, "natural": {"rules": _layers("single_rounding")}},
)
