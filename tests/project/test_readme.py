"""The commands in README and docs are commands that edgefer has."""

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
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    group.commands[name].make_context(name, rest).close()


def test_readme_shows_the_main_commands() -> None:
    assert {"edgefer train", "edgefer compress --int8", "edgefer bench --device cpu"} <= set(COMMANDS)
