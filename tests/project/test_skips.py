"""A skip that is not in tests/skips.toml fails CI, and only CI; so does a crashed process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ("--dist=loadfile", "--max-worker-restart=0")  # as in pyproject.toml
CONFTEST = """
from pathlib import Path
from tests.helpers.skips import Skips

def pytest_configure(config):
    config.pluginmanager.register(Skips(Path(__file__).with_name("skips.toml")))
"""
SKIPPED = {
    "in a test": "def test(): pytest.skip('no printer here')",
    "by a mark": "@pytest.mark.skipif(True, reason='no printer here')\ndef test(): ...",
    "by a fixture": "@pytest.fixture\ndef printer(): pytest.skip('no printer here')\ndef test(printer): ...",
    "as a whole file": "pytest.skip('no printer here', allow_module_level=True)",
}


def run(
    folder: Path, source: str, *, listed: str = "", ci: str = "true", processes: int = 0
) -> subprocess.CompletedProcess[str]:
    tests = folder / "tests"
    tests.mkdir()
    (tests / "conftest.py").write_text(CONFTEST)
    (tests / "skips.toml").write_text(f'[[skip]]\ntest = "tests/test_it.py*"\nreason = "{listed}"\nwhy = ""\n')
    (tests / "test_it.py").write_text(f"import pytest\n{source}\ndef test_that_runs(): ...\n")
    (folder / "pytest.ini").touch()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "xdist", "-n", str(processes), *SHARED]
    variables = {**os.environ, "CI": ci, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run([*command, str(folder)], cwd=folder, capture_output=True, text=True, env=variables)


@pytest.mark.parametrize(
    ("kind", "processes"), [*((kind, 0) for kind in SKIPPED), ("in a test", 2), ("as a whole file", 2)]
)
def test_a_skip_that_is_not_listed_fails_ci_and_is_named(tmp_path: Path, kind: str, processes: int) -> None:
    source = SKIPPED[kind]
    done = run(tmp_path, source, listed="no scanner here", processes=processes)
    assert done.returncode == (5 if "module_level" in source else 1), done.stdout
    assert "tests/test_it.py" in done.stdout.partition("skips.toml does not list")[2]


def test_a_listed_skip_passes_ci(tmp_path: Path) -> None:
    assert run(tmp_path, SKIPPED["in a test"], listed="no printer *").returncode == 0


def test_elsewhere_a_skip_is_only_named(tmp_path: Path) -> None:
    done = run(tmp_path, SKIPPED["in a test"], listed="no scanner here", ci="")
    assert done.returncode == 0
    assert "no printer here" in done.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    source = "@pytest.mark.xfail\ndef test(): assert False"
    assert run(tmp_path, source, listed="no scanner here").returncode == 0


def test_a_process_that_dies_fails_the_run_and_its_test_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "import os\ndef test_death(): os.kill(os.getpid(), 11)", processes=2)
    assert done.returncode == 1
    assert "crashed while running 'tests/test_it.py::test_death'" in done.stdout
