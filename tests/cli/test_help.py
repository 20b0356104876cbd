"""Each command's help, and its errors for invalid command lines."""

from __future__ import annotations

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from edgefer.cli.main import app


def commands(group: TyperGroup) -> list[list[str]]:
    """Return the words of every command, including subcommands."""
    found: list[list[str]] = [[]]
    for name, command in group.commands.items():
        found += [[name, *words] for words in commands(command)] if isinstance(command, TyperGroup) else [[name]]
    return found


def group() -> TyperGroup:
    made = typer.main.get_command(app)
    assert isinstance(made, TyperGroup)
    return made


@pytest.mark.parametrize("words", commands(group()), ids=" ".join)
def test_help_fits_a_screen(words: list[str]) -> None:
    done = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).invoke(app, [*words, "--help"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"Usage: edgefer {' '.join(words)}".rstrip())
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


def test_edgefer_alone_shows_the_commands_of_a_first_session() -> None:
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 0
    shown = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  edgefer ")]
    assert shown == ["predict", "quickstart", "doctor"]
    assert set(shown) <= set(group().commands)
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(shell: str) -> None:
    environment = {"_EDGEFER_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    for typed, completed in (("edgefer comp", ("compare", "compress")), ("edgefer train --vot", ("--votes",))):
        words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_TYPER_COMPLETE_ARGS": typed}
        done = CliRunner(env={**environment, **words}).invoke(app, [], prog_name="edgefer")
        assert all(each in done.stdout for each in completed), done.stdout
        assert "predict" not in done.stdout


def test_bench_has_no_more_than_sixteen_options() -> None:
    params = group().commands["bench"].params
    assert len([each for each in params if each.name != "help"]) <= 16


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench", "--foo"], "edgefer: no such option --foo"),
        (["bench", "--threads", "0"], "edgefer: invalid value for '--threads'"),
        (["compare", "a.json"], "edgefer: missing argument"),
        (["data", "nope"], "edgefer: no such command 'nope'"),
        (["nope"], "edgefer: no such command 'nope'; see edgefer --help"),
    ],
)
def test_a_wrong_command_line_ends_in_one_line_that_names_the_help(words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(said)
    assert line.endswith(" --help")
    assert done.stdout == ""
