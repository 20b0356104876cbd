"""Checks with one small step that a network accepts a recipe's images and can learn."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from edgefer.errors import EdgeferError, InputError
from edgefer.models.building import hint, said
from edgefer.models.creation import create

_SIDES = (32, 44, 48, 64, 96, 112, 128, 160, 192, 224, 240, 256, 288, 320, 384)


def check(network: nn.Module, name: str, args: Mapping[str, Any], classes: int, channels: int, size: int) -> None:
    """Refuse, before training, a network that can't process its images or can't learn.

    The network and torch's random state are unchanged.

    Args:
        network: on the CPU.
        name: the network's name.
        args: the keywords it was built with.
        classes: number of classes.
        channels: channels of its input.
        size: side of its images, in pixels.

    Raises:
        InputError: it can't; the message suggests a size or setting that works.
    """
    trial = copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        error = _forward(trial, channels, size)
        if error is not None:
            raise _misfit(trial, name, args, classes, channels, size, error)
        found = trial(torch.zeros(1, channels, size, size))
        if not isinstance(found, Tensor) or found.shape != (1, classes):
            shape = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"type {type(found).__name__}"
            raise InputError(f"model {name} returns {shape} for an image instead of {classes} class scores{hint(args)}")
        try:
            trial.train()(torch.rand(2, channels, size, size)).square().mean().backward()
        except EdgeferError:
            raise
        except Exception as wrong:  # usually from a keyword
            raise InputError(
                f"model {name} cannot be trained on images of {size} x {size} pixels: {said(wrong)}{hint(args)}"
            ) from wrong


def _forward(network: nn.Module, channels: int, size: int) -> Exception | None:
    """Return the exception that a network in eval mode raises for this image size."""
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, channels, size, size))
    except EdgeferError:
        raise
    except Exception as error:  # timm and torch raise AssertionError, RuntimeError, ValueError, TypeError
        return error
    return None


def _misfit(
    network: nn.Module,
    name: str,
    args: Mapping[str, Any],
    classes: int,
    channels: int,
    size: int,
    error: Exception,
) -> InputError:
    """Return the error for a network that can't process its images, with a suggestion."""
    if channels == 1 and _takes(name, args, classes, 3, size):
        return InputError(f"model {name} takes colour images only; use --set preprocessing.color=rgb")
    remedies = []
    sides = [side for side in sorted({*_SIDES, *_own(network)}, key=lambda side: abs(side - size)) if side != size]
    nearest = next((side for side in sides if _forward(network, channels, side) is None), None)
    if nearest is not None:
        remedies.append(f"--set preprocessing.size={nearest}")
    if "img_size" not in args and _takes(name, {**args, "img_size": size}, classes, channels, size):
        remedies.append(f"--set model.args.img_size={size}")
    what = f"model {name} cannot take images of {size} x {size} pixels"
    if not remedies:
        return InputError(f"{what}: {said(error)}{hint(args)}")
    return InputError(f"{what}; use {', or '.join(remedies)}")


def _own(network: nn.Module) -> tuple[int, ...]:
    """Return the image size that a timm network was made for."""
    config: Any = getattr(getattr(network, "backbone", network), "pretrained_cfg", None) or {}
    side = config.get("input_size", (0, 0, 0))[-1]
    return (side,) if isinstance(side, int) and 0 < side <= max(_SIDES) * 2 else ()


def _takes(name: str, args: Mapping[str, Any], classes: int, channels: int, size: int) -> bool:
    """Return whether the network accepts its images if built with these arguments."""
    try:
        return _forward(create(name, classes, channels, dict(args)), channels, size) is None
    except EdgeferError:
        return False
