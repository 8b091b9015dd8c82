"""Losses that let a float network teach a quantized one.

Sources: Hinton et al., Distilling the Knowledge in a Neural Network (arXiv 1503.02531); Romero et al., FitNets
(arXiv 1412.6550).
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

from hwsim.errors import InputError


def distillation(
    logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    labels: torch.Tensor | None = None,
    *,
    temperature: float = 4.0,
    soft_share: float = 0.5,
) -> torch.Tensor:
    """soft_share * T^2 * KL(teacher at T || student at T) + (1 - soft_share) * cross entropy with the labels.

    Parameters
    ----------
    logits, teacher_logits : (samples, classes)
    labels : int64 (samples,); without them the loss is the soft part alone
    """
    if not temperature > 0 or not 0 <= soft_share <= 1:
        raise InputError(f"temperature {temperature:g} must be > 0 and soft_share {soft_share:g} in [0, 1]")
    student = functional.log_softmax(logits / temperature, 1)
    teacher = functional.log_softmax(teacher_logits / temperature, 1)
    soft = functional.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2
    if labels is None:
        return soft
    return soft_share * soft + (1 - soft_share) * functional.cross_entropy(logits, labels)


def features(student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor]) -> torch.Tensor:
    """The mean over pairs of intermediate values of their squared distance, each relative to the teacher's energy."""
    if len(student) != len(teacher) or not student:
        raise InputError(f"{len(student)} and {len(teacher)} feature tensors; expected as many, at least one")
    parts = [
        functional.mse_loss(a, b) / b.square().mean().clamp(min=1e-12) for a, b in zip(student, teacher, strict=True)
    ]
    return torch.stack(parts).mean()
