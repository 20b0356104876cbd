"""Sharpness-aware steps: the gradient is taken where the loss is worst nearby (Foret et al., ICLR 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from edgefer.learning import optimizer


@contextmanager
def uphill(model: nn.Module, radius: float) -> Iterator[None]:
    """Hold the weights at w + radius g / |g|, the worst point nearby to first order, and put them back bit by bit.

    BatchNorm's running statistics stay as they are meanwhile: they belong to the weights that are kept.

    Args:
        model: whose weights have gradients g, of any norm; |g| is over all of them together.
        radius: over 0; the paper takes 0.05 to 0.2.
    """
    weights: list[torch.Tensor] = [
        weight for weight in model.parameters() if weight.requires_grad and weight.grad is not None
    ]
    kept = [weight.detach().clone() for weight in weights]
    norms = optimizer.batchnorms(model)
    tracking = [norm.track_running_stats for norm in norms]
    try:
        with torch.no_grad():
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            length = torch.stack(torch._foreach_norm(gradients)).norm()
            torch._foreach_add_(weights, torch._foreach_mul(gradients, radius / length.clamp(min=1e-12)))
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(weights, kept)
        for norm, tracked in zip(norms, tracking, strict=True):
            norm.track_running_stats = tracked
