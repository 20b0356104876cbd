"""Changes a data set's labels: names numbers, merges or drops names, applies FER+ votes.

Pixels, rows and splits are unchanged, so the cache stores a data set once. A picture with a
dropped label is in no split. The changes are in a training's record (`edgefer.data.provenance`): later commands repeat
them.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer import labels as vocabulary
from edgefer import limits, paths
from edgefer.data import votes
from edgefer.data.dataset import NOWHERE, Dataset, Naming
from edgefer.data.reading import is_file
from edgefer.data.text import decoded
from edgefer.errors import InputError
from edgefer.lines import one_line, printable

VOTES = "fer2013new.csv"
_NAMED = 8  # in one line
_DROP = ("", "-")


def named(dataset: Dataset, labels: str | None, renames: str | None) -> Dataset:
    """Return a data set with other labels.

    Args:
        dataset: with its source's labels.
        labels: a name in `edgefer.labels.ORDERS` (``ferplus``: by the votes next to the data); comma-separated names
            for the numbers 0, 1, ...; a file of these, one per line, also as ``number label``; or FER+'s
            ``fer2013new.csv``. None keeps the labels.
        renames: ``old=new,other=``: labels to rename, or with an empty new name to drop.

    Raises:
        InputError: a label has no new name, or is unknown; all are listed.
    """
    if labels is not None:
        dataset = _by_labels(dataset, labels)
    return renamed(dataset, _renames(dataset, renames)) if renames is not None else dataset


def renamed(dataset: Dataset, to: Mapping[str, str]) -> Dataset:
    """Return a data set with renamed labels; pictures of dropped labels are in no split.

    Args:
        dataset: the whole.
        to: the new label, or an empty string, for each renamed label.

    Raises:
        InputError: fewer than two labels are left.
    """
    news = [vocabulary.label_of(to.get(name, name)) for name in dataset.classes]
    if news == [*dataset.classes]:
        return dataset
    classes = vocabulary.ordered(name for name in news if name)
    bad = [name for name in classes if not vocabulary.possible(name)]
    if bad:
        raise InputError(
            f"{', '.join(printable(name[:40]) or 'an empty name' for name in bad[:_NAMED])} cannot be a "
            f"label (1 to {vocabulary.MAX_LENGTH} printable characters); use another name"
        )
    if len(classes) < 2:
        raise InputError(f"--map leaves {', '.join(classes) or 'nothing'} of {', '.join(dataset.classes)}; keep two")
    places = np.array([classes.index(name) if name else -1 for name in news], np.int64)
    how = Naming(dataset.whole_digest, pairs=tuple(zip(dataset.classes, news, strict=True)))
    return _with(dataset, places[dataset.labels], classes, how)


def by_votes(dataset: Dataset, path: Path) -> Dataset:
    """Return FER2013 with FER+'s eight labels: the one with more than half of the counted votes.

    As in the authors' own code (github.com/microsoft/FERPlus, mode ``majority``): single votes are not counted; images
    without a majority or with one for "unknown" or "no face" are dropped. That leaves 25,060, 3,199 and 3,153 images.

    Args:
        dataset: FER2013 in the challenge's order.
        path: ``fer2013new.csv``.

    Raises:
        InputError: the file is damaged or belongs to other data.
    """
    counted = votes.counted(path, dataset)
    most = counted.argmax(axis=1)
    kinds = [vocabulary.ORDERS["ferplus"][kind] for kind in range(len(vocabulary.ORDERS["ferplus"]))]
    classes = vocabulary.ordered(kinds)
    places = np.array([classes.index(name) for name in kinds] + [-1] * (len(votes.KINDS) - len(kinds)), np.int64)
    sure = 2 * counted.max(axis=1) > counted.sum(axis=1)
    labels = np.where(sure, places[most], -1)
    how = Naming(dataset.whole_digest, votes=paths.sha256(path))
    return replace(_with(dataset, labels, classes, how), name="FER+")


def again(dataset: Dataset, how: Naming) -> Dataset | None:
    """Apply recorded renames to a data set, or return None if they do not apply.

    Args:
        dataset: with its source's labels.
        how: the recorded changes.
    """
    try:
        if how.votes:
            path = _beside(dataset)
            return by_votes(dataset, path) if path and paths.sha256(path) == how.votes else None
        if {old for old, _ in how.pairs} != {*dataset.classes}:
            return None
        return renamed(dataset, dict(how.pairs))
    except InputError:
        return None


def made_of(dataset: Dataset, theirs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the network's classes that make up each class of a data set, by name and by its renames.

    With ``angry=negative,fear=negative`` a network with angry and fear knows negative.

    Args:
        dataset: possibly with changed labels.
        theirs: the network's classes.

    Returns:
        For each known class the names of its parts, in the network's order.
    """
    pairs = dataset.naming.pairs if dataset.naming and not dataset.naming.votes else ()
    parts = {name: {old for old, new in pairs if new == name} or {name} for name in dataset.classes}
    found = {name: tuple(old for old in theirs if old in parts[name]) for name in dataset.classes}
    return {name: olds or (name,) for name, olds in found.items() if olds or name in theirs}


