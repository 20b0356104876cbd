"""Keeps the paths needed to resume a run in a separate private file, used only by --resume.

Shared files (checkpoints, bundles, results) contain only names and digests. If this file or a path is missing,
--resume asks for it. Digests verify that the contents are the same.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from edgefer import limits, paths
from edgefer.errors import InputError

FILE = "private.json"
_NOTE = "paths on this machine, only for --resume; do not share this file"


def write(folder: Path, where: dict[str, Any]) -> None:
    """Write the file into a run's folder, readable only by its owner.

    Args:
        folder: of the run.
        where: paths, lists of paths or None, by ``data``, ``teachers``, ``votes``, ``checkpoint``.
    """
    with paths.write_atomically(folder / FILE) as part:
        part.write_text(
            json.dumps({"note": _NOTE, "folder": str(folder.absolute()), **where}, indent=1) + "\n", encoding="utf-8"
        )
    (folder / FILE).chmod(0o600)


def read(folder: Path) -> dict[str, Any]:
    """Return what `write` wrote; empty if the file is missing or invalid."""
    file = folder / FILE
    try:
        found = limits.read_json(file, limits.NOTE) if file.exists() else {}
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}


def text(folder: Path, key: str) -> str | None:
    """Return a stored path, or None. A missing path is looked up next to the run's folder, in case both were moved."""
    found = read(folder)
    return _there(folder, found, found.get(key))


def texts(folder: Path, key: str) -> tuple[str, ...]:
    """Return a stored list of paths in the same way, or an empty one."""
    found = read(folder)
    where = found.get(key)
    there = [_there(folder, found, each) for each in where] if isinstance(where, list) else []
    return tuple(each for each in there if each is not None)


def _there(folder: Path, found: dict[str, Any], place: Any) -> str | None:
    lay = found.get("folder")
    if not isinstance(place, str) or not place or "\0" in place:
        return None
    if not isinstance(lay, str) or not Path(place).is_absolute() or Path(place).exists():
        return place
    moved = os.path.normpath(folder.absolute() / os.path.relpath(place, lay))
    return moved if Path(moved).exists() else place


def absolute(path: str | None) -> str | None:
    """Return an existing path as absolute; pretrained network names are unchanged."""
    return str(Path(path).absolute()) if path and Path(path).exists() else path
