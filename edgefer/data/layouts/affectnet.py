"""AffectNet: the folders of its 2021 release, and the tables of the first one.

Mollahosseini, Hasani and Mahoor, "AffectNet: A Database for Facial Expression, Valence, and Arousal Computing in the
Wild", IEEE TAC 2019; mohammadmahoor.com/affectnet: ``train_set/images/0.jpg`` with ``annotations/0_exp.npy``; or
``training.csv`` and ``validation.csv`` with ``subDirectory_filePath`` and ``expression``. 0 to 7 are expressions; 8 to
10, none, uncertain and no face, are dropped. Its ``val_set`` is what papers report, so it is the test split.
"""

from __future__ import annotations

import io

import numpy as np

from edgefer import labels, limits
from edgefer.data.layouts.lines import lines_of
from edgefer.data.listed import Finder, Listed, ListedPicture, number
from edgefer.data.trees import File, join
from edgefer.errors import InputError

_SETS = {"train_set": "train", "val_set": "test"}
_TABLES = {"training.csv": "train", "validation.csv": "test"}
_PLACES = ("", "Manually_Annotated_file_lists")
_PICTURES = ("", "Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated")
_ORDER = labels.ORDERS["affectnet"]


def find(finder: Finder) -> Listed | None:
    """Return the pictures of an AffectNet that have one of its eight expressions, or None."""
    there = [name for name in _SETS if finder.folder(f"{name}/annotations") and finder.folder(f"{name}/images")]
    if there:
        return _of_folders(finder, there)
    for place in _PLACES:
        tables = [name for name in _TABLES if finder.file(join(place, name))]
        if tables:
            return _of_tables(finder, place, tables)
    return None


def _of_folders(finder: Finder, there: list[str]) -> Listed | None:
    rows, lists = [], []
    for name in there:
        for file in finder.files(f"{name}/annotations"):
            if not file.path.endswith("_exp.npy"):
                continue
            stem = file.path.rpartition("/")[2].removesuffix("_exp.npy")
            code = _value(finder, file)
            lists.append(file)
            if code in _ORDER:
                rows.append(ListedPicture(f"{name}/images/{stem}.jpg", _ORDER[code], _SETS[name]))
    layout = f"AffectNet, {', '.join(f'{name}/' for name in there)} with annotations"
    return Listed(layout, rows, lists=lists) if rows else None


def _value(finder: Finder, file: File) -> int:
    """Return the number of an annotation, which is stored as text or as a number."""
    content = finder.tree.read(file.path)
    try:
        array = np.load(io.BytesIO(content[: limits.KILO]), allow_pickle=False)
        return int(float(array.item()))
    except (ValueError, EOFError, TypeError, OverflowError, SyntaxError, UnicodeError, MemoryError):
        raise InputError(f"{finder.tree.label(file.path)} holds no expression") from None


def _of_tables(finder: Finder, place: str, tables: list[str]) -> Listed | None:
    rows, lists = [], []
    for name in tables:
        path = join(place, name)
        header, *lines = lines_of(finder, path, limits.PICTURE_IN_DATA) or [""]
        columns = [column.strip() for column in header.split(",")]
        if not {"subDirectory_filePath", "expression"} <= {*columns}:
            return None
        where, said = columns.index("subDirectory_filePath"), columns.index("expression")
        file = finder.file(path)
        assert file is not None
        lists.append(file)
        for line in lines:
            cells = line.split(",")  # its paths have no commas, and its landmarks are separated by semicolons
            code = number(cells[said]) if len(cells) > max(where, said) else ""
            if labels.is_number(code) and int(code) in _ORDER:
                rows.append(ListedPicture(cells[where].strip().strip('"'), _ORDER[int(code)], _TABLES[name]))
    if not rows:
        return None
    for folder in _PICTURES:
        if finder.file(join(folder, rows[0].path)):
            found = [ListedPicture(join(folder, row.path), row.label, row.split) for row in rows]
            return Listed(f"AffectNet, {', '.join(tables)}", found, lists=lists)
    raise InputError(f"{finder.tree.label(join(place, tables[0]))} lists {rows[0].path}, which does not exist")
