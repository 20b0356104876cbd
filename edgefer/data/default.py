"""Which data a command works on when nobody says."""

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
_TREES = (Path(), Path("fer2013"), Path("fer-2013"), Path("archive"))  # where unpacking a download may put it


def find(path: Path | None = None, groups: str | None = None, reading: Reading = NOTHING) -> Dataset:
    """Open the data set to work on: `path`, else EDGEFER_DATA, else a FER2013 in ./data, else the built-in faces.

    A line on the console says which it is, and another how edgefer divided it, where its source does not.

    Args:
        path: of the data set.
        groups: who is in which picture; see `load`.
        reading: its labels and columns; see `load`.

    Raises:
        InputError: the path or EDGEFER_DATA leads to no data set, or what is in ./data is damaged.
        MissingRequirement: there is neither disk nor memory enough for it.
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
    """Return a data set that a caller has, or `find` the one that a path or nothing leads to.

    Raises:
        InputError, MissingRequirement: see `find`.
    """
    return data if isinstance(data, Dataset) else find(None if data is None else Path(data))


def named(path: Path | None = None) -> Path | None:
    """Return where `find` looks for a data set, or None where it takes the built-in faces."""
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
