"""Write hwsim/targets/networks/*.csv: the layers of public networks, shapes only.

    python scripts/layer_tables.py [FOLDER_WITH_TFLITE_FILES] [--keras FOLDER_WITH_TABLES]

The MLPerf Tiny networks are read off their .tflite files (mlcommons/tiny, training/*/trained_models); those of ST's
model zoo are built here from their public definitions (STMicroelectronics/stm32ai-modelzoo, */src/models), and the
Keras ones are tables read off keras.applications.
"""

import argparse
import csv
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import hwsim  # noqa: E402
from hwsim.cost_models.dead_channels import live_channels  # noqa: E402
from hwsim.cost_models.work import network_of  # noqa: E402

FOLDER = ROOT / "hwsim" / "targets" / "networks"
COLUMNS = (
    "layer", "op", "in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "kernel_h", "kernel_w", "stride", "groups",
    "macs", "params", "live_in", "live_out",
)  # fmt: skip
MLPERF_TINY = {
    "mlperf_tiny_resnet8": "pretrainedResnet_quant",
    "mlperf_tiny_ds_cnn": "kws_ref_model",
    "mlperf_tiny_mobilenet_vww": "vww_96_int8",
    "mlperf_tiny_autoencoder": "ad01_int8",
}
FLOWERS, FOOD, IMAGENET = 5, 101, 1000


class Layers:
    """Layers one after another; the shape so far is (h, w, c)."""

    def __init__(self, h: int, w: int, c: int) -> None:
        self.h, self.w, self.c = h, w, c
        self.rows: list[list[object]] = []

    def add(self, op: str, out: tuple[int, int, int], k=(1, 1), stride=1, groups=1, macs=0, params=0) -> "Layers":
        """Any layer, as it is."""
        row = [
            f"{len(self.rows)}_{op}",
            op,
            self.h,
            self.w,
            self.c,
            *out,
            *k,
            stride,
            groups,
            macs,
            params,
            self.c,
            out[2],
        ]
        self.rows.append(row)
        self.h, self.w, self.c = out
        return self

    def conv(self, filters: int, k: int = 1, stride: int = 1, valid: bool = False) -> "Layers":
        """A convolution."""
        out = self._out(k, stride, valid)
        taps = k * k * self.c * filters
        return self.add("conv2d", (*out, filters), (k, k), stride, 1, out[0] * out[1] * taps, taps + filters)

    def depthwise(self, k: int = 3, stride: int = 1) -> "Layers":
        """A depthwise convolution."""
        out, taps = self._out(k, stride), k * k * self.c
        macs = out[0] * out[1] * taps
        return self.add("depthwise_conv2d", (*out, self.c), (k, k), stride, self.c, macs, taps + self.c)

    def separable(self, filters: int, stride: int = 1) -> "Layers":
        """A depthwise convolution and a pointwise one."""
        return self.depthwise(3, stride).conv(filters)

    def pool(self, k: int, stride: int, valid: bool = True, op: str = "max_pool_2d") -> "Layers":
        """A pooling window."""
        return self.add(op, (*self._out(k, stride, valid), self.c), (k, k), stride)

    def plus(self) -> "Layers":
        """The sum with an earlier tensor of this shape."""
        return self.add("add", (self.h, self.w, self.c))

    def mean(self) -> "Layers":
        """The mean over height and width."""
        return self.add("mean", (1, 1, self.c))

    def dense(self, units: int, softmax: bool = True) -> "Layers":
        """A fully connected layer."""
        inputs = self.h * self.w * self.c
        if (self.h, self.w) != (1, 1):
            self.add("reshape", (1, 1, inputs))
        self.add("fully_connected", (1, 1, units), macs=inputs * units, params=inputs * units + units)
        return self.add("softmax", (1, 1, units)) if softmax else self

    def _out(self, k: int, stride: int, valid: bool = False) -> tuple[int, int]:
        return tuple(-(-(size - (k - 1 if valid else 0)) // stride) for size in (self.h, self.w))


def mobilenet_v1(alpha: float, size: int, classes: int, channels: int = 3) -> Layers:
    """MobileNet v1 (arXiv 1704.04861), as mobilenetv1.py has it."""
    net = Layers(size, size, channels).conv(int(32 * alpha), 3, 2)
    for filters, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2)]:
        net.separable(int(filters * alpha), stride)
    return net.separable(int(1024 * alpha)).mean().dense(classes)


