"""How to read a data set: options, or a small TOML file instead of the data."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edgefer import limits
from edgefer.errors import InputError
from edgefer.lines import one_line

_KEYS = {"path", "labels", "map", "groups", "path-column", "label-column"}


@dataclass(frozen=True)
class Reading:
    """Options for reading.

    Attributes:
        labels: a name in `edgefer.labels.ORDERS`, names with commas between them, or a file (`edgefer.data.naming`).
        renames: ``old=new,other=``; an empty new name drops a label.
        groups: people by picture (`edgefer.data.groups.asked`).
        path_column: of a table that lists pictures.
        label_column: of a table.
    """

    labels: str | None = None
    renames: str | None = None
    groups: str | None = None
    path_column: str | None = None
    label_column: str | None = None

    @property
    def key(self) -> str:
        """Identity of these options; empty for the defaults."""
        asked = [self.path_column, self.label_column, self.labels is not None]
        return hashlib.sha256(repr(asked).encode()).hexdigest() if any(asked) else ""

    def over(self, other: Reading) -> Reading:
        """Return these options, with missing ones from another reading."""
        names = [each.name for each in fields(self)]
        return Reading(**{name: getattr(self, name) or getattr(other, name) for name in names})


NOTHING = Reading()


def described(path: Path) -> tuple[Path, Reading]:
    """Return the data set and the options in a TOML file.

    Its keys are ``path`` (relative to the file), ``labels``, ``map``, ``groups``, ``path-column`` and ``label-column``.

    Raises:
        InputError: it is not such a file.
    """
    tree = limits.read_toml(path, limits.RECIPE)
    unknown = sorted(tree.keys() - _KEYS)
    if unknown or not isinstance(tree.get("path"), str):
        wrong = (
            f"it has unknown keys {', '.join(one_line(key, 40) for key in unknown[:5])}"
            if unknown
            else "it has no path"
        )
        raise InputError(f"{path} does not describe a data set ({wrong}); valid keys: {', '.join(sorted(_KEYS))}")
    if "\0" in tree["path"]:
        raise InputError(
            f"{path} does not describe a data set (its path has a null character); give a file or a folder"
        )
    values = {key: _text(path, key, value) for key, value in tree.items() if key != "path"}
    for key in ("groups", "labels"):
        if key in values and is_file(path.parent / values[key]):
            values[key] = str(path.parent / values[key])
    reading = Reading(
        values.get("labels"),
        values.get("map"),
        values.get("groups"),
        values.get("path-column"),
        values.get("label-column"),
    )
    return path.parent / tree["path"], reading


def is_file(path: Path) -> bool:
    """Return whether a file exists; patterns or lists of labels may be too long for a file name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _text(path: Path, key: str, value: Any) -> str:
    if key == "map" and isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
        return ",".join(f"{old}={new}" for old, new in value.items())
    if key == "labels" and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    if isinstance(value, str):
        return value
    raise InputError(f"{path}: {key} is a text" + (" or a table of texts" if key == "map" else ""))


def _from(file: Path, path: Path) -> str:
    """Return a path relative to a file, without folders of this machine."""
    try:
        return Path(os.path.relpath(path.resolve(), file.resolve().parent)).as_posix()
    except ValueError:  # on another drive of Windows
        return str(path.resolve())


def description(path: Path, reading: Reading, file: Path) -> str:
    """Return the TOML for `described`.

    Args:
        path: of the data set.
        reading: of it.
        file: the TOML file; paths are relative to it.
    """

    def beside(text: str | None) -> str | None:
        return _from(file, Path(text)) if text is not None and is_file(Path(text)) else text

    named = {
        "path": _from(file, path),
        "labels": beside(reading.labels),
        "map": reading.renames,
        "groups": beside(reading.groups),
        "path-column": reading.path_column,
        "label-column": reading.label_column,
    }
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in named.items() if value)
