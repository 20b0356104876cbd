"""Builds networks with keywords from the user; any mistake becomes a one-line error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from edgefer.errors import EdgeferError, InputError
from edgefer.lines import one_line

MAX_PARAMETERS = 1_000_000_000  # 4 GB of weights, four times that in training
MAX_TENSORS = 20_000  # of weights; a network of a thousand layers has 5,000
_LINE = 160


def build(
    name: str, args: Mapping[str, Any], builder: Callable[[bool], nn.Module], pretrained: bool = False
) -> nn.Module:
    """Return the result of `builder(pretrained)`.

    With `args` the builder is first called without memory for the weights, since keywords can ask for any size.

    Args:
        name: the network's name, for errors.
        args: keywords that the builder uses.
        builder: makes the network; its argument says whether to load pretrained weights.
        pretrained: the final argument of `builder`.

    Raises:
        InputError: the keywords are wrong, or the network would be too large.
    """
    if args:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            _tried(name, args, builder, False)
    return _tried(name, args, builder, pretrained)


def _tried(name: str, args: Mapping[str, Any], builder: Callable[[bool], nn.Module], pretrained: bool) -> nn.Module:
    count = tensors = 0

    def bound(module: nn.Module, path: str, weight: nn.Parameter | None) -> None:
        nonlocal count, tensors
        count, tensors = count + (0 if weight is None else weight.numel()), tensors + 1
        if count > MAX_PARAMETERS or tensors > MAX_TENSORS:
            raise InputError(
                f"model {name}: model.args need more than {MAX_PARAMETERS:,} weights or {MAX_TENSORS:,} "
                "tensors; make it smaller"
            )

    hook = register_module_parameter_registration_hook(bound)
    try:
        return builder(pretrained)
    except (EdgeferError, MemoryError):
        raise
    except Exception as error:  # builders raise any exception for a wrong value
        raise InputError(f"model {name}: {said(error)}{hint(args)}") from error
    finally:
        hook.remove()


def said(error: Exception) -> str:
    """Return the message of a timm or torch exception as one short line."""
    text = one_line(error, _LINE)
    return text if len(text.split()) > 1 else f"{type(error).__name__} {text}".strip()  # KeyError only gives its key


def hint(args: Mapping[str, Any]) -> str:
    """Return a hint for errors that keywords may have caused: ``; see model.args (drop_rate = 2)``."""
    listed = ", ".join(f"{key} = {value!r}" for key, value in args.items())
    return f"; see model.args ({one_line(listed, _LINE)})" if args else ""
