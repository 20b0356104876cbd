"""`edgefer doctor` on this machine and on others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgefer.cli.main import app
from edgefer.cli.output import EXTRAS
from edgefer.devices import doctor, doctor_jetson, rapl
from edgefer.devices.doctor_jetson import OpenCV
from edgefer.devices.line import Line
from edgefer.errors import MissingRequirement
from tests.helpers import jetsons


def lines(root: Path, extras: dict[str, tuple[str, ...]] = EXTRAS, opencv: OpenCV | None = None) -> dict[str, Line]:
    found = opencv or OpenCV()
    return {line.name: line for line in doctor.examine(extras, root, opencv=lambda: found)}


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
    assert "sudo nvpmodel -m 2 for this board" in found["power mode"].remedy  # on this board 0 is the second lowest
    assert "jetson_clocks" in found["clocks"].remedy
    assert found["free memory"].found == "5.2 GB, shared by CPU and GPU"
    assert found["8-bit arithmetic"].state == "ok"
    assert "nvidia-jetpack" in found["TensorRT"].remedy
    assert "rtx" not in found
    assert "tensorrt" not in found  # comes with JetPack
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
    assert "missing nothing_of_this_name" in found["train"].found
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
        raise MissingRequirement("the NVIDIA driver found no GPU")

    bare = jetsons.write(tmp_path / "bare", {"proc/meminfo": ""})
    assert "GPU" not in {line.name for line in doctor.examine(EXTRAS, bare, gpu)}
    board = jetsons.orin_nano(tmp_path / "board")
    found = {line.name: line for line in doctor.examine(EXTRAS, board, gpu)}
    assert (found["GPU"].state, found["GPU"].found) == ("missing", "the NVIDIA driver found no GPU")
    assert "--runtime nvidia" in found["GPU"].remedy
    found = {line.name: line for line in doctor.examine(EXTRAS, board, lambda: "Orin, SM 87")}
    assert (found["GPU"].state, found["GPU"].found) == ("ok", "Orin, SM 87")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Package versions that replace this environment's."""
    found: dict[str, str | None] = {"tensorrt": None, "cuda.bindings": None, "pycuda": None, "numpy": "2.2.6"}
    monkeypatch.setattr(doctor_jetson, "version", lambda package, distribution="": found.get(package))
    monkeypatch.setattr(doctor_jetson, "_does_not_load", lambda package: "")
    return found


def test_a_board_answers_the_ten_questions_that_decide(tmp_path: Path, installed: dict[str, str | None]) -> None:
    installed |= {"tensorrt": "10.3.0", "cuda.bindings": "12.9.2", "numpy": "1.26.4"}
    root = jetsons.lock_clocks(jetsons.orin_nano(tmp_path))
    jetsons.write(root, {"var/lib/nvpmodel/status": "pmode:0002 fmode:cool\n"})
    opencv = OpenCV("4.8.0", gstreamer=True)
    board = doctor.examine(EXTRAS, root, lambda: "Orin, SM 87, CUDA 12.6", opencv=lambda: opencv)
    found = {line.name: line for line in board}
    wanted = {
        "Jetson": "NVIDIA Jetson Orin Nano Developer Kit, JetPack 6.2 (Jetson Linux 36.4.3)",
        "TensorRT": "10.3.0, for this Python",
        "CUDA": "12.6.11",
        "GPU": "Orin, SM 87, CUDA 12.6",
        "CUDA binding": "cuda-bindings 12.9.2",
        "power mode": "MAXN_SUPER",
        "clocks": "fixed at their maximum; GPU at 305 MHz",
        "free memory": "5.2 GB, shared by CPU and GPU",
        "OpenCV": "4.8.0 with GStreamer",
        "NumPy": "1.26.4",
        "container": "none",
    }
    assert {name: found[name].found for name in wanted} == wanted
    assert {found[name].state for name in wanted} == {"ok"}


