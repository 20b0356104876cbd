"""Trainable and frozen weights, by part of the network and by phase of the recipe."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from edgefer.learning import optimizer
from edgefer.recipes.schema import Phase
from edgefer.review.result import NetworkPart, ParameterCounts


def count(network: nn.Module, phases: Sequence[Phase]) -> ParameterCounts:
    """Return the table. The network is left unchanged.

    Raises:
        InputError: a phase names weights that the network does not have.
    """
    before = [parameter.requires_grad for parameter in network.parameters()]
    names = _parts(network)
    totals = dict.fromkeys(names, 0)
    of = {name: _part_of(name, names) for name, _ in network.named_parameters()}
    for name, parameter in network.named_parameters():
        totals[of[name]] += parameter.numel()
    learning: list[dict[str, int]] = []
    for phase in phases:
        optimizer.choose_weights(network, phase)
        learning.append(dict.fromkeys(names, 0))
        for name, parameter in network.named_parameters():
            learning[-1][of[name]] += parameter.numel() * parameter.requires_grad
    for parameter, learns in zip(network.parameters(), before, strict=True):
        parameter.requires_grad = learns
    parts = [NetworkPart(name, totals[name], [each[name] for each in learning]) for name in names if totals[name]]
    return ParameterCounts(
        phases=[phase.name for phase in phases],
        parts=parts,
        total=sum(totals.values()),
        learning=[sum(each.values()) for each in learning],
        statistics=sum(each.numel() for each in network.buffers() if each.is_floating_point()),
    )


def _parts(network: nn.Module, prefix: str = "") -> list[str]:
    """Return prefixes that cover every weight: children, with lists split into stages and blocks.

    A nested network (timm's, below edgefer's head) is split in the same way.
    """
    found = []
    for name, child in network.named_children():
        blocks = isinstance(child, nn.Sequential | nn.ModuleList) and any(
            next(block.children(), None) is not None for block in child
        )
        if hasattr(child, "forward_features"):
            found += _parts(child, f"{prefix}{name}.")
        elif blocks:
            found += [f"{prefix}{name}.{block}" for block, _ in child.named_children()]
        else:
            found.append(f"{prefix}{name}")
    return [*found, *(prefix + name for name, _ in network.named_parameters(recurse=False))]


def _part_of(weight: str, names: Sequence[str]) -> str:
    """Return the longest part name that prefixes a weight's name."""
    return max((name for name in names if f"{weight}.".startswith(f"{name}.")), key=len)
