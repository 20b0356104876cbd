"""Pictures with labels from a list, a table or names: from rows to `Pictures`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from edgefer import limits
from edgefer.data.dataset import SPLITS, USAGES
from edgefer.data.folders import SPLIT_FOLDERS, FoundPictures, Pictures, check_labels, is_picture, order
from edgefer.data.trees import File, Tree, join
from edgefer.errors import InputError
from edgefer.labels import is_number, label_of
from edgefer.lines import one_line

_NAMED = 5  # in one line


@dataclass(frozen=True)
class ListedPicture:
    """An entry of a list of pictures.

    Attributes:
        path: below the tree's top.
        label: its label, a word or a number.
        split: one of `SPLITS`, or None if the list has none.
        person: who is in it, or None.
    """

    path: str
    label: str
    split: str | None = None
    person: str | None = None


@dataclass(frozen=True)
class Listed:
    """Result of a layout.

    Attributes:
        layout: for display.
        rows: in the list's order.
        tree: source of the pictures, if another tree.
        lists: files with labels.
        people: how people are known, for display.
    """

    layout: str
    rows: list[ListedPicture]
    tree: Tree | None = None
    lists: list[File] = field(default_factory=list)
    people: str = ""


class Finder:
    """Files of a tree by path; each folder is listed once."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._listings: dict[str, tuple[set[str], dict[str, File]] | None] = {"": self._listed("")}

    def file(self, path: str) -> File | None:
        """Return the file at a path below the top, or None."""
        if not _inside(path):
            return None
        listing = self._listing(path.rpartition("/")[0])
        return None if listing is None else listing[1].get(path)

    def folder(self, path: str) -> bool:
        """Return whether there is such a folder."""
        return _inside(path) and self._listing(path) is not None

    def folders(self, path: str) -> list[str]:
        """Return the names of the folders in a folder, sorted; empty if there is no such folder."""
        listing = self._listing(path)
        return sorted(listing[0]) if listing else []

    def files(self, path: str) -> list[File]:
        """Return the files in a folder, sorted; empty if there is no such folder."""
        listing = self._listing(path)
        return [listing[1][name] for name in sorted(listing[1])] if listing else []

    def _listing(self, folder: str) -> tuple[set[str], dict[str, File]] | None:
        if folder not in self._listings:
            parent, _, name = folder.rpartition("/")
            above = self._listing(parent)
            self._listings[folder] = self._listed(folder) if above is not None and name in above[0] else None
        return self._listings[folder]

    def _listed(self, folder: str) -> tuple[set[str], dict[str, File]]:
        folders, files = self.tree.listing(folder)
        return {*folders}, {file.path: file for file in files}


def _inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/") and path.count("/") <= limits.DEPTH


def walk(finder: Finder, top: str, depth: int = 5) -> Iterator[File]:
    """Yield the pictures in a folder and in those in it, sorted.

    Raises:
        InputError: there are more than `edgefer.limits.ENTRIES`.
    """
    for count, file in enumerate(_walk(finder, top, depth), 1):
        if count > limits.ENTRIES:
            raise InputError(f"{finder.tree.label(top)} has more than {limits.ENTRIES:,} pictures")
        yield file


def _walk(finder: Finder, top: str, depth: int) -> Iterator[File]:
    yield from filter(is_picture, finder.files(top))
    if depth:
        for name in finder.folders(top):
            yield from _walk(finder, join(top, name), depth - 1)


def pictures(tree: Tree, listed: Listed) -> Pictures:
    """Return the pictures of a list, in its order.

    Raises:
        InputError: some are missing, or their labels are invalid; all are listed.
    """
    finder = Finder(tree)
    found = FoundPictures([], [], [], [], [])
    missing = []
    for row in listed.rows:
        file = finder.file(row.path)
        if file is None:
            missing.append(row.path)
            continue
        found.files.append(file)
        found.names.append(label_of(row.label))
        found.splits.append(row.split)
        found.people.append(row.person)
    if missing:
        shown = ", ".join(tree.label(path) for path in missing[:_NAMED])
        raise InputError(f"{len(missing):,} of {len(listed.rows):,} listed pictures are missing, such as {shown}")
    _check_told_once(tree, found)
    check_labels(tree.label("") or ".", found.names, found.splits)
    ordered = order(tree, found, listed.layout, "")
    return replace(ordered, people_rule=listed.people) if listed.people else ordered


def _check_told_once(tree: Tree, found: FoundPictures) -> None:
    """Refuse a list with two labels for a picture."""
    told: dict[str, str] = {}
    torn = {
        file.path: (told[file.path], name)
        for file, name in zip(found.files, found.names, strict=True)
        if told.setdefault(file.path, name) != name
    }
    if torn:
        path, (one, other) = next(iter(torn.items()))
        more = f" (and {len(torn) - 1:,} others)" if len(torn) > 1 else ""
        raise InputError(
            f"{tree.label(path)} is listed as {one_line(one, 40)} and as {one_line(other, 40)}{more}; "
            "keep one row per picture"
        )


_SPLITS = {**SPLIT_FOLDERS, **dict(zip(map(str.lower, USAGES), SPLITS, strict=True))}


def split_named(text: str) -> str | None:
    """Return the split of a list's word: ``train``, ``Training``, ``PublicTest``, ``dev``; or None."""
    return _SPLITS.get(text.strip().lower())


def number(text: str) -> str:
    """Return a label, with whole numbers normalized: ``3`` for ``3.0`` or ``03``."""
    text = text.strip()
    found = re.fullmatch(r"[+]?0*(\d{1,6})(?:\.0*)?(?:[eE][+]?0+)?", text)
    return found[1] if found else text


def names_of(finder: Finder, numbers: Sequence[str], order_of: dict[int, str]) -> list[str]:
    """Return labels for numbers, from a layout's documentation.

    Raises:
        InputError: some have no label; all are listed.
    """
    unknown = sorted({each for each in numbers if not is_number(each) or int(each) not in order_of})
    if unknown:
        shown = ", ".join(one_line(each, 20) or "(empty)" for each in unknown[:_NAMED])
        raise InputError(
            f"{finder.tree.label('')}: labels {shown}, but {min(order_of)} to {max(order_of)} are possible"
        )
    return [order_of[int(each)] for each in numbers]