@pytest.mark.parametrize(
    ("files", "found", "remedy"),
    [
        ({}, "not installed", "sudo apt install nvidia-jetpack"),
        ({"usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0": ""}, "10.3.0, without", "apt install python3-libnvinfer"),
        ({"usr/lib/python3/dist-packages/tensorrt/__init__.py": ""}, "not visible", "--system-site-packages"),
        (
            {"usr/lib/python3.99/dist-packages/tensorrt/__init__.py": ""},
            "for python3.99",
            "python3.99 -m venv --system",
        ),
    ],
)
def test_a_tensorrt_that_this_python_does_not_find_says_what_mends_it(
    tmp_path: Path, installed: dict[str, str | None], files: dict[str, str], found: str, remedy: str
) -> None:
    line = lines(jetsons.write(jetsons.orin_nano(tmp_path), files))["TensorRT"]
    assert line.state == "missing"
    assert found in line.found
    assert remedy in line.remedy


@pytest.mark.parametrize(
    ("version", "state", "remedy"),
    [
        ("8.6.2.3", "missing", "Orin with JetPack 6.1"),
        ("10.3.0", "ok", ""),
        ("10.7.0", "note", "match the driver"),
        ("installed by the system", "ok", ""),
    ],
)
def test_a_tensorrt_that_is_too_old_or_another_than_jetpacks_is_said_so(
    tmp_path: Path, installed: dict[str, str | None], version: str, state: str, remedy: str
) -> None:
    installed["tensorrt"] = version
    line = lines(jetsons.orin_nano(tmp_path))["TensorRT"]
    assert line.state == state
    assert remedy in line.remedy