def _with(dataset: Dataset, labels: NDArray[np.int64], classes: Sequence[str], how: Naming) -> Dataset:
    """Return the data set with these labels; -1 is in no split."""
    splits = np.where(labels < 0, np.uint8(NOWHERE), dataset.splits).astype(np.uint8)
    labels = np.maximum(labels, 0)
    digest = hashlib.sha256(dataset.digest.encode())
    for values in (labels, splits):
        digest.update(np.ascontiguousarray(values).data)
    digest.update(json.dumps(classes).encode())
    source = dataset.source or dataset
    if dataset.source:  # combine with earlier changes
        how = _joined(dataset, how)
    return replace(
        dataset,
        labels=labels,
        splits=splits,
        classes=tuple(classes),
        digest=digest.hexdigest(),
        naming=how,
        source=source,
    )


def _joined(dataset: Dataset, how: Naming) -> Naming:
    before = dataset.naming
    assert before is not None
    after = dict(how.pairs)
    if before.votes:
        return replace(before, pairs=how.pairs)
    return replace(before, pairs=tuple((old, after.get(new, new)) for old, new in before.pairs))


def _by_labels(dataset: Dataset, text: str) -> Dataset:
    key = text.strip().lower()
    if key in ("ferplus", "fer+"):
        path = _beside(dataset)
        if path is None:
            raise InputError(f"there is no {VOTES} next to {dataset.origin}; give it with --labels {VOTES}")
        return by_votes(dataset, path)
    if key in vocabulary.ORDERS:
        return _numbers_named(dataset, vocabulary.ORDERS[key], text)
    path = Path(text)
    if is_file(path):
        content = decoded(limits.read_bytes(path, limits.VOTES))
        if content.lstrip().startswith("Usage,Image name"):
            return by_votes(dataset, path)
        return _listed(dataset, _order(path, content), path.name)
    if "," in text:
        return _listed(dataset, dict(enumerate(each.strip() for each in text.split(","))), "--labels")
    known = ", ".join(vocabulary.ORDERS)
    raise InputError(f"--labels {one_line(text, 60)} is neither a file, nor {known}, nor a comma-separated list")


def _order(path: Path, content: str) -> dict[int, str]:
    try:
        table = list(csv.reader(content.replace("\t", ",").splitlines()))
    except csv.Error as error:
        raise InputError(f"{path} is not a list of labels ({one_line(error, 80)})") from None
    rows = [row for row in table if any(cell.strip() for cell in row)]
    if not rows:
        raise InputError(f"{path} has no labels; write one per line, or a number and its label")
    if len(rows) > vocabulary.MAX_LABELS + 1:
        raise InputError(f"{path} has {len(rows):,} lines, but at most {vocabulary.MAX_LABELS} labels are possible")
    found: dict[int, str] = {}
    for place, row in enumerate(rows):
        cells = [cell.strip() for cell in row]
        if len(cells) == 1:
            first, _, rest = cells[0].partition(" ")
            cells = [first, rest.strip()] if vocabulary.is_number(first) and rest.strip() else cells
        if len(cells) >= 2 and vocabulary.is_number(cells[0]):
            found[int(cells[0])] = cells[1]
        elif len(cells) == 1:
            found[place] = cells[0]
        else:
            raise InputError(f"{path}, line {place + 1}: expected a label, or a number and its label")
    return found


