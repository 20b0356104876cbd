"""People or sequences in pictures, from file names, folders or the user."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer import limits
from edgefer.data.contents import Groups, reading
from edgefer.data.dataset import By
from edgefer.errors import InputError
from edgefer.labels import canonical
from edgefer.lines import counted, one_line

FEWEST = 3  # groups: one for each of train, val and test
_LONGEST_PATTERN = 1000
# Maximum share of pictures alone in their group: above it, names just number pictures.
_MAX_ALONE = {"person": 0.9, "sequence": 0.5}


# Prefixes of file names in labs' data sets; the first capture group is the person.
_EXPRESSION = "AF|AN|CA|DI|FE|HA|NE|SA|SP|SU"
_CODES = {
    "CK+": re.compile(r"(S\d{3})_\d{3}_\d{8}(?!\d)"),
    "KDEF": re.compile(rf"[AB]([FM]\d\d)(?:{_EXPRESSION})(?:FL|FR|HL|HR|S)(?![A-Za-z0-9])"),
    "JAFFE": re.compile(rf"([A-Z]{{2}})\.(?:{_EXPRESSION})\d\.\d+(?!\d)"),
    "RaFD": re.compile(r"Rafd\d+_(\d+)_"),
    "NimStim": re.compile(rf"(\d\d[FM])_(?:{_EXPRESSION})_[COX](?![A-Za-z0-9])", re.IGNORECASE),
    "BU-3DFE": re.compile(rf"([FM]\d{{4}})_(?:{_EXPRESSION})\d\d"),
}
_PERSON = re.compile(r"(?:^|[^a-z])((?:subject|subj|sub|person|participant|actor)[-_ .]?\d+)(?!\d)")
_FRAME_WORDS = ("frame", "image", "img")
_BETWEEN = "-_ ."
_CUT = re.compile(r"(?<=\d)(?:-(?:face|other)\d+)+$")  # suffix that `edgefer data crop` adds to a frame's name


def from_names(
    paths: Sequence[str],
    people: Sequence[str | None],
    labels: NDArray[np.int64],
    people_rule: str = "a folder for each person",
) -> Groups | str:
    """Return the groups from folders and file names, or why there are none.

    Args:
        paths: of the pictures, ``/`` between the parts.
        people: each picture's person folder, if any.
        labels: int64, (n,).
        people_rule: how `people` was found, for display.
    """
    stems = [path.rpartition("/")[2].rpartition(".")[0] for path in paths]
    tries: list[tuple[By, str, Callable[[int], str | None]]] = [
        ("person", people_rule, lambda i: people[i]),
        *(("person", f"{name} file names", _matched(stems, code)) for name, code in _CODES.items()),
        ("person", "numbers of people in file names", _person(stems)),
        ("sequence", "file names without the number at the end", _sequence(stems)),
    ]
    why = ""
    for by, rule, name_of in tries:
        names = [name_of(i) for i in range(len(paths))]
        known = [name for name in names if name is not None]
        if len(known) < len(names):
            if not why and len(known) > len(names) / 2:
                other = one_line(paths[names.index(None)], 60)
                why = f"most pictures have {rule}, but {other} does not"
            continue
        problem = _problem(known, by, labels)
        if not problem:
            return Groups(tuple(known), by, rule)
        why = why or (f"{rule}: {problem}" if by == "person" else "")
    return why or "folders and file names do not identify people"


def _matched(stems: Sequence[str], code: re.Pattern[str]) -> Callable[[int], str | None]:
    def name_of(i: int) -> str | None:
        found = code.match(stems[i])
        return found[1].upper() if found else None

    return name_of


def _person(stems: Sequence[str]) -> Callable[[int], str | None]:
    def name_of(i: int) -> str | None:
        found = _PERSON.search(stems[i].lower())
        return found[1] if found else None

    return name_of


def _sequence(stems: Sequence[str]) -> Callable[[int], str | None]:
    """Return the text before a frame's number; a class name or nothing is not a sequence."""

    def name_of(i: int) -> str | None:
        stem = _CUT.sub("", stems[i].lower())
        name = stem.rstrip("0123456789")
        if name == stem:
            return None
        name = name.rstrip(_BETWEEN)
        for word in _FRAME_WORDS:
            name = name.removesuffix(word)
        name = name.rstrip(_BETWEEN)
        return name if re.search(r"[a-z0-9]", name) and canonical(name) is None else None

    return name_of


