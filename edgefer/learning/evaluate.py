"""Runs a torch network over a split, to select checkpoints."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgefer.data.dataset import Split
from edgefer.learning import distributed
from edgefer.preprocessing import Preprocessing


def logits(
    model: nn.Module, split: Split, preprocessing: Preprocessing, advance: Callable[..., None] | None = None
) -> NDArray[np.float32]:
    """Return the network's logits in FP32 and eval mode, in the split's order: float32, (n, classes)."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    out = []
    with torch.inference_mode():
        for images, _ in split.batches(256):
            x = torch.from_numpy(preprocessing.apply(images)).to(device, memory_format=torch.channels_last)
            out.append(model(x).float().cpu().numpy())
            if advance:
                advance(len(images))
    model.train(training)
    return np.concatenate(out)


def shared_logits(
    model: nn.Module, split: Split, preprocessing: Preprocessing, advance: Callable[..., None] | None = None
) -> NDArray[np.float32]:
    """Return the same as `logits`, computed in parts by all processes of a training."""
    mine = distributed.part(len(split))
    answers = logits(model, split.subset(mine), preprocessing, advance) if mine.size else None
    return np.concatenate([each for each in distributed.gathered(answers) if each is not None])


def accuracy(
    model: nn.Module, split: Split, preprocessing: Preprocessing, advance: Callable[..., None] | None = None
) -> float:
    """Return the share of images whose label has the largest logit, 0 to 1; see `shared_logits`."""
    answers = shared_logits(model, split, preprocessing, advance)
    return float((answers.argmax(axis=1) == split.labels).mean())
