"""board.sh and driver.py, for hardware that we lack, end to end on the fake GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from edgefer import data
from edgefer.bench.result_file import read

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "tests" / "helpers" / "stand_in"

pytest.importorskip("tensorrt_rtx")


def run(*words: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a program on a machine with a fake GPU; Python programs see it through `sitecustomize`."""
    environment = {"PYTHONPATH": f"{STAND_IN}:{ROOT}", "STAND_IN": "1", "PYTHON": sys.executable, **settings}
    return subprocess.run(words, capture_output=True, text=True, env={**os.environ, **environment})


def summary(folder: Path) -> dict[str, str]:
    """Return the state of each section of a board's folder."""
    lines = (folder / "summary.txt").read_text().splitlines()
    return {line[:22].strip(): line[22:].split()[0] for line in lines}


def test_without_tensorrt_it_ends_with_3_and_says_what_is_missing(tmp_path: Path) -> None:
    done = run("bash", ROOT / "benchmarks" / "runtimes" / "board.sh", tmp_path / "sent", STAND_IN_TENSORRT="0")
    assert done.returncode == 3, done.stdout
    assert "TensorRT is not installed" in done.stdout
    found = summary(tmp_path / "sent")
    assert found.pop("doctor") in ("ran", "missing")
    assert set(found) == {"tensorrt", "build", "numerics", "predict", "live", "bench"}
    assert set(found.values()) == {"missing"}
    assert json.loads((tmp_path / "sent" / "doctor.out").read_text())["command"] == "doctor"


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    done = run("bash", ROOT / "benchmarks" / "runtimes" / "board.sh", tmp_path)
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_board_s_folder_has_every_section_and_marks_what_was_a_stand_in(tmp_path: Path) -> None:
    drawn = data.builtin(train=14, val=14, test=28)
    for split, name in enumerate(("train", "val", "test")):
        for row in (drawn.splits == split).nonzero()[0]:
            place = tmp_path / "faces" / name / drawn.classes[drawn.labels[row]]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(drawn.images[row]).save(place / f"{row}.png")
    settings = {"BUNDLES": "edgefer-nano", "DATA": str(tmp_path / "faces"), "SECONDS_EACH": "0.1"}
    settings |= {"HOME": str(tmp_path), "DEVICE": "tensorrt"}
    done = run("bash", ROOT / "benchmarks" / "runtimes" / "board.sh", tmp_path / "sent", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    found = summary(tmp_path / "sent")
    assert found.pop("doctor") == "ran"  # its GPU checks all work on the fake
    assert found.pop("bench, fp32") == "missing"
    live = {found.pop("live"), found.pop("video")}
    assert live <= {"stand-in", "missing"}  # without the extra, or without a face detector
    expected = {
        "tensorrt",
        "build",
        "numerics",
        "picture",
        "predict",
        "bench-edgefer-nano",
        "bench, fp16",
        "bench, int8",
    }
    assert found == dict.fromkeys(expected, "stand-in")
    numerics = json.loads((tmp_path / "sent" / "numerics.json").read_text())
    assert numerics["data"]["images"] == 28
    assert {each["network"]: each["other_labels"] for each in numerics["networks"]} == {
        "fp16-tensorrt": 0,
        "int8-tensorrt": 0,
    }
    result = read(tmp_path / "sent" / "bench" / "edgefer-nano")
    assert {(each.network, each.device) for each in result.networks} >= {
        ("fp16-tensorrt", "tensorrt"),
        ("int8-tensorrt", "tensorrt"),
        ("int8-cpu", "cpu"),
    }
    assert all(each.throughput for each in result.networks)
    for file in (tmp_path / "sent").rglob("*.*"):
        assert file.is_dir() or str(tmp_path) not in file.read_bytes().decode(errors="replace"), file


def test_the_driver_s_layer_is_checked_without_tensorrt(tmp_path: Path) -> None:
    out = tmp_path / "driver.json"
    done = run(sys.executable, ROOT / "benchmarks" / "runtimes" / "driver.py", "--out", out, STAND_IN_TENSORRT="0")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert found["gpu"]["name"] == "Fake GPU"
    states = {name: each["state"] for name, each in found["sections"].items()}
    assert states.pop("NVML readings") == "missing"
    assert states == dict.fromkeys(
        ("a context a thread", "graphs", "closing out of order", "memory given back"), "stand-in"
    )


def test_a_section_that_fails_is_named_and_the_others_run(tmp_path: Path) -> None:
    out = tmp_path / "driver.json"
    settings = {"STAND_IN_TENSORRT": "0", "FAKE_CUDA_FAIL": "cuGraphInstantiateWithFlags"}
    done = run(sys.executable, ROOT / "benchmarks" / "runtimes" / "driver.py", "--out", out, **settings)
    sections = json.loads(out.read_text())["sections"]
    assert sections["graphs"]["state"] == "failed"
    assert sections["a context a thread"]["state"] == sections["memory given back"]["state"] == "stand-in"
    assert done.returncode == 1, done.stdout


def test_without_a_gpu_the_driver_s_check_ends_with_3(tmp_path: Path) -> None:
    done = run(
        sys.executable,
        ROOT / "benchmarks" / "runtimes" / "driver.py",
        "--out",
        tmp_path / "driver.json",
        STAND_IN_GPUS="0",
    )
    assert done.returncode == 3
    assert done.stderr.startswith("edgefer: ")
    assert not (tmp_path / "driver.json").exists()
