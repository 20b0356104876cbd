"""Optimizers and learning rates of a recipe's phase, from torch and timm."""

from __future__ import annotations

from fnmatch import fnmatchcase

import torch
from timm.optim import param_groups_weight_decay
from timm.scheduler import CosineLRScheduler
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from edgefer.errors import InputError
from edgefer.recipes.schema import Phase


def chosen_weights(model: nn.Module, phase: Phase) -> list[nn.Parameter]:
    """Return the trainable weights of a phase.

    Raises:
        InputError: a pattern of `phase.train` matches no weight, or no weight is trainable.
    """
    head = getattr(model, "get_classifier", lambda: None)()
    in_head = {id(p) for p in head.parameters()} if isinstance(head, nn.Module) else set()
    names = [name for name, _ in model.named_parameters()]
    for pattern in phase.train:
        if not (in_head if pattern == "head" else any(fnmatchcase(name, pattern) for name in names)):
            raise InputError(f"phase {phase.name}: no weight matches {pattern!r}; the first is {names[0]!r}")
    frozen = {id(p) for norm in batchnorms(model) for p in norm.parameters()} if phase.freeze_batchnorm else set()
    chosen = [
        parameter
        for name, parameter in model.named_parameters()
        if id(parameter) not in frozen
        and any(id(parameter) in in_head if each == "head" else fnmatchcase(name, each) for each in phase.train)
    ]
    if not chosen:
        raise InputError(f"phase {phase.name}: no weight is trainable; name some in its `train`, or omit it for all")
    return chosen


def choose_weights(model: nn.Module, phase: Phase) -> int:
    """Make a phase's weights trainable and freeze the others; return the number of trainable parameters.

    Raises:
        InputError: see `chosen_weights`.
    """
    model.requires_grad_(False)
    chosen = chosen_weights(model, phase)
    for parameter in chosen:
        parameter.requires_grad = True
    return sum(parameter.numel() for parameter in chosen)


def batchnorms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """Return the network's BatchNorm layers, including timm's with an activation."""
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


def make_optimizer(model: nn.Module, phase: Phase) -> torch.optim.Optimizer:
    """Return the phase's optimizer over the trainable weights; biases and norms get no weight decay."""
    groups = param_groups_weight_decay(model, phase.weight_decay)
    groups = [group for group in groups if group["params"]]
    if phase.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=phase.lr, momentum=phase.momentum, nesterov=phase.momentum > 0)
    kind = torch.optim.Adam if phase.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=phase.lr)


class Schedule:
    """The learning rate of a phase, step by step.

    Args:
        optimizer: the phase's optimizer.
        phase: its settings.
        steps: steps per epoch.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, phase: Phase, steps: int) -> None:
        self._plateau: ReduceLROnPlateau | None = None
        self._cosine: CosineLRScheduler | None = None
        if phase.schedule == "plateau":
            self._plateau = ReduceLROnPlateau(optimizer, factor=phase.plateau_factor, patience=phase.plateau_patience)
            return
        total, warmup = phase.epochs * steps, round(phase.warmup_epochs * steps)
        self._cosine = CosineLRScheduler(
            optimizer,
            t_initial=max(2, total - warmup),  # of one step, which has the first rate, timm warns
            lr_min=phase.lr if phase.schedule == "constant" else 0.0,
            warmup_t=warmup,
            warmup_prefix=True,
            t_in_epochs=False,
        )

    def step(self, done: int) -> None:
        """Set the rate for the next step, after `done` steps of this phase."""
        if self._cosine:
            self._cosine.step_update(done)

    def epoch(self, validation_loss: float) -> None:
        """Pass an epoch's validation loss to the schedule."""
        if self._plateau:
            self._plateau.step(validation_loss)

    def state(self) -> dict[str, object]:
        """Return what `restore` needs; the cosine schedule has no state."""
        return self._plateau.state_dict() if self._plateau else {}

    def restore(self, state: dict[str, object]) -> None:
        """Restore a state from `state`."""
        if self._plateau:
            self._plateau.load_state_dict(state)
