"""Damaged inputs of every kind: no reader ends in a traceback, hangs or passes its bound (benchmarks/fuzz.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from project.scripts import ROOT


@pytest.mark.slow
def test_no_reader_fails_on_300_damaged_inputs(tmp_path: Path) -> None:
    out = tmp_path / "fuzz.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "fuzz.py"), "--inputs", "300", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(out.read_text())["inputs"] == 300
