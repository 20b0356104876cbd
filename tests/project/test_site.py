"""The documentation site builds without warnings: pages, links, anchors, reference of commands and files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import scripts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx")
    out = tmp_path_factory.mktemp("site")
    settings: list[str | Path] = ["-W", "--keep-going", "-q", "-d", out / "state"]
    command: list[str | Path] = [sys.executable, "-m", "sphinx", *settings, scripts.ROOT / "docs", out]
    done = subprocess.run(command, capture_output=True, text=True, cwd=scripts.ROOT)
    assert done.returncode == 0, done.stderr
    return out


def test_each_page_is_on_the_site(site: Path) -> None:
    pages = [path.stem for path in (scripts.ROOT / "docs").glob("*.md")]
    assert {"index", "get-started", "may-i-ship"} <= set(pages)
    assert [page for page in pages if not (site / f"{page}.html").is_file()] == []


def test_each_command_and_its_options_are_on_the_site(site: Path) -> None:
    from tests.project.test_readme import group

    page = (site / "commands.html").read_text(encoding="utf-8")
    for name, command in group().commands.items():
        assert f'id="edgefer-{name}"' in page
        for option in (option for parameter in command.params for option in parameter.opts if option.startswith("--")):
            assert option in page, f"{name} {option}"


def test_fields_of_the_files_and_docstrings_of_the_api_are_on_the_site(site: Path) -> None:
    formats = (site / "formats.html").read_text(encoding="utf-8")
    assert all(f'<span class="pre">{field}</span>' in formats for field in ("networks", "sha256", "preprocessing"))
    assert "by default" in (site / "python.html").read_text(encoding="utf-8")
    assert (site / "result.schema.json").is_file()


def test_a_link_to_a_file_that_is_not_there_fails_the_build(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "conf.py").write_bytes((scripts.ROOT / "docs" / "conf.py").read_bytes())
    (tmp_path / "docs" / "index.md").write_text("# A page\n\n[there](conf.py) and [gone](../edgefer/gone.py)\n")
    command: list[str | Path] = [sys.executable, "-m", "sphinx", "-W", "-q", tmp_path / "docs", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no such file in the repository: ../edgefer/gone.py" in done.stderr
