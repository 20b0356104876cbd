"""A trained network on disk: what training leaves and compression takes up."""

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
        recipe: settings as they ran, with names instead of paths; `recipe.preprocessing` is the network's.
        classes: names of the classes.
        data: `edgefer.data.provenance` of the data set: name, digests, synthetic mark, and how edgefer divided it.
        epoch: epochs done when these weights were taken, from 1.
        val_accuracy: share of right answers on the validation split, 0 to 1.
        precision: ``bf16`` or ``fp32``, as the steps ran.
        versions: of the packages that trained it.
        weights: the network's state dict (the averaged weights where the recipe has EMA).
        initial_weights: those that training began with (`edgefer.learning.initial_weights`);
        epochs: epochs of the whole training, once its phases are over; None before that.
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
    """Note in a run's checkpoint that its training is over: who takes the weights up later can't tell otherwise.

    Args:
        run: the run's folder, with a checkpoint.
        epochs: that were done in all.
    """
    tree = state.read(run / f"{BEST}.json")
    if tree.get("epochs") != epochs:
        state.save(run, BEST, {**tree, "epochs": epochs})


def place(path: Path | None) -> Path:
    """Return where a training lies: `path`, or without it the newest run; of a pretrained network its checkpoint.

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
    """Return the ``best.json`` that `path` or, without it, the newest run has.

    Args:
        path: a run's folder, the file itself, or the name of a network that comes with edgefer.

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
        InputError: there is none, or it is damaged.
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
    """Return whether all is of the type that it is declared with: what was read is from a JSON file."""
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
    """Return whether `data`, which may be anything, says which data set a training had."""
    texts = isinstance(data, dict) and all(isinstance(data.get(key), str) for key in ("name", "digest"))
    return (
        texts
        and isinstance(data.get("synthetic", False), bool)
        and isinstance(data.get("pictures", ""), str)
        and _is_division(data.get("division"))
    )


def _is_division(said: Any) -> bool:
    """Return whether `said`, which may be anything, is what a record has of a division, or None."""
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
    """Return whether `said`, which may be anything, is a record of initial weights."""
    texts = isinstance(said, dict) and all(isinstance(value, str) for value in said.values())
    return texts and (said.get("kind") == "random" or {"kind", "name"} <= said.keys())


def build(checkpoint: Checkpoint) -> nn.Module:
    """Return the checkpoint's network with its weights, in eval mode, on the CPU.

    Raises:
        InputError: the weights do not fit the network that the recipe names.
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
