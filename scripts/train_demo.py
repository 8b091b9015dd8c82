"""Train the demonstration network of hwsim on Fashion-MNIST.

    python scripts/train_demo.py --out FOLDER

Needs ``torch==2.13.0``, ``numpy`` and the Debian package ``dataset-fashion-mnist`` (MIT licence).
Training takes about six minutes on two idle cores; `build_demo.py` then quantizes what it wrote.
"""

from __future__ import annotations

import argparse
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn, optim

DATA = Path("/usr/share/datasets/fashion-mnist")
SEED, BATCH, PEAK_LR, CALIBRATION_IMAGES = 1, 128, 0.2, 1000
Ranges = dict[str, tuple[float, float]]


@dataclass
class Layer:
    """One layer; weights are OHWI (conv), 1HWC (depthwise) or OI (fully connected)."""

    kind: str
    output: str
    inputs: list[str]
    channels: int
    kernel: int = 1
    stride: int = 1
    activation: str = "none"
    padding: str = "SAME"  # means something to convolutions and pools only
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None


def architecture() -> list[Layer]:
    """Return the layers, without weights, in order of execution."""
    conv, depthwise = "conv2d", "depthwise_conv2d"
    return [
        Layer(conv, "stem", ["image"], 16, 3, 2, "relu6"),
        Layer(depthwise, "dw1", ["stem"], 16, 3, 1, "relu6"),
        Layer(conv, "pw1", ["dw1"], 32, 1, 1, "relu6"),
        Layer(conv, "res1_expand", ["pw1"], 96, 1, 1, "relu6"),
        Layer(depthwise, "res1_dw", ["res1_expand"], 96, 3, 1, "relu6"),
        Layer(conv, "res1_project", ["res1_dw"], 32),
        Layer("add", "res1_add", ["pw1", "res1_project"], 32),
        Layer(depthwise, "dw2", ["res1_add"], 32, 3, 2, "relu6"),
        Layer(conv, "pw2", ["dw2"], 64, 1, 1, "relu6"),
        Layer(conv, "res2_expand", ["pw2"], 128, 1, 1, "relu6"),
        Layer(depthwise, "res2_dw", ["res2_expand"], 128, 3, 1, "relu6"),
        Layer(conv, "res2_project", ["res2_dw"], 64),
        Layer("add", "res2_add", ["pw2", "res2_project"], 64, activation="relu"),
        Layer("average_pool_2d", "pool", ["res2_add"], 64, 7, 7, padding="VALID"),
        Layer("reshape", "features", ["pool"], 64),
        Layer("fully_connected", "logits", ["features"], 10),
        Layer("softmax", "probabilities", ["logits"], 10),
    ]


