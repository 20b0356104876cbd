"""Versions of what a result was made with."""

from __future__ import annotations

import platform
from importlib import metadata


def installed(*packages: str) -> dict[str, str]:
    """Return the versions of Python, edgefer and `packages`, those that are installed."""
    found = {"python": platform.python_version()}
    for package in ("edgefer", *packages):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
