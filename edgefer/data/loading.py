"""From a path to a data set: detects the layout, then reads or fills the cache."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from edgefer import console, limits
from edgefer.data import archives, arrow, cache, folders, layouts, listed, naming, npz, packed, pictures, tables
from edgefer.data import groups as grouping
from edgefer.data.contents import Contents, Groups, ImageBlock
from edgefer.data.contents import reading as reading_of
from edgefer.data.dataset import Dataset
from edgefer.data.folders import Pictures
from edgefer.data.layouts import table, tars
from edgefer.data.listed import Finder, Listed
from edgefer.data.pictures import Form, NotAlikeError
from edgefer.data.reading import Reading, described
from edgefer.data.text import decoded
from edgefer.data.trees import FolderTree, Tree, ZipTree
from edgefer.errors import InputError
from edgefer.lines import printable

# Files that a folder may contain instead of class folders; the first one found is used.
FILES = (*tables.NAMES, "fer2013.zip", "fer2013.tar.gz", "fer2013/fer2013.csv", packed.META)
_BUFFER = 1 << 18
_GZIP = b"\x1f\x8b"
_KINDS = "a .csv, .tar.gz, .zip, .tar, .npz, .parquet, .arrow, a .toml that describes one, or a folder"
_SPLIT_PLACES = ("", "data")  # where a folder may have its tables or archives, and in those of the splits

Read = Callable[[], AbstractContextManager[Contents]]


def load(
    path: str | os.PathLike[str],
    groups: str | os.PathLike[str] | None = None,
    *,
    labels: str | None = None,
    renames: str | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
) -> Dataset:
    """Open a data set in any layout of docs/data.md: FER2013, class folders, lists, tables, archives, arrays.

    The first time it is read into the cache (`edgefer.paths.cache_dir`), then mapped from there. The
    same FER2013 gives the same arrays in the same order from any of its layouts. If the source
    has no validation images, 12.5 % of its training images are used; without any splits, another 12.5 % become test
    images, for each class if possible. A person's or a sequence's pictures stay in one split if folders, file names, a
    table or `groups` identify them (`edgefer.data.groups`), otherwise only copies and near-duplicates
    (`Dataset.division`). A folder written by `edgefer.data.packed` is mapped directly.

    Labels are the source's; synonyms of the seven expressions are mapped to them (`edgefer.labels`).

    >>> import edgefer
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> for name in ("happy", "sad"):
    ...     Path("faces", name).mkdir(parents=True)
    ...     for i in range(20):
    ...         Image.new("L", (48, 48), color=5 * i + len(name)).save(Path("faces", name, f"{i}.png"))
    >>> dataset = edgefer.data.load("faces")
    >>> dataset.classes, len(dataset), dataset.carved
    (('happy', 'sad'), 40, ('val', 'test'))

    Args:
        path: a file, a folder with one of these files, or a folder of class folders.
        groups: people by picture: a CSV file of path and group, or a regular expression with one capture group.
        labels: names of numbers, or FER+'s votes (`edgefer.data.naming.named`).
        renames: ``old=new,other=``: labels to rename or, with an empty new name, to drop.
        path_column: of a table of pictures, if it cannot be guessed.
        label_column: likewise.

    Raises:
        InputError: it is missing, unreadable or damaged; the message names file and row.
        MissingRequirement: not enough disk space and memory.
    """
    said = None if groups is None else os.fspath(groups)
    place, reading = settled(Path(path), Reading(labels, renames, said, path_column, label_column))
    dataset = naming.named(_open(place, reading), reading.labels, reading.renames)  # FER+'s votes are next to the data
    return replace(dataset, origin=str(path)) if place != Path(path) else dataset


def settled(path: Path, reading: Reading) -> tuple[Path, Reading]:
    """Return a path's data set and how to read it: a .toml describes both.

    Raises:
        InputError: the .toml is invalid.
    """
    if path.suffix.lower() != ".toml" or not path.is_file():
        return path, reading
    place, other = described(path)
    return place, reading.over(other)


def _open(path: Path, reading: Reading) -> Dataset:
    """Return a data set with its source's labels."""
    place = resolve(path)
    name = _stem(place)
    asked = None if reading.groups is None else grouping.asked(reading.groups)
    if place.is_dir():
        return _load_folder(place, name, asked, reading)
    if place.name == packed.META:
        if asked:
            raise InputError(f"{place.parent} is already one split; omit --groups")
        return packed.load(place.parent)
    with reading_of(str(place)), limits.opened(place) as file:
        start = file.read(512)
    if not start:
        raise InputError(f"{place} is empty")
    limits.check_file(place, limits.ARCHIVE if start.startswith(b"PK") else limits.TABLE)
    if place.suffix.lower() in arrow.ENDINGS:
        return _load_arrow([place], place, name, asked, reading)
    packed_tar = start.startswith(_GZIP)
    if place.suffix.lower() == ".tar" and not packed_tar:
        found_tar = tars.find([place], place)
        if found_tar is not None:
            return _load_listed(*found_tar, name, str(place), asked, reading)
    header = [] if start.startswith(b"PK") else header_of(place)
    if place.suffix.lower() in (".csv", ".tsv", ".txt") and table.is_list(header, reading):
        tree = FolderTree(place.parent)
        return _load_listed(tree, table.listed(Finder(tree), place.name, reading), name, str(place), asked, reading)
    key = _key(cache.key_of_file(place), asked, reading)
    found = cache.read(key, name, str(place))
    if found is not None:
        return found
    if start.startswith(b"PK"):
        return _load_zip(place, key, name, asked, reading)
    if asked:
        raise _no_names(place)
    if packed_tar or start[257:262] == b"ustar":
        return _keep(key, lambda: _table_in_tar(place), name, str(place))
    if place.suffix.lower() in (".csv", ".tsv", ".txt"):
        return _keep(key, lambda: _table(place, reading), name, str(place))
    raise InputError(f"{place} is not a data set: edgefer reads {_KINDS}")


