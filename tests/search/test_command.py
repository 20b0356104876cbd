"""`edgefer search`: trials, their commands, early stopping, and workers that share a study, die and come back."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState, create_trial
from typer.testing import CliRunner, Result

from edgefer.cli.main import app
from edgefer.learning import checkpoint
from edgefer.search.storage import DIRECTIONS
from edgefer.training import trainer
from tests.helpers import sources
from tests.helpers.stripes import stripes

ROOT = Path(__file__).parents[2]
SPACE = """
model.args.widths = [[8], [12]]
train.batch_size = [32, 16]
"""
SETTINGS = ("model.args.widths=[8]", "model.args.blocks=[1]", "train.batch_size=32")  # first and last: in the space
SMALL = ["--threads", "1", *(word for setting in SETTINGS for word in ("--set", setting))]
WORDS = ["search", "quickstart", "--space", "space.toml", "--data", "faces.csv", "--out", "out", "--seed", "3", *SMALL]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = stripes()
    usages = [("Training", "PublicTest", "PrivateTest")[split] for split in data.splits]
    small = sources.Small(np.asarray(data.images), np.asarray(data.labels, np.int64), usages)
    return sources.write_csv(tmp_path_factory.mktemp("faces") / "faces.csv", small)


@pytest.fixture
def here(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "faces.csv").symlink_to(faces)
    (tmp_path / "space.toml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*WORDS, *words])


def found(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "out" / "search.json").read_text())
    return result


def test_trials_are_measured_and_each_can_be_repeated_by_its_command(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("--trials", "2", "--epochs", "2", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["files"] == {"result": "out/search.json", "page": "out/search.html"}
    assert found(here) == {key: value for key, value in result.items() if key not in ("command", "files")}
    first, second = result["trials"]
    assert (first["as_it_is"], second["as_it_is"]) == (True, False)
    assert first["settings"] == ["model.args.widths=[8]", "train.batch_size=32"]
    for row in (first, second):
        folder = here / "out" / row["folder"]
        assert row["bytes"] == (folder / "int8.onnx").stat().st_size
        assert row["fp32_accuracy"] == pytest.approx(checkpoint.read(folder).val_accuracy, abs=1e-5)  # rounded
        assert 0 < row["accuracy"] <= 1
        assert row["latency"] > 0
    best = max(row["accuracy"] for row in result["trials"])
    assert any(row["on_front"] for row in result["trials"] if row["accuracy"] == best)
    assert str(here) not in json.dumps(result)
    assert str(here) not in (here / "out" / "search.html").read_text()

    program, *words = shlex.split(second["command"])
    assert program == "edgefer"
    again = CliRunner().invoke(app, [*words, "--out", "again", "--threads", "1", "--no-page", "--json"])
    assert json.loads(again.stdout)["val_accuracy"] == second["fp32_accuracy"]

    monkeypatch.setattr(trainer, "train", None)  # finished trials are not repeated
    assert json.loads(run("--trials", "2", "--epochs", "2", "--json").stdout) == result
    other = run("--trials", "2", "--epochs", "1")
    assert other.exit_code == 2
    assert "the study quickstart was begun with another recipe; name a new one with --study" in other.stderr


def test_a_trial_stops_early_where_others_that_cost_no_more_are_better(here: Path) -> None:
    study = optuna.create_study(
        storage=f"sqlite:///{here}/study.db", study_name="quickstart", directions=["maximize", "minimize", "minimize"]
    )
    better = {"accuracy_1": 1.0, "before": {"latency": 0.0, "bytes": 0}, "settings": [], "epochs": 4}
    for _ in range(3):
        study.add_trial(create_trial(state=TrialState.COMPLETE, values=(1.0, 0.0, 1), user_attrs=better))
    done = run("--trials", "4", "--epochs", "4", "--storage", "sqlite:///study.db", "--no-page")
    assert done.exit_code == 0, done.output
    row = found(here)["trials"][3]
    assert (row["kind"], row["epochs"], row["accuracy"]) == ("stopped early", 1, None)
    assert "1 stopped early" in done.stdout
    assert "stopped after epoch 1" in done.stderr


def test_settings_that_make_no_network_are_told_and_the_search_ends(here: Path) -> None:
    (here / "space.toml").write_text("model.args.widths = [[8, 16], [8, 16, 32]]")
    done = run("--trials", "2", "--epochs", "1")
    assert done.exit_code == 2
    assert "no trial of the study quickstart made a network: trial 0: " in done.stderr
    assert "widths and blocks must" in done.stderr
    assert [row["kind"] for row in found(here)["trials"]] == ["no network"] * 2


@pytest.mark.parametrize(
    ("storage", "code", "said"),
    [
        ("study.db", 2, "--storage takes sqlite:///study.db or another database's URL, not study.db"),
        ("sqlite://", 2, "names no file, so no other worker could join"),
        ("oracle+none://me:secret@host/db", 2, "--storage oracle+none://me:***@host/db: "),
        ("mssql+pyodbc://me:secret@host/db", 3, "pyodbc is not installed, which --storage mssql+pyodbc://me:***@host"),
        ("sqlite:///space.toml", 3, "the database sqlite:///space.toml cannot be used: file is not a database"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(
    here: Path, storage: str, code: int, said: str
) -> None:
    done = run("--trials", "1", "--storage", storage)
    assert done.exit_code == code, done.stderr
    assert said in done.stderr.splitlines()[-1]
    assert "secret" not in done.output


def test_a_database_of_another_program_or_version_is_left_alone(here: Path) -> None:
    words = ("--trials", "1", "--storage", "sqlite:///study.db")
    optuna.create_study(storage="sqlite:///study.db", study_name="quickstart", direction="minimize")
    done = run(*words)
    assert (done.exit_code, "quickstart was not begun by `edgefer search`" in done.stderr) == (2, True), done.stderr
    alike = optuna.create_study(storage="sqlite:///study.db", study_name="alike", directions=[*DIRECTIONS.values()])
    alike.add_trial(create_trial(state=TrialState.COMPLETE, values=(1.0, 0.0, 1)))
    done = run(*words, "--study", "alike")
    assert (done.exit_code, "alike was not begun by `edgefer search`" in done.stderr) == (2, True), done.stderr
    text = optuna.create_study(storage="sqlite:///study.db", study_name="text", directions=[*DIRECTIONS.values()])
    text.set_user_attr("edgefer", "text")
    done = run(*words, "--study", "text")
    assert (done.exit_code, "text was not begun by `edgefer search`" in done.stderr) == (2, True), done.stderr

    with closing(sqlite3.connect("study.db")) as database, database:
        database.execute("update alembic_version set version_num = 'v99.0.0'")
    done = run(*words)
    assert (done.exit_code, "made by another version of optuna" in done.stderr) == (3, True), done.stderr


def test_a_folder_that_cannot_be_one_is_told_before_any_trial(here: Path) -> None:
    done = run("--trials", "1", "--out", "faces.csv")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == "edgefer: faces.csv exists already; name another folder with --out"


# A worker without a network that gets a signal while it saves its second state: in its first trial, after an epoch. Or
# it stays at its first one until that many workers have joined.
_WORKER = """
import os, signal, socket, sys, time
from pathlib import Path
from edgefer.cli.main import run_command
from edgefer.training import setup

