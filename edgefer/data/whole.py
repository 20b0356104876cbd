"""A data set's picture files, with labels, splits and people."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgefer import limits
from edgefer.data import arrow, folders, layouts, listed, npz, pictures, tables
from edgefer.data.contents import reading as reading_of
from edgefer.data.dataset import Dataset
from edgefer.data.folders import Pictures
from edgefer.data.layouts import table, tars
from edgefer.data.listed import Finder, Listed
from edgefer.data.loading import files_of_folder, header_of, resolve, settled
from edgefer.data.reading import NOTHING, Reading
from edgefer.data.trees import FolderTree, Tree, ZipTree
from edgefer.errors import InputError

_LISTS = (".csv", ".tsv", ".txt")


class NoPicturesError(InputError):
    """A data set has pixels, but no picture files."""


@dataclass(frozen=True)
class Whole:
    """A data set's picture files and metadata.

    Attributes:
        tree: the files' source.
        pictures: in row order.
        listed: labels are in lists or file names, not in folder names.
    """

    tree: Tree
    pictures: Pictures
    listed: bool


@contextmanager
def opened(path: Path, reading: Reading = NOTHING) -> Iterator[Whole]:
    """Yield the pictures of a data set in any layout with picture files, so not tables of pixels or arrays.

    Args:
        path: of the data set, as for `edgefer.data.load`.
        reading: options; labels, renames and groups are ignored.

    Raises:
        NoPicturesError: it has none.
        InputError: it is damaged, or not a data set.
    """
    path, reading = settled(path, reading)
    place = resolve(path)
    if place.is_dir():
        yield _in_folder(place, reading)
        return
    ending = place.suffix.lower()
    if ending == ".zip":
        size = place.stat().st_size
        with (
            reading_of(str(place)),
            limits.BoundedReads(io.FileIO(place), limits.directory(size), str(place)) as file,
            zipfile.ZipFile(file) as archive,
        ):
            tree = ZipTree(archive, str(place), limits.entries(size))
            if npz.is_npz(archive.namelist()) or any(each.rpartition("/")[2] in tables.NAMES for each in tree.entries):
                raise _no_pictures(place)
            said = layouts.find(tree, reading)
            yield _of_list(tree, said) if said else Whole(tree, folders.look(tree), listed=False)
        return
    yield _of_files([place], place, reading)


def _in_folder(place: Path, reading: Reading) -> Whole:
    tree = FolderTree(place)
    said = layouts.find(tree, reading)
    if said is not None:
        return _of_list(tree, said)
    try:
        return Whole(tree, folders.look(tree), listed=False)
    except InputError:
        files = files_of_folder(place)
        if not files:
            raise
        return _of_files(files, place, reading)


def _of_files(files: list[Path], top: Path, reading: Reading) -> Whole:
    ending = files[0].suffix.lower()
    if ending in arrow.ENDINGS:
        return _of_list(*arrow.find(files, top, reading))
    if ending == ".tar":
        found = tars.find(files, top)
        if found is not None:
            return _of_list(*found)
    elif ending in _LISTS and table.is_list(header_of(files[0]), reading):
        tree = FolderTree(files[0].parent)
        return _of_list(tree, table.listed(Finder(tree), files[0].name, reading))
    raise _no_pictures(files[0])


def _of_list(tree: Tree, said: Listed) -> Whole:
    inside = said.tree or tree
    return Whole(inside, listed.pictures(inside, said), listed=True)


def _no_pictures(place: Path) -> NoPicturesError:
    return NoPicturesError(f"{place} holds no picture files; give a folder, a list or an archive of pictures")


def problems(path: Path, reading: Reading = NOTHING) -> list[str]:
    """Return one message per unreadable picture or row of a data set; empty if there are none.

    Args:
        path: of the data set.
        reading: of it.
    """
    try:
        path, reading = settled(path, reading)
        place = resolve(path)
        if place.suffix.lower() == ".csv" and not table.is_list(header_of(place), reading):
            return _bad_rows(place, reading)
        with opened(place, reading) as found:
            return pictures.problems(found.tree, found.pictures)
    except (InputError, OSError, zipfile.BadZipFile):
        return []


def names_of(dataset: Dataset) -> dict[int, str]:
    """Return the path of each picture by its row, ``/`` between the parts; empty if the source has no names.

    Args:
        dataset: from `edgefer.data.load`: its source is listed again.
    """
    if dataset.synthetic or dataset.part:
        return {}
    try:
        with opened(Path(dataset.origin)) as found:
            named = isinstance(found.tree, FolderTree)
            files = found.pictures.files
            there = (found.tree.label(file.path) if named else file.path for file in files)
            return {int(row): name.replace("\\", "/") for row, name in zip(found.pictures.rows, there, strict=True)}
    except NoPicturesError:
        return {}


def _bad_rows(place: Path, reading: Reading) -> list[str]:
    found: list[str] = []
    with reading_of(str(place)), place.open("rb") as file:
        size, numbers = os.fstat(file.fileno()).st_size, reading.labels is not None
        for _ in tables.read(file, str(place), size, "", reading.label_column, numbers, found).blocks:
            pass
    return found
