"""Writes the tables of layers and the measurements of Silicon Labs' MVP from `layers_mltk.csv`.

Usage: python scripts/mvp_layers.py PATH/layers_mltk.csv

Every row with an accelerator gives its accelerator's and its processor's cycles as parts of the layer, and its time
where that is at least a millisecond (it is printed to 0.03 ms). Nothing else is left out.
"""

import csv
import re
import sys
from pathlib import Path

TARGETS = Path(__file__).parent.parent / "hwsim" / "targets"
LAYERS = "layer,op,in_h,in_w,in_c,out_h,out_w,out_c,kernel_h,kernel_w,stride,groups,macs,params"
ROWS = "target,network,runtime,device,settings,layer,part,latency_ms,energy_uj,source,note"
OPS = {"conv_2d": "conv2d", "depthwise_conv_2d": "depthwise_conv2d"}
POOLS = {"average_pool_2d": "averagepooling2d", "max_pool_2d": "maxpooling2d"}
DEVICE, CLOCK_HZ, SHORTEST_MS = "EFR32xG24", 78e6, 1.0


def main(path: Path) -> None:
    """Write `networks/mltk_*.csv` and `measurements/mvp.csv`."""
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["accelerator"].upper() == "MVP"]
    measured = [ROWS]
    for network in sorted({row["model"] for row in rows}):
        layers = [row for row in rows if row["model"] == network]
        name = f"mltk_{network}"
        table = "\n".join([LAYERS, *(_layer(row) for row in layers)])
        (TARGETS / "networks" / f"{name}.csv").write_text(table + "\n", encoding="utf-8")
        measured += [line for row in layers for line in _measured(name, row)]
    (TARGETS / "measurements" / "mvp.csv").write_text("\n".join(measured) + "\n", encoding="utf-8")


def _layer(row: dict[str, str]) -> str:
    shapes = [_shape(text) for text in row["input_shapes"].split(",")]
    source, out = _image(shapes[0]), _image(_shape(row["output_shape"]))
    weights = shapes[1] if row["op"] in (*OPS, "fully_connected") else []
    kernel = weights[1:3] if len(weights) == 4 else _numbers(row["options"], "filter") or [1, 1]
    stride = (_numbers(row["options"], "stride") or [1, 1])[0]
    groups = source[2] if row["op"] == "depthwise_conv_2d" else 1
    taps = kernel[0] * kernel[1] * source[2] // groups if row["op"] in OPS else (weights[1] if weights else 0)
    outputs = out[0] * out[1] * out[2]
    macs, params = outputs * taps, out[2] * (taps + 1) if taps else 0
    label = f"{row['layer_index']}_{row['op']}"
    cells = [label, (OPS | POOLS).get(row["op"], row["op"]), *source, *out, *kernel, stride, groups, macs, params]
    return ",".join(str(cell) for cell in cells)


def _measured(network: str, row: dict[str, str]) -> list[str]:
    parts = {"compute": float(row["accelerator_cycles"] or 0), "overhead": float(row["cpu_cycles"] or 0)}
    on_host = parts["compute"] == 0
    times = {} if on_host else {part: cycles / CLOCK_HZ * 1e3 for part, cycles in parts.items() if cycles}
    if on_host and parts["overhead"]:
        times[""] = parts["overhead"] / CLOCK_HZ * 1e3
    elif float(row["time_ms"]) >= SHORTEST_MS:
        times[""] = float(row["time_ms"])
    label = f"{row['layer_index']}_{row['op']}"
    source = f"github:SiliconLabs/mltk {row['source_path(github:SiliconLabs/mltk)']}"
    start = f"efr32xg24,{network},tflm-mvp,{DEVICE},,{label}"
    return [f"{start},{part},{ms:.6g},,{source}," for part, ms in times.items()]


def _shape(text: str) -> list[int]:
    return [int(part) for part in text.split("x")]


def _image(shape: list[int]) -> list[int]:
    return shape[1:] if len(shape) == 4 else [1, 1, shape[-1]]


def _numbers(options: str, key: str) -> list[int] | None:
    found = re.search(rf"{key}:(\d+)x(\d+)", options)
    return [int(found[1]), int(found[2])] if found else None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
