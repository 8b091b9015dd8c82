"""MobileNets and what is built of their blocks."""

from collections.abc import Iterator

from networks.builder import Shape, Table, narrowed

MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
MNASNET_B1 = (
    (3, 24, 3, 2, 3), (3, 40, 3, 2, 5), (6, 80, 3, 2, 5), (6, 96, 2, 1, 3), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
)  # fmt: skip
EDGETPU = (
    (True, 1, 3, 1, 4, 24), (True, 2, 3, 2, 8, 32), (True, 4, 3, 2, 8, 48),
    (False, 5, 5, 2, 8, 96), (False, 4, 5, 1, 8, 144), (False, 2, 5, 2, 8, 192),
)  # fmt: skip


def _mobilenet_v1_body(net: Table, size: int) -> list[Shape]:
    """Howard et al., arXiv 1704.04861, table 1: the outputs at a sixteenth and a thirty-second of the size."""
    x, kept = net.conv((size, size, 3), 32, 3, 2), list[Shape]()
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for filters, stride in plan:
        if filters == 1024 and stride == 2:
            kept.append(x)
        x = net.separable(x, filters, 3, stride)
    return [*kept, x]


def mobilenet_v1(size: int) -> Table:
    """MobileNet v1 with its classifier."""
    net = Table(f"mobilenet_v1_1.0_{size}")
    net.softmax(net.conv(net.mean(_mobilenet_v1_body(net, size)[-1]), 1000))
    return net


def _inverted(net: Table, x: Shape, expansion: int, filters: int, stride: int, kernel: int = 3) -> tuple[Shape, Shape]:
    """An inverted residual; returns its output and its expanded input."""
    wide = net.conv(x, x[2] * expansion) if expansion > 1 else x
    out = net.conv(net.depthwise(wide, kernel, stride), filters)
    return (net.add(out) if stride == 1 and x[2] == filters else out), wide


def mobilenet_v2_body(net: Table, alpha: float, size: int, out_stride: int = 32) -> Iterator[tuple[Shape, Shape, int]]:
    """Sandler et al., arXiv 1801.04381, table 2: (output, expanded input, stride) of every block."""
    x, total = net.conv((size, size, 3), narrowed(32 * alpha), 3, 2), 2
    for expansion, channels, repeats, stride in MOBILENET_V2:
        for index in range(repeats):
            step = stride if index == 0 and total * stride <= out_stride else 1
            total *= step
            x, wide = _inverted(net, x, expansion, narrowed(channels * alpha), step)
            yield x, wide, step


def mnasnet_b1(size: int) -> Table:
    """Tan et al., arXiv 1807.11626: MnasNet without squeeze-and-excite (TensorFlow's tpu repository, mnasnet-b1)."""
    net = Table(f"mnasnet_b1_{size}")
    x = net.separable(net.conv((size, size, 3), 32, 3, 2), 16)
    for expansion, filters, repeats, stride, kernel in MNASNET_B1:
        for index in range(repeats):
            x, _ = _inverted(net, x, expansion, filters, stride if index == 0 else 1, kernel)
    net.softmax(net.dense(net.mean(net.conv(x, 1280)), 1000))
    return net


def efficientnet_edgetpu(kind: str) -> Table:
    """TensorFlow's tpu repository, efficientnet_edgetpu_builder.py: S, M and L."""
    from math import ceil

    width, depth, size = {"s": (1.0, 1.0, 224), "m": (1.0, 1.1, 240), "l": (1.2, 1.4, 300)}[kind]
    net = Table(f"efficientnet_edgetpu_{kind}_{size}")
    x = net.conv((size, size, 3), narrowed(32 * width), 3, 2)
    for block, (fused, repeats, kernel, stride, expansion, channels) in enumerate(EDGETPU):
        for index in range(ceil(repeats * depth)):
            filters, step = narrowed(channels * width), stride if index == 0 else 1
            if not fused:
                x, _ = _inverted(net, x, expansion, filters, step, kernel)
                continue
            out = net.conv(net.conv(x, x[2] * expansion, kernel), filters, 1, step)
            x = net.add(out) if step == 1 and x[2] == filters and block else out
    net.softmax(net.dense(net.mean(net.conv(x, narrowed(1280 * width))), 1000))
    return net


def _ssd(net: Table, features: list[Shape], classes: int = 91) -> Table:
    """The boxes and classes of SSD at six scales, one convolution each (TensorFlow's object detection models)."""
    for index, x in enumerate(features):
        anchors = 3 if index == 0 else 6
        net.conv(x, 4 * anchors)
        net.conv(x, classes * anchors)
    net.sort_boxes(sum(x[0] * x[1] * (6 if index else 3) for index, x in enumerate(features)), classes)
    return net


def ssd_mobilenet_v1(size: int = 300) -> Table:
    """SSD on MobileNet v1, COCO (Liu et al., arXiv 1512.02325)."""
    net = Table(f"ssd_mobilenet_v1_{size}")
    kept = _mobilenet_v1_body(net, size)
    x = kept[-1]
    for narrow, wide in ((256, 512), (128, 256), (128, 256), (64, 128)):
        x = net.conv(net.conv(x, narrow), wide, 3, 2)
        kept.append(x)
    return _ssd(net, kept)


def ssd_mobilenet_v2(size: int = 300) -> Table:
    """SSD on MobileNet v2, COCO (Liu et al., arXiv 1512.02325)."""
    net = Table(f"ssd_mobilenet_v2_{size}")
    blocks = list(mobilenet_v2_body(net, 1.0, size))
    x = net.conv(blocks[-1][0], 1280)
    kept = [blocks[13][1], x]
    for narrow, wide in ((256, 512), (128, 256), (128, 256), (64, 128)):
        x = net.conv(net.conv(x, narrow), wide, 3, 2)
        kept.append(x)
    return _ssd(net, kept)


def unet_mobilenet_v2(size: int) -> Table:
    """TensorFlow's image segmentation tutorial: MobileNet v2 down, four transposed convolutions up, skips between.

    Keras models converted with bytes for input and output change their type at both ends.
    """
    net = Table(f"unet_mobilenet_v2_{size}")
    net.quantize((size, size, 3))
    blocks = list(mobilenet_v2_body(net, 1.0, size))
    skips = [wide for _, wide, step in blocks if step == 2]
    x = blocks[-1][0]
    for filters, skip in zip((512, 256, 128, 64), reversed(skips), strict=True):
        x = net.join(net.transposed(x, filters, 3, 2), skip)
    net.quantize(net.transposed(x, 3, 3, 2))
    return net


def deeplab_v3_mobilenet_v2(alpha: float, size: int) -> Table:
    """Chen et al.'s DeepLab v3 on MobileNet v2 at an output stride of 16, without the pyramid (mnv2, PASCAL)."""
    net = Table(f"deeplab_v3_mobilenet_v2_{alpha}_{size}")
    *_, (x, _, _) = mobilenet_v2_body(net, alpha, size, out_stride=16)
    pooled = net.resize(net.conv(net.mean(x), 256), x[0], x[1])
    x = net.conv(net.conv(net.join(pooled, net.conv(x, 256)), 256), 21)
    net.resize(x, size, size)
    return net


TABLES = [
    mobilenet_v1(128),
    mnasnet_b1(224),
    *[efficientnet_edgetpu(kind) for kind in "sml"],
    ssd_mobilenet_v1(), ssd_mobilenet_v2(),
    *[unet_mobilenet_v2(size) for size in (128, 256)],
    *[deeplab_v3_mobilenet_v2(alpha, 513) for alpha in (0.5, 1.0)],
]  # fmt: skip
