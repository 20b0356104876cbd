"""The memory-mapped cache: a data set is read once, then opened instantly.

A folder for each data set, named after its content: ``images.npy`` (memory-mapped), ``labels.npy``, ``splits.npy``,
``rows.npy``, with people or sequences ``groups.npy``, and ``meta.json``. It is written atomically.
A changed or damaged entry is read again from the source.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import paths
from edgefer.data import near_duplicates
from edgefer.data.contents import Contents, Groups, name_shown, reading
from edgefer.data.dataset import SPLITS, USAGES, Dataset, Division
from edgefer.data.folders import check_labels
from edgefer.data.identical import by_file, groups
from edgefer.data.new_splits import carve, division, trusted, units
from edgefer.data.trees import File
from edgefer.errors import InputError, MissingRequirement

FORMAT = 5  # increase it when the format or the reading of a source changes
_CHALLENGE = (28_709, 3_589, 3_589)  # images of FER2013 by split
ARRAYS: dict[str, str] = {"images": "|u1", "labels": "<i8", "splits": "|u1", "rows": "<i8"}
_GROUPS = {"groups": "<i8"}  # if known
NPY_HEADER = 128  # bytes
_SETTLED_NS = 2_000_000_000  # a file changed just now may change again within one clock tick

Write = Callable[[bytes | memoryview], object]


class CacheError(Exception):
    """The cache cannot be written; the data set can still be read."""


def folder() -> Path:
    """Return where the cached data sets are.

    Raises:
        CacheError: there is no home folder and no EDGEFER_CACHE.
    """
    try:
        return paths.cache_dir() / "data"
    except RuntimeError as error:
        raise CacheError(str(error)) from error


def key_of_file(path: Path) -> str:
    """Return the key of a file's content.

    The hash is remembered with the file's identity and time of change, so a large file is not read each time.

    Raises:
        InputError: the file can't be read.
    """
    with reading(str(path)):
        before = _identity(path)
        note = _note(path)
        remembered = _read_note(note, before)
        if remembered:
            return remembered
        key = _key("file", paths.sha256(path))
        settled = time.time_ns() - max(before["ctime_ns"], before["mtime_ns"]) > _SETTLED_NS
        if note and settled and _identity(path) == before:
            _write_note(note, {**before, "key": key})
    return key


def key_with_groups(key: str, groups: str) -> str:
    """Return the key of the same pictures with other groups.

    Args:
        key: from `key_of_file` or `key_of_files`.
        groups: their identity.
    """
    return f"{key}-{hashlib.sha256(groups.encode()).hexdigest()[:16]}"


def key_of_files(files: Iterable[File]) -> str:
    """Return the key of a folder's files: their paths, sizes and times of change."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        digest.update(f"{file.path}\0{file.size}\0{file.changed}\n".encode("utf-8", "surrogateescape"))
    return _key("folder", digest.hexdigest())


def _key(kind: str, digest: str) -> str:
    return f"v{FORMAT}-{kind}-{digest[:40]}"


def _identity(path: Path) -> dict[str, int]:
    status = path.stat()
    names = ("dev", "ino", "size", "mtime_ns", "ctime_ns")
    return {name: getattr(status, f"st_{name}") for name in names}


def _note(path: Path) -> Path | None:
    try:
        return folder() / "hashes" / (hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:40] + ".json")
    except CacheError:
        return None


def _read_note(note: Path | None, identity: dict[str, int]) -> str | None:
    try:
        noted = json.loads(note.read_text()) if note else None
    except (OSError, ValueError):
        return None
    if not isinstance(noted, dict) or not isinstance(key := noted.pop("key", None), str):
        return None
    return key if noted == identity and key.startswith(_key("file", "")) else None


def _write_note(note: Path, content: dict[str, Any]) -> None:
    try:
        with paths.write_atomically(note) as part:
            part.write_text(json.dumps(content))
    except OSError:
        pass  # it only saves time