def load_data(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Read uint8 images (N, 28, 28, 1) and labels (N,) of the part 'train' or 't10k'."""
    arrays = []
    for name, header in (("images-idx3", 16), ("labels-idx1", 8)):
        path = folder / f"{part}-{name}-ubyte.gz"
        if not path.is_file():
            raise SystemExit(f"{path} is missing; get it with: apt install dataset-fashion-mnist")
        arrays.append(np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header))
    return arrays[0].reshape(-1, 28, 28, 1), arrays[1]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TFLite's SAME padding before and after one axis."""
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Net(nn.Module):
    """The network in torch, with batch norm after each convolution until it is folded."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, channels = architecture(), {"image": 1}
        self.ops, self.norms = nn.ModuleDict(), nn.ModuleDict()
        for la in self.layers:
            cin, channels[la.output] = channels[la.inputs[0]], la.channels
            if la.kind in ("conv2d", "depthwise_conv2d"):
                self.ops[la.output] = nn.Conv2d(
                    cin,
                    la.channels,
                    la.kernel,
                    la.stride,
                    bias=False,
                    groups=cin if la.kind == "depthwise_conv2d" else 1,
                )
                self.norms[la.output] = nn.BatchNorm2d(la.channels)
            elif la.kind == "fully_connected":
                self.ops[la.output] = nn.Linear(cin, la.channels)
        self.to(memory_format=torch.channels_last)

    def convolve(self, la: Layer, x: torch.Tensor) -> torch.Tensor:
        """Pad and convolve an NHWC tensor, then apply the batch norm."""
        rows, cols = (same_padding(size, la.kernel, la.stride) for size in x.shape[1:3])
        x = functional.pad(x, (0, 0, *cols, *rows)).permute(0, 3, 1, 2)
        return self.norms[la.output](self.ops[la.output](x)).permute(0, 2, 3, 1)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return every tensor, by name, for uint8 NHWC images."""
        t = {"image": images / 255}
        for la in self.layers:
            y = t[la.inputs[0]]
            if la.kind in ("conv2d", "depthwise_conv2d"):
                y = self.convolve(la, y)
            elif la.kind == "add":
                y = y + t[la.inputs[1]]
            elif la.kind == "average_pool_2d":  # its window is the whole map
                y = y.mean(dim=(1, 2), keepdim=True)
            elif la.kind == "reshape":
                y = y.flatten(1)
            elif la.kind == "fully_connected":
                y = self.ops[la.output](y)
            elif la.kind == "softmax":
                y = y.softmax(dim=1)
            if la.activation != "none":
                y = functional.relu6(y) if la.activation == "relu6" else functional.relu(y)
            t[la.output] = y
        return t


def augment(x: torch.Tensor) -> torch.Tensor:
    """Flip each image with chance 1/2 and shift it by up to 2 pixels."""
    n, size = len(x), x.shape[1]
    dy, dx = torch.randint(0, 5, (2, n, 1))
    rows, cols = torch.arange(size) + dy, torch.arange(size) + dx
    cols = torch.where(torch.rand(n, 1) < 0.5, cols.flip(1), cols)
    padded = functional.pad(x, (0, 0, 2, 2, 2, 2))
    return padded[torch.arange(n)[:, None, None], rows[:, :, None], cols[:, None, :]]


def train(images: np.ndarray, labels: np.ndarray, epochs: int) -> Net:
    """Train the float network by SGD, with one cosine cycle of warm-up and decay."""
    x, y = torch.tensor(images), torch.tensor(labels, dtype=torch.int64)
    net, steps = Net(), len(x) // BATCH
    sgd = optim.SGD(net.parameters(), PEAK_LR, momentum=0.9, nesterov=True, weight_decay=1e-4)
    cosine = optim.lr_scheduler.OneCycleLR(sgd, PEAK_LR, epochs * steps, cycle_momentum=False)
    for epoch in range(epochs):
        for pick in torch.randperm(len(x)).split(BATCH)[:steps]:
            loss = functional.cross_entropy(net(augment(x[pick]))["logits"], y[pick])
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            cosine.step()
        print(f"epoch {epoch + 1}/{epochs}: last loss {loss.item():.3f}", flush=True)
    return net.eval()


def fold(net: Net) -> None:
    """Fold each batch norm into its convolution, in place."""
    for name, norm in net.norms.items():
        net.ops[name] = nn.utils.fuse_conv_bn_eval(net.ops[name], norm)
        net.norms[name] = nn.Identity()


@torch.no_grad()
def accuracy(net: Net, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of the images that the network labels right."""
    guesses = [net(batch)["logits"].argmax(1) for batch in torch.tensor(images).split(500)]
    return float((torch.cat(guesses).numpy() == labels).mean())


@torch.no_grad()
def calibrate(net: Net, images: np.ndarray) -> Ranges:
    """Return each tensor's minimum and maximum over the images.

    Pool and reshape keep the range of their input; softmax gets the range that int8 softmax
    demands (scale 1/256, zero point -128).
    """
    tensors = net(torch.tensor(images))
    ranges = {name: (t.min().item(), t.max().item()) for name, t in tensors.items()}
    for la in net.layers:
        if la.kind in ("average_pool_2d", "reshape"):
            ranges[la.output] = ranges[la.inputs[0]]
        elif la.kind == "softmax":
            ranges[la.output] = (0.0, 255 / 256)
    return ranges


def export(net: Net) -> list[Layer]:
    """Return the layers of a folded network, with weights in TFLite's layouts."""
    order = {"conv2d": (0, 2, 3, 1), "depthwise_conv2d": (1, 2, 3, 0), "fully_connected": (0, 1)}
    layers = architecture()
    for la in layers:
        if la.kind in order:
            weight, bias = (p.detach().numpy() for p in net.ops[la.output].parameters())
            la.weight, la.bias = np.ascontiguousarray(weight.transpose(order[la.kind])), bias
    return layers


def save(layers: list[Layer], ranges: Ranges, out: Path, **facts: float) -> None:
    """Write float_network.npz (weights and biases) and float_network.json (the rest)."""
    arrays = {
        f"{la.output}.{part}": vars(la)[part] for la in layers if la.weight is not None for part in ("weight", "bias")
    }
    np.savez(out / "float_network.npz", **arrays)
    entries = [{k: v for k, v in vars(la).items() if k not in ("weight", "bias")} for la in layers]
    info = {**facts, "parameters": sum(a.size for a in arrays.values()), "ranges": ranges, "layers": entries}
    (out / "float_network.json").write_text(json.dumps(info, indent=1) + "\n")


def main() -> None:
    """Train, fold, calibrate and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the idx .gz files")
    parser.add_argument("--out", type=Path, required=True, help="folder of the float network")
    parser.add_argument("--epochs", type=int, default=16)
    args = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    (x, y), (test_x, test_y) = load_data(args.data, "train"), load_data(args.data, "t10k")
    net = train(x, y, args.epochs)
    fold(net)
    ranges = calibrate(net, x[:CALIBRATION_IMAGES])
    args.out.mkdir(parents=True, exist_ok=True)
    result = accuracy(net, test_x, test_y)
    save(export(net), ranges, args.out, test_accuracy=result, epochs=args.epochs, seed=SEED)
    np.savez_compressed(args.out / "images.npz", x=test_x[:500], y=test_y[:500])
    print(f"float test accuracy {result:.4f}")


if __name__ == "__main__":
    main()
