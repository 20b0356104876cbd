"""Reads recipes by name or from a file, and applies settings."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgefer import limits
from edgefer.errors import InputError
from edgefer.lines import complaint
from edgefer.recipes.schema import Recipe

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of the shipped recipes."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def text(name: str) -> str:
    """Return a recipe's TOML verbatim.

    Args:
        name: one of `names`, or the path of a TOML file.

    Raises:
        InputError: the recipe is unknown or its file can't be read.
    """
    path = _FOLDER / f"{name}.toml" if name in names() else Path(name)
    if not path.exists():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; choose from {', '.join(names())}"
        raise InputError(f"unknown recipe {name}{hint}")
    return limits.read_text(path, limits.RECIPE)


def load(name: str, settings: Sequence[str] = (), epochs: int | None = None, seed: int | None = None) -> Recipe:
    """Read and validate a recipe.

    Args:
        name: one of `names`, or the path of a TOML file.
        settings: changes as ``key=value``, e.g. ``train.batch_size=64``, ``phases.0.lr=0.05``.
        epochs: new total number of epochs; several phases keep their proportions.
        seed: new seed.

    Raises:
        InputError: unknown recipe, invalid TOML, an unknown key or a value out of bounds.
    """
    tree = limits.toml(text(name), f"recipe {name}")
    return _changed(tree, f"recipe {name}", settings, epochs, seed)


def going_on(
    trained: Recipe, start: str, settings: Sequence[str] = (), epochs: int | None = None, seed: int | None = None
) -> Recipe:
    """Return a recipe to fine-tune a trained network on other images: first the classifier, then all weights.

    Args:
        trained: the network's recipe; its model, preprocessing and augmentation are kept.
        start: where its weights are.
        settings: see `load`.
        epochs: see `load`.
        seed: see `load`.
    """
    tree = trained.model_dump(mode="json")
    tree["model"] |= {"initial_weights": start, "weights": None, "pretrained": False}
    tree["name"] = f"{trained.name}-tuned"[:100]
    tree["teaching"], tree["ablations"] = {}, []
    tree["data"]["classes"] = []  # use the other images' classes
    tree["phases"] = [
        {"name": "head", "epochs": 2, "train": ["head"], "freeze_batchnorm": True, "optimizer": "adamw", "lr": 1e-3},
        {"name": "all", "epochs": 8, "optimizer": "adamw", "lr": 3e-4, "weight_decay": 0.01, "warmup_epochs": 0.5},
    ]
    return _changed(tree, start, settings, epochs, seed)


def _changed(tree: dict[str, Any], what: str, settings: Sequence[str], epochs: int | None, seed: int | None) -> Recipe:
    for setting in settings:
        _set(tree, setting)
    if seed is not None:
        _set(tree, f"train.seed={seed}")
    recipe = parse(tree, what)
    recipe = recipe if epochs is None else _with_epochs(recipe, epochs)
    for number, phase in enumerate(recipe.phases):
        if phase.warmup_epochs > phase.epochs:
            warmup = f"phases.{number}.warmup_epochs = {phase.warmup_epochs:g}"
            raise InputError(f"{what}: {warmup} is more than its {phase.epochs} epochs")
    return recipe


def parse(tree: dict[str, Any], what: str) -> Recipe:
    """Return `tree` as a recipe; `what` names it in errors.

    Raises:
        InputError: an unknown key or a value out of bounds.
    """
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise InputError(f"{what}: {complaint(error, 'unknown setting')}") from None


def _set(tree: dict[str, Any], setting: str) -> None:
    key, equals, given = setting.partition("=")
    if not equals or not key:
        raise InputError(f"--set needs key=value, e.g. --set train.batch_size=64, not {setting!r}")
    node: Any = tree
    *parents, last = key.strip().split(".")
    try:
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
        if isinstance(node, list):
            node[int(last)] = value(given)
        else:
            node[last] = value(given)
    except (ValueError, IndexError, TypeError, AttributeError):
        raise InputError(f"--set {key}: unknown key") from None


def value(text: str) -> Any:
    """Return the value of a --set key: parsed as TOML if possible, else the text."""
    try:
        return limits.toml(f"value = {text}", "the value")["value"]
    except InputError:
        return text.strip()


def _with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    if epochs < len(recipe.phases):
        raise InputError(f"recipe {recipe.name} has {len(recipe.phases)} phases: --epochs must be at least that")
    share = epochs / recipe.epochs
    counts = [max(1, round(phase.epochs * share)) for phase in recipe.phases]
    while (surplus := sum(counts) - epochs) != 0:
        counts[counts.index(max(counts))] -= 1 if surplus > 0 else -1
    phases = [
        phase.model_copy(update={"epochs": count, "warmup_epochs": min(phase.warmup_epochs, count / 2)})
        for phase, count in zip(recipe.phases, counts, strict=True)
    ]
    return recipe.model_copy(update={"phases": tuple(phases)})
