"""`edgefer claims --todo`: how to decide each claim that is not run, and the hours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgefer import recipes
from edgefer.claims import ledger, todo
from edgefer.claims.verdicts import decide
from edgefer.cli.main import app

ROOT = Path(__file__).parents[2]


@pytest.fixture
def found(without_torch: None) -> todo.OpenClaims:
    ours = ledger.read()
    return todo.listed(ours, decide(ours))


def test_each_claim_that_is_not_run_has_its_command_and_a_training_its_hours(found: todo.OpenClaims) -> None:
    result = decide(ledger.read())
    assert {each.id for each in found.claims} == {entry.id for entry in result.entries if entry.verdict == "not run"}
    commands = {entry.id: entry.command for entry in result.entries}
    for each in found.claims:
        assert each.command == commands[each.id]
        assert (each.recipe is None) == (each.hours is None)
        assert each.recipe is None or each.command.startswith(f"edgefer train {each.recipe} ")
    hours = [each.hours for each in found.claims if each.hours is not None]
    assert hours == sorted(hours)
    assert hours[0] > 0.1


def test_hours_are_images_over_images_a_second(found: todo.OpenClaims) -> None:
    measured = json.loads((ROOT / found.source).read_text(encoding="utf-8"))
    b2 = measured["recipes"]["b2-two-stage"]
    trains, validates = b2["training_images"], b2["validation_images"]
    assert trains + validates == 28_709
    head, whole = (phase["images_a_second"] for phase in b2["phases"])
    wanted = (3 * trains / head + 7 * trains / whole + 10 * validates / b2["validation_images_a_second"]) / 3600
    given = next(each.hours for each in found.claims if each.recipe == "b2-two-stage")
    assert given == pytest.approx(wanted, abs=0.01)
    assert head > whole
    assert measured["machine"]["cpu"] in found.machine


def test_every_training_of_the_ledger_was_measured_as_its_recipe_stands() -> None:
    measured = json.loads((ROOT / todo.SOURCE).read_text(encoding="utf-8"))["recipes"]
    for name in ledger.read().trainings:
        recipe = recipes.load(name)
        assert measured[name]["size"] == recipe.preprocessing.size
        assert [phase["epochs"] for phase in measured[name]["phases"]] == [phase.epochs for phase in recipe.phases]


@pytest.mark.usefixtures("without_torch")
def test_it_prints_each_command_once_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["claims", "--todo"])
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    assert words.count("edgefer train b2-two-stage ") == 1
    assert "b2-two-stage: " in words
    assert " hours" in words
    assert list(tmp_path.iterdir()) == []
    printed = json.loads(CliRunner().invoke(app, ["claims", "--todo", "--json"]).stdout)
    assert printed["command"] == "claims"
    assert printed["source"] == todo.SOURCE
    refused = CliRunner().invoke(app, ["claims", "--todo", "--out", "x"])
    assert refused.exit_code == 2
    assert "--todo writes no file" in refused.output
