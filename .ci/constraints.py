"""Write constraints.txt: the versions that pip picks for '.[all,dev]' on each Python that edgefer supports.

    python3 .ci/constraints.py python3.10 python3.11 python3.12 python3.13

Each argument is an interpreter whose pip is 23.1 or newer; nothing is installed. Run the tests before you commit
the result.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEADER = """\
# The versions that edgefer is tested with. Made by .ci/constraints.py; pyproject.toml has the bounds, which are wider.
"""
# Picked by hand: the newest set of these that fits together and that the measurements were made with.
CHOSEN = {"nncf": "3.4.0", "timm": "1.0.31", "torch": "2.14.1", "torchvision": "0.29.1"}
# On PyPI these are source packages that only name the wheels to take.
SOURCES = "edgefer,tensorrt-rtx,tensorrt_rtx_cu13"


def resolve(python: str) -> tuple[str, dict[str, str]]:
    """Return the Python's version, ``3.11``, and the version of each package."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder, "chosen.txt")
        chosen.write_text("".join(f"{name}=={version}\n" for name, version in CHOSEN.items()), encoding="utf-8")
        report = Path(folder, "report.json")
        options = ["--only-binary=:all:", "--no-binary", SOURCES, "--constraint", chosen, "--report", report]
        subprocess.run(
            [
                python,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--dry-run",
                "--ignore-installed",
                *options,
                f"{ROOT}[all,dev]",
            ],
            check=True,
        )
        found = json.loads(report.read_text(encoding="utf-8"))
    packages = {
        item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"] for item in found["install"]
    }
    del packages["edgefer"]
    return found["environment"]["python_version"], packages


def marker(some: list[str], every: list[str]) -> str:
    if some == every:
        return ""
    if some == every[-len(some) :]:
        return f' ; python_version >= "{some[0]}"'
    return " ; " + " or ".join(f'python_version == "{python}"' for python in some)


def write(by_python: dict[str, dict[str, str]]) -> None:
    versions: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for python, packages in by_python.items():
        for name, version in packages.items():
            versions[name][version].append(python)
    lines = []
    for name in sorted(versions):
        for version, pythons in versions[name].items():
            lines.append(f"{name}=={version}{marker(pythons, list(by_python))}")
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(dict(resolve(python) for python in sys.argv[1:]))
