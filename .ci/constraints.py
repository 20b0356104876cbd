"""Write constraints.txt: the versions that uv resolves for '.[all,dev]' on each supported Python.

    python3 -m pip install uv
    python3 .ci/constraints.py [--upgrade] 3.10 3.11 3.12 3.13 3.14

No interpreter of these versions is needed, and nothing is installed. Existing pins stay as long as pyproject.toml
allows them; --upgrade takes the newest versions. Run the tests before you commit the result.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLATFORM = "x86_64-manylinux_2_28"
HEADER = """\
# The versions that edgefer is tested with. Made by .ci/constraints.py; pyproject.toml has the bounds, which are wider.
"""
# Picked by hand: the newest compatible set that the measurements used.
CHOSEN = {"nncf": "3.4.0", "timm": "1.0.31", "torch": "2.14.1", "torchvision": "0.29.1"}


def resolve(python: str, upgrade: bool) -> dict[str, str]:
    """Return the version of each package on one Python, such as ``3.11``."""
    with tempfile.TemporaryDirectory() as folder:
        chosen, found = Path(folder, "chosen.txt"), Path(folder, "found.txt")
        chosen.write_text("".join(f"{name}=={version}\n" for name, version in CHOSEN.items()), encoding="utf-8")
        if not upgrade:
            found.write_text((ROOT / "constraints.txt").read_text(encoding="utf-8"), encoding="utf-8")
        command = ["uv", "pip", "compile", "pyproject.toml", "--extra", "all", "--extra", "dev"]
        command += ["--quiet", "--no-header", "--no-annotate", "--python-version", python]
        command += ["--python-platform", PLATFORM, "--constraint", str(chosen), "--output-file", str(found)]
        subprocess.run(command, check=True, cwd=ROOT)
        pins = re.findall(r"^([\w.-]+)==(\S+)", found.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: version for name, version in pins if name != "pip"}  # which installs them


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
    pythons = [word for word in sys.argv[1:] if word != "--upgrade"]
    write({python: resolve(python, "--upgrade" in sys.argv) for python in pythons})
