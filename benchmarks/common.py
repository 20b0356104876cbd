"""What the benchmarks share: where our copy of FER2013 lies, and what a script's first lines say of its protocol."""

from __future__ import annotations

from pathlib import Path

FER2013 = Path(__file__).parents[2] / "shared" / "data" / "fer2013" / "fer2013.zip"


def protocol(doc: str | None) -> str:
    """Return the last paragraph of a script's docstring as one line, for its JSON."""
    return " ".join((doc or "").split("\n\n")[-1].split())
