"""Losses: torch's cross-entropy with bounded class weights, and distillation."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgefer.errors import InputError
from edgefer.recipes.schema import Train


def cross_entropy(settings: Train, labels: NDArray[np.int64], classes: int) -> nn.CrossEntropyLoss:
    """Return the loss of logits (N, classes) and labels (N,) or, with mixup, probabilities (N, classes)."""
    weight = class_weights(labels, classes, settings.class_weight_clip) if settings.class_weights else None
    if weight is not None and not (torch.isfinite(weight).all() and (weight > 0).all()):
        raise InputError(
            f"class weights must be finite and above 0, not {weight.tolist()}; see train.class_weight_clip"
        )
    return nn.CrossEntropyLoss(weight, label_smoothing=settings.label_smoothing)


def class_weights(labels: NDArray[np.int64], classes: int, clip: float) -> Tensor:
    """Return images / (classes x images of the class), at most `clip`, as float32, (classes,).

    Raises:
        InputError: a class has no images, so its weight would be infinite.
    """
    counts = np.bincount(labels, minlength=classes)
    if (counts == 0).any():
        raise InputError(f"class {int(np.argmin(counts))} has no training image, so it cannot be weighted")
    return torch.tensor(np.minimum(len(labels) / (classes * counts), clip), dtype=torch.float32)


def log_shares(labels: NDArray[np.int64], classes: int) -> Tensor:
    """Return the log of each class's share of the images, float32, (classes,); an empty class counts as one image."""
    counts = np.bincount(labels, minlength=classes).clip(min=1)
    return torch.tensor(np.log(counts / len(labels)), dtype=torch.float32)


def distillation(logits: Tensor, probabilities: Tensor, temperature: float) -> Tensor:
    """Return T^2 CE(probabilities, softmax(logits / T)), a scalar; T^2 keeps gradients as large as at T = 1.

    Args:
        logits: the student's, (N, classes).
        probabilities: the teachers' at the same temperature, (N, classes).
        temperature: T.
    """
    return F.cross_entropy(logits.float() / temperature, probabilities) * temperature**2
