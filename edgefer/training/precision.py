"""Chooses bf16 or fp32 by timing the network on this machine.

bf16 doubles the speed of dense convolutions on some processors but slows depthwise ones.
"""

from __future__ import annotations

import copy
import time
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Precision = Literal["bf16", "fp32"]
# Minimum and maximum per precision: with too few, disturbed timings once made a long run 1.7 times slower.
_TRIES = (2, 8)
_SECONDS = 5.0  # time limit


def choose(model: nn.Module, images: Tensor, labels: Tensor) -> Precision:
    """Return the faster precision for a training step, by each one's best time after a warm-up.

    Model, gradients and random state are unchanged.
    """
    trial = copy.deepcopy(model).train()
    best: dict[Precision, float] = {"bf16": float("inf"), "fp32": float("inf")}
    with torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
        began = time.perf_counter()
        for attempt in range(1 + _TRIES[1]):
            if attempt > _TRIES[0] and time.perf_counter() - began > _SECONDS:
                break
            for precision in best:
                started = time.perf_counter()
                with autocast(images.device.type, precision):
                    loss = F.cross_entropy(trial(images), labels)
                loss.backward()
                if images.is_cuda:
                    torch.cuda.synchronize(images.device)
                if attempt:
                    best[precision] = min(best[precision], time.perf_counter() - started)
    return min(best, key=lambda precision: best[precision])


def autocast(device: str, precision: Precision) -> torch.autocast:
    """Return the torch autocast for a step in `precision`."""
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")
