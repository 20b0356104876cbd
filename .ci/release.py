"""Check whether this tree can be released: python .ci/release.py [TAG]

pyproject.toml holds the version. CITATION.cff, edgefer-checkpoints and the first section of CHANGELOG.md must match it.
With a tag, the tag must be v and that version, and CHANGELOG.md must have the release date.
Needs no package, and Python 3.11.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = ("pyproject.toml", "edgefer/pretrained/pyproject.toml")
UNRELEASED = "not released yet"


def faults(root: Path, tag: str | None = None) -> list[str]:
    """Return the problems, one line each."""
    version, checkpoints = (
        tomllib.loads((root / name).read_text(encoding="utf-8"))["project"]["version"] for name in DISTRIBUTIONS
    )
    cited = re.search(r"^version: (.+)$", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    section = re.search(r"^## (\S+), (.+)$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    found = []
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        found.append(f"pyproject.toml: {version} is no X.Y.Z")
    if checkpoints != version:
        found.append(f"{DISTRIBUTIONS[1]}: version is {checkpoints}, not {version}")
    if cited is None or cited[1] != version:
        found.append(f"CITATION.cff: version is {cited[1] if cited else 'missing'}, not {version}")
    if section is None or section[1] != version:
        found.append(f"CHANGELOG.md: the first section is of {section[1] if section else 'nothing'}, not of {version}")
    elif section[2] != UNRELEASED and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", section[2]):
        found.append(f"CHANGELOG.md: {section[2]} is neither a day, as in 2026-12-01, nor '{UNRELEASED}'")
    elif tag and section[2] == UNRELEASED:
        found.append(f"CHANGELOG.md: {version} is {UNRELEASED}; write the day there")
    if tag and tag != f"v{version}":
        found.append(f"the tag is {tag}, the version {version}: the tag must be v{version}")
    return found


if __name__ == "__main__":
    wrong = faults(ROOT, *sys.argv[1:2])
    print("\n".join(wrong) or "ready")
    sys.exit(bool(wrong))
