"""Commands killed and run again: a few rounds of benchmarks/reliability/kills.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.scripts import ROOT

RESULT = ROOT / "benchmarks" / "results" / "kills.json"


@pytest.mark.slow
def test_killed_commands_come_to_the_same_bits_and_leave_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "kills.json"
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "reliability" / "kills.py"),
        "--kills",
        "6",
        "--seed",
        "7",
        "--out",
        str(file),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(file.read_text())["rows"]
    assert len(rows) == 6
    assert {row["signal"] for row in rows} == {"SIGKILL", "SIGTERM"}


def test_the_committed_kills_left_nothing_wrong() -> None:
    result = json.loads(RESULT.read_text())
    assert result["kills"] >= 100
    assert {row["command"] for row in result["rows"]} == {"data", "train", "compress", "bench", "predict", "build"}
    assert [row for row in result["rows"] if row["wrong"]] == []
