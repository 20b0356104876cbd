"""Shared by the benchmarks: our copy of FER2013, the current command line, the protocol from a script's docstring."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from edgefer import public

FER2013 = Path(__file__).parents[2] / "shared" / "data" / "fer2013" / "fer2013.zip"


def protocol(doc: str | None) -> str:
    """Return the last paragraph of a script's docstring as one line, for its JSON."""
    return " ".join((doc or "").split("\n\n")[-1].split())


def command() -> str:
    """Return the current command line for a JSON, without this machine's folders."""
    return shlex.join(["python", *(public.place(word) if public.is_absolute(word) else word for word in sys.argv)])