def header_of(place: Path) -> list[list[str]]:
    """Return the first two rows of a table."""
    with reading_of(str(place)), limits.opened(place) as file:
        lines = decoded(file.read(1 << 16)).splitlines()[:2]
    try:
        return list(csv.reader(lines, delimiter=tables.delimiter_of(lines[0]))) if lines else []
    except csv.Error:
        return []


def _load_arrow(files: list[Path], top: Path, name: str, asked: grouping.Asked | None, reading: Reading) -> Dataset:
    tree, found = arrow.find(files, top, reading)
    return _load_listed(tree, found, name, str(top), asked, reading)


def _load_listed(
    tree: Tree, found: Listed, name: str, origin: str, asked: grouping.Asked | None, reading: Reading
) -> Dataset:
    """Return a data set with labels in separate files: they are part of the cache key."""
    inside = found.tree or tree
    chosen = listed.pictures(inside, found)
    said = hashlib.sha256(
        repr([chosen.classes, chosen.labels.tolist(), chosen.splits.tolist(), chosen.people]).encode()
    )
    files = [*chosen.files, *found.lists]
    key = _key(cache.key_with_groups(cache.key_of_files(files), said.hexdigest()), asked, reading)
    known = cache.read(key, name, origin)
    return known if known is not None else _keep_pictures(key, inside, chosen, "", name, origin, asked)


def _key(key: str, asked: grouping.Asked | None, reading: Reading) -> str:
    key = cache.key_with_groups(key, asked.key) if asked else key
    return cache.key_with_groups(key, reading.key) if reading.key else key


def _no_names(place: Path) -> InputError:
    return InputError(f"{place} is a table without picture names; omit --groups")


