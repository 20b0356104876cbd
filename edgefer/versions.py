"""Versions of what a result was made with."""

from __future__ import annotations

import functools
import platform
from importlib import metadata


def installed(*packages: str) -> dict[str, str]:
    """Return the versions of Python, edgefer and `packages`, those that are installed."""
    found = {"python": platform.python_version()}
    for package in ("edgefer", *packages):
        try:
            found[package] = _version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache  # milliseconds each time, and asked for often
def _version(package: str) -> str:
    return metadata.version(package)
