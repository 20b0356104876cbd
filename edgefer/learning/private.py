"""Where things lie that a run needs to be resumed: a file of its own, which nothing but --resume reads or copies.

All that people pass on (checkpoints, bundles, results) has names and digests alone. Without this file, or where
something was moved, --resume asks for it. Whether it is the same is checked by its digest.
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
    """Write the file into a run's folder, readable by its owner alone.

    Args:
        folder: of the run.
        where: texts, lists of texts or None by what they are: ``data``, ``teachers``, ``votes``, ``checkpoint``.
    """
    with paths.write_atomically(folder / FILE) as part:
        part.write_text(
            json.dumps({"note": _NOTE, "folder": str(folder.absolute()), **where}, indent=1) + "\n", encoding="utf-8"
        )
    (folder / FILE).chmod(0o600)


def read(folder: Path) -> dict[str, Any]:
    """Return what `write` wrote; nothing where there is no such file, or none that makes sense."""
    file = folder / FILE
    try:
        found = limits.read_json(file, limits.NOTE) if file.exists() else {}
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}


def text(folder: Path, key: str) -> str | None:
    """Return one path of a run's file, or None; if it is gone, where it lies beside a folder that was moved with it."""
    found = read(folder)
    return _there(folder, found, found.get(key))


def texts(folder: Path, key: str) -> tuple[str, ...]:
    """Return a list of paths of a run's file likewise, or an empty one."""
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
    """Return a path that means the same in any folder; the name of a network of edgefer's stays as it is."""
    return str(Path(path).absolute()) if path and Path(path).exists() else path
