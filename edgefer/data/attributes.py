"""Reads a table of picture attributes, such as age, sex or camera, and matches it to a split."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgefer import limits
from edgefer.data.dataset import Dataset, Split
from edgefer.data.tables import delimiter_of
from edgefer.data.text import decoded
from edgefer.data.whole import names_of
from edgefer.errors import InputError
from edgefer.lines import one_line, printable

KEYS = ("path", "image", "picture", "file", "filename", "file_name", "index", "row")  # headers of the picture's column
ROWS = ("index", "row")  # those with row numbers
PEOPLE = ("person", "subject", "identity", "participant", "actor")  # headers of the person's column
MAX_COLUMNS, MAX_GROUPS = 20, 50
_RANGES = 8  # maximum groups of a column of numbers
_LONGEST = 60  # characters of a group's name


@dataclass(frozen=True)
class Attributes:
    """Attributes of a split's pictures from a table.

    Attributes:
        file: its name.
        key: the column that names the pictures.
        columns: by name each picture's value, in the split's order; empty if missing. Columns of many numbers are
            binned.
        people: person in each picture, empty if unknown; None: no source has people.
        matched: pictures of the split with a row in the table.
        unmatched: pictures of the split without one.
        unused: rows without a picture in the split.
        skipped: columns without groups, with reasons.
    """

    file: str
    key: str
    columns: dict[str, list[str]]
    people: list[str] | None
    matched: int
    unmatched: int
    unused: int
    skipped: list[str]

    def table(self, rows: Split) -> str:
        """Return the table as a CSV with row numbers instead of file names, for another machine."""
        out = io.StringIO()
        writer = csv.writer(out)
        columns = [*self.columns.items()]
        if self.people is not None:  # first, and with a unique name: a table may have several such columns
            taken = {name.lower() for name in self.columns}
            columns.insert(0, (next((name for name in PEOPLE if name not in taken), PEOPLE[0]), self.people))
        writer.writerow([ROWS[0], *(name for name, _ in columns)])
        writer.writerows(zip(rows.rows.tolist(), *(values for _, values in columns), strict=True))
        return out.getvalue()


def read(path: Path, dataset: Dataset, rows: Split) -> Attributes:
    """Return a table's attributes of a split's pictures.

    Pictures are identified by path as printed by edgefer, by path below the data set's folder,
    by a unique file name, or by row in the source. A column called ``index`` or ``row``, or of whole numbers only, has
    rows.

    Args:
        path: a CSV file with a header; one column identifies the picture, by default the first.
        dataset: the whole.
        rows: a split of it.

    Raises:
        InputError: the file is not such a table, or no row matches a picture.
    """
    header, table = _read(path)
    place = next((i for i, name in enumerate(header) if name.lower() in KEYS), 0)
    cells = [row[place] for row in table]
    numbers = {int(row): spot for spot, row in enumerate(rows.rows)}
    by_row = header[place].lower() in ROWS
    names = {} if by_row else names_of(dataset)
    known = _Names(names, numbers)
    # Whole numbers are rows, unless pictures have such names.
    if by_row or (all(re.fullmatch(r"\d{1,12}", cell) for cell in cells) and not any(map(known.find, cells))):
        spots = [numbers.get(int(cell)) if re.fullmatch(r"\d{1,12}", cell) else None for cell in cells]
    else:
        spots = [known.find(cell) for cell in cells]
    found: dict[int, list[str]] = {}
    unused = 0
    for number, (cell, spot, row) in enumerate(zip(cells, spots, table, strict=True), 2):
        if spot is None:
            unused += 1
        elif _without(found.setdefault(spot, row), place) != _without(row, place):
            raise InputError(f"{path}, row {number}: {one_line(cell, 80)} occurs twice with different values")
    if not found:
        example = printable(next(iter(names.values()), str(rows.rows[0])))
        raise InputError(
            f"no row of {path} names a picture of {dataset.name}'s split {rows.name}: its column {header[place]} has "
            f"{one_line(cells[0], 80)}, while pictures there look like {one_line(example, 120)}"
        )
    columns = {
        name: [found[spot][i] if spot in found else "" for spot in range(len(rows))]
        for i, name in enumerate(header)
        if i != place
    }
    person = next((name for name in columns if name.lower() in PEOPLE), None)
    people = None if person is None else columns.pop(person)
    if people is None and dataset.groups is not None and dataset.grouped.startswith("by person"):
        people = [str(group) for group in dataset.groups[rows.indices]]
    kept, skipped = _grouped(columns)
    return Attributes(path.name, header[place], kept, people, len(found), len(rows) - len(found), unused, skipped)


def _without(row: list[str], place: int) -> list[str]:
    return row[:place] + row[place + 1 :]


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    if not path.is_file():
        raise InputError(f"{path} is not a file; --groups needs a CSV with a header, e.g. path,age,sex")
    text = decoded(limits.read_bytes(path, limits.GROUPS))
    lines = text.splitlines()
    try:
        # By lines: cells have no line breaks, and a file may use any line ends.
        table = list(csv.reader(lines, delimiter=delimiter_of(lines[0]) if lines else ","))
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV file ({one_line(error, 80)})") from None
    rows = [[printable(cell.strip()) for cell in row] for row in table if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise InputError(f"{path} has no rows; --groups needs a CSV with a header, e.g. path,age,sex")
    header, *rest = rows
    header = [one_line(name, _LONGEST) for name in header]
    named = [name for name in header if name]
    if len(named) < len(header) or len({*named}) < len(named) or not 2 <= len(header) <= MAX_COLUMNS:
        raise InputError(
            f"{path} begins with {one_line(','.join(header), 80)}: its first line must have 2 "
            f"to {MAX_COLUMNS} unique column names, e.g. path,age,sex"
        )
    for number, row in enumerate(rest, 2):
        if len(row) != len(header):
            raise InputError(f"{path}, row {number} has {len(row)} cells, but the header has {len(header)}")
    return header, rest


class _Names:
    """The pictures of a split by unique path suffixes."""

    def __init__(self, names: dict[int, str], numbers: dict[int, int]) -> None:
        """Index each picture's path by row, and each row's position in the split."""
        shared = Counter(end for name in names.values() for end in _ends(name))
        self._ends = {
            end: numbers[row]
            for row, name in names.items()
            if row in numbers
            for end in _ends(name)
            if shared[end] == 1
        }
        self._whole = {name: numbers[row] for row, name in names.items() if row in numbers}

    def find(self, text: str) -> int | None:
        """Return the position in the split of a cell's picture, or None; a cell may have more folders."""
        path = text.replace("\\", "/").removeprefix("./")
        if path in self._ends:
            return self._ends[path]
        return next((self._whole[end] for end in _ends(path) if end in self._whole), None)