def _problem(names: Sequence[str], by: By, labels: NDArray[np.int64]) -> str:
    """Return why these names are not groups, or an empty string."""
    counts = Counter(names)
    if len(counts) < FEWEST:
        return f"{counted(len(counts), 'group')}, too few for train, val and test"
    if sum(count == 1 for count in counts.values()) > _MAX_ALONE[by] * len(names):
        return "nearly every picture would be its own group"
    if by == "sequence":  # the text before a number may be the class
        of_class = Counter(label for _, label in {*zip(names, labels.tolist(), strict=True)})
        if min(of_class.values()) < FEWEST:
            return "too few in a class"
    return ""


@dataclass(frozen=True)
class Asked:
    """The value of ``--groups``: a pattern, or a table of paths and groups.

    Attributes:
        rule: for display.
        key: SHA-256 of the pattern or the table.
        pattern: its only capture group is the group's name.
        table: group by path.
    """

    rule: str
    key: str
    pattern: re.Pattern[str] | None = None
    table: dict[str, str] | None = None

    def groups(self, paths: Sequence[str], top: str, label: Callable[[str], str], labels: NDArray[np.int64]) -> Groups:
        """Return the groups of pictures.

        Args:
            paths: of the pictures, ``/`` between the parts.
            top: folder below which the data set begins, if not the top; a table's paths may begin there too.
            label: a path's name in messages.
            labels: int64, (n,).

        Raises:
            InputError: a picture has no group, or the groups are unusable.
        """
        files = Counter(path.rpartition("/")[2] for path in paths)
        found = [self._name(path, top, files) for path in paths]
        names = [name for name in found if name]
        without = [label(path) for path, name in zip(paths, found, strict=True) if not name]
        if without:
            missing = "does not match" if self.pattern else "has no row in"
            more = f" (and {len(without) - 1:,} others)" if len(without) > 1 else ""
            raise InputError(f"{without[0]}{more} {missing} {self.rule}; every picture needs a group")
        problem = _problem(names, "person", labels)
        if problem:
            raise InputError(f"{self.rule} makes no groups ({problem})")
        return Groups(tuple(names), "person", self.rule, asked=True)

    def _name(self, path: str, top: str, files: Counter[str]) -> str | None:
        if self.pattern:
            found = self.pattern.search(path)
            return found[1] if found else None
        assert self.table is not None
        file = path.rpartition("/")[2]
        below = path.removeprefix(f"{top}/") if top else path
        for name in (path, below, *([file] if files[file] == 1 else [])):
            if name in self.table:
                return self.table[name]
        return None


def asked(text: str) -> Asked:
    """Parse ``--groups``.

    Args:
        text: a CSV file of path and group, or a regular expression with one capture group, searched in each picture's
            path below the data set's folder.

    Raises:
        InputError: it is neither.
    """
    path = Path(text)
    if path.suffix.lower() == ".csv":
        return _table(path)
    if len(text) < 256 and path.is_file():
        raise InputError(f"--groups needs a .csv file of path and group, or a pattern; {text} is neither")
    try:
        if len(text) > _LONGEST_PATTERN:
            raise re.error(f"longer than {_LONGEST_PATTERN:,} characters")
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(f"--groups {one_line(text, 80)} is not a pattern ({one_line(error, 100)})") from None
    if pattern.groups != 1:
        raise InputError(
            f"--groups {one_line(text, 80)} has {pattern.groups} capture groups instead of one for the person: "
            r"'(S\d+)_'"
        )
    key = hashlib.sha256(b"pattern\0" + text.encode("utf-8", "surrogateescape")).hexdigest()
    return Asked(f"--groups '{one_line(text, 80)}'", key, pattern=pattern)


def _table(path: Path) -> Asked:
    content = limits.read_bytes(path, limits.GROUPS)
    with reading(str(path)):
        text = content.decode("utf-8-sig")
    table: dict[str, str] = {}
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline="")), 1):
            cells = [cell.strip() for cell in row]
            if not any(cells) or (number == 1 and cells[0].lower() in ("path", "file", "filename", "image", "picture")):
                continue
            if len(cells) < 2 or not cells[0] or not cells[1]:
                raise InputError(f"{path}, line {number}: expected a picture's path and its group")
            name = cells[0].replace("\\", "/").removeprefix("./")
            if table.setdefault(name, cells[1]) != cells[1]:
                raise InputError(f"{path}, line {number}: {one_line(name, 80)} has two groups")
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV file ({one_line(error, 80)})") from None
    if not table:
        raise InputError(f"{path} has no rows; --groups needs a CSV file of path and group")
    return Asked(f"--groups {one_line(path.name, 80)}", hashlib.sha256(b"table\0" + content).hexdigest(), table=table)