def _listed(dataset: Dataset, order: dict[int, str], what: str) -> Dataset:
    """Return the data set with labels from a list: names for its numbers, or replacement labels."""
    if any(map(vocabulary.is_number, dataset.classes)):
        if set(map(int, filter(vocabulary.is_number, dataset.classes))) == set(range(1, len(order) + 1)):
            order = {number + 1: name for number, name in order.items()} if min(order) == 0 else order
        return _numbers_named(dataset, order, what)
    wanted = [vocabulary.label_of(name) for name in order.values() if name]
    others = [name for name in dataset.classes if name not in wanted]
    missing = [name for name in wanted if name not in dataset.classes]
    if others or missing:
        said = [f"it also has {', '.join(others[:_NAMED])}"] if others else []
        said += [f"it has no {', '.join(missing[:_NAMED])}"] if missing else []
        drop = f"; drop with --map '{','.join(f'{name}=' for name in others[:_NAMED])}'" if others else ""
        raise InputError(f"{dataset.name} has other labels than {what}: {'; '.join(said)}{drop}")
    return dataset


def _numbers_named(dataset: Dataset, order: Mapping[int, str], what: str) -> Dataset:
    numbers = [name for name in dataset.classes if vocabulary.is_number(name)]
    if not numbers:
        return dataset
    unknown = [name for name in numbers if int(name) not in order]
    if unknown:
        raise InputError(
            f"{what} has no name for {', '.join(unknown[:_NAMED])}: it has {min(order)} to {max(order)}; "
            "give others with --labels FILE"
        )
    return renamed(dataset, {name: order[int(name)] for name in numbers})


def _renames(dataset: Dataset, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in filter(str.strip, text.split(",")):
        old, sign, new = pair.partition("=")
        if not sign:
            raise InputError(f"--map needs old=new, or old= to drop; not {one_line(pair, 60)}")
        name = old.strip() if old.strip() in dataset.classes else vocabulary.label_of(old)
        found[name] = "" if new.strip() in _DROP else new.strip()
    unknown = [name for name in found if name not in dataset.classes]
    if unknown:
        raise InputError(
            f"--map names {', '.join(one_line(name, 40) for name in unknown[:_NAMED])}, which {dataset.name} does not "
            f"have; it has {', '.join(dataset.classes)}"
        )
    return found


def _beside(dataset: Dataset) -> Path | None:
    """Return FER+'s votes next to a data set, or in it."""
    place = Path((dataset.source or dataset).origin)
    return next((each for each in (place.parent / VOTES, place / VOTES) if each.is_file()), None)


def check_named(dataset: Dataset, what: str = "--labels") -> None:
    """Refuse numbered labels, with their possible meaning.

    Raises:
        InputError: all are numbers.
    """
    if vocabulary.numbered(dataset.classes):
        raise InputError(guessed(dataset, what))


def guessed(dataset: Dataset, what: str = "--labels") -> str:
    """Return the hint for numbered labels: a guess, and the option that confirms it."""
    shown = dataset.classes if len(dataset.classes) <= _NAMED else (*dataset.classes[:_NAMED], "...")
    order = vocabulary.guess(dataset.classes)
    if order:
        return (
            f"{dataset.name} numbers its labels {', '.join(shown)}; in {order}'s order these are "
            f"{vocabulary.spelled(vocabulary.ORDERS[order])}: confirm with {what} {order}, or give others"
        )
    return (
        f"{dataset.name} numbers its labels {', '.join(shown)} without names; give them in "
        f"order with {what}, e.g. {what} engaged,bored,drowsy"
    )
