"""Engines are built once per device, by the real TensorRT for RTX builder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgefer import console
from edgefer.backends.tensorrt import builder
from edgefer.backends.tensorrt import cache as engine_cache
from edgefer.devices.gpu import Gpu
from edgefer.errors import MissingRequirement
from tests.helpers import samples

pytest.importorskip("tensorrt_rtx")
GPU = Gpu("0000:01:00.0", "Fake Ada", "89", "13.0", 8 << 30, False, "none")
# A process that requests the engine, reports the result, and can be paused while it builds.
ASK = """
import sys, time
from pathlib import Path
from edgefer.backends.tensorrt import cache as engine_cache
from edgefer.backends.tensorrt import builder
from edgefer.devices.gpu import Gpu
build = builder.build
def held_up(*arguments):
    print("building", flush=True)
    time.sleep(float(sys.argv[2]))
    return build(*arguments)
builder.build = held_up
kept = engine_cache.engine(
    Path(sys.argv[1]),
    "fp32",
    Gpu("0000:01:00.0", "Fake Ada", "89", "13.0", 8 << 30, False, "none"),
    "tensorrt_rtx",
)
print("built" if kept.built else "found", len(kept.engine), flush=True)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "network.onnx"
    path.write_bytes(samples.network())
    return path


def engine(graph: Path, gpu: Gpu = GPU, **options: object) -> engine_cache.Kept:
    return engine_cache.engine(graph, "fp32", gpu, "tensorrt_rtx", **options)  # type: ignore[arg-type]


def ask(graph: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", ASK, str(graph), str(seconds)], stdout=subprocess.PIPE, text=True)


def test_an_engine_is_built_the_first_time_and_found_the_second(graph: Path, cache: Path) -> None:
    first, second = engine(graph), engine(graph)
    assert first.built is not None
    assert second.built is None
    assert first.engine == second.engine == first.path.read_bytes()
    assert sorted(path.suffix for path in cache.iterdir()) == [".engine", ".json", ".lock"]


@pytest.mark.parametrize(
    "other",
    [
        {"max_batch": 8},
        {"workspace": 1 << 28},
        {"board": "NVIDIA Jetson Orin Nano, 15W"},
        {"gpu": Gpu("0000:02:00.0", "Other Ada", "89", "13.0", 8 << 30, False, "none")},
        {"gpu": Gpu("0000:01:00.0", "Fake Ada", "86", "13.0", 8 << 30, False, "none")},
    ],
    ids=["batch", "workspace", "board", "name", "compute"],
)
def test_another_gpu_or_flag_has_an_engine_of_its_own(graph: Path, other: dict[str, Any]) -> None:
    engine(graph)
    assert engine(graph, **other).built is not None
    assert engine(graph).built is None


def test_another_graph_has_an_engine_of_its_own(graph: Path) -> None:
    engine(graph)
    graph.write_bytes(samples.network(blind=3))
    assert engine(graph).built is not None


def test_what_does_not_fit_any_more_is_built_again_and_one_line_says_why(
    graph: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "_enabled", True)
    kept = engine(graph).path
    description = kept.with_suffix(".json")
    said = json.loads(description.read_text())

    def again() -> str:
        capsys.readouterr()
        assert engine(graph).built is not None
        return capsys.readouterr().err

    description.write_text(json.dumps({**said, "tensorrt": "1.0"}))
    assert f"is for TensorRT 1.0, not {said['tensorrt']}: building it for Fake Ada" in again()
    description.write_text(json.dumps({**said, "cuda": "12.6"}))
    assert "is for a driver for CUDA 12.6, not 13.0" in again()
    kept.write_bytes(kept.read_bytes()[:-1])
    assert "is damaged" in again()
    for text in ("", "{", "[]", "null", json.dumps({**said, "on_gpu": 3})):
        description.write_text(text)
        assert "cannot be read" in again()
    description.unlink()
    assert "cannot be read" in again()
    assert engine(graph).built is None


def test_two_processes_that_start_at_once_build_once(graph: Path) -> None:
    processes = [ask(graph, 1), ask(graph, 1)]
    said = [process.communicate(timeout=120)[0].split("\n") for process in processes]
    assert sorted(lines[-2].split()[0] for lines in said) == ["built", "found"]
    assert len({lines[-2].split()[1] for lines in said}) == 1


def test_a_build_that_is_killed_leaves_nothing_half_written_and_no_lock(graph: Path, cache: Path) -> None:
    process = ask(graph, 60)
    assert process.stdout is not None
    assert process.stdout.readline() == "building\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(cache.glob("*.engine"))
    assert engine(graph).built is not None


def test_a_cache_that_cannot_be_written_is_one_line(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "file"))
    with pytest.raises(MissingRequirement, match=r"cannot cache engines in .*; set EDGEFER_CACHE"):
        engine(graph)


def test_a_dla_that_is_not_there_is_refused(graph: Path, cache: Path) -> None:
    with pytest.raises(MissingRequirement, match=r"no DLA 0: this device has no DLA .*; omit --dla"):
        engine(graph, dla=0)
    assert not list(cache.glob("*.engine"))


def test_a_build_says_how_far_it_is(
    graph: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "_enabled", True)
    monkeypatch.setattr(console, "_SECONDS_BETWEEN_LINES", 0.0)
    builder.build(graph.read_bytes(), "tensorrt_rtx", ["89"])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("building the engine: ")]
    reached = [int(line.split()[3].replace(",", "")) for line in lines]
    assert reached
    assert reached == sorted(reached)
    assert all(0 < step < 1000 for step in reached)
