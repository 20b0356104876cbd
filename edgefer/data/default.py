"""The default data of a command."""

from __future__ import annotations

import os
from pathlib import Path

from edgefer import console
from edgefer.data.dataset import Dataset
from edgefer.data.loading import FILES, load
from edgefer.data.reading import NOTHING, Reading
from edgefer.errors import InputError
from edgefer.labels import VOCABULARY, is_number, near

VARIABLE = "EDGEFER_DATA"
_FOLDER = Path("data")
_TREES = (Path(), Path("fer2013"), Path("fer-2013"), Path("archive"))  # possible places after unpacking a download


def find(path: Path | None = None, groups: str | None = None, reading: Reading = NOTHING) -> Dataset:
    """Open the data set to work on: `path`, else EDGEFER_DATA, else a FER2013 in ./data, else the built-in faces.

    Prints which it is, and how edgefer split it if its source has no splits.

    Args:
        path: of the data set.
        groups: people by picture; see `load`.
        reading: its labels and columns; see `load`.

    Raises:
        InputError: the path or EDGEFER_DATA is not a data set, or the one in ./data is damaged.
        MissingRequirement: not enough disk space and memory.
    """
    why = f", named by {VARIABLE}" if path is None and os.environ.get(VARIABLE) else ""
    path = named(path)
    if path is None:
        from edgefer.data.faces import builtin

        if groups is not None or reading != NOTHING:
            option = "--groups divides" if groups is not None else "--labels and --map change the labels of"
            raise InputError(f"{option} your own data set; give it with --data")
        dataset = builtin()
        console.say(
            f"data: {dataset.name} ({len(dataset):,} images, {dataset.origin}); "
            f"no FER2013 in ./data; give one with --data or {VARIABLE}"
        )
        return dataset
    try:
        dataset = load(
            path,
            groups,
            labels=reading.labels,
            renames=reading.renames,
            path_column=reading.path_column,
            label_column=reading.label_column,
        )
    except InputError as error:
        raise InputError(f"{error}{f' ({VARIABLE})' if why else ''}") from error
    console.say(f"data: {dataset.name} ({len(dataset):,} images) from {dataset.origin}{why}")
    unknown = [name for name in dataset.classes if name not in VOCABULARY]
    if unknown and len(unknown) < len(dataset.classes) and not any(map(is_number, unknown)):
        meant = {name: expression for name in unknown if (expression := near(name)) is not None}
        renames = ",".join(f"{name}={expression}" for name, expression in meant.items())
        misspelt = f"; if misspelled: --map '{renames}'" if meant else ""
        console.say(f"unknown labels are kept as they are: {', '.join(unknown)}{misspelt}")
    if dataset.division:
        console.say(f"{' and '.join(dataset.carved)} taken from the training images, {dataset.division.sentence}")
    return dataset


def given(data: Dataset | Path | str | None) -> Dataset:
    """Return the given data set, or `find` the one of a path or the default.

    Raises:
        InputError, MissingRequirement: see `find`.
    """
    return data if isinstance(data, Dataset) else find(None if data is None else Path(data))


def named(path: Path | None = None) -> Path | None:
    """Return the path that `find` uses, or None for the built-in faces."""
    variable = os.environ.get(VARIABLE)
    return path or (Path(variable) if variable else _in_data_folder())


def _in_data_folder() -> Path | None:
    for folder in (_FOLDER / tree for tree in _TREES):
        for name in FILES:
            if (folder / name).exists():
                return folder / name
        if (folder / "train").is_dir():
            return folder
    archives = sorted(_FOLDER.glob("*.zip")) if _FOLDER.is_dir() else []
    return archives[0] if len(archives) == 1 else None  # Kaggle's download is called archive.zip
