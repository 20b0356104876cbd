"""Trained networks on disk: written by training, read by compression."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edgefer import bundle, models, paths, recipes
from edgefer.errors import InputError
from edgefer.learning import state
from edgefer.recipes import Recipe

BEST, LAST = "best", "last"


@dataclass(frozen=True)
class Checkpoint:
    """The best weights of a training.

    Attributes:
        recipe: settings as used, with names instead of paths; `recipe.preprocessing` is the network's.
        classes: names of the classes.
        data: `edgefer.data.provenance` of the data set: name, digests, synthetic flag, and how edgefer split it.
        epoch: epochs done when these weights were saved, from 1.
        val_accuracy: on the validation split, 0 to 1.
        precision: ``bf16`` or ``fp32``, as used.
        versions: of the packages that trained it.
        weights: the network's state dict (the averaged weights if the recipe has EMA).
        initial_weights: those of the training (`edgefer.learning.initial_weights`).
        epochs: epochs of the whole training; None until it is finished.
        sources: name and SHA-256 of the ``teachers`` (of their checkpoint's or manifest's JSON) and of the ``votes``;
            None without either.
    """

    recipe: Recipe
    classes: tuple[str, ...]
    data: dict[str, Any]
    epoch: int
    val_accuracy: float
    precision: str
    versions: dict[str, str]
    weights: dict[str, Tensor]
    initial_weights: dict[str, str]
    epochs: int | None
    sources: dict[str, Any] | None


def write(run: Path, checkpoint: Checkpoint) -> None:
    """Write ``best.json`` and its tensors into a run's folder."""
    tree = {
        "recipe": checkpoint.recipe.model_dump(mode="json"),
        "classes": list(checkpoint.classes),
        "data": checkpoint.data,
        "epoch": checkpoint.epoch,
        "val_accuracy": checkpoint.val_accuracy,
        "precision": checkpoint.precision,
        "versions": checkpoint.versions,
        "weights": checkpoint.weights,
        "initial_weights": checkpoint.initial_weights,
        "epochs": checkpoint.epochs,
        "sources": checkpoint.sources,
    }
    state.save(run, BEST, tree)


def finish(run: Path, epochs: int) -> None:
    """Mark a run's checkpoint as finished, for later users of the weights.

    Args:
        run: the run's folder, with a checkpoint.
        epochs: total epochs done.
    """
    tree = state.read(run / f"{BEST}.json")
    if tree.get("epochs") != epochs:
        state.save(run, BEST, {**tree, "epochs": epochs})


def place(path: Path | None) -> Path:
    """Return a training's path: `path`, or by default the newest run; for a pretrained network its checkpoint.

    Raises:
        InputError: there is no run yet.
        MissingRequirement: the pretrained networks' checkpoints are not installed.
    """
    if path is None:
        path = paths.latest("train")
        if path is None:
            raise InputError("no trained network in runs/train; run `edgefer train` first, or give a run's folder")
    return bundle.checkpoint(str(path)) or path


def find(path: Path | None) -> Path:
    """Return the ``best.json`` of `path`, or by default of the newest run.

    Args:
        path: a run's folder, the file itself, or the name of a pretrained network.

    Raises:
        InputError: there is none.
    """
    path = place(path)
    checkpoint_path = path / f"{BEST}.json" if path.is_dir() else path
    if checkpoint_path.suffix != ".json" or not checkpoint_path.is_file():
        raise InputError(f"{path} contains no checkpoint; give a folder that `edgefer train` wrote")
    return checkpoint_path


def read(path: Path) -> Checkpoint:
    """Return the checkpoint of a run.

    Args:
        path: the run's folder, or its ``best.json``.

    Raises:
        InputError: it is missing or damaged.
    """
    checkpoint_path = find(path)
    tree = state.read(checkpoint_path)
    try:
        recipe = recipes.parse(tree.pop("recipe"), str(checkpoint_path))
        found = Checkpoint(recipe=recipe, classes=tuple(tree.pop("classes")), **tree)
    except (KeyError, TypeError):
        found = None
    if found is None or not _is_sound(found):
        raise InputError(f"{checkpoint_path} is not an edgefer checkpoint")
    return found


def _is_sound(read: Checkpoint) -> bool:
    """Return whether all fields read from the JSON have their declared types."""
    return (
        all(isinstance(name, str) for name in read.classes)
        and is_origin(read.data)
        and type(read.epoch) is int
        and read.epoch > 0
        and isinstance(read.val_accuracy, float | int)
        and isinstance(read.precision, str)
        and isinstance(read.versions, dict)
        and isinstance(read.weights, dict)
        and all(isinstance(name, str) and isinstance(weight, Tensor) for name, weight in read.weights.items())
        and is_initial_weights(read.initial_weights)
        and isinstance(read.epochs, int | None)
        and isinstance(read.sources, dict | None)
    )


def is_origin(data: Any) -> bool:
    """Return whether `data` (any value) is a valid record of a training's data set."""
    texts = isinstance(data, dict) and all(isinstance(data.get(key), str) for key in ("name", "digest"))
    return (
        texts
        and isinstance(data.get("synthetic", False), bool)
        and isinstance(data.get("pictures", ""), str)
        and _is_division(data.get("division"))
    )


def _is_division(said: Any) -> bool:
    """Return whether `said` (any value) is None or a valid record of a split."""
    if said is None:
        return True
    return (
        isinstance(said, dict)
        and {*said} == {"by", "rule", "groups", "cut", "carved", "splits"}
        and said["by"] in ("person", "sequence", "picture")
        and all(type(said[key]) is int and said[key] >= 0 for key in ("groups", "cut"))
        and isinstance(said["rule"], str)
        and said["rule"].isprintable()
        and isinstance(said["carved"], list)
        and all(name in ("val", "test") for name in said["carved"])
        and isinstance(said["splits"], str | None)
    )


def is_initial_weights(said: Any) -> bool:
    """Return whether `said` (any value) is a record of initial weights."""
    texts = isinstance(said, dict) and all(isinstance(value, str) for value in said.values())
    return texts and (said.get("kind") == "random" or {"kind", "name"} <= said.keys())


def build(checkpoint: Checkpoint) -> nn.Module:
    """Return the checkpoint's network with its weights, in eval mode, on the CPU.

    Raises:
        InputError: the weights do not fit the recipe's network.
    """
    settings = checkpoint.recipe.model
    model = models.create(
        settings.name, len(checkpoint.classes), checkpoint.recipe.preprocessing.channels, settings.args
    )
    try:
        model.load_state_dict(checkpoint.weights)
    except RuntimeError:
        raise InputError(f"the checkpoint's weights do not fit the network {settings.name}") from None
    return model.eval()
