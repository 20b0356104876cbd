"""edgefer on an emulated Raspberry Pi: install from arm64 wheels only, then doctor and predict.

python benchmarks/runtimes/pi_install.py [--root /var/tmp/edgefer-aarch64] [--python 3.11 3.13]

pip fetches what `pip install '.[live,report]'` takes from PyPI as wheels for aarch64 and the Pythons of Raspberry Pi OS
(12 bookworm: 3.11, 13 trixie: 3.13); a package without a wheel fails. Those for Debian's emulated Python
(aarch64.py sets it up) are unpacked, and tests/project/smoke.py runs on both boards' cores under qemu:
doctor, predict from Python and from the command line. Nothing is timed.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import protocol
from benchmarks.runtimes import aarch64
from edgefer import paths, versions
from edgefer.devices import machine

HERE = Path(__file__).parents[1]
EXTRAS = ("live", "report")
OUT = HERE / "results" / "pi_install.json"
SYSTEMS = {"3.11": "Raspberry Pi OS 12 (bookworm)", "3.13": "Raspberry Pi OS 13 (trixie)"}
# 2.17 to 2.28: supported by the systems' glibc (2.36 and 2.41), as named in wheel tags.
_GLIBC = (17, 24, 26, 27, 28)
_PLATFORMS = [*(f"--platform=manylinux_2_{glibc}_aarch64" for glibc in _GLIBC), "--platform=manylinux2014_aarch64"]


def needed() -> list[str]:
    """Return edgefer's requirements with `EXTRAS`, from pyproject.toml."""
    text = (HERE.parent / "pyproject.toml").read_text(encoding="utf-8")
    tree: dict[str, Any] = toml(text)
    project = tree["project"]
    return [*project["dependencies"], *(each for extra in EXTRAS for each in project["optional-dependencies"][extra])]


def toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def wheels(python: str, folder: Path) -> list[str]:
    """Fetch the wheels for one Python; return their names."""
    # Markers are evaluated by the Python that runs pip, so packages only for older Pythons are left out here.
    wanted = [each.partition(";")[0] for each in needed() if "python_version <" not in each]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:", f"--python-version={python}"]
    aarch64.output([*pip, *_PLATFORMS, f"--dest={folder}", *wanted], f"some package has no aarch64 wheel for {python}")
    return sorted(file.name for file in folder.glob("*.whl"))


def answers(emulated: aarch64.Emulated, packages: Path) -> dict[str, str]:
    """Return smoke.py's results on each board's core."""
    found = {}
    for core in list(aarch64.CORES)[:2]:
        cpu, *identity = aarch64.CORES[core]
        aarch64.describe_core(emulated.system, *identity)
        environment = {"PYTHONPATH": f"{packages}:{HERE.parent}", "ORT_DISABLE_TELEMETRY": "1"}
        smoke = str(HERE.parent / "tests" / "project" / "smoke.py")
        said = aarch64.output([*emulated.command(cpu), smoke], f"smoke.py fails on {cpu}", environment)
        found[core] = said.strip().splitlines()[-1]
        print(f"{core}: {found[core]}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("/var/tmp/edgefer-aarch64"))
    parser.add_argument("--python", nargs="+", default=list(SYSTEMS))
    given = parser.parse_args()
    emulated = aarch64.set_up(given.root)
    own = emulated.python.name.removeprefix("python")
    result: dict[str, Any] = {"protocol": protocol(__doc__), "systems": {}}
    with tempfile.TemporaryDirectory() as name:
        for python in dict.fromkeys([*given.python, own]):
            folder = Path(name) / python
            found = wheels(python, folder)
            result["systems"][python] = {"system": SYSTEMS.get(python, "Debian"), "wheels": found}
            print(f"Python {python}: {len(found)} wheels, none to compile", flush=True)
        packages = Path(name) / "packages"
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", f"--target={packages}"]
        files = [str(file) for file in (Path(name) / own).glob("*.whl")]
        pip += ["--only-binary=:all:", f"--python-version={own}", *_PLATFORMS, *files]
        aarch64.output(pip, "the wheels cannot be unpacked")
        result["answers"] = {"python": own, "cores": answers(emulated, packages)}
    version = re.sub(r"\s*\(.*", "", aarch64.output([str(emulated.qemu), "--version"], "qemu").splitlines()[0])
    result |= {"emulator": version, "versions": versions.installed(), "machine": machine.describe().model_dump()}
    paths.write_json(OUT, result, indent=1)
    print(OUT)


if __name__ == "__main__":
    main()
