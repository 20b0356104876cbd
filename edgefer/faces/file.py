"""YuNet's file: downloaded once from its authors' repository at a pinned commit, and cached."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgefer import console, download, limits, paths
from edgefer.errors import InputError

NAME = "yunet_s_dynamic.onnx"
ADDRESS = (
    "https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/0047ac24afb1a50a0c6105001c89d1b5b805dbf1/onnx/"
    + NAME
)
SHA256 = "daede24002cc8590f457998cc5e6c9e8b82f45f6bd969506a8913cd4ed10a2d3"
BYTES = 237_823


def cached() -> Path | None:
    """Return the cached file; None if it is missing or was changed."""
    file = place()
    try:
        content = limits.read_bytes(file, BYTES)
    except InputError:
        return None
    return file if hashlib.sha256(content).hexdigest() == SHA256 else None


def place() -> Path:
    """Return the file's path in the cache."""
    return paths.cache_dir() / "faces" / NAME


def fetch() -> Path:
    """Return the cached file, downloading it first if needed.

    Raises:
        MissingRequirement: it is not available; the message says why.
    """
    if (there := cached()) is not None:
        return there
    file = place()
    paths.fetch(file, lambda: download.get(ADDRESS, BYTES), _refused)
    console.say(f"fetched the face detector YuNet (0.24 MB, Apache-2.0) from github.com, once: {file}")
    return file


def _refused(content: bytes) -> str:
    found = hashlib.sha256(content).hexdigest()
    if found == SHA256:
        return ""
    return f"{ADDRESS} has changed: its SHA-256 is {found[:16]}... instead of {SHA256[:16]}..."