def refuse(*arguments):
    raise AssertionError("no network")
socket.socket.connect = refuse
number, together, real, count = int(os.environ["SIGNAL"]), int(os.environ["TOGETHER"]), setup.states.save, 0
def save(*arguments):
    global count
    saved = real(*arguments)
    count += arguments[1] == "last"
    if together and count == 1:
        Path(f"{os.getpid()}.there").touch()
        while len(list(Path().glob("*.there"))) < together:
            time.sleep(0.1)
    if number and count == 2:
        count += 1
        os.kill(os.getpid(), number)
    return saved
setup.states.save = save
run_command()
"""


def worker(here: Path, *words: str, die_by: int = 0, together: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER, *WORDS, *words],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SIGNAL": str(int(die_by)), "TOGETHER": str(together)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)], ids=str)
def test_a_trial_whose_worker_died_is_gone_on_with(here: Path, number: signal.Signals, code: int) -> None:
    words = ("--trials", "2", "--epochs", "3", "--heartbeat", "1", "--no-prune")
    first = worker(here, *words, die_by=number)
    _, said = first.communicate()
    assert first.returncode == code, said
    assert len((here / "out" / "trial-0000" / "log.csv").read_text().splitlines()) == 2  # head and one epoch
    if number == signal.SIGINT:
        assert "interrupted; the same command goes on with the study" in said
    second = worker(here, *words)
    _, said = second.communicate()
    assert second.returncode == 0, said
    rows = found(here)["trials"]
    assert sorted(row["retries"] for row in rows) == [0, 1]
    (again,) = (row for row in rows if row["retries"])
    assert (again["folder"], again["as_it_is"], again["epochs"]) == ("trial-0000", True, 3)
    assert said.count("epoch 1 of 3") == 1  # the other trial's: this one resumes from its last save
    assert said.count("epoch 2 of 3") == 2


@pytest.mark.slow
def test_two_workers_share_a_study_by_the_same_command(here: Path) -> None:
    words = ("--trials", "4", "--epochs", "1", "--storage", "sqlite:///shared.db")
    workers = [worker(here, *words, together=2) for _ in range(2)]
    ends = [each.communicate() for each in workers]
    assert [each.returncode for each in workers] == [0, 0], ends
    rows = found(here)["trials"]
    assert len(rows) == 4
    assert len({row["folder"] for row in rows}) == 4
    assert sum(row["as_it_is"] for row in rows) == 1
    took = [sum(line.startswith("training ") for line in said.splitlines()) for _, said in ends]
    assert sum(took) == 4
    assert min(took) >= 1
