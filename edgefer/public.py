"""What a file that people pass on says of a path: its name, and no folder of the machine that wrote it."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath
from typing import Any

# Of these, the folder's name says which one it is.
_IN_ITS_FOLDER = ("best.json", "last.json", "manifest.json", "result.json")


def name(path: str | os.PathLike[str]) -> str:
    """Return the last part of a path: ``fer2013.zip``, ``my-run``, ``my-run/best.json``."""
    place = Path(path)
    parts = [part for part in place.parts if part not in (place.anchor, "..", "~")]
    if not parts:
        parts = list((Path.cwd() / place).resolve().parts[1:])  # `.` and `..`
    return "/".join(parts[-2 if parts[-1:] and parts[-1] in _IN_ITS_FOLDER else -1 :]) or "."


def place(path: str | os.PathLike[str]) -> str:
    """Return a path as it is typed in the current folder if it lies below, so that a command can be repeated.

    What lies elsewhere has its `name` alone, and so has everything where the current folder is above the home folder:
    a path from there would spell it out.
    """
    here, given = Path.cwd(), Path(path)
    given = Path(os.path.normpath(here / given))
    below = given.is_relative_to(here) and given != here and not _holds_home(here)
    return str(given.relative_to(here)) if below else name(given)


def value(tree: Any) -> Any:
    """Return plain JSON values with the `name` instead of each text that is an absolute path."""
    if isinstance(tree, dict):
        return {key: value(item) for key, item in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(value(item) for item in tree)
    return name(tree) if isinstance(tree, str) and is_absolute(tree) else tree


def is_absolute(text: str) -> bool:
    """Return whether a text names a place on this machine whatever the current folder is."""
    return (text.startswith(("/", "~/")) and len(text) > 1) or PureWindowsPath(text).is_absolute()


def _holds_home(folder: Path) -> bool:
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and a user whom the system does not know: a container
        return False
    return folder in home.parents or folder.resolve() in home.resolve().parents
