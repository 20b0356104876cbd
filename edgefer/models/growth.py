"""A narrower network's weights in a wider one, which begins with the same answers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from edgefer.models.plain_resnet import PlainResNet


def grown(model: torch.nn.Module, loaded: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a narrower network's weights with what the wider one has more, for `take`.

    As in Net2Net (Chen et al., arXiv:1511.05641) nothing is unlearned: each old channel is computed as before. New
    channels are no copies of old ones, which would have to be told apart by noise: they keep the random weights of the
    new network, and old channels read them with weight 0, which the first step changes.

    Args:
        model: the new network.
        loaded: state dict of another one. If that is not the same network with fewer channels on the same kind of
            picture, or is not ``plain-resnet``, it is returned as it is, and `take` says what does not fit.
    """
    weights, own = dict(loaded), model.state_dict()
    if not isinstance(model, PlainResNet):
        return weights
    if weights.keys() != own.keys():
        return dict(loaded)
    first = "stem.0.weight"  # what it reads are the picture's colours
    if own[first].shape[2] == weights[first].shape[2] + 1:
        weights[first] = _between_positions(weights[first])
    if weights[first].shape[1:] != own[first].shape[1:]:
        return dict(loaded)
    for key, old in list(weights.items()):
        new, head = own[key], key.startswith("head.")  # whose classes are `for_classes`'s to match
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
    """Return kernels whose sides are one longer and whose positions lie between the old ones: the mean of the four."""
    corners = [F.pad(kernels, (x, 1 - x, y, 1 - y)) for x in (0, 1) for y in (0, 1)]
    return torch.stack(corners).mean(0)
