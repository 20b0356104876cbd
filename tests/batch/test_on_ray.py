"""`edgefer predict --out` on Ray: after SIGKILL of a worker and the driver, each picture has one row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.scripts import ROOT


@pytest.mark.slow
def test_rows_are_complete_and_unique_after_a_kill_of_a_worker_and_of_the_driver(tmp_path: Path) -> None:
    file = tmp_path / "kills.json"
    script = ROOT / "benchmarks" / "live" / "many_pictures.py"
    command = [sys.executable, str(script), "--kills", "--pictures", "12000", "--out", str(file)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(file.read_text())
    assert result["checks"] == {"pictures": 12_000, "rows": 12_000, "missing": 0, "twice": 0, "unknown": 0}
    kills = result["kills"]
    assert kills["both_were_alive"]
    assert kills["engine"] == "ray"
    assert kills["files_when_the_driver_was_killed"] < kills["files"]
    assert kills["rows_before_the_second_run"] == 1000 * kills["files_when_the_driver_was_killed"]
    assert kills["resumed"] >= kills["rows_before_the_second_run"]
    assert kills["hidden_files_left"] == 0


@pytest.mark.slow
def test_nobody_else_may_use_the_ray_that_edgefer_starts() -> None:
    script = """
import os, subprocess, sys
from edgefer.batch import on_ray
ray = on_ray._imported()
on_ray._start(ray, None, 1)
assert ray.get(ray.remote(lambda: 1).remote()) == 1
address = ray.get_runtime_context().gcs_address
joining = f"import ray; ray.init(address={address!r}, logging_level='error'); print('joined')"
env = {key: value for key, value in os.environ.items() if not key.startswith("RAY_AUTH")}
done = subprocess.run([sys.executable, "-c", joining], env=env, capture_output=True, text=True)
print(done.returncode, "joined" in done.stdout)
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, env=env)
    assert done.stdout.strip() == "1 False", done.stderr[-3000:]
