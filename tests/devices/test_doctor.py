"""`edgefer doctor` on this machine and on others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgefer.cli.main import app
from edgefer.cli.output import EXTRAS
from edgefer.devices import doctor
from edgefer.errors import MissingRequirement
from tests.helpers import jetsons


def lines(root: Path, extras: dict[str, tuple[str, ...]] = EXTRAS) -> dict[str, doctor.Line]:
    return {line.name: line for line in doctor.examine(extras, root)}


def test_here_every_line_that_is_not_ok_has_a_remedy() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["lines"]
    assert {line["part"] for line in found} == {"machine", "INT8 on the CPU", "TensorRT", "faces", "extras", "folders"}
    assert all(line["remedy"] for line in found if line["state"] != "ok")
    assert not [line for line in found if line["state"] == "ok" and line["remedy"]]
    shown = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == 0
    assert all(line["name"] in shown.output for line in found)


def test_a_jetson_is_told_its_power_mode_and_clocks_and_never_to_install_rtx(tmp_path: Path) -> None:
    found = lines(jetsons.orin_nano(tmp_path))
    assert "JetPack 6.2" in found["Jetson"].found
    assert (found["power mode"].state, found["power mode"].found) == ("note", "15W")
    assert "sudo nvpmodel -m 2 for the most" in found["power mode"].remedy  # on this board 0 is the least but one
    assert "jetson_clocks" in found["clocks"].remedy
    assert found["free memory"].found == "5.2 GB"
    assert found["8-bit arithmetic"].state == "ok"
    assert "nvidia-jetpack" in found["TensorRT"].remedy
    assert "rtx" not in found
    assert "tensorrt" not in found  # JetPack brings it
    assert "jetson" in found
    locked = lines(jetsons.lock_clocks(tmp_path))
    assert (locked["clocks"].state, locked["clocks"].remedy) == ("ok", "")


def test_an_old_cpu_and_scarce_memory_are_noted(tmp_path: Path) -> None:
    files = {"proc/cpuinfo": "model name\t: Old CPU\nflags\t: avx2\n", "proc/meminfo": "MemAvailable:    900000 kB\n"}
    found = lines(jetsons.write(tmp_path, files))
    assert "--cpu no-vnni" in found["8-bit arithmetic"].remedy
    assert found["free memory"].state == "note"
    assert found["NVIDIA driver"].state == "missing"


def test_a_driver_and_what_extras_lack_are_named(tmp_path: Path) -> None:
    driver = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.10  Release Build\nGCC version: 12\n"
    root = jetsons.write(tmp_path, {"proc/driver/nvidia/version": driver})
    found = lines(root, {**EXTRAS, "train": ("torch", "nothing_of_this_name")})
    assert found["NVIDIA driver"].found == "NVIDIA UNIX x86_64 Kernel Module  570.86.10  Release Build"
    assert found["train"].state == "missing"
    assert "without nothing_of_this_name" in found["train"].found
    assert found["train"].remedy == "pip install 'edgefer[train]'"


def test_a_runtime_that_cannot_be_imported_ends_with_exit_code_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 3
    assert "force-reinstall" in done.output
    as_json = CliRunner().invoke(app, ["doctor", "--json"])
    assert as_json.exit_code == 3
    assert [line for line in json.loads(as_json.stdout)["lines"] if line["state"] == "broken"]


def test_folders_that_cannot_be_written_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("os.access", lambda path, mode: tmp_path not in (Path(path), *Path(path).parents))
    assert lines(tmp_path)["cache"].state == "missing"
    assert "EDGEFER_CACHE" in lines(tmp_path)["cache"].remedy


def test_the_gpu_is_asked_where_there_should_be_one(tmp_path: Path) -> None:
    def gpu() -> str:
        raise MissingRequirement("the NVIDIA driver finds no GPU")

    bare = jetsons.write(tmp_path / "bare", {"proc/meminfo": ""})
    assert "GPU" not in {line.name for line in doctor.examine(EXTRAS, bare, gpu)}
    board = jetsons.orin_nano(tmp_path / "board")
    found = {line.name: line for line in doctor.examine(EXTRAS, board, gpu)}
    assert (found["GPU"].state, found["GPU"].found) == ("missing", "the NVIDIA driver finds no GPU")
    assert "--runtime nvidia" in found["GPU"].remedy
    found = {line.name: line for line in doctor.examine(EXTRAS, board, lambda: "Orin, SM 87")}
    assert (found["GPU"].state, found["GPU"].found) == ("ok", "Orin, SM 87")


def test_a_tensorrt_that_is_too_old_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = jetsons.orin_nano(tmp_path)
    said = {
        "8.6.2.3": ("missing", "JetPack 6.1 and 6.2 bring 10.3"),
        "10.3.0": ("ok", ""),
        "10.7.0": ("note", "fit the driver"),
        "installed by the system": ("ok", ""),
    }
    for version, (state, remedy) in said.items():
        monkeypatch.setattr(doctor, "_version", lambda package, version=version: version)
        line = lines(board)["TensorRT"]
        assert line.state == state
        assert remedy in line.remedy
    assert "CUDA 12.6 from JetPack" in line.found
