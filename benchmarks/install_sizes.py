"""Disk space of each way to install edgefer, for docs/install.md.

python benchmarks/install_sizes.py    # in an environment with '.[all,ray]' as constraints.txt pins it

Nothing is installed. The packages are those that pyproject.toml requires, and their requirements. Their installed
files and the bytecode that pip compiles are counted. pip and the virtual environment are not included.
"""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgefer import paths

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OUT = Path(__file__).parent / "results" / "install_sizes.json"
ROOT = Path(__file__).parent.parent
# The sizes of docs/install.md.
WAYS = {
    "device": (),
    "device, live camera and reports": ("live", "report"),
    "device, many pictures on Ray": ("ray",),
    "training and compression": ("compress", "report"),
    "everything": ("all",),
}
_CUDA = ("nvidia-", "cuda-", "triton", "tensorrt")


def ours() -> list[str]:
    """Return edgefer's requirements in the form of wheel metadata; the installed metadata may be older."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = list(project["dependencies"])
    for extra, lines in project["optional-dependencies"].items():
        for line in lines:
            need, _, marker = line.partition(";")
            found.append(f"{need} ; {f'({marker}) and ' if marker else ''}extra == '{extra}'")
    return found


def closure(extras: tuple[str, ...]) -> set[str]:
    """Return the packages that ``pip install edgefer[extras]`` installs, without edgefer itself."""
    waiting = [("edgefer", frozenset(extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, asked = waiting.pop()
        if (name, asked) in seen:
            continue
        seen.add((name, asked))
        for line in ours() if name == "edgefer" else metadata.requires(name) or []:
            need = Requirement(line)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in (asked or {""})):
                waiting.append((canonicalize_name(need.name), frozenset(need.extras)))
    return {name for name, _ in seen} - {"edgefer"}


def size(name: str) -> int:
    """Return the size of a package's files in bytes."""
    found = metadata.distribution(name)
    files = [Path(str(found.locate_file(file))) for file in found.files or []]
    return sum(file.stat().st_size for file in files if file.is_file())


def own() -> int:
    """Return the size of edgefer's unpacked wheel in bytes; training checkpoints are a separate distribution."""
    files = [path for path in (ROOT / "edgefer").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return sum(path.stat().st_size for path in files if path.parent.name != "checkpoint")


def main() -> None:
    ways: dict[str, dict[str, Any]] = {}
    for way, extras in WAYS.items():
        names = closure(extras)
        sizes = {name: size(name) for name in names}
        cuda = sum(bytes for name, bytes in sizes.items() if name.startswith(_CUDA))
        largest = dict(sorted(sizes.items(), key=lambda each: -each[1])[:6])
        ways[way] = {
            "extras": list(extras),
            "packages": len(names),
            "bytes": sum(sizes.values()) + own(),
            "of_cuda": cuda,
            "largest": largest,
        }
        print(f"{way}: {ways[way]['bytes'] / 1e6:,.0f} MB, of which CUDA's libraries {cuda / 1e6:,.0f} MB")
    checkpoints = sum(path.stat().st_size for path in (ROOT / "edgefer" / "pretrained").glob("*/checkpoint/*"))
    here = {"python": platform.python_version(), "system": sys.platform, "machine": platform.machine()}
    paths.write_json(OUT, {**here, "ways": ways, "checkpoints_bytes": checkpoints}, indent=1)


if __name__ == "__main__":
    main()
