"""How a data set is to be read where it does not say so itself: options, or a small TOML file in the data's place."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edgefer import limits
from edgefer.errors import InputError
from edgefer.lines import one_line

_KEYS = {"path", "labels", "map", "groups", "path-column", "label-column"}


@dataclass(frozen=True)
class Reading:
    """Options of reading.

    Attributes:
        labels: a name in `edgefer.labels.ORDERS`, names with commas between them, or a file (`edgefer.data.naming`).
        renames: ``old=new,other=``; nothing behind the sign drops a label.
        groups: who is in which picture (`edgefer.data.groups.asked`).
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
        """What tells this reading of a source from another one; empty where nothing is asked for."""
        asked = [self.path_column, self.label_column, self.labels is not None]
        return hashlib.sha256(repr(asked).encode()).hexdigest() if any(asked) else ""

    def over(self, other: Reading) -> Reading:
        """Return this reading, with what it does not say taken from another one."""
        names = [each.name for each in fields(self)]
        return Reading(**{name: getattr(self, name) or getattr(other, name) for name in names})


NOTHING = Reading()


def described(path: Path) -> tuple[Path, Reading]:
    """Return the data set and the reading that a TOML file describes.

    Its keys are ``path`` (relative to the file), ``labels``, ``map``, ``groups``, ``path-column`` and ``label-column``.

    Raises:
        InputError: it is no such file.
    """
    tree = limits.read_toml(path, limits.RECIPE)
    unknown = sorted(tree.keys() - _KEYS)
    if unknown or not isinstance(tree.get("path"), str):
        wrong = f"it has {', '.join(one_line(key, 40) for key in unknown[:5])}" if unknown else "it has no path"
        raise InputError(f"{path} describes no data set ({wrong}); its keys are {', '.join(sorted(_KEYS))}")
    values = {key: _text(path, key, value) for key, value in tree.items() if key != "path"}
    groups = values.get("groups")
    if groups is not None and (path.parent / groups).is_file():
        groups = str(path.parent / groups)
    labels = values.get("labels")
    if labels is not None and (path.parent / labels).is_file():
        labels = str(path.parent / labels)
    reading = Reading(labels, values.get("map"), groups, values.get("path-column"), values.get("label-column"))
    return path.parent / tree["path"], reading


def _text(path: Path, key: str, value: Any) -> str:
    if key == "map" and isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
        return ",".join(f"{old}={new}" for old, new in value.items())
    if key == "labels" and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    if isinstance(value, str):
        return value
    raise InputError(f"{path}: {key} is a text" + (" or a table of texts" if key == "map" else ""))


def description(path: Path, reading: Reading, file: Path) -> str:
    """Return the TOML that `described` reads as these.

    Args:
        path: of the data set.
        reading: of it.
        file: where the text will stand: a data set below it is named relative to it.
    """
    place = path.absolute()
    below = place.is_relative_to(file.absolute().parent)
    where = place.relative_to(file.absolute().parent) if below else place
    named = {
        "path": str(where),
        "labels": reading.labels,
        "map": reading.renames,
        "groups": reading.groups,
        "path-column": reading.path_column,
        "label-column": reading.label_column,
    }
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in named.items() if value)
