"""WebDataset: pictures and labels as adjacent members of .tar files.

github.com/webdataset/webdataset, "The WebDataset Format": members with the same name up to the first dot of the file's
name are one sample: ``000017.jpg`` and ``000017.cls`` (a number), ``.txt`` (a word) or ``.json`` (with ``label``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from edgefer import limits
from edgefer.data import archives, tables
from edgefer.data.contents import reading
from edgefer.data.folders import ENDINGS
from edgefer.data.listed import Listed, ListedPicture, number, split_named
from edgefer.data.trees import File, join
from edgefer.errors import InputError
from edgefer.lines import printable

_LABEL_FILE = 64 * limits.KILO
_KEYS = ("label", "emotion", "expression", "class", "cls")


@dataclass(frozen=True)
class _Member:
    archive: Path
    start: int
    size: int


class TarTree:
    """The members of some .tar files; each archive is a folder of its name."""

    def __init__(self, archives: list[Path], top: Path) -> None:
        self.top = top
        self._members: dict[str, _Member] = {}
        self._listings: dict[str, tuple[set[str], list[File]]] = {"": (set(), [])}
        for archive in archives:
            self._add(archive)

    def _add(self, path: Path) -> None:
        name = path.relative_to(self.top).as_posix() if path != self.top else path.name
        with reading(str(path)), limits.opened(path) as file:
            for inside, start, size in archives.members(file, str(path)):
                whole = f"{name}/{inside}"
                parts = whole.split("/")
                for depth in range(1, len(parts)):
                    self._listings["/".join(parts[: depth - 1])][0].add(parts[depth - 1])
                    self._listings.setdefault("/".join(parts[:depth]), (set(), []))
                if whole not in self._members:
                    self._members[whole] = _Member(path, start, size)
                    self._listings["/".join(parts[:-1])][1].append(File(whole, size))

    @property
    def members(self) -> list[str]:
        """Paths of all members, in order."""
        return list(self._members)

    def label(self, path: str) -> str:  # noqa: D102
        return printable(f"{self.top}: {path}" if path else str(self.top))

    def listing(self, folder: str) -> tuple[list[str], list[File]]:  # noqa: D102
        folders, files = self._listings[folder]
        return sorted(folders), sorted(files, key=lambda file: file.path)

    def read(self, path: str) -> bytes:  # noqa: D102
        member = self._members[path]
        if member.size > limits.PICTURE_IN_DATA:
            raise limits.too_large(self.label(path), member.size, limits.PICTURE_IN_DATA)
        with reading(self.label(path)), limits.opened(member.archive) as file:
            file.seek(member.start)
            content = file.read(member.size)
        if len(content) < member.size:
            raise InputError(f"{self.label(path)} is cut short; get the archive again")
        return content


def find(paths: list[Path], top: Path) -> tuple[TarTree, Listed] | None:
    """Return the samples of WebDataset's archives, or None if they have none.

    Args:
        paths: of the .tar files, in order.
        top: the folder that they are in, or the one file.

    Raises:
        InputError: an archive is damaged, or samples lack a label; these are listed.
    """
    tree = TarTree(paths, top)
    samples: dict[str, dict[str, str]] = {}
    for member in tree.members:
        folder, _, name = member.rpartition("/")
        stem, _, ending = name.partition(".")
        samples.setdefault(join(folder, stem), {})[ending.lower()] = member
    rows, bare = [], []
    for sample in samples.values():
        picture = next((sample[ending[1:]] for ending in ENDINGS if ending[1:] in sample), None)
        if picture is None:
            continue
        said = _label(tree, sample)
        if said is None:
            bare.append(picture)
            continue
        archive = picture.rpartition(".tar/")[0]
        rows.append(ListedPicture(picture, said, _split(archive)))
    if not rows and (not bare or any(member.rpartition("/")[2] in tables.NAMES for member in tree.members)):
        return None
    if bare:
        shown = ", ".join(map(tree.label, bare[:5]))
        raise InputError(f"{len(bare):,} pictures have no .cls, .txt or .json file, such as {shown}")
    return tree, Listed(f"WebDataset, {len(paths)} .tar", rows)


def _split(archive: str) -> str | None:
    words = archive.replace("/", "-").replace("_", "-").split("-")
    return next((found for word in words if (found := split_named(word))), None)


def _label(tree: TarTree, sample: dict[str, str]) -> str | None:
    for ending in ("cls", "txt", "label", "json"):
        if ending not in sample:
            continue
        content = tree.read(sample[ending])[:_LABEL_FILE].decode("utf-8", "replace").strip()
        if ending != "json":
            return number(content)
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            raise InputError(f"{tree.label(sample[ending])} is not valid JSON") from None
        for key in _KEYS:
            if isinstance(found, dict) and isinstance(found.get(key), str | int):
                return number(str(found[key]))
    return None
