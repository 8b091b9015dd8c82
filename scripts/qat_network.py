"""ResNet-20 for CIFAR-10 in torch, its pretrained weights and images: what `qat.py` trains.

The architecture is that of He et al. (arXiv 1512.03385, section 4.2) with shortcuts without parameters; the weights
come from akamaster/pytorch_resnet_cifar10 (BSD-2).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.stride, self.added = stride, (outside - inside) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block."""
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.stride != 1:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.added, self.added))
        return functional.relu(y + x)


class ResNet20(nn.Module):
    """Three stages of three blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(Block(inside, outside, stride), Block(outside, outside, 1), Block(outside, outside, 1))
            for inside, outside, stride in widths
        )
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (samples, 10)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = functional.adaptive_avg_pool2d(x, 1)
        return self.linear(torch.flatten(x, 1))


def resnet20(data: Path) -> nn.Module:
    """The pretrained network, in evaluation."""
    module = ResNet20()
    with np.load(data / "resnet20_cifar10.npz") as stored:
        state = {name: torch.from_numpy(stored[name]) for name in stored}
    missing, unexpected = module.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)
    return module.eval()


def images(data: Path, file: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalized images (samples, 3, 32, 32) and labels."""
    with np.load(data / file) as stored:
        pixels = torch.from_numpy(stored["x"]).permute(0, 3, 1, 2).float() / 255
        labels = torch.from_numpy(stored["y"].astype(np.int64))
    return (pixels - torch.tensor(MEAN).reshape(3, 1, 1)) / torch.tensor(DEVIATION).reshape(3, 1, 1), labels


Batches = Callable[[int], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


def batches(data: Path, teacher: nn.Module, size: int, seed: int = 0) -> Batches:
    """Batches of the training images, half of them mirrored, with the teacher's logits."""
    x, y = images(data, "cifar10_train_lossless7728.npz")
    per_epoch = len(x) // size

    def batch(step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        epoch, place = divmod(step, per_epoch)
        generator = torch.Generator().manual_seed(seed * 1000 + epoch)
        order = torch.randperm(len(x), generator=generator)
        mirrored = torch.rand(len(x), generator=generator) < 0.5
        chosen = order[place * size : (place + 1) * size]
        pixels = torch.where(mirrored[chosen].reshape(-1, 1, 1, 1), x[chosen].flip(3), x[chosen])
        with torch.no_grad():
            return pixels, y[chosen], teacher(pixels)

    return batch
