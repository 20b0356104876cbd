"""The commands in README and docs exist in edgefer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from edgefer.cli.main import app

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    {
        line.rpartition("&&")[2].partition(" > ")[0].partition("    #")[0].strip()
        for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.match(r" {4}(.*\S/)?edgefer ", line)
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_in_readme_or_docs_parses(command: str) -> None:
    _, name, *rest = command.split()
    if name.startswith("--"):
        assert name in {each for parameter in group().params for each in parameter.opts}
    else:
        group().commands[name].make_context(name, rest).close()


def group() -> TyperGroup:
    """Return edgefer's commands."""
    found = typer.main.get_command(app)
    assert isinstance(found, TyperGroup)
    return found


def test_readme_shows_the_main_commands() -> None:
    assert {"edgefer train", "edgefer compress --int8", "edgefer bench --device cpu"} <= set(COMMANDS)


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/training/README.md"),
        *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))),
    ],
)
def test_a_file_of_the_project_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    tops = "benchmarks|docker|docs|edgefer|tests" + (
        "|backends|bench|data|devices|faces|graph|models|training" * (page in ("ARCHITECTURE.md", "docs/internals.md"))
    )
    named = set(re.findall(rf"(?<![\w/.-])(?:\.\./)*((?:{tops})/[\w/.-]+\.(?:py|sh|md|toml|json|Dockerfile))\b", text))
    named = {name for name in named if not re.search(r"[A-Z]{4,}\.py", name)}  # NAME.py is a placeholder

    assert [name for name in sorted(named) if not any((ROOT / top / name).exists() for top in ("", "edgefer"))] == []
