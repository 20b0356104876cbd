"""Roboflow's export for classification: ``_classes.csv`` next to the pictures of each split, a column for each label.

docs.roboflow.com, "Multi-Label Classification": ``filename, bored, engaged``, rows such as ``1.rf.0a.jpg, 0, 1``.
"""

from __future__ import annotations

import csv

from edgefer import limits
from edgefer.data.folders import split_of
from edgefer.data.layouts.lines import lines_of
from edgefer.data.listed import Finder, Listed, ListedPicture
from edgefer.data.trees import join
from edgefer.errors import InputError
from edgefer.lines import printable

_FILE = "_classes.csv"
_NAMED = 5


def find(finder: Finder) -> Listed | None:
    """Return the pictures with exactly one label, or None."""
    places = [name for name in ("", *finder.folders("")) if finder.file(join(name, _FILE))]
    rows, lists, wrong = [], [], []
    for place in places:
        path = join(place, _FILE)
        file = finder.file(path)
        assert file is not None
        lists.append(file)
        header, *table = csv.reader(lines_of(finder, path, limits.GROUPS))
        names = [cell.strip() for cell in header]
        if names[0].lower() != "filename" or len(names) < 2:
            raise InputError(f"{finder.tree.label(path)} is not a Roboflow table: expected filename and the labels")
        for cells in table:
            said = [name for name, cell in zip(names[1:], cells[1:], strict=False) if cell.strip() == "1"]
            if len(said) == 1:
                rows.append(ListedPicture(join(place, cells[0].strip()), said[0], split_of(place)))
            else:
                wrong.append(cells[0].strip())
    if wrong:
        shown = ", ".join(printable(name) for name in wrong[:_NAMED])
        raise InputError(
            f"{len(wrong):,} pictures have no label or more than one in {_FILE}, such as {shown}; keep those with one"
        )
    return Listed(f"Roboflow, {_FILE}", rows, lists=lists) if rows else None
