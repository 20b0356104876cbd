"""Replaces activations that ONNX Runtime does not fuse in INT8 by ReLU."""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from edgefer.errors import InputError

# Class names in torch and timm.
_REPLACED = ("HardSwish", "HardSwishMe", "Hardswish", "SiLU", "Swish", "SwishMe")
_BATCH = 50


def with_relu(network: nn.Module, images: Tensor) -> tuple[nn.Module, dict[str, int]]:
    """Return a copy of `network` with ReLU instead of SiLU and HardSwish, and the count of each.

    BatchNorm's mean and variance are re-estimated on `images`, since ReLU changes its
    inputs. The copy still has to be fine-tuned. Gates (Sigmoid, HardSigmoid) stay.

    Args:
        network: in eval mode; not modified.
        images: network inputs, float32, (n, C, H, W), n at least 2.

    Raises:
        InputError: it has no such module.
    """
    changed = copy.deepcopy(network)
    count: Counter[str] = Counter()
    for module in list(changed.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__ in _REPLACED:
                setattr(module, name, nn.ReLU())
                count[type(child).__name__] += 1
    if not count:
        raise InputError("--activation relu: the network has neither SiLU nor HardSwish; omit the option")
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)  # of dropout
        # Batches of similar size: a single image has no variance.
        update_bn(images.tensor_split(max(1, len(images) // _BATCH)), changed)
    return changed.eval(), dict(count)
