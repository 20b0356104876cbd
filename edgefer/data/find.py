"""Which data a command works on when nobody says."""

from __future__ import annotations

import os
from pathlib import Path

from edgefer import console
from edgefer.data.dataset import Dataset
from edgefer.data.load import FILES, load
from edgefer.errors import InputError

VARIABLE = "EDGEFER_DATA"
_FOLDER = Path("data")
_PLACES = (*FILES, "train")


def find(path: Path | None = None) -> Dataset:
    """Open the data set to work on: `path`, else EDGEFER_DATA, else a FER2013 in ./data, else the built-in faces.

    One line on the console says which it is.

    Raises:
        InputError: the path or EDGEFER_DATA leads to no data set, or what is in ./data is damaged.
        LackError: there is neither disk nor memory enough for it.
    """
    named = os.environ.get(VARIABLE)
    why = ""
    if path is None and named:
        path, why = Path(named), f", named by {VARIABLE}"
    if path is None:
        path = _in_data_folder()
    if path is None:
        from edgefer.data.faces import builtin

        dataset = builtin()
        console.say(
            f"data: {dataset.name} ({len(dataset):,} images, {dataset.origin}); "
            f"no FER2013 in ./data, name one with --data or {VARIABLE}"
        )
        return dataset
    try:
        dataset = load(path)
    except InputError as error:
        raise InputError(f"{error}{f' ({VARIABLE})' if why else ''}") from error
    console.say(f"data: {dataset.name} ({len(dataset):,} images) from {dataset.origin}{why}")
    return dataset


def _in_data_folder() -> Path | None:
    for name in _PLACES:
        if (_FOLDER / name).exists():
            return _FOLDER if name == "train" else _FOLDER / name
    return None