def resolve(path: Path) -> Path:
    """Resolve a path to a file or a folder of class folders."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        what = "is a broken link" if path.is_symlink() else "does not exist"
        raise InputError(f"{path} {what}; give {_KINDS}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        with reading_of(str(path)):
            return next((path / name for name in FILES if (path / name).is_file()), path)
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is not a data set: edgefer reads {_KINDS}")
    return path


def _stem(place: Path) -> str:
    name = place.absolute().name if place.is_dir() else place.name
    for suffix in (".tar.gz", ".tgz", ".tar", ".csv", ".tsv", ".txt", ".zip", ".npz", ".parquet", ".arrow"):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _load_folder(place: Path, name: str, asked: grouping.Asked | None, reading: Reading) -> Dataset:
    tree = FolderTree(place)
    found = layouts.find(tree, reading)
    if found is None:
        try:
            chosen = folders.look(tree)
        except InputError:
            others = files_of_folder(place)
            if not others:
                raise
            return _load_files(others, place, name, asked, reading)
        key = _key(cache.key_of_files(chosen.files), asked, reading)
        known = cache.read(key, name, str(place))
        return known if known is not None else _keep_pictures(key, tree, chosen, "", name, str(place), asked)
    return _load_listed(tree, found, name, str(place), asked, reading)


def files_of_folder(place: Path) -> list[Path]:
    """Return the tables or archives of a folder that has no class folders: Parquet, Arrow, .tar, or one .csv."""
    names = [*_SPLIT_PLACES, *(each.name for each in place.iterdir() if folders.split_of(each.name))]
    there = [file for each in names if (place / each).is_dir() for file in sorted((place / each).iterdir())]
    for ending in (*arrow.ENDINGS, ".tar"):
        files = [file for file in there if file.suffix.lower() == ending and file.is_file()]
        if files:
            return files
    csvs = [file for file in there if file.suffix.lower() in (".csv", ".tsv") and file.parent == place]
    if len(csvs) > 1:
        csvs = [file for file in csvs if file.stem.lower() in ("labels", "train", "data", "annotations")]
    return csvs[:1]


def _load_files(files: list[Path], place: Path, name: str, asked: grouping.Asked | None, reading: Reading) -> Dataset:
    if files[0].suffix.lower() in arrow.ENDINGS:
        return _load_arrow(files, place, name, asked, reading)
    if files[0].suffix.lower() == ".tar":
        found = tars.find(files, place)
        if found is None:
            raise InputError(f"{files[0]} has no labelled pictures")
        return _load_listed(*found, name, str(place), asked, reading)
    return _open(files[0], reading)


def _load_zip(place: Path, key: str, name: str, asked: grouping.Asked | None, reading: Reading) -> Dataset:
    size = place.stat().st_size
    with (
        reading_of(str(place)),
        limits.BoundedReads(io.FileIO(place), limits.directory(size), str(place)) as file,
        zipfile.ZipFile(file) as archive,
    ):
        tree = ZipTree(archive, str(place), limits.entries(size))
        if npz.is_npz(archive.namelist()):
            if asked:
                raise _no_names(place)
            return _keep(key, lambda: _npz(archive, place), name, str(place))
        tables_inside = [path for path in tree.entries if path.rpartition("/")[2] in tables.NAMES]
        if tables_inside:
            if asked:
                raise _no_names(place)
            entry = tree.entries[min(tables_inside, key=lambda path: (path.count("/"), path))]
            _check_table_size(str(place), entry.filename, entry.file_size)
            return _keep(key, lambda: _table_in_zip(archive, entry, place), name, str(place))
        said = layouts.find(tree, reading)
        if said is not None:
            inside = said.tree or tree
            return _keep_pictures(key, inside, listed.pictures(inside, said), " in a zip", name, str(place), asked)
        found = folders.look(tree)
        return _keep_pictures(key, tree, found, " in a zip", name, str(place), asked)


def _keep_pictures(
    key: str, tree: Tree, found: Pictures, where: str, name: str, origin: str, asked: grouping.Asked | None
) -> Dataset:
    groups = _groups(tree, found, asked)
    if found.ignored:
        console.say(
            f"{len(found.ignored)} files that are not pictures are skipped, such as {tree.label(found.ignored[0])}"
        )

    layout = found.layout + where + ("; splits and rows from file names" if found.usage else "")

    def keep(form: Form) -> Dataset:
        @contextmanager
        def read() -> Iterator[Contents]:
            yield pictures.read(tree, found, form, layout, groups)

        return _keep(key, read, name, origin)

    form = pictures.first_form(tree, found)
    if form is not None:
        try:
            return keep(form)
        except NotAlikeError:
            pass
    return keep(pictures.survey(tree, found))


def _groups(tree: Tree, found: Pictures, asked: grouping.Asked | None) -> Groups | str:
    """Return groups of pictures, or why they are unknown."""
    names = [file.path for file in found.files]
    if asked:
        return asked.groups(names, found.top, tree.label, found.labels)
    if found.usage:
        return "FER2013 does not identify people"
    return grouping.from_names(names, found.people, found.labels, found.people_rule)


def _keep(key: str, read: Read, name: str, origin: str) -> Dataset:
    """Read a source into the cache, or into memory if the cache cannot be written."""
    try:
        with read() as contents:
            return cache.store(key, contents, name, origin)
    except cache.CacheError as error:
        console.say(f"the data cache cannot be written ({error}); {origin} is read into memory on each run")
    with read() as contents:
        return cache.hold(contents, name, origin)


@contextmanager
def _npz(archive: zipfile.ZipFile, place: Path) -> Iterator[Contents]:
    with reading_of(str(place)):
        yield npz.read(archive, place)


@contextmanager
def _table(place: Path, reading: Reading) -> Iterator[Contents]:
    with reading_of(str(place)), place.open("rb") as file:
        size, numbers = os.fstat(file.fileno()).st_size, reading.labels is not None
        yield tables.read(file, str(place), size, "FER2013 table", reading.label_column, numbers)


@contextmanager
def _table_in_zip(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, place: Path) -> Iterator[Contents]:
    label = f"{place}: {printable(entry.filename)}"
    with reading_of(label), archive.open(entry) as file:
        yield tables.read(file, label, entry.file_size, "FER2013 table in a zip")


@contextmanager
def _table_in_tar(place: Path) -> Iterator[Contents]:
    name = str(place)
    with reading_of(name), place.open("rb") as raw:
        packed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        file = io.BufferedReader(archives.Inflated(raw, name), _BUFFER) if packed else raw
        found = archives.find(file, tables.NAMES, name)
        if found is None:
            raise InputError(f"{name} has no {' and no '.join(tables.NAMES)} in it")
        inside, size = found
        _check_table_size(name, inside, size)
        table = io.BufferedReader(archives.Member(file, size), _BUFFER)
        label = f"{name}: {printable(inside)}"
        contents = tables.read(table, label, size, "FER2013 table in a .tar" + (".gz" if packed else ""))
        yield replace(contents, blocks=_then_to_the_end(contents.blocks, file.read, name))


def _then_to_the_end(blocks: Iterator[ImageBlock], read: Callable[[int], bytes], name: str) -> Iterator[ImageBlock]:
    """Yield the blocks, then read the rest of the file: gzip's checksum is at its end."""
    yield from blocks
    with reading_of(name):
        while read(1 << 20):
            pass


def _check_table_size(archive: str, entry: str, size: int) -> None:
    if size > limits.TABLE:
        raise InputError(
            f"{archive}: {printable(entry)} claims {size / 1e9:.1f} GB, but a FER2013 table has "
            "0.3; do not trust this file"
        )
