"""GitHub Actions matches .ci/run and pyproject.toml; only the steps of its workflows could be run here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(name: str) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    return found


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_few_rights_and_files_that_are_there(path: Path) -> None:
    workflow = read(path.name)
    assert workflow["permissions"] == {"contents": "read"}
    for step in steps(workflow):
        for file in re.findall(r"(?:tests|\.ci|edgefer|docs)(?:/[\w.]+)*", step.get("run", "")):
            assert (ROOT / file).exists(), file


def test_tests_run_as_ci_runs_them_on_each_python() -> None:
    (job,) = read("tests.yml")["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == ["3.10", "3.11", "3.12", "3.13"]
    assert job["steps"][-1] == {"run": "bash .ci/run", "env": {"CI": "true"}}


def test_links_to_elsewhere_are_checked_on_a_schedule_and_the_site_always() -> None:
    workflow = read("docs.yml")
    runs = {step["run"]: step.get("if", "") for step in steps(workflow) if "run" in step}
    assert runs["sphinx-build -W --keep-going docs build/site"] == ""
    assert "schedule" in runs["sphinx-build -b linkcheck docs build/links"]
    assert "sphinx-build -W --keep-going" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize(("ci", "user", "installs"), [("", "1000", False), ("true", "1000", True), ("", "0", True)])
def test_debian_s_packages_are_installed_where_that_is_asked_for_and_for_root(
    tmp_path: Path, ci: str, user: str, installs: bool
) -> None:
    """.ci/run's lines up to its first phase, with apt-get, sudo and id replaced by stubs that print their arguments."""
    script, _, _ = (ROOT / ".ci" / "run").read_text(encoding="utf-8").partition('\nphase "')
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_text(f'{script}\npackages "[ -e never ]" some-package\n')
    for name, body in {"id": f"echo {user}", "apt-get": 'echo "apt-get $*"', "sudo": '"$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["bash", ".ci/run"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "CI": ci},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert ("apt-get install -qy --no-install-recommends some-package" in done.stdout) is installs
    assert ("CI=true bash .ci/run installs it" in done.stdout) is not installs
