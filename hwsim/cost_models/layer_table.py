"""Networks known by their shapes alone: hwsim's own layer table, and SCALE-Sim's topology files."""

import csv
from collections.abc import Mapping
from pathlib import Path

from hwsim.cost_models.work import Network, Work, chain
from hwsim.errors import InputError, unknown

SIZE_LIMIT_BYTES = 8 << 20
DIMENSION_LIMIT = 1 << 20
REQUIRED = ("layer", "op", "in_h", "in_w", "in_c", "out_h", "out_w", "out_c")
SIZES = (*REQUIRED[2:], "kernel_h", "kernel_w", "stride", "groups")
OPS = {
    "conv2d": "conv2d",
    "conv2dtranspose": "transpose_conv",
    "depthwiseconv2d": "depthwise_conv2d",
    "dense": "fully_connected",
    "fullyconnected": "fully_connected",
    "add": "add",
    "multiply": "mul",
    "concatenate": "concatenation",
    "averagepooling2d": "average_pool_2d",
    "maxpooling2d": "max_pool_2d",
    "globalaveragepooling2d": "mean",
    "globalmaxpooling2d": "max_pool_2d",
    "zeropadding2d": "pad",
    "upsampling2d": "resize_bilinear",
    "quantize": "quantize",
    "detectionpostprocess": "detection_postprocess",
    "softmax": "softmax",
    "reshape": "reshape",
    "flatten": "reshape",
    "activation": "activation",
    "mean": "mean",
    "pad": "pad",
    "dequantize": "dequantize",
    "logistic": "logistic",
}
KERAS = ("Conv2D", "DepthwiseConv2D", "Dense", "Add", "Multiply", "AveragePooling2D", "MaxPooling2D", "Concatenate")
FUSED = ("relu", "relu6", "batchnormalization", "dropout", "rescaling", "normalization", "inputlayer")
"""What a converter folds into the layer before: no work of its own."""


def read_layer_table(path: Path) -> Network:
    """The network whose layers the CSV file at `path` lists.

    Columns of hwsim's own table: layer, op, in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w, stride, groups,
    macs, params, all of one image, and if wanted weight_bits, activation_bits, batch, live_in, live_out (channels that
    are not all zero). SCALE-Sim's: Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels,
    Num Filter, Strides.

    Raises
    ------
    InputError : for a file, a column or a value that is not what it should be
    """
    try:
        if path.stat().st_size > SIZE_LIMIT_BYTES:
            raise InputError(f"{path}: is larger than {SIZE_LIMIT_BYTES} bytes; no table of layers is")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not text ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    rows = [
        (number, {(key or "").strip().lower(): (value or "").strip() for key, value in row.items() if key})
        for number, row in enumerate(csv.DictReader(lines, restval="", skipinitialspace=True), start=2)
    ]
    rows = [(number, row) for number, row in rows if any(row.values())]
    if not rows:
        raise InputError(f"{path.name}: has no layers; expected a header and a line per layer")
    read = _scalesim if "ifmap height" in rows[0][1] else _own
    works = [work for number, row in rows if (work := read(row, f"{path.name} line {number}")) is not None]
    return chain(path.stem, tuple(works))


def _own(row: Mapping[str, str], where: str) -> Work | None:
    for column in REQUIRED:
        if column not in row:
            raise InputError(f"{where}: column {column!r} is missing; the table has {', '.join(row)}")
    kind = row["op"].replace("_", "").lower()
    if kind in FUSED:
        return None
    op = OPS.get(kind, row["op"] if row["op"] in OPS.values() else None)
    if op is None:
        raise InputError(f"{where}: {unknown('op', row['op'], KERAS)}")
    size = {column: _size(row, column, where, 1) for column in SIZES}
    outputs = size["out_h"] * size["out_w"] * size["out_c"]
    weighted = op in ("conv2d", "depthwise_conv2d", "fully_connected", "transpose_conv")
    taps = size["kernel_h"] * size["kernel_w"] * size["in_c"] // size["groups"] if weighted else 0
    weights = size["out_c"] * taps
    side = "in" if op == "transpose_conv" else "out"
    positions = size[f"{side}_h"] * size[f"{side}_w"]
    params = _size(row, "params", where, weights) if weighted else 0
    batch = _size(row, "batch", where, 1)
    return Work(
        name=row["layer"],
        op=op,
        input_size=(size["in_h"], size["in_w"], size["in_c"]),
        output_size=(size["out_h"], size["out_w"], size["out_c"]),
        kernel=(size["kernel_h"], size["kernel_w"]),
        stride=(size["stride"], size["stride"]),
        groups=size["groups"],
        macs=batch * _size(row, "macs", where, positions * size["out_c"] * taps) if weighted else 0,
        weights=weights,
        weight_bits=_size(row, "weight_bits", where, 8),
        activation_bits=_size(row, "activation_bits", where, 8),
        bias_bytes=4 * max(params - weights, 0),
        live_channels=_live(row, where, size),
        other_elements=batch * outputs if op in ("add", "mul") else 0,
        batch=batch,
    )


def _live(row: Mapping[str, str], where: str, size: Mapping[str, int]) -> tuple[int, int] | None:
    live = _size(row, "live_in", where, size["in_c"]), _size(row, "live_out", where, size["out_c"])
    return None if live == (size["in_c"], size["out_c"]) else live


def _scalesim(row: Mapping[str, str], where: str) -> Work:
    names = ("ifmap height", "ifmap width", "channels", "filter height", "filter width", "num filter", "strides")
    height, width, channels, down, across, filters, stride = (_size(row, name, where) for name in names)
    rows, columns = (-(-(size - tap + stride) // stride) for size, tap in ((height, down), (width, across)))
    if rows < 1 or columns < 1:
        raise InputError(f"{where}: a {down}x{across} filter does not fit a {height}x{width} input")
    taps = down * across * channels
    return Work(
        name=row.get("layer name", where),
        op="conv2d",
        input_size=(height, width, channels),
        output_size=(rows, columns, filters),
        kernel=(down, across),
        stride=(stride, stride),
        macs=rows * columns * filters * taps,
        weights=taps * filters,
    )


def _size(row: Mapping[str, str], column: str, where: str, default: int | None = None) -> int:
    text = row.get(column, "")
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    limit = DIMENSION_LIMIT if column in SIZES else 1 << 48
    if not (value == value // 1 and (0 if column in ("macs", "params") else 1) <= value <= limit):
        raise InputError(f"{where}: {column} is {text!r}; expected a whole number from 1 to {limit}")
    return int(value)
