"""What the benchmarks share: our copy of FER2013, the command that runs, a protocol from a script's first lines."""

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
    """Return the command line that runs, for its JSON, without the folders of this machine."""
    return shlex.join(["python", *(public.place(word) if public.is_absolute(word) else word for word in sys.argv)])