def _ends(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _grouped(columns: dict[str, list[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the columns with groups, and why others have none."""
    kept, skipped = {}, []
    for name, values in columns.items():
        known = {value for value in values if value}
        if len(known) > _RANGES:
            values = _in_ranges(values) or values
            known = {value for value in values if value}
        if len(known) > MAX_GROUPS:
            skipped.append(f"column {name} has {len(known):,} different values, more than {MAX_GROUPS} groups")
        elif known:
            kept[name] = [one_line(value, _LONGEST) for value in values]
        else:
            skipped.append(f"column {name} has no value for any picture of the split")
    if not kept:
        why = "; ".join(skipped) or "there are only pictures and people; add one, such as age or camera"
        raise InputError(f"--groups has no usable column: {why}")
    return kept, skipped


def _in_ranges(values: Sequence[str]) -> list[str] | None:
    """Return each number's range, ``20 to 29``; None if a value is not a number."""
    try:
        numbers = [float(value.replace(",", ".")) if value else math.nan for value in values]
    except ValueError:
        return None
    known = [number for number in numbers if not math.isnan(number)]
    if not known or not all(map(math.isfinite, known)):
        return None
    least, most = min(known), max(known)
    if not 1e-9 < most - least < 1e15:
        return None
    width = 10.0 ** (math.floor(math.log10(most - least)) - 2)
    steps = (width * factor for factor in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))
    width = next(each for each in steps if _place(most, each) - _place(least, each) < _RANGES)
    whole = all(number.is_integer() for number in known) and width >= 1

    def named(number: float) -> str:
        if math.isnan(number):
            return ""
        low = _place(number, width) * width
        return f"{low:.0f} to {low + width - 1:.0f}" if whole else f"{low:.12g} to <{low + width:.12g}"

    return [named(number) for number in numbers]


def _place(number: float, width: float) -> int:
    """Return the index of a number's range of a given width, robust to rounding: 0.6 / 0.2 is slightly below 3."""
    return math.floor(round(number / width, 9))