def _divisible(value: float, by: int = 8) -> int:
    rounded = max(by, int(value + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * value else rounded


def mobilenet_v2(alpha: float, size: int, classes: int) -> Layers:
    """MobileNet v2 (arXiv 1801.04381), as keras.applications has it."""
    net = Layers(size, size, 3).conv(_divisible(32 * alpha), 3, 2)
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expand, filters, repeats, first in stages:
        for repeat in range(repeats):
            before, stride = net.c, first if repeat == 0 else 1
            if expand > 1:
                net.conv(before * expand)
            net.depthwise(3, stride).conv(_divisible(int(filters * alpha)))
            if stride == 1 and net.c == before:
                net.plus()
    return net.conv(_divisible(1280 * alpha) if alpha > 1 else 1280).mean().dense(classes)


def fdmobilenet(alphas: list[float], size: int, classes: int) -> Layers:
    """Fd-MobileNet (arXiv 1802.03750), as fdmobilenet.py and st_fdmobilenet_v1.py have it."""
    blocks = [(64, 2), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 4, (1024, 1)]
    net = Layers(size, size, 3).conv(int(32 * alphas[0]), 3, 2)
    for (filters, stride), alpha in zip(blocks, alphas[1:], strict=True):
        net.separable(int(filters * alpha), stride)
    return net.mean().conv(classes).add("softmax", (1, 1, classes))


def efficientnet_lc(size: int, classes: int, width: float = 0.45, expand: int = 3) -> Layers:
    """As st_efficientnet_lc_v1.py has it."""
    repeats, kernels, strides = (1, 2, 2, 3, 3, 4, 1), (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1)
    filters = [_divisible(f * width) for f in (16, 24, 40, 80, 112, 192, 320)]
    net = Layers(size, size, 3).conv(_divisible(32 * width), 3, 2)
    for stage, (out, times, k, first) in enumerate(zip(filters, repeats, kernels, strides, strict=True)):
        for repeat in range(times):
            before, stride = net.c, first if repeat == 0 else 1
            if stage:
                net.conv(before * expand)
            wide = net.depthwise(k, stride)
            h, w, c = wide.h, wide.w, wide.c
            net.mean().conv(max(1, before // 4)).conv(c).add("activation", (1, 1, c))
            net.h, net.w, net.c = h, w, c
            net.add("mul", (h, w, c)).conv(out)
            if stride == 1 and before == out:
                net.plus()
    return net.conv(_divisible(1280 * width)).mean().dense(classes)


def resnet_v1(depth: int, classes: int) -> Layers:
    """ResNet v1 for 32x32 images, as resnetv1.py has it."""
    net = Layers(32, 32, 3).conv(16, 3)
    for stack in range(3):
        for block in range((depth - 2) // 6):
            stride, filters, entry = (2 if stack and not block else 1), 16 << stack, (net.h, net.w, net.c)
            net.conv(filters, 3, stride).conv(filters, 3)
            if stride == 2:
                net.h, net.w, net.c = entry
                net.conv(filters, 1, 2)
            net.plus()
    return net.pool(8, 8, op="average_pool_2d").dense(classes)


def squeezenet(version: str, size: int, classes: int) -> Layers:
    """SqueezeNet (arXiv 1602.07360), as squeezenetv10.py and squeezenetv11.py have it."""
    net = Layers(size, size, 3).conv(*((96, 7) if version == "1.0" else (64, 3)), 2, valid=True).pool(3, 2)
    first = [(16, 64), (16, 64), (32, 128), 0, (32, 128), (48, 192), (48, 192), 0, (64, 256)]
    second = [(16, 64), (16, 64), 0, (32, 128), (32, 128), 0, (48, 192), (48, 192), (64, 256), (64, 256)]
    for fire in first if version == "1.0" else second:
        if not fire:
            net.pool(3, 2)
            continue
        net.conv(fire[0])
        squeezed = net.h, net.w, net.c
        net.conv(fire[1])
        net.h, net.w, net.c = squeezed
        net.conv(fire[1], 3).add("concatenation", (net.h, net.w, 2 * fire[1]))
    return net.conv(classes).mean().add("softmax", (1, 1, classes))


def st_mnist(classes: int = 36) -> Layers:
    """As stmnist.py has it."""
    net = Layers(28, 28, 1).conv(16, 3, 2).depthwise().conv(32, 3).depthwise(3, 2).conv(64)
    return net.mean().dense(classes)


def yolo_lc(size: int, classes: int = 1, anchors: int = 5) -> Layers:
    """As st_yolo_lc_v1.py has it."""
    net = Layers(size, size, 3)
    for filters in (16, 32, 64, 128):
        net.conv(filters, 3, 2)
    net.separable(256).separable(256).pool(2, 1, valid=False).separable(128).separable(256)
    return net.conv(anchors * (5 + classes))


def miniresnet(stacks: int, classes: int = 10) -> Layers:
    """As miniresnet.py has it."""
    net = Layers(64, 50, 1).conv(64, 7, 2).pool(3, 2, valid=False)
    for stack in range(stacks):
        filters = 64 << stack
        for block in range(2):
            stride, entry = (2 if block == 0 else 1), (net.h, net.w, net.c)
            if block == 0:
                net.conv(filters, 1, stride)
                net.h, net.w, net.c = entry
            net.conv(filters, 1, stride).conv(filters, 3).plus()
    return net.mean().dense(classes)


def zoo() -> Iterator[tuple[str, Layers]]:
    """ST's model zoo, by the names of measurements/cortex_m.csv."""
    for alpha, size in ((0.25, 96), (0.25, 224), (0.5, 224)):
        yield f"mobilenet_v1_{alpha}_{size}_flowers", mobilenet_v1(alpha, size, FLOWERS)
        yield f"mobilenet_v1_{alpha}_{size}_food101", mobilenet_v1(alpha, size, FOOD)
    yield "mobilenet_v1_0.25_96_gray_flowers", mobilenet_v1(0.25, 96, FLOWERS, 1)
    for size in (128, 224):
        yield f"mobilenet_v2_0.35_{size}_flowers", mobilenet_v2(0.35, size, FLOWERS)
        yield f"fdmobilenet_0.25_{size}", fdmobilenet([0.25] * 12, size, FOOD)
        st = [0.5, 0.75, 0.625, 0.5, 0.375, *[0.25] * 7]
        yield f"st_fdmobilenet_v1_{size}", fdmobilenet(st, size, FOOD)
        yield f"st_efficientnet_lc_v1_{size}", efficientnet_lc(size, FOOD)
        yield f"squeezenet_v1.1_{size}", squeezenet("1.1", size, FOOD)
    yield "mobilenet_v2_1.4_224", mobilenet_v2(1.4, 224, IMAGENET)
    yield "squeezenet_v1.0_128", squeezenet("1.0", 128, FOOD)
    yield "resnet_v1_8_cifar10", resnet_v1(8, 10)
    yield "resnet_v1_32_cifar100", resnet_v1(32, 100)
    yield "st_mnist_v1", st_mnist()
    for size in (192, 224, 256):
        yield f"st_yolo_lc_v1_{size}", yolo_lc(size)
    yield "miniresnet_1", miniresnet(1)
    yield "miniresnet_2", miniresnet(2)


def main() -> None:
    """Write every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="?", help="a folder with the MLPerf Tiny .tflite files")
    parser.add_argument("--keras", type=Path, help="a folder with tables read off Keras definitions")
    options = parser.parse_args()
    for name, net in zoo():
        write(name, net.rows)
    for name, file in MLPERF_TINY.items() if options.models else ():
        write(name, list(graph_rows(options.models / f"{file}.tflite")))
    for file in sorted(options.keras.glob("mobilenet_v*.csv")) if options.keras else ():
        shutil.copy(file, FOLDER / file.name)


def graph_rows(path: Path) -> Iterator[list[object]]:
    """The layers of a model file."""
    graph = hwsim.load(path)
    for work, live in zip(network_of(graph).works, live_channels(graph), strict=True):
        params = work.weights + work.bias_bytes // 4
        yield [work.name, work.op, *work.input_size, *work.output_size, *work.kernel, work.stride[0], work.groups,
               work.macs, params, *live]  # fmt: skip


def write(name: str, rows: list[list[object]]) -> None:
    """One table."""
    with (FOLDER / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    print(f"{name:36} {len(rows):3} layers {sum(int(row[12]) for row in rows) / 1e6:8.3f} MMAC")


if __name__ == "__main__":
    main()
