"""Whether a network takes the images of a recipe and learns from them, found out by one small step."""

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
    """Refuse, before anything is trained, a network that cannot take its images or cannot learn.

    The network and torch's random numbers stay as they are.

    Args:
        network: on the CPU.
        name: the network's.
        args: keywords that it was built with.
        classes: number of classes.
        channels: of its input.
        size: side of its images, in pixels.

    Raises:
        InputError: it cannot; the message names a size or a setting with which it can.
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
        except Exception as wrong:  # a keyword's, mostly
            raise InputError(
                f"model {name} cannot be trained on images of {size} x {size} pixels: {said(wrong)}{hint(args)}"
            ) from wrong


def _forward(network: nn.Module, channels: int, size: int) -> Exception | None:
    """Return what a network in eval mode raises on an image of this size."""
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, channels, size, size))
    except EdgeferError:
        raise
    except Exception as error:  # timm's and torch's: AssertionError, RuntimeError, ValueError, TypeError
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
    """Return the error of a network that cannot take its images, with what would help."""
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
    """Return the side of the images that one of timm's networks was made for."""
    config: Any = getattr(getattr(network, "backbone", network), "pretrained_cfg", None) or {}
    side = config.get("input_size", (0, 0, 0))[-1]
    return (side,) if isinstance(side, int) and 0 < side <= max(_SIDES) * 2 else ()


def _takes(name: str, args: Mapping[str, Any], classes: int, channels: int, size: int) -> bool:
    """Return whether the network would take its images if it were built in another way."""
    try:
        return _forward(create(name, classes, channels, dict(args)), channels, size) is None
    except EdgeferError:
        return False
