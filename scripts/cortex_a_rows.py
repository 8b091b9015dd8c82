"""Writes `targets/measurements/cortex_a.csv` from a table of published whole-network measurements.

Usage: python scripts/cortex_a_rows.py PATH/networks.csv

A row is kept where its network's layers are known, its runtime is named and its threads are; what is left out is
printed with the reason.
"""

import csv
import re
import sys
from pathlib import Path

TARGETS = Path(__file__).parent.parent / "hwsim" / "targets"
COLUMNS = (
    *("target", "network", "runtime", "device", "settings", "layer", "part"),
    *("latency_ms", "energy_uj", "source", "note"),
)
NETWORKS = {
    r"MLPerfTiny-AD": "mlperf_tiny_autoencoder",
    r"MLPerfTiny-IC": "mlperf_tiny_resnet8",
    r"MLPerfTiny-KWS": "mlperf_tiny_ds_cnn",
    r"MLPerfTiny-VWW": "mlperf_tiny_mobilenet_vww",
    r"MobileNet v1 1.0X 224": "mobilenet_v1_1.0_224",
    r"MobileNet v2 1.0X? 224": "mobilenet_v2_1.0_224",
    r"MobileNet v3 Large 224": "mobilenet_v3_large_224",
    r"MobileNet v3 Small 224": "mobilenet_v3_small_224",
    r"SSD Mobilenet v2 300": "ssd_mobilenet_v2_300",
    r"SSD Mobilenet v1 0.25": "",
    r"ST EfficientNet LC v1 224": "st_efficientnet_lc_v1_224",
    r"ST EfficientNet LC v1 128": "st_efficientnet_lc_v1_128",
    r"ST FdMobileNet v1 224": "st_fdmobilenet_v1_224",
    r"ST FdMobileNet v1 128": "st_fdmobilenet_v1_128",
    r"FdMobileNet 0.25 224": "fdmobilenet_0.25_224",
    r"FdMobileNet 0.25 128": "fdmobilenet_0.25_128",
    r"MobileNet v1 0.25 224": "mobilenet_v1_0.25_224_flowers",
    r"MobileNet v1 0.5 224": "mobilenet_v1_0.5_224_flowers",
    r"MobileNet v1 0.25 96x96x1": "mobilenet_v1_0.25_96_gray_flowers",
    r"MobileNet v1 0.25 96": "mobilenet_v1_0.25_96_flowers",
    r"MobileNet v2 0.35 128": "mobilenet_v2_0.35_128_flowers",
    r"MobileNet v2 0.35 224": "mobilenet_v2_0.35_224_flowers",
    r"ResNet v1 8 ": "resnet_v1_8_cifar10",
    r"ResNet v1 32 ": "resnet_v1_32_cifar100",
    r"SqueezeNet v1.0 128": "squeezenet_v1.0_128",
    r"SqueezeNet v1.1 224": "squeezenet_v1.1_224",
    r"ST Yolo LC v1 192": "st_yolo_lc_v1_192",
    r"ST Yolo LC v1 224": "st_yolo_lc_v1_224",
    r"ST Yolo LC v1 256": "st_yolo_lc_v1_256",
}

EARLIER = ("M0758", "M0759", "M0760", "M0761", "M0762", "M0763")
"""ST's own networks in the table of X-LINUX-AI 5.1, which take the times of the earlier release (six networks, within
2 to 14 %) where all others take half of theirs: taken to run on the earlier kernels, without XNNPACK."""
INFERENCE = "; kernels not named; taken to be without XNNPACK: 2 to 14 % from the earlier table's time"


def main(path: Path) -> None:
    """Write the rows that are kept, print the others."""
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["target_class"] == "cortex_a"]
    kept = [found for row in rows if (found := _row(row))]
    with (TARGETS / "measurements" / "cortex_a.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(kept)
    print(f"{len(kept)} of {len(rows)} rows kept")


def _row(row: dict[str, str]) -> dict[str, str] | None:
    network = next((name for pattern, name in NETWORKS.items() if re.search(f"^{pattern}", row["model"])), "")
    runtime, reason = _runtime(row)
    if not network or reason:
        print(f"{row['id']} left out: {reason or 'layers of ' + row['model'] + ' not known'}")
        return None
    target, threads = _machine(row)
    return {
        "target": target,
        "network": network,
        "runtime": runtime,
        "device": row["device"].split(" / ")[0],
        "settings": f"core.threads={threads}",
        "latency_ms": row["latency_ms"],
        "source": f"{row['source_repo_or_page']} {row['source_path']}",
        "note": f"{row['id']}: {row['software']}{INFERENCE if row['id'] in EARLIER else ''}",
    }


def _runtime(row: dict[str, str]) -> tuple[str, str]:
    """A runtime's name, or why there is none."""
    software, floats = row["software"], row["dtype"] == "fp32"
    if software.startswith("LEIP"):
        return ("leip-fp32" if floats else "leip-int8"), ""
    if "Larq" in software:
        return "", "binary kernels, which no runtime here has"
    if "README does not state" in row["dtype"]:
        return "", "neither widths nor threads are published"
    if "XNNPACK" in software:
        return ("xnnpack-fp32" if floats else "xnnpack-int8"), ""
    return ("tflite-int8" if "table version" in software or row["id"] in EARLIER else "xnnpack-int8"), ""


def _machine(row: dict[str, str]) -> tuple[str, int]:
    """The target, and threads: one where published so, else all cores (XNNPACK's end-to-end bench; LEIP: assumed)."""
    text = f"{row['device']} {row['core']}"
    if "A7" in text and "MP157" in text:
        return "cortex-a7", 2
    target = "cortex-a53" if re.search(r"3 Model B|Pi3|RPi 3", text) else "cortex-a72"
    return target, 1 if "1 thread" in text else 4


if __name__ == "__main__":
    main(Path(sys.argv[1]))