def test_a_tensorrt_that_does_not_load_says_why(
    tmp_path: Path, installed: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    package = tmp_path / "packages" / "tensorrt"
    jetsons.write(package, {"__init__.py": "raise ImportError('libcudla.so.1: cannot open shared object file')\n"})
    monkeypatch.syspath_prepend(package.parent)
    line = lines(jetsons.orin_nano(tmp_path / "board"))["TensorRT"]
    assert line.state == "missing"
    assert "libcudla.so.1" in line.found


@pytest.mark.parametrize(
    ("packages", "release", "state", "remedy"),
    [
        ({}, "R36 (release), REVISION: 4.3", "missing", "pip install 'cuda-bindings>=12.9,<13'"),
        ({}, "R38 (release), REVISION: 2.0", "missing", "pip install 'cuda-bindings>=13,<14'"),
        ({"cuda.bindings": "13.0.3"}, "R36 (release), REVISION: 4.3", "note", "pip install 'cuda-bindings>=12.9,<13'"),
        ({"cuda.bindings": "13.0.3"}, "R38 (release), REVISION: 2.0", "ok", ""),
        ({"pycuda": "2024.1.2"}, "R36 (release), REVISION: 4.3", "ok", ""),
    ],
)
def test_the_binding_of_cuda_has_to_fit_the_jetpack(
    tmp_path: Path,
    installed: dict[str, str | None],
    packages: dict[str, str],
    release: str,
    state: str,
    remedy: str,
) -> None:
    installed |= packages
    root = jetsons.write(jetsons.orin_nano(tmp_path), {"etc/nv_tegra_release": f"# {release}, GCID: 1\n"})
    line = lines(root)["CUDA binding"]
    assert (line.state, line.remedy) == (state, remedy)


def test_jetpacks_opencv_beside_numpy_2_and_an_opencv_without_gstreamer_are_notes(
    tmp_path: Path, installed: dict[str, str | None]
) -> None:
    root = jetsons.write(jetsons.orin_nano(tmp_path), {"usr/lib/python3.10/dist-packages/cv2/__init__.py": ""})
    broken = lines(root, opencv=OpenCV(error="numpy.core.multiarray failed to import"))
    assert "multiarray" in broken["OpenCV"].found
    assert "numpy<2" in broken["OpenCV"].remedy
    assert broken["NumPy"].state == "note"
    assert "pip install 'numpy<2'" in broken["NumPy"].remedy
    wheel = lines(root, opencv=OpenCV("4.12.0"))
    assert wheel["OpenCV"].found == "4.12.0 without GStreamer"
    assert "CSI camera" in wheel["OpenCV"].remedy
    assert wheel["NumPy"].state == "ok"


def test_the_opencv_of_pypi_is_asked_in_a_process_of_its_own_and_has_no_gstreamer() -> None:
    cv2 = pytest.importorskip("cv2")
    assert doctor_jetson.opencv() == OpenCV(cv2.__version__, gstreamer=False)


def test_a_container_is_told_which_files_of_the_board_to_mount(tmp_path: Path) -> None:
    line = lines(jetsons.in_container(tmp_path))["container"]
    assert (line.state, line.found) == ("note", "Docker, without 3 of the board's files")
    assert "-v /etc/nv_tegra_release:/etc/nv_tegra_release:ro" in line.remedy


@pytest.mark.parametrize(
    ("files", "remedy"),
    [
        ({"proc/device-tree/model": "NVIDIA Jetson Nano Developer Kit\0"}, "bench its CPU instead: --device cpu"),
        ({"etc/nv_tegra_release": "# R36 (release), REVISION: 3.0, GCID: 1\n"}, "not runnable with JetPack 6.0"),
    ],
)
def test_a_board_whose_gpu_edgefer_cannot_use_is_told_so(tmp_path: Path, files: dict[str, str], remedy: str) -> None:
    line = lines(jetsons.write(jetsons.orin_nano(tmp_path), files))["Jetson"]
    assert line.state == "missing"
    assert remedy in line.remedy


def test_a_gpu_that_slows_down_for_heat_is_a_note(tmp_path: Path) -> None:
    root = jetsons.write(jetsons.orin_nano(tmp_path), {"sys/class/thermal/cooling_device1/cur_state": "3\n"})
    assert lines(root)["heat"].found == "throttled by gpu-throttle-alert (state 3)"


def test_a_driver_too_old_for_tensorrt_for_rtx_is_said_so(tmp_path: Path, installed: dict[str, str | None]) -> None:
    text = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.10  Release Build\n"
    root = jetsons.write(tmp_path, {"proc/driver/nvidia/version": text})
    installed["tensorrt_rtx"] = "1.7.0.36"
    line = lines(root)["TensorRT for RTX"]
    assert line.state == "missing"
    assert "driver 580 or newer" in line.found
    assert "tensorrt-rtx-cu12" in line.remedy
    installed["tensorrt_rtx"] = "1.4.0.76"
    assert lines(root)["TensorRT for RTX"].state == "ok"


def test_what_a_bug_report_attaches_names_no_folder_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "Ann Lee" / "secret project"
    home.mkdir(parents=True)
    monkeypatch.setenv("EDGEFER_CACHE", str(home / "cache"))
    monkeypatch.chdir(home)
    printed = CliRunner().invoke(app, ["doctor", "--json"]).stdout
    assert "secret" not in printed
    assert "Ann" not in printed
    assert not [line for line in json.loads(printed)["lines"] if str(tmp_path) in json.dumps(line)]
    error = Line(
        "TensorRT", "GPU", "missing", "cannot open /home/ann/lib/libnvinfer.so.10: no such file", "a/b or '/x/y z'"
    )
    assert error.as_dict()["found"] == "cannot open libnvinfer.so.10: no such file"
    assert error.as_dict()["remedy"] == "a/b or 'y z'"
    for remedy in (
        rapl.REMEDY,
        "start the container with --runtime nvidia -v /etc/nvpmodel.conf:/etc/nvpmodel.conf:ro",
    ):
        assert Line("machine", "x", "note", "y", remedy).as_dict()["remedy"] == remedy  # it is a valid command
