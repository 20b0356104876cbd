"""`edgefer quickstart`: the whole pipeline on built-in data, from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgefer
from edgefer import data
from edgefer.bench.result import BenchResult

pytestmark = pytest.mark.slow


def edgefer_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from edgefer.cli.main import run_command; run_command()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(edgefer.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


def test_quickstart_leaves_a_checkpoint_a_bundle_and_a_report_that_later_commands_find(tmp_path: Path) -> None:
    done = edgefer_command(tmp_path, "quickstart", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    result = BenchResult.model_validate_json(Path(tmp_path, printed["result"]).read_text())
    assert "synthetic faces" in Path(tmp_path, printed["report"]).read_text()
    assert "synthetic faces" in Path(tmp_path, printed["page"]).read_text()
    by_name = {network.network: network for network in result.networks}
    assert by_name["int8-cpu"].quality.accuracy > 0.7
    assert by_name["int8-cpu"].file_bytes < by_name["fp32"].file_bytes
    predictor = edgefer.load(tmp_path / "runs" / "compress" / "latest")
    test = data.split(data.builtin(), "test")
    labels = np.array(data.builtin().classes)[test.labels[:200]]
    answers = [prediction.label for prediction in predictor.predict(test.take(slice(0, 200)))]
    assert np.mean(labels == answers) > 0.7
    again = edgefer_command(tmp_path, "bench", "--seconds", "0.2", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["networks"][0]["quality"]["accuracy"] == by_name["fp32"].quality.accuracy
