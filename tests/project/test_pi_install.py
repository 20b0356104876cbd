"""Installation on a Raspberry Pi: benchmarks/results/pi_install.json covers today's requirements in pyproject.toml."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
FOUND = json.loads((ROOT / "benchmarks" / "results" / "pi_install.json").read_text())
PAGE = (ROOT / "docs" / "raspberry-pi.md").read_text()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_every_package_has_a_wheel_for_arm64(python: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["live"], *extras["report"]]
    wheels = {normal(wheel.partition("-")[0]): wheel for wheel in FOUND["systems"][python]["wheels"]}
    for each in asked:
        if "python_version <" in each:
            continue
        name = normal(re.split(r"[<>=;\[ ]", each)[0])
        assert name in wheels, f"{name} is new: run python benchmarks/runtimes/pi_install.py"
        assert wheels[name].endswith(("aarch64.whl", "any.whl")), wheels[name]


def test_both_boards_cores_ran_it() -> None:
    cores = FOUND["answers"]["cores"]
    assert any("Cortex-A76" in core for core in cores)
    assert any("Cortex-A72" in core for core in cores)
    assert len({said for said in cores.values() if said.startswith("ok: ")}) == 1


def test_the_page_installs_what_was_tried() -> None:
    assert "pip install '.[live,report]'" in PAGE
    assert all(system["system"].split(" (")[0].rsplit(" ", 1)[0] in PAGE for system in FOUND["systems"].values())
