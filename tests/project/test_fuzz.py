"""Damaged inputs of every kind: no reader ends in a traceback, hangs or exceeds its bounds (fuzz.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.scripts import ROOT

RECORDED = ROOT / "benchmarks" / "results" / "fuzz.json"


@pytest.mark.slow
def test_no_reader_fails_on_300_damaged_inputs(tmp_path: Path) -> None:
    out = tmp_path / "fuzz.json"
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "reliability" / "fuzz.py"),
        "--inputs",
        "300",
        "--out",
        str(out),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(out.read_text())["inputs"] == 300


def test_the_recorded_3000_have_no_failure() -> None:
    recorded = json.loads(RECORDED.read_text())
    assert (recorded["inputs"], recorded["failures"]) == (3000, 0)
    assert all({*ends} <= {"accepted", "refused"} for ends in recorded["by_reader"].values())
