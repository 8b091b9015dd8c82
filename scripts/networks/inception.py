"""Inception networks, as Keras applications and TensorFlow's slim models define them."""

from networks.builder import Shape, Table

V1 = (
    (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), None,
    (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128), None,
    (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
)  # fmt: skip
V2 = (
    (64, 64, 64, 64, 96, 32), (64, 64, 96, 64, 96, 64), (0, 128, 160, 64, 96, 0),
    (224, 64, 96, 96, 128, 128), (192, 96, 128, 96, 128, 128), (160, 128, 160, 128, 160, 96),
    (96, 128, 192, 160, 192, 96), (0, 128, 192, 192, 256, 0), (352, 192, 320, 160, 224, 128),
    (352, 192, 320, 192, 224, 128),
)  # fmt: skip


def inception_v1(size: int = 224) -> Table:
    """Szegedy et al., arXiv 1409.4842, table 1; 3x3 where the paper has 5x5, as TensorFlow's slim has it."""
    net = Table(f"inception_v1_{size}")
    x = net.pool(net.conv((size, size, 3), 64, 7, 2), 3, 2)
    x = net.pool(net.conv(net.conv(x, 64), 192, 3), 3, 2)
    for block in V1:
        if block is None:
            x = net.pool(x, 3 if x[0] > 14 else 2, 2)
            continue
        one, reduce3, three, reduce5, five, projected = block
        x = net.join(
            net.conv(x, one), net.conv(net.conv(x, reduce3), three, 3), net.conv(net.conv(x, reduce5), five, 3),
            net.conv(net.pool(x, 3, 1), projected),
        )  # fmt: skip
    net.softmax(net.conv(net.mean(x), 1001))
    return net


def inception_v2(size: int = 224) -> Table:
    """Ioffe and Szegedy, arXiv 1502.03167, as TensorFlow's slim has it (separable first layer)."""
    net = Table(f"inception_v2_{size}")
    x = net.conv(net.depthwise((size, size, 3), 7, 2, times=8), 64)
    x = net.pool(net.conv(net.conv(net.pool(x, 3, 2), 64), 192, 3), 3, 2)
    for index, (one, reduce3, three, reduce5, five, projected) in enumerate(V2):
        stride = 1 if one else 2
        branches = [net.conv(x, one)] if one else []
        branches.append(net.conv(net.conv(x, reduce3), three, 3, stride))
        branches.append(net.conv(net.conv(net.conv(x, reduce5), five, 3), five, 3, stride))
        pooled = net.pool(x, 3, stride, kind="Max" if stride == 2 or index == len(V2) - 1 else "Average")
        branches.append(net.conv(pooled, projected) if projected else pooled)
        x = net.join(*branches)
    net.softmax(net.conv(net.mean(x), 1001))
    return net


def inception_v3(size: int = 299) -> Table:
    """Szegedy et al., arXiv 1512.00567, as Keras applications define it."""
    net = Table(f"inception_v3_{size}")
    conv, pool, join = net.conv, net.pool, net.join
    x = conv(conv(conv((size, size, 3), 32, 3, 2, "valid"), 32, 3, 1, "valid"), 64, 3)
    x = conv(conv(pool(x, 3, 2, "valid"), 80, 1, 1, "valid"), 192, 3, 1, "valid")
    x = pool(x, 3, 2, "valid")
    for projected in (32, 64, 64):
        triple = conv(conv(conv(x, 64), 96, 3), 96, 3)
        x = join(conv(x, 64), conv(conv(x, 48), 64, 5), triple, conv(pool(x, 3, 1, kind="Average"), projected))
    triple = conv(conv(conv(x, 64), 96, 3), 96, 3, 2, "valid")
    x = join(conv(x, 384, 3, 2, "valid"), triple, pool(x, 3, 2, "valid"))
    for inner in (128, 160, 160, 192):
        seven = conv(conv(conv(x, inner), inner, (1, 7)), 192, (7, 1))
        double = conv(conv(conv(conv(conv(x, inner), inner, (7, 1)), inner, (1, 7)), inner, (7, 1)), 192, (1, 7))
        x = join(conv(x, 192), seven, double, conv(pool(x, 3, 1, kind="Average"), 192))
    seven = conv(conv(conv(conv(x, 192), 192, (1, 7)), 192, (7, 1)), 192, 3, 2, "valid")
    x = join(conv(conv(x, 192), 320, 3, 2, "valid"), seven, pool(x, 3, 2, "valid"))
    for _ in range(2):
        three, double = conv(x, 384), conv(conv(x, 448), 384, 3)
        wide = [conv(branch, 384, kernel) for branch in (three, double) for kernel in ((1, 3), (3, 1))]
        x = join(conv(x, 320), *wide, conv(pool(x, 3, 1, kind="Average"), 192))
    net.softmax(net.dense(net.mean(x), 1000))
    return net


def _stem(net: Table, size: int) -> Shape:
    """The first layers of Inception v4."""
    x = net.conv(net.conv(net.conv((size, size, 3), 32, 3, 2, "valid"), 32, 3, 1, "valid"), 64, 3)
    x = net.join(net.pool(x, 3, 2, "valid"), net.conv(x, 96, 3, 2, "valid"))
    left = net.conv(net.conv(x, 64), 96, 3, 1, "valid")
    right = net.conv(net.conv(net.conv(net.conv(x, 64), 64, (1, 7)), 64, (7, 1)), 96, 3, 1, "valid")
    x = net.join(left, right)
    return net.join(net.conv(x, 192, 3, 2, "valid"), net.pool(x, 3, 2, "valid"))


def inception_v4(size: int = 299) -> Table:
    """Szegedy et al., arXiv 1602.07261, figures 3 to 9."""
    net = Table(f"inception_v4_{size}")
    conv, pool, join = net.conv, net.pool, net.join
    x = _stem(net, size)
    for _ in range(4):
        triple = conv(conv(conv(x, 64), 96, 3), 96, 3)
        x = join(conv(x, 96), conv(conv(x, 64), 96, 3), triple, conv(pool(x, 3, 1, kind="Average"), 96))
    triple = conv(conv(conv(x, 192), 224, 3), 256, 3, 2, "valid")
    x = join(conv(x, 384, 3, 2, "valid"), triple, pool(x, 3, 2, "valid"))
    for _ in range(7):
        seven = conv(conv(conv(x, 192), 224, (1, 7)), 256, (7, 1))
        double = conv(conv(conv(conv(conv(x, 192), 192, (7, 1)), 224, (1, 7)), 224, (7, 1)), 256, (1, 7))
        x = join(conv(x, 384), seven, double, conv(pool(x, 3, 1, kind="Average"), 128))
    seven = conv(conv(conv(conv(x, 256), 256, (1, 7)), 320, (7, 1)), 320, 3, 2, "valid")
    x = join(conv(conv(x, 192), 192, 3, 2, "valid"), seven, pool(x, 3, 2, "valid"))
    for _ in range(3):
        three, double = conv(x, 384), conv(conv(conv(x, 384), 448, (3, 1)), 512, (1, 3))
        wide = [conv(branch, 256, kernel) for branch in (three, double) for kernel in ((1, 3), (3, 1))]
        x = join(conv(x, 256), *wide, conv(pool(x, 3, 1, kind="Average"), 256))
    net.softmax(net.dense(net.mean(x), 1001))
    return net


def inception_resnet_v2(size: int = 299) -> Table:
    """Szegedy et al., arXiv 1602.07261, as Keras applications define it."""
    net = Table(f"inception_resnet_v2_{size}")
    conv, pool, join = net.conv, net.pool, net.join
    x = conv(conv(conv((size, size, 3), 32, 3, 2, "valid"), 32, 3, 1, "valid"), 64, 3)
    x = conv(conv(pool(x, 3, 2, "valid"), 80, 1, 1, "valid"), 192, 3, 1, "valid")
    x = pool(x, 3, 2, "valid")
    triple = conv(conv(conv(x, 64), 96, 3), 96, 3)
    x = join(conv(x, 96), conv(conv(x, 48), 64, 5), triple, conv(pool(x, 3, 1, kind="Average"), 64))
    for _ in range(10):
        up = join(conv(x, 32), conv(conv(x, 32), 32, 3), conv(conv(conv(x, 32), 48, 3), 64, 3))
        x = net.add(conv(up, x[2]))
    triple = conv(conv(conv(x, 256), 256, 3), 384, 3, 2, "valid")
    x = join(conv(x, 384, 3, 2, "valid"), triple, pool(x, 3, 2, "valid"))
    for _ in range(20):
        up = join(conv(x, 192), conv(conv(conv(x, 128), 160, (1, 7)), 192, (7, 1)))
        x = net.add(conv(up, x[2]))
    triple = conv(conv(conv(x, 256), 288, 3), 320, 3, 2, "valid")
    twice = conv(conv(x, 256), 288, 3, 2, "valid")
    x = join(conv(conv(x, 256), 384, 3, 2, "valid"), twice, triple, pool(x, 3, 2, "valid"))
    for _ in range(10):
        up = join(conv(x, 192), conv(conv(conv(x, 192), 224, (1, 3)), 256, (3, 1)))
        x = net.add(conv(up, x[2]))
    net.softmax(net.dense(net.mean(conv(x, 1536)), 1000))
    return net


TABLES = [inception_v1(), inception_v2(), inception_v3(), inception_v4(), inception_resnet_v2()]
