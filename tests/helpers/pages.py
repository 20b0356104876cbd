"""The commands in README and the pages of docs/, in the order in which a reader types them."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PAGES = [Path("README.md"), *sorted(path.relative_to(ROOT) for path in (ROOT / "docs").glob("*.md"))]
NOT_RUN = Path(__file__).parent.parent / "project" / "pages.toml"
# A line of an indented block with this start, or any line of a block marked as sh or console, is a shell command.
_PROGRAMS = (
    r"\S*/?(edgefer|pip|python3?|npm|npx|node|cmake|make|ctest|g\+\+|curl|wget|docker|git|bash|sh|sudo|apt|apt-get|cat|cp|"
    r"uname|ssh|scp|gst-launch-1\.0|rpicam-vid|vcgencmd|sphinx-build|uv|pipx|export|torchrun)"
)
_TYPED = re.compile(rf"([A-Z_]+=\S+ )*{_PROGRAMS} ")


@dataclass(frozen=True)
class NotRun:
    """Page commands that no test runs unchanged."""

    page: str
    command: str
    why: str

    def has(self, page: Path, command: str) -> bool:
        return fnmatchcase(page.as_posix(), self.page) and fnmatchcase(command, self.command)


def not_run() -> list[NotRun]:
    return [NotRun(**each) for each in tomllib.loads(NOT_RUN.read_text(encoding="utf-8"))["not_run"]]


def commands(page: Path) -> list[str]:
    """Return a page's commands, with continued lines joined and comments removed."""
    found = []
    lines = iter((ROOT / page).read_text(encoding="utf-8").splitlines())
    fence = ""
    for line in lines:
        if line.lstrip().startswith("```"):
            fence = "" if fence else (line.strip("` ") or "text")
            continue
        marked = fence in ("sh", "console", "bash", "shell")
        typed = line.strip() if marked else line[4:] if not fence and line.startswith("    ") else ""
        typed = typed.removeprefix("$ ")
        if not (_TYPED.match(f"{typed} ") or (marked and typed and not typed.startswith("#"))):
            continue
        while typed.endswith("\\"):
            typed = typed[:-1].rstrip() + " " + next(lines).strip()
        found.append(re.split(r"\s+#\s", typed)[0].strip())
    return found


def python(page: Path) -> list[str]:
    """Return the Python blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
