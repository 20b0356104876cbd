"""A skip that tests/skips.toml does not list fails CI, and only CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SKIPPED = {
    "in a test": "def test(): pytest.skip('no printer here')",
    "by a mark": "@pytest.mark.skipif(True, reason='no printer here')\ndef test(): ...",
    "by a fixture": "@pytest.fixture\ndef printer(): pytest.skip('no printer here')\ndef test(printer): ...",
    "as a whole file": "pytest.skip('no printer here', allow_module_level=True)",
}


def run(folder: Path, source: str, *, listed: str, ci: str) -> subprocess.CompletedProcess[str]:
    tests = folder / "tests"
    tests.mkdir()
    shutil.copy(TESTS / "conftest.py", tests)
    (tests / "skips.toml").write_text(f'[[skip]]\ntest = "tests/test_it.py*"\nreason = "{listed}"\nwhy = ""\n')
    (tests / "test_it.py").write_text(f"import pytest\n{source}\ndef test_that_runs(): ...\n")
    (folder / "pytest.ini").touch()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "CI": ci})


@pytest.mark.parametrize("source", SKIPPED.values(), ids=SKIPPED)
def test_a_skip_that_is_not_listed_fails_ci_and_is_named(tmp_path: Path, source: str) -> None:
    done = run(tmp_path, source, listed="no scanner here", ci="true")
    assert done.returncode == (5 if "module_level" in source else 1), done.stdout
    assert "tests/test_it.py" in done.stdout.partition("skips.toml does not list")[2]


def test_a_listed_skip_passes_ci(tmp_path: Path) -> None:
    assert run(tmp_path, SKIPPED["in a test"], listed="no printer *", ci="true").returncode == 0


def test_elsewhere_a_skip_is_only_named(tmp_path: Path) -> None:
    done = run(tmp_path, SKIPPED["in a test"], listed="no scanner here", ci="")
    assert done.returncode == 0
    assert "no printer here" in done.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    source = "@pytest.mark.xfail\ndef test(): assert False"
    assert run(tmp_path, source, listed="no scanner here", ci="true").returncode == 0
