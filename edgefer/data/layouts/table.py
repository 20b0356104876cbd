"""A CSV file that lists pictures: columns of paths and labels, and perhaps of splits, of people and of boxes.

Columns may have any names; their roles are guessed from the names and the first row, or given. A file without
a header has the path first and the label second.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from edgefer.data.boxes import BoxOfList, BoxTree
from edgefer.data.folders import ENDINGS
from edgefer.data.listed import Finder, Listed, ListedPicture, number, split_named
from edgefer.data.reading import Reading
from edgefer.data.tables import delimiter_of
from edgefer.data.text import decoded
from edgefer.data.trees import join
from edgefer.errors import InputError
from edgefer.labels import MAX_LABELS
from edgefer.lines import printable

_PATHS = (
    "path",
    "file_name",
    "filename",
    "file",
    "filepath",
    "file_path",
    "image_path",
    "image",
    "img",
    "pth",
    "picture",
)
_LABELS = ("label", "labels", "emotion", "expression", "class", "class_name", "target", "category", "y")
_SPLITS = ("split", "usage", "set", "subset", "partition")
_PEOPLE = ("person", "subject", "subject_id", "participant", "participant_id", "person_id", "identity")
# Columns of a face's box: two corners, or a corner and two lengths.
_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("x1", "y1", "x2", "y2"),
    ("left", "top", "right", "bottom"),
)
_LENGTHS = (
    ("x", "y", "w", "h"),
    ("x", "y", "width", "height"),
    ("left", "top", "width", "height"),
    ("face_x", "face_y", "face_width", "face_height"),
    ("bbox_x", "bbox_y", "bbox_w", "bbox_h"),
)
_DEEPEST = 8  # leading folders of a path that may be from another machine
_FAR = 1e6  # pixels
_NAMED = 5


@dataclass(frozen=True)
class _Columns:
    path: int
    label: int
    split: int | None = None
    person: int | None = None
    box: tuple[int, ...] = ()
    lengths: bool = False

    @property
    def last(self) -> int:
        return max(self.path, self.label, self.split or 0, self.person or 0, *self.box)


def is_list(rows: Sequence[Sequence[str]], reading: Reading) -> bool:
    """Return whether a table's first two rows look like a list of pictures, not a table of pixels."""
    names = [cell.strip().lower() for cell in rows[0]] if rows else []
    if reading.path_column is not None:
        return True
    return not {"pixels", "pixel", "image_pixels"} & {*names} and (
        any(name in names for name in _PATHS) or any(_is_path(cell) for row in rows for cell in row)
    )


def listed(finder: Finder, path: str, reading: Reading, split: str | None = None) -> Listed:
    """Return the pictures that a table lists.

    Args:
        finder: over a tree with the table and the pictures.
        path: of the table.
        reading: which columns, if given.
        split: of all, where the table does not say.

    Raises:
        InputError: its columns are ambiguous, a row lacks some, or pictures are missing; all are listed.
    """
    name = finder.tree.label(path)
    file = finder.file(path)
    assert file is not None
    lines = decoded(finder.tree.read(path)).splitlines()
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise InputError(f"{name} is empty")
    delimiter = delimiter_of(lines[0])
    try:
        table = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"{name} is not a CSV file ({printable(str(error))})") from None
    columns, rows = _columns(table, name, reading)
    short = [place for place, row in enumerate(rows, 1) if len(row) <= columns.last]
    if short or not rows:
        which = f"rows {', '.join(map(str, short[:_NAMED]))} have too few columns" if short else "it has no rows"
        raise InputError(f"{name}: {which}")
    splits: list[str | None] = [split] * len(rows)
    if columns.split is not None:
        said = [row[columns.split].strip() for row in rows]
        wrong = sorted({each for each in said if split_named(each) is None})
        if wrong:
            raise InputError(
                f"{name}: {', '.join(printable(each[:20]) or 'nothing' for each in wrong[:_NAMED])} is not "
                "a split (train, val or test); change it, or remove that column"
            )
        splits = [split_named(each) for each in said]
    place = _place(finder, path.rpartition("/")[0], [row[columns.path] for row in rows], name)
    if columns.box:
        paths = [place(row[columns.path]) for row in rows]
        return _of_boxes(finder, path, paths, rows, splits, columns)
    people = [None if columns.person is None else row[columns.person].strip() or None for row in rows]
    found = [
        ListedPicture(place(row[columns.path]), number(row[columns.label]), each, person)
        for row, each, person in zip(rows, splits, people, strict=True)
    ]
    rule = "a column of the table" if columns.person is not None else ""
    return Listed(f"pictures listed in {path.rpartition('/')[2]}", found, lists=[file], people=rule)


