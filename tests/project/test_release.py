"""A release has one version everywhere, a date in CHANGELOG, and a workflow without secrets."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.helpers import scripts

ROOT = Path(__file__).parents[2]
CHECKPOINTS = "edgefer/pretrained/pyproject.toml"
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="a release is made with Python 3.11 or newer")


def faults(root: Path, tag: str | None = None) -> list[str]:
    found: list[str] = scripts.load("release", ".ci").faults(root, tag)
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / CHECKPOINTS).parent.mkdir(parents=True)
    for name in ("pyproject.toml", CHECKPOINTS, "CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def change(file: Path, pattern: str, by: str) -> None:
    text = file.read_text()
    changed = re.sub(pattern, by, text, count=1, flags=re.MULTILINE)
    assert changed != text
    file.write_text(changed)


def test_changelog_citation_and_pyproject_name_one_version() -> None:
    assert faults(ROOT) == []


def test_a_tag_needs_the_version_and_a_day(copy: Path) -> None:
    for name in ("pyproject.toml", CHECKPOINTS):
        change(copy / name, r'^version = "[^"]*"', 'version = "7.8.9"')
    change(copy / "CITATION.cff", r"^version: .*", "version: 7.8.9")
    change(copy / "CHANGELOG.md", r"^## .*", "## 7.8.9, not released yet")
    assert faults(copy) == []
    assert faults(copy, "v7.8.9") == ["CHANGELOG.md: 7.8.9 is not released yet; write the day there"]
    change(copy / "CHANGELOG.md", r"^## .*", "## 7.8.9, 2026-12-01")
    assert faults(copy, "v7.8.9") == []
    assert faults(copy, "v7.8.8") == ["the tag is v7.8.8, the version 7.8.9: the tag must be v7.8.9"]


@pytest.mark.parametrize(
    ("file", "pattern", "by", "says"),
    [
        ("pyproject.toml", r'^version = ".*"', 'version = "0.9.9"', "not of 0.9.9"),
        ("pyproject.toml", r'^version = ".*"', 'version = "1.2"', "1.2 is no X.Y.Z"),
        (CHECKPOINTS, r'^version = "[^"]*"', 'version = "3.0.0"', "version is 3.0.0"),
        ("CITATION.cff", r"^version: .*", "version: 3.0.0", "CITATION.cff: version is 3.0.0"),
        ("CHANGELOG.md", r"^## .*", "## 3.0.0, not released yet", "the first section is of 3.0.0"),
        ("CHANGELOG.md", r"^(## .*), .*", r"\1, soon", "soon is neither a day"),
    ],
)
def test_two_versions_are_named(copy: Path, file: str, pattern: str, by: str, says: str) -> None:
    change(copy / file, pattern, by)
    assert any(says in fault for fault in faults(copy))


def test_the_workflow_publishes_without_a_secret_and_runs_pinned_actions() -> None:
    text = WORKFLOW.read_text()
    build, _, publish = text.partition("\n  publish:\n")
    assert "id-token: write" in publish
    assert "id-token: write" not in build
    assert "secrets." not in text
    used = re.findall(r"^ +- uses: (\S+)", text, re.MULTILINE)
    assert len(used) == text.count("uses:") == 5
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name) for name in used), used
    assert 'python .ci/release.py "$GITHUB_REF_NAME"' in build