def read(key: str, name: str, origin: str) -> Dataset | None:
    """Return a cached data set, or None if it is missing or changed.

    Args:
        key: from `key_of_file` or `key_of_files`.
        name: of the data set, if not FER2013.
        origin: see `Dataset.origin`.
    """
    try:
        place = folder() / key
        meta = json.loads((place / "meta.json").read_text())
        arrays = {array: _open(place / f"{array}.npy", meta) for array in _stored(meta)}
        dataset = _dataset(arrays, meta, name, origin)
    except (CacheError, OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    count, classes = len(dataset.images), len(dataset.classes)
    if not len(dataset.labels) == len(dataset.splits) == len(dataset.rows) == count > 0:
        return None
    if dataset.groups is not None and len(dataset.groups) != count:
        return None
    inside = dataset.labels.min() >= 0 and dataset.labels.max() < classes and dataset.splits.max() < len(SPLITS)
    return dataset if inside else None


def _stored(meta: dict[str, Any]) -> dict[str, str]:
    return {**ARRAYS, **(_GROUPS if meta["groups"] else {})}


def _open(path: Path, meta: dict[str, Any]) -> NDArray[Any]:
    if path.stat().st_size != meta["bytes"][path.stem]:
        raise ValueError(f"{path} has changed size since it was written")
    array: NDArray[Any] = np.load(path, mmap_mode="r" if path.stem == "images" else None, allow_pickle=False)
    if array.dtype.str != _stored(meta)[path.stem] or (path.stem == "images" and list(array.shape) != meta["shape"]):
        raise ValueError(f"{path} has changed type or shape since it was written")
    return array


def _dataset(arrays: dict[str, NDArray[Any]], meta: dict[str, Any], name: str, origin: str) -> Dataset:
    return Dataset(
        name="FER2013" if meta["challenge"] else name_shown(name),
        origin=origin,
        images=arrays["images"],
        labels=arrays["labels"],
        splits=arrays["splits"],
        rows=arrays["rows"],
        classes=tuple(meta["classes"]),
        digest=str(meta["digest"]),
        layout=str(meta["layout"]),
        carved=tuple(meta["carved"]),
        division=Division(**meta["division"]) if meta["division"] else None,
        groups=arrays.get("groups"),
        grouped=str(meta["grouped"]),
        pictures=str(meta["pictures"]),
    )


def store(key: str, contents: Contents, name: str, origin: str) -> Dataset:
    """Write a data set into the cache and return it. Nothing is left behind on errors.

    Raises:
        CacheError: the cache cannot be written, or the disk is full.
        InputError: the source is invalid.
    """
    try:
        place = folder() / key
        with paths.part_beside(place, folder=True) as part:
            _write(part, contents)
            _put(part, place, key)
    except OSError as error:  # the source's errors are InputErrors here
        raise CacheError(error.strerror or str(error)) from error
    dataset = read(key, name, origin)
    if dataset is None:
        raise CacheError(f"{place} cannot be read back")
    return dataset


def _write(part: Path, contents: Contents) -> None:
    with (part / "images.npy").open("wb") as file:
        file.write(bytes(NPY_HEADER))
        arrays, meta = _take(contents, file.write)
        file.seek(0)
        file.write(npy_header("|u1", meta["shape"]))
        _flush(file)
    for array, values in arrays.items():
        with (part / f"{array}.npy").open("wb") as file:
            np.save(file, values, allow_pickle=False)
            _flush(file)
    meta["bytes"] = {array: (part / f"{array}.npy").stat().st_size for array in _stored(meta)}
    with (part / "meta.json").open("wb") as file:
        file.write(json.dumps(meta, indent=1).encode())
        _flush(file)
    part.chmod(0o755)


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _put(part: Path, place: Path, key: str) -> None:
    """Rename `part` to `place`, unless another process has done so."""
    for _ in range(10):
        try:
            part.rename(place)
            return
        except OSError:
            if not place.exists():
                raise
        if read(key, "", "") is not None:
            return
        # The existing entry is damaged; moved into `part`, it is deleted with it.
        with paths.part_beside(place, folder=True) as aside, suppress(FileNotFoundError):  # another process was faster
            place.rename(aside / "damaged")
    raise OSError(f"{place} exists but is not a cache; remove it")


def hold(contents: Contents, name: str, origin: str) -> Dataset:
    """Return a data set in memory only.

    Raises:
        MissingRequirement: it needs more than half of the machine's memory.
        InputError: the source is invalid.
    """
    limit = _memory() // 2
    held = bytearray()

    def write(data: bytes | memoryview) -> None:
        if len(held) + len(data) > limit:
            raise MissingRequirement(
                f"{origin} needs more than {limit / 1e9:.1f} GB of memory without a cache; "
                "set EDGEFER_CACHE to a folder on a disk with enough space"
            )
        held.extend(data)

    arrays, meta = _take(contents, write)
    images = np.frombuffer(held, dtype=np.uint8).reshape(meta["shape"])
    images.flags.writeable = False
    return _dataset({"images": images, **arrays}, meta, name, origin)


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):  # not available on every system
        return 4 << 30