def _of_boxes(
    finder: Finder, path: str, paths: list[str], rows: list[list[str]], splits: list[str | None], columns: _Columns
) -> Listed:
    """Return the faces of a list with boxes: they are cropped when read."""
    name, list_file = finder.tree.label(path), finder.file(path)
    assert list_file is not None
    found, boxes, files, missing, wrong = [], {}, {}, [], []
    for number_of_row, (source, row, split) in enumerate(zip(paths, rows, splits, strict=True), 1):
        file = finder.file(source)
        box = _box(row, columns)
        if file is None:
            missing.append(source)
        if box is None:
            wrong.append(number_of_row)
        if file is None or box is None:
            continue
        face = f"{source}#{number_of_row}"
        files[source], boxes[face] = file, BoxOfList(source, *box)
        person = row[columns.person].strip() if columns.person is not None else source
        found.append(ListedPicture(face, number(row[columns.label]), split, person or None))
    if wrong:
        raise InputError(
            f"{name}: the boxes of rows {', '.join(map(str, wrong[:_NAMED]))} are not rectangles in pixels"
        )
    if missing:
        shown = ", ".join(map(printable, missing[:_NAMED]))
        raise InputError(f"{len(missing):,} of {len(rows):,} listed pictures are missing, such as {shown}")
    rule = "a column of the table" if columns.person is not None else "faces of one picture"
    layout = f"faces listed in {path.rpartition('/')[2]}, cropped by its boxes"
    return Listed(layout, found, BoxTree(finder.tree, boxes, files), [list_file], rule)


def _box(row: list[str], columns: _Columns) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom, or None if the cells are not a box."""
    try:
        left, top, right, bottom = (float(row[place]) for place in columns.box)
    except ValueError:
        return None
    if columns.lengths:
        right, bottom = left + right, top + bottom
    sides = (left, top, right, bottom)
    if not all(abs(side) < _FAR for side in sides) or right - left < 1 or bottom - top < 1:
        return None
    return round(left), round(top), round(right), round(bottom)


def _columns(table: list[list[str]], name: str, reading: Reading) -> tuple[_Columns, list[list[str]]]:
    header = [cell.strip() for cell in table[0]]
    names = [cell.lower() for cell in header]
    shown = printable(", ".join(header)[:80])

    def asked(column: str | None, option: str) -> int | None:
        if column is None:
            return None
        if column.strip().lower() not in names:
            raise InputError(f"{name} has no column '{printable(column[:40])}' (it has: {shown}); see {option}")
        return names.index(column.strip().lower())

    path, label = asked(reading.path_column, "--path-column"), asked(reading.label_column, "--label-column")
    rows = table[1:]
    if path is None and label is None and len(header) >= 2 and _is_path(header[0]):
        return _Columns(0, 1), table  # no header
    first = rows[0] if rows else []
    if path is None:
        path = next((names.index(each) for each in _PATHS if each in names), None)
    if path is None:
        candidates = [place for place, cell in enumerate(first) if _is_path(cell)]
        path = candidates[0] if len(candidates) == 1 else None
    kinds = ((names_of, kind == 1) for kind, known in enumerate((_CORNERS, _LENGTHS)) for names_of in known)
    box, lengths = next(
        ((tuple(map(names.index, each)), kind) for each, kind in kinds if {*each} <= {*names}), ((), False)
    )
    if label is None:
        known = (names.index(each) for each in _LABELS if each in names)
        label = next((each for each in known if each != path and each not in box), None)
    whole = all(len(row) >= len(header) for row in rows)
    if label is None and len(header) == 2 and path is not None:
        label = 1 - path
    taken = {path, *box, *(names.index(each) for each in (*_SPLITS, *_PEOPLE) if each in names)}
    if label is None:
        label = _repeating([[row[place] for row in rows] for place in range(len(header))], taken) if whole else None
    missing = [option for option, place in (("--path-column", path), ("--label-column", label)) if place is None]
    if path is None or label is None:
        raise InputError(f"{name}: which column is which? It has: {shown}; name them with {' and '.join(missing)}")
    split = next((names.index(each) for each in _SPLITS if each in names and names.index(each) != label), None)
    person = next((names.index(each) for each in _PEOPLE if each in names and names.index(each) != label), None)
    return _Columns(path, label, split, person, box if label not in box else (), lengths), rows


def _repeating(columns: list[list[str]], taken: set[int | None]) -> int | None:
    """Return the only column with as few values as labels have, or None if it is not unique."""
    counts = {place: len({*column}) for place, column in enumerate(columns) if place not in taken}
    few = [place for place, count in counts.items() if 2 <= count <= min(MAX_LABELS, len(columns[place]) // 2)]
    return few[0] if len(few) == 1 else None


def _is_path(cell: str) -> bool:
    return cell.strip().lower().endswith(ENDINGS)


class _place:  # noqa: N801  # made once, then called as the function that it is
    """Maps a table's paths to paths below the tree's top, by its first picture."""

    def __init__(self, finder: Finder, folder: str, paths: list[str], name: str) -> None:
        first = _parts(paths[0])
        tops = [folder, *(join(folder, each) for each in finder.folders(folder))]
        tops += [join(top, each) for top in tops[1:] for each in finder.folders(top)]
        endings = ("",) if _is_path(paths[0]) else ENDINGS
        for top in tops:
            for cut in range(min(len(first), _DEEPEST + 1)):
                for ending in endings:
                    if finder.file(join(top, "/".join(first[cut:])) + ending):
                        self._top, self._cut, self._ending = top, cut, ending
                        return
        raise InputError(f"{name} lists {printable(paths[0][:80])}, which is in no folder next to it")

    def __call__(self, path: str) -> str:
        return join(self._top, "/".join(_parts(path)[self._cut :])) + self._ending


def _parts(path: str) -> list[str]:
    return [part for part in path.strip().strip('"').replace("\\", "/").split("/") if part not in ("", ".")]
