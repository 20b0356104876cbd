"""Initializes a wider network from a narrower one, with the same predictions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from edgefer.models.plain_resnet import PlainResNet


def grown(model: torch.nn.Module, loaded: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a narrower network's weights, extended to the wider one, for `take`.

    As in Net2Net (Chen et al., arXiv:1511.05641) the function is preserved: each old channel is computed as before. New
    channels are not copies of old ones, which would need noise to diverge. They keep the new network's random weights,
    and old channels read them with weight 0 until the first step.

    Args:
        model: the new network.
        loaded: state dict of another one. It is returned unchanged if it is not a ``plain-resnet`` of the same
            structure and input with fewer channels; `take` then reports what doesn't fit.
    """
    weights, own = dict(loaded), model.state_dict()
    if not isinstance(model, PlainResNet):
        return weights
    if weights.keys() != own.keys():
        return dict(loaded)
    first = "stem.0.weight"  # it reads the image's channels
    if own[first].shape[2] == weights[first].shape[2] + 1:
        weights[first] = _between_positions(weights[first])
    if weights[first].shape[1:] != own[first].shape[1:]:
        return dict(loaded)
    for key, old in list(weights.items()):
        new, head = own[key], key.startswith("head.")  # `for_classes` matches its classes
        wanted = torch.Size([*(old if head else new).shape[:1], *new.shape[1:]])
        if old.shape == wanted:
            continue
        if old.ndim != len(wanted) or old.shape[2:] != wanted[2:] or any(map(int.__gt__, old.shape, wanted)):
            return dict(loaded)
        read = new.new_zeros([len(old), *wanted[1:]])
        read[tuple(map(slice, old.shape))] = old
        weights[key] = read if head else torch.cat([read, new[len(old) :]])
    return weights


def _between_positions(kernels: Tensor) -> Tensor:
    """Return kernels with sides one longer, whose values are the means of the four old neighbours."""
    corners = [F.pad(kernels, (x, 1 - x, y, 1 - y)) for x in (0, 1) for y in (0, 1)]
    return torch.stack(corners).mean(0)