def _take(contents: Contents, write: Write) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Pass all images to `write`, and return the other arrays and the metadata.

    Returns:
        labels, splits and rows by name; shape, classes, digest and so on for ``meta.json``.
    """
    digest = hashlib.sha256()
    taken: dict[str, list[NDArray[Any]]] = {"labels": [], "splits": [], "rows": []}
    known: dict[bytes, int] = {}
    group: list[NDArray[np.int64]] = []
    looks: list[near_duplicates.Vectors] = []
    files: list[bytes] = []
    said = contents.groups
    for block in contents.blocks:
        pixels = np.ascontiguousarray(block.images).reshape(-1).data
        digest.update(pixels)
        write(pixels)
        for array, blocks in taken.items():
            blocks.append(getattr(block, array))
        if contents.carved:
            group.append(groups(block.images, known=known))
            files += block.files
            looks.append(near_duplicates.describe(block.images))
    pictures = digest.hexdigest()
    if not taken["labels"]:
        raise InputError("no images to read")
    arrays = {array: np.concatenate(blocks).astype(ARRAYS[array]) for array, blocks in taken.items()}
    classes = tuple(contents.classes)
    if contents.by_appearance:
        names = [contents.classes[place] for place in arrays["labels"]]
        said_of = [None if contents.carved else SPLITS[place] for place in arrays["splits"]]
        classes = check_labels(contents.layout, names, said_of)
        arrays["labels"] = np.array([classes.index(name) for name in contents.classes], np.int64)[arrays["labels"]]
    divided = None
    if contents.carved:
        training = arrays["splits"] == SPLITS.index("train")
        same, vectors = np.concatenate(group), np.concatenate(looks)
        said = trusted(said, same, vectors)
        named = said if isinstance(said, Groups) else None
        together = units(same, vectors, named)
        order = files if named is None else [_hash(name) for name in named.names]
        unit = by_file(together.numbers, order)
        arrays["splits"] = carve(arrays["labels"], arrays["splits"], unit, contents.carved)
        divided = asdict(division(said, unit[training], together.cut))
    for values in arrays.values():
        digest.update(values.data)
    named = said if isinstance(said, Groups) else None
    if named is not None:
        arrays["groups"] = named.numbers()
        if "val" not in contents.carved:  # otherwise no longer needed
            digest.update(arrays["groups"].data)
    counts = tuple(np.bincount(arrays["splits"], minlength=len(USAGES)).tolist())
    meta = {
        "format": FORMAT,
        "layout": contents.layout,
        "classes": list(classes),
        "carved": list(contents.carved),
        "division": divided,
        "groups": named is not None,
        "grouped": f"by {named.by}: {named.rule}" if named else said,
        "challenge": contents.usage and counts == _CHALLENGE,
        "shape": [len(arrays["labels"]), *contents.shape],
        "digest": digest.hexdigest(),
        "pictures": pictures,
    }
    return arrays, meta


def digest_of(dataset: Dataset, splits: NDArray[np.uint8], carved: Sequence[str]) -> str:
    """Return a data set's digest with other splits.

    Args:
        dataset: the whole, from the cache.
        splits: uint8, (N,).
        carved: which of them were taken from training images.
    """
    digest = hashlib.sha256()
    for start in range(0, len(dataset), 1024):
        digest.update(np.ascontiguousarray(dataset.images[start : start + 1024]).reshape(-1).data)
    for values in (dataset.labels, splits, dataset.rows):
        digest.update(np.ascontiguousarray(values).data)
    if dataset.groups is not None and "val" not in carved:
        digest.update(dataset.groups.data)
    return digest.hexdigest()


def _hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def npy_header(kind: str, shape: Sequence[int]) -> bytes:
    """Return the header of a version 1.0 .npy file, always `NPY_HEADER` long.

    Args:
        kind: of the numbers, as in `ARRAYS`.
        shape: of the array.

    numpy writes headers of any length, but the number of rows is known only at the end.
    """
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    length = NPY_HEADER - 10
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n"
