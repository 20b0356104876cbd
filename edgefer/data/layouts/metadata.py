"""Hugging Face's folders of pictures: ``metadata.jsonl`` or ``metadata.csv`` in the folder or in those of the splits.

huggingface.co/docs/datasets/image_dataset, "ImageFolder with metadata": each line has ``file_name``, and columns.
"""

from __future__ import annotations

import json

from edgefer import limits
from edgefer.data.folders import split_of
from edgefer.data.layouts import table
from edgefer.data.layouts.lines import lines_of
from edgefer.data.listed import Finder, Listed, ListedPicture, number
from edgefer.data.reading import NOTHING, Reading
from edgefer.data.trees import join
from edgefer.errors import InputError

_LABELS = ("label", "labels", "emotion", "expression", "class", "category", "text")
_NAMED = 5


def find(finder: Finder, reading: Reading = NOTHING) -> Listed | None:
    """Return the pictures that metadata list, or None."""
    places = ["", *(name for name in finder.folders("") if split_of(name))]
    parts = []
    for place in places:
        split = split_of(place)
        if finder.file(join(place, "metadata.jsonl")):
            parts.append(_lines(finder, join(place, "metadata.jsonl"), split, reading))
        elif finder.file(join(place, "metadata.csv")):
            parts.append(table.listed(finder, join(place, "metadata.csv"), reading, split))
    if not parts:
        return None
    rows = [row for part in parts for row in part.rows]
    return Listed("pictures with metadata", rows, lists=[file for part in parts for file in part.lists])


def _lines(finder: Finder, path: str, split: str | None, reading: Reading) -> Listed:
    name, folder = finder.tree.label(path), path.rpartition("/")[0]
    rows, wrong = [], []
    column: str | None = reading.label_column
    for place, line in enumerate(lines_of(finder, path, limits.PICTURE_IN_DATA), 1):
        try:
            found = json.loads(line) if len(line) < limits.NOTE else None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get(reading.path_column or "file_name"), str):
            wrong.append(place)
            continue
        if column is None:
            column = next((each for each in _LABELS if isinstance(found.get(each), str | int)), None)
            if column is None:
                shown = ", ".join(sorted(found)[:8])
                raise InputError(f"{name} has no label (its keys are {shown}); give it with --label-column")
        value = found.get(column)
        if not isinstance(value, str | int):
            wrong.append(place)
            continue
        rows.append(ListedPicture(join(folder, found[reading.path_column or "file_name"]), number(str(value)), split))
    if wrong:
        raise InputError(f"{name}: lines {', '.join(map(str, wrong[:_NAMED]))} have no file_name or no label")
    file = finder.file(path)
    assert file is not None
    return Listed("", rows, lists=[file])
