"""ResNet-50 as HAWQ-V3 ran it on a T4: batches of 8, layers at 4 or 8 bits (github Zhen-Dong/HAWQ, bit_config.py)."""

from networks.builder import Table

BATCH = 8
UNITS = (3, 4, 6, 3)
CONFIGS = {
    "w8a8": "8" * 52,
    "w4a4": "4" * 52,
    "size0.75": "8888888888888888888888888888888888888888888488848848",
    "size0.5": "8888888888888888888888884888888448888488488488844844",
    "size0.25": "8888888888888888888888884888448448448444444484444844",
    "bops0.75": "8888888848888888888884884888888448488488488488888888",
    "bops0.5": "8888888848848884884484484888448448448448488488848848",
    "bops0.25": "8488448844848844444484484484884444444444448488844844",
    "latency0.75": "8888888848848888888884884888888488888488488488888888",
    "latency0.5": "8888888844848888888884884884884448448448448488848848",
    "latency0.25": "8888848844848844444484444844444444444444448488844844",
}
"""Bits of the layers between the first and the last, which stay at 8."""


def resnet50(config: str) -> Table:
    """ResNet-50 with the bits of `config`; sums and activation functions are part of a convolution."""
    net = Table(f"resnet50_v1_224_b8_{config}", batch=BATCH)
    bits = iter(CONFIGS[config])
    x = net.pool(net.conv((224, 224, 3), 64, 7, 2), 3, 2)
    for stage, units in enumerate(UNITS, 1):
        for unit in range(1, units + 1):
            filters, stride = 32 << stage, 2 if stage > 1 and unit == 1 else 1
            name = f"stage{stage}.unit{unit}.quant_"
            inner = net.conv(x, filters, 1, stride, name=f"{name}convbn1", bits=int(next(bits)))
            inner = net.conv(inner, filters, 3, name=f"{name}convbn2", bits=int(next(bits)))
            out = net.conv(inner, 4 * filters, name=f"{name}convbn3", bits=int(next(bits)))
            if unit == 1:
                net.conv(x, 4 * filters, 1, stride, name=f"{name}identity_convbn", bits=int(next(bits)))
            x = out
    net.dense(net.mean(x), 1000)
    return net


TABLES = [resnet50(config) for config in CONFIGS]
