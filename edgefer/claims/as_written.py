"""Checks whether a training matches its document: settings of the shipped recipe, weights, data, epochs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from edgefer import recipes
from edgefer.bench.result import BenchResult, Training
from edgefer.bundle.manifest import DataEntry
from edgefer.claims import images
from edgefer.errors import InputError
from edgefer.labels import LABELS
from edgefer.lines import counted, one_line
from edgefer.recipes import Recipe

_ASIDE = ("name", "description", "ablations")  # keys of a recipe that don't affect training
_WEIGHTS = ("model.pretrained", "model.weights", "model.initial_weights")  # reported together
_NETWORKS = ("model.name", "model.args.backbone")
_UNREADABLE = "with settings that this version cannot read"
_SAID = 60  # characters of a setting


def differences(training: Training, trained_on: DataEntry) -> list[str]:
    """Return how a training differs from the shipped recipe of its name, the most important first.

    Args:
        training: from a benchmark result.
        trained_on: the data set.

    Returns:
        ``64 px instead of 224``, ``10 epochs instead of 50``, ``without ImageNet weights``, ...; empty if it
        matches the document, as far as that is specified.

    Raises:
        InputError: no recipe has this name.
    """
    ran, whole = _both(training)
    if ran is None:
        return [_UNREADABLE]
    found, settings = _settings(ran, whole)
    found += _weights(ran, whole, training.initial_weights)
    if trained_on.synthetic:
        found.append("on synthetic faces instead of FER2013")
    elif trained_on.digest != images.DIGEST:
        found.append(f"on other images than FER2013's ({_said(trained_on.name)})")
    if training.epochs is None:
        found.append("possibly unfinished")
    elif training.epochs > ran.epochs or (training.epochs < ran.epochs and not ran.train.early_stopping):
        found.append(f"ended after {training.epochs} of its {ran.epochs} epochs")
    return found + settings


def of_network(training: Training, result: BenchResult) -> list[str]:
    """Return how the network differs from the recipe's in what decides speed, size and memory.

    Raises:
        InputError: no recipe has this name.
    """
    ran, whole = _both(training)
    if ran is None:
        return [_UNREADABLE]
    keep = ("model.name", "model.args", "preprocessing.size", "preprocessing.color")
    found = [said for key, said in _changes(ran, whole) if key.startswith(keep)]
    classes = len(whole.data.classes or LABELS)
    if len(result.data.classes) != classes:
        found.append(f"{len(result.data.classes)} classes instead of {classes}")
    return found


def of_test(training: Training, result: BenchResult, splits: tuple[str, ...]) -> list[str]:
    """Return how the images of a benchmark differ from the document's test images.

    Args:
        training: the bundle's training.
        result: the benchmark's result.
        splits: the splits that the document may mean.

    Raises:
        InputError: no recipe has this name.
    """
    whole = recipes.load(str(training.recipe.get("name")))
    found = []
    if result.data.split not in splits:
        wanted = " or ".join(images.TITLES[split] for split in splits)
        found.append(f"tested on {images.TITLES.get(result.data.split, _said(result.data.split))} instead of {wanted}")
    if result.data.digest != images.DIGEST:
        found.append("tested on other images than FER2013's")
    classes = tuple(name for name in LABELS if name in (whole.data.classes or LABELS))
    if result.data.classes != classes:
        found.append(f"tested on {len(result.data.classes)} classes, not on {', '.join(classes)}")
    return found


def _both(training: Training) -> tuple[Recipe | None, Recipe]:
    """Return a training's recipe (None if unreadable) and the shipped recipe of the same name."""
    whole = recipes.load(str(training.recipe.get("name")))
    try:
        return recipes.parse(training.recipe, "the recipe"), whole
    except InputError:
        return None, whole


def _settings(ran: Recipe, whole: Recipe) -> tuple[list[str], list[str]]:
    """Return the settings that differ: first the important ones, then the others. Weights: see `_weights`."""
    changes = dict(_changes(ran, whole))
    first = [changes.pop(key) for key in ("preprocessing.size", "data.classes") if key in changes]
    if ran.epochs != whole.epochs:
        first.append(f"{counted(ran.epochs, 'epoch')} instead of {whole.epochs}")
        changes = {key: said for key, said in changes.items() if not key.endswith(".epochs")}
    return first, [said for key, said in changes.items() if key not in _WEIGHTS]


def _weights(ran: Recipe, whole: Recipe, start: dict[str, str] | None) -> Iterator[str]:
    """Yield how a training's initial weights differ from the recipe's.

    A local file counts as ImageNet weights only if its digest is known.
    """
    kind = None if start is None else start.get("kind")
    wanted = "hub" if whole.model.pretrained else "random"
    if kind == wanted and (ran.model.pretrained, ran.model.weights, ran.model.initial_weights) == (
        whole.model.pretrained,
        None,
        None,
    ):
        return
    known = kind == "file" and bool((start or {}).get("known")) and ran.model.initial_weights is None
    if known and wanted == "hub":
        return
    if kind is None or kind == wanted:
        yield "unknown initial weights"
    elif kind == "random":
        yield "without ImageNet weights"
    elif kind == "hub":
        yield "from ImageNet weights"
    else:
        yield f"from the weights of a {_said(kind)} ({_said((start or {}).get('name', 'not named'))})"


def _changes(ran: Recipe, whole: Recipe) -> Iterator[tuple[str, str]]:
    """Yield the key and description of each setting that differs.

    A precision doesn't count if the recipe says ``auto``. A seed never counts: a claim is tested
    with several.
    """
    mine, theirs = (dict(_flat(recipe.model_dump(mode="json", exclude=set(_ASIDE)))) for recipe in (ran, whole))
    if len(ran.phases) != len(whole.phases):
        yield "phases", f"{len(ran.phases)} phases instead of {len(whole.phases)}"
    for key in [*theirs, *(key for key in mine if key not in theirs)]:
        free = key == "train.seed" or (key == "train.precision" and theirs[key] == "auto")
        if free or mine.get(key) == theirs.get(key) or (key in _NETWORKS and _same(mine.get(key), theirs.get(key))):
            continue
        if len(ran.phases) != len(whole.phases) and key.startswith("phases."):
            continue
        if key == "preprocessing.size":
            yield key, f"{mine[key]} px instead of {theirs[key]}"
        elif key == "data.classes":
            counts = [len(each.get(key) or LABELS) for each in (mine, theirs)]
            yield key, f"{counts[0]} classes instead of {counts[1]}" if counts[0] != counts[1] else "other classes"
        else:
            yield key, f"{_said(key)} {_said(mine.get(key))} instead of {_said(theirs.get(key))}"


def _same(mine: object, theirs: object) -> bool:
    """Return whether two timm names are the same network; ``tf_`` only means Keras's padding, as in the papers."""
    return str(mine).removeprefix("tf_") == str(theirs).removeprefix("tf_")


def _flat(tree: dict[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{start}{key}.")
        elif key == "phases":
            for place, phase in enumerate(value):
                yield from _flat(phase, f"{start}{key}.{place}.")
        else:
            yield start + key, value


def _said(value: object) -> str:
    """Return an untrusted value as one short printable line."""
    text = value if isinstance(value, str) else "none" if value is None else json.dumps(value, default=str)
    return one_line(text, _SAID)
