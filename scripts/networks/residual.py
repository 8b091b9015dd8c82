"""VGG, ResNets, DenseNet and SqueezeNet, as Keras applications define them."""

from networks.builder import Shape, Table

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def vgg(layers: int, size: int = 224) -> Table:
    """Simonyan and Zisserman, arXiv 1409.1556, columns D and E."""
    net, x = Table(f"vgg{layers}_{size}"), (size, size, 3)
    for filters, repeats in zip((64, 128, 256, 512, 512), (2, 2, *[3 if layers == 16 else 4] * 3), strict=True):
        for _ in range(repeats):
            x = net.conv(x, filters, 3)
        x = net.pool(x, 2, 2, "valid")
    net.softmax(net.dense(net.dense(net.dense(x, 4096), 4096), 1000))
    return net


def _start(net: Table, size: int) -> Shape:
    padded: Shape = (size + 6, size + 6, 3)
    x = net.conv(padded, 64, 7, 2, "valid")
    return net.pool((x[0] + 2, x[1] + 2, 64), 3, 2, "valid")


def resnet_v1(layers: int, size: int) -> Table:
    """He et al., arXiv 1512.03385; the stride lies in the first 1x1 layer, as Keras has it."""
    net = Table(f"resnet{layers}_v1_{size}")
    x = _start(net, size)
    for stage, repeats in enumerate(DEPTHS[layers]):
        for index in range(repeats):
            filters, stride = 64 << stage, 2 if stage and index == 0 else 1
            if index == 0:
                net.conv(x, 4 * filters, 1, stride, "valid")
            x = net.add(net.conv(net.conv(net.conv(x, filters, 1, stride, "valid"), filters, 3), 4 * filters))
    net.softmax(net.dense(net.mean(x), 1000))
    return net


def resnet_v2(layers: int, size: int) -> Table:
    """He et al., arXiv 1603.05027, as Keras has it: normalizations before convolutions stay operators of their own."""
    net = Table(f"resnet{layers}_v2_{size}")
    x = _start(net, size)
    for stage, repeats in enumerate(DEPTHS[layers]):
        for index in range(repeats):
            filters, stride = 64 << stage, 2 if stage < 3 and index == repeats - 1 else 1
            before = net.normalize(x)
            if index == 0:
                net.conv(before, 4 * filters)
            elif stride > 1:
                net.pool(x, 1, stride)
            inner = net.conv(before, filters)
            x = net.add(net.conv(net.conv(inner, filters, 3, stride), 4 * filters))
    net.softmax(net.dense(net.mean(net.normalize(x)), 1000))
    return net


def densenet121(size: int = 224) -> Table:
    """Huang et al., arXiv 1608.06993; normalizations after a concatenation stay operators of their own."""
    net = Table(f"densenet121_{size}")
    x = _start(net, size)
    for block, repeats in enumerate((6, 12, 24, 16)):
        for _ in range(repeats):
            new = net.conv(net.conv(net.normalize(x), 128), 32, 3)
            x = net.join(x, new)
        if block < 3:
            x = net.pool(net.conv(net.normalize(x), x[2] // 2), 2, 2, "valid", "Average")
    net.softmax(net.dense(net.mean(net.normalize(x)), 1000))
    return net


def squeezenet(size: int = 224) -> Table:
    """Iandola et al., arXiv 1602.07360, SqueezeNet 1.0."""
    net = Table(f"squeezenet_{size}")
    x = net.pool(net.conv((size, size, 3), 96, 7, 2, "valid"), 3, 2, "valid")
    for index, squeezed in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
        narrow = net.conv(x, squeezed)
        x = net.join(net.conv(narrow, 4 * squeezed), net.conv(narrow, 4 * squeezed, 3))
        if index in (2, 6):
            x = net.pool(x, 3, 2, "valid")
    net.softmax(net.mean(net.conv(x, 1000)))
    return net


TABLES = [
    vgg(16), vgg(19), resnet_v1(50, 224), resnet_v1(50, 299), resnet_v1(152, 224), resnet_v2(50, 224),
    resnet_v2(50, 299), resnet_v2(101, 299), resnet_v2(152, 224), resnet_v2(152, 299), densenet121(), squeezenet(),
]  # fmt: skip
