"""Fine-tuning of a prepared module: a short loop with a checkpoint, for networks that fit a laptop."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from time import process_time
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hwsim.torch_bridge.distill import distillation

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]
"""Inputs, labels, and the float network's logits where it teaches."""

SAVED_EVERY = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast.

    Parameters
    ----------
    steps : of the optimizer, SGD with momentum 0.9
    minutes : of processor time, all threads added, in place of steps: the same budget for what differs in cost
    rate : at the start; it falls to 0 as a cosine over the steps or minutes
    decay : of weights; quantizers' parameters and biases have none
    soft_share, temperature : of distillation, where batches bring logits
    """

    steps: int = 150
    minutes: float | None = None
    rate: float = 0.01
    decay: float = 1e-4
    soft_share: float = 0.5
    temperature: float = 4.0


def fine_tune(
    module: nn.Module,
    batch: Callable[[int], Batch],
    plan: Plan,
    *,
    checkpoint: Path | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> list[float]:
    """Train `module` in place; returns the loss of every step.

    Parameters
    ----------
    batch : gives the batch of a step; the same step gives the same batch, so that training can go on where it stopped
    checkpoint : a file that is written now and then, and continued from where it exists
    progress : hears after each step which share of the plan is done, and the loss; `hwsim.reports.terminal.loss_bar`
    """
    with torch.no_grad():
        module.train()
        module(batch(0)[0])  # quantizers set themselves
    optimizer = torch.optim.SGD(_groups(module, plan.decay), lr=plan.rate, momentum=0.9)
    losses, seconds = list[float](), 0.0
    if checkpoint is not None and checkpoint.exists():
        losses, seconds = _resume(checkpoint, module, optimizer)
    begun = process_time() - seconds
    done = _done(plan, len(losses), seconds)
    while done < 1:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * (1 + cos(pi * done)) / 2
        x, labels, taught = batch(len(losses))
        logits = module(x)
        loss = functional.cross_entropy(logits, labels) if taught is None else distillation(
            logits, taught, labels, temperature=plan.temperature, soft_share=plan.soft_share
        )  # fmt: skip
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
        seconds = process_time() - begun
        done = _done(plan, len(losses), seconds)
        if progress is not None:
            progress(min(done, 1.0), losses[-1])
        if checkpoint is not None and (len(losses) % SAVED_EVERY == 0 or done >= 1):
            _save(checkpoint, module, optimizer, losses, seconds)
    module.eval()
    return losses


def _done(plan: Plan, steps: int, seconds: float) -> float:
    """The share of the plan that is behind; 1 for a plan of nothing."""
    spent, planned = (steps, plan.steps) if plan.minutes is None else (seconds, 60 * plan.minutes)
    return spent / planned if planned else 1.0


def _groups(module: nn.Module, decay: float) -> list[dict[str, Any]]:
    learned = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _save(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, losses: list[float], seconds: float) -> None:
    unfinished = path.with_suffix(".part")
    state = {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "losses": losses, "seconds": seconds}
    torch.save(state, unfinished)
    unfinished.replace(path)


def _resume(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[list[float], float]:
    saved = torch.load(path, weights_only=True)
    module.load_state_dict(saved["module"])
    optimizer.load_state_dict(saved["optimizer"])
    return saved["losses"], saved["seconds"]
