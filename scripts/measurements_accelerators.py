"""Writes hwsim/targets/measurements of accelerators from a folder that holds networks.csv and hawq_t4.csv.

Facts only, each with its public source; a row that is left out is printed with the reason.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "hwsim" / "targets" / "measurements"
COLUMNS = ("target", "network", "runtime", "device", "settings", "layer", "latency_ms", "energy_uj", "source", "note")
CORAL = {
    "Coral USB Accelerator (USB 3.0) on desktop CPU": ("coral-edgetpu", "USB Accelerator, Coral's page"),
    "Coral Dev Board": ("coral-edgetpu@dev-board", "Dev Board, Coral's page"),
    "Coral Edge TPU": ("coral-edgetpu", "USB Accelerator, Coral's models page"),
    "Edge TPU, x86_64 host (USB)": ("coral-edgetpu", "USB Accelerator, PyCoral"),
    "Edge TPU, aarch64 (Coral Dev Board)": ("coral-edgetpu@dev-board", "Dev Board, PyCoral"),
}
CORAL_NETWORKS = {
    "unet mv2 128": "unet_mobilenet_v2_128", "unet mv2 256": "unet_mobilenet_v2_256",
    "inception v1 224": "inception_v1_224", "inception v2 224": "inception_v2_224",
    "inception v3 299": "inception_v3_299", "inception v4 299": "inception_v4_299",
    "inception-resnet v2 299": "inception_resnet_v2_299", "mobilenet v1 0.25 128": "mobilenet_v1_0.25_128",
    "mobilenet v1 1.0 224": "mobilenet_v1_1.0_224", "mobilenet v1 224": "mobilenet_v1_1.0_224",
    "mobilenet v2 1.0 224": "mobilenet_v2_1.0_224", "mobilenet v2 224": "mobilenet_v2_1.0_224",
    "mobilenet v1 ssd 224": "ssd_mobilenet_v1_300", "mobilenet v2 ssd 224": "ssd_mobilenet_v2_300",
    "resnet-50 v1 299": "resnet50_v1_299", "resnet-50 v2 299": "resnet50_v2_299", "vgg16 224": "vgg16_224",
    "vgg19 224": "vgg19_224", "densenet 224": "densenet121_224", "squeezenet 224": "squeezenet_224",
    "mnasnet 224": "mnasnet_b1_224", "efficientnet-edgetpu-s": "efficientnet_edgetpu_s_224",
    "efficientnet-edgetpu (s) 224": "efficientnet_edgetpu_s_224",
}  # fmt: skip
MLPERF = {
    "AD": "mlperf_tiny_autoencoder", "IC": "mlperf_tiny_resnet8", "KWS": "mlperf_tiny_ds_cnn",
    "VWW": "mlperf_tiny_mobilenet_vww",
}  # fmt: skip
DORY = ("arXiv 2008.07127, abstract", "4.3 frames in a second, 63 pJ per MAC; DORY's hardware description has 100 MHz")


def main() -> None:
    """Write the tables; the folder with the measurements is the only argument."""
    folder = Path(sys.argv[1])
    with (folder / "networks.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (folder / "hawq_t4.csv").open() as file:
        hawq = list(csv.DictReader(file))
    _write("edge_tpu", _coral(rows))
    _write("gpu_t4", _hawq(rows, hawq))
    _write("gap", _gap(rows))


def _coral(rows: list[dict[str, str]]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        if row["target_class"] != "edge_tpu":
            continue
        device = "Coral Edge TPU" if row["device"].startswith("Coral Edge TPU") else row["device"]
        target, who = CORAL[device]
        if row["software"].startswith("Edge TPU Python API"):
            who = "Dev Board, freedomtan"
        key = row["model"].lower().removesuffix("_edgetpu").removesuffix("_quant").replace("_", " ")
        key = " ".join(part.partition("x")[0] if part[0].isdigit() else part for part in key.split())
        network = CORAL_NETWORKS.get(key.removesuffix(" quant"))
        if network is None:
            print(f"left out: {row['id']} {row['model']}: no table of its layers")
            continue
        yield target, network, "", who, "", "", row["latency_ms"], "", _source(row), row["note"].split(";")[0]


def _hawq(rows: list[dict[str, str]], hawq: list[dict[str, str]]) -> Iterator[tuple[str, ...]]:
    """Whole networks first, then layers timed alone."""
    told = {"W8A8": "w8a8", "W4A4": "w4a4", "Mixed Precision": "bops0.5"}
    note = "batch of 8; TVM, CUDA 10.2"
    for row in rows:
        if row["target_class"] == "gpu_t4" and row["dtype"] in told:
            network = f"resnet50_v1_224_b8_{told[row['dtype']]}"
            yield "nvidia-t4", network, "tvm", "T4", "", "", row["latency_ms"], "", _source(row), note
        elif row["target_class"] == "gpu_t4":
            print(f"left out: {row['id']} {row['dtype']}: floating point, not integer")
    for row in hawq:
        config = row["bits"].partition("(resnet50_")[2].rstrip(")")
        if row["record"] == "network_speedup" and config not in ("", "baseline", "bops0.5", "uniform8", "uniform4"):
            latency = f"{26.2 / float(row['speedup_vs_fp32']):.3f}"
            told_by = f"{note}; 26.2 ms over the published speed-up"
            yield "nvidia-t4", f"resnet50_v1_224_b8_{config}", "tvm", "T4", "", "", latency, "", row["source"], told_by
        if row["record"] == "ilp_layer":
            network, source = f"resnet50_v1_224_b8_w{row['bits']}a{row['bits']}", row["source"]
            layer, alone = row["layer"], "a layer alone; batch of 8"
            yield "nvidia-t4", network, "tvm-alone", "T4", "", layer, row["latency_ms"], "", source, alone
    print(
        "left out: autotvm_kernel rows: best records of a tuner, 2.4 times faster than the same layers in HAWQ's table"
    )


def _gap(rows: list[dict[str, str]]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        if row["target_class"] == "riscv_pulp_gap":
            network = MLPERF[row["model"].removeprefix("MLPerfTiny-").partition("-")[0].partition(" ")[0]]
            settings = f"clock_hz={float(row['clock_mhz']) * 1e6:g}"
            note = "650 mV; energy at 1.8 V of the whole chip"
            costs = row["latency_ms"], row["energy_uj"]
            yield "gap9", network, "", "GAP9 EVK, 650 mV", settings, "", *costs, _source(row), note
    energy = f"{63 * 186.4:.0f}"
    yield "gap8", "mobilenet_v1_1.0_128", "", "GAP8", "", "", f"{1e3 / 4.3:.1f}", energy, *DORY


def _source(row: dict[str, str]) -> str:
    return f"{row['source_repo_or_page'].replace('coral.ai./', 'coral.ai/')} {row['source_path']}"


def _write(name: str, rows: Iterator[tuple[str, ...]]) -> None:
    with (FOLDER / f"{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(sorted(rows))


if __name__ == "__main__":
    main()
