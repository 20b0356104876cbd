"""The wheel alone, as on a device: no extras, no checkout, an empty folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import samples

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Device:
    """A virtual environment with the wheel in it, an empty home and an empty working folder."""

    python: Path
    home: Path
    folder: Path

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name in ("LANG", "PATH")}
        settings = {"HOME": str(self.home), "EDGEFER_CACHE": str(self.folder.parent / "cache")}
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder, env={**kept, **settings})

    def edgefer(self, *args: str | Path) -> subprocess.CompletedProcess[str]:
        return self.run(self.python.with_name("edgefer"), *args)


def interpreter(version: str) -> str:
    """Return a Python of this version, from PATH or pyenv."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found: list[str | Path] = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    for candidate in found:
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return str(candidate)
    pytest.skip(f"no Python {version} here")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT], check=True)
    (wheel,) = folder.glob("edgefer-*.whl")
    return wheel


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_the_sdist_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """The sdist contains the tests; a lost file would be missing here."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path], cwd=ROOT, check=True)
    (sdist,) = tmp_path.glob("edgefer-*.tar.gz")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path / "again", sdist], check=True)
    (again,) = (tmp_path / "again").glob("edgefer-*.whl")
    assert again.name == wheel.name
    assert contents(again) == contents(wheel)


def test_the_wheel_is_the_package_and_nothing_else(wheel: Path) -> None:
    assert {name.split("/")[0].partition("-")[0] for name in contents(wheel)} == {"edgefer"}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    ours = ROOT / "edgefer" / "pretrained"
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ours], check=True)
    (wheel,) = folder.glob("edgefer_checkpoints-*.whl")
    return wheel


def test_checkpoints_are_in_a_wheel_of_their_own_and_of_the_same_version(wheel: Path, checkpoints: Path) -> None:
    assert [name for name in contents(wheel) if "checkpoint/" in name or name.endswith(".safetensors")] == []
    ours = [path for path in (ROOT / "edgefer" / "pretrained").glob("*/checkpoint/*") if path.is_file()]
    there = contents(checkpoints)
    assert {f"edgefer_checkpoints/{path.parts[-3]}/checkpoint/{path.name}" for path in ours} <= set(there)
    assert wheel.name.split("-")[1] == checkpoints.name.split("-")[1]


def install(python: str, folder: Path, *packages: str | Path) -> Device:
    """Install packages into a separate virtual environment."""
    subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
    inside = folder / "venv" / "bin" / "python"
    subprocess.run([inside, "-m", "pip", "--quiet", "install", *packages], check=True)
    for name in ("home", "work"):
        (folder / name).mkdir()
    return Device(inside, folder / "home", folder / "work")


# JetPack 6 has 3.10; 3.14 is the newest version that edgefer supports.
@pytest.fixture(scope="module", params=["3.10", "3.11", "3.13", "3.14"])
def device(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Device:
    python = interpreter(request.param)
    return install(python, tmp_path_factory.mktemp("device"), "-c", ROOT / "constraints.txt", wheel)


def test_help_and_recipes_are_there(device: Device) -> None:
    assert "quickstart" in device.edgefer("--help").stdout
    listed = json.loads(device.edgefer("recipes", "--json").stdout)["recipes"]
    assert {"compact", "quickstart"} <= {recipe["name"] for recipe in listed}


def test_the_built_in_faces_are_there(device: Device) -> None:
    done = device.edgefer("data", "info", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["synthetic"] is True


def test_nvidia_s_figures_are_there(device: Device) -> None:
    script = "from edgefer.devices.specs import devices; print(len(devices('jetson')))"
    assert device.run(device.python, "-c", script).stdout == "6\n"


def test_a_device_that_is_not_there_is_said_without_the_extra(device: Device) -> None:
    done = device.edgefer("bench", samples.write(device.folder / "for-jetson").path, "--device", "jetson")
    assert done.returncode == 3
    assert "there is no Jetson here" in done.stderr
    assert "pip install 'edgefer[compress]'" in done.stderr


def test_what_stands_at_the_top_of_the_repository_is_there(device: Device) -> None:
    script = "from edgefer.paths import shipped; print(shipped('calibration'), shipped('benchmarks/claims.toml'))"
    calibration, claims = map(Path, device.run(device.python, "-c", script).stdout.split())
    assert not calibration.is_relative_to(ROOT)
    assert sorted(file.name for file in calibration.iterdir()) == sorted(
        file.name for file in (ROOT / "calibration").iterdir()
    )
    assert claims.read_bytes() == (ROOT / "benchmarks" / "claims.toml").read_bytes()


@pytest.mark.parametrize(
    ("command", "install"),
    [("train", "edgefer[train]"), ("compress", "edgefer[compress"), ("quickstart", "edgefer[")],
)
def test_a_command_that_needs_an_extra_names_it(device: Device, command: str, install: str) -> None:
    done = device.edgefer(command)
    assert done.returncode == 3
    assert f"run: pip install '{install}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bundle_is_measured(device: Device) -> None:
    bundle = samples.write(device.folder / "grey")
    done = device.edgefer("bench", bundle.path, "--seconds", "0.1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["command"] == "bench"


def test_each_network_of_the_family_answers(device: Device) -> None:
    picture = device.folder / "face.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (44, 44), dtype=np.uint8)).save(picture)
    for name in ("edgefer-nano", "edgefer-small", "edgefer-base"):
        done = device.edgefer("predict", picture, "--bundle", name, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["bundle"] == name


def test_python_predicts_with_a_bundle(device: Device) -> None:
    bundle = samples.write(device.folder / "for-python")
    script = f"""
import numpy as np, edgefer
[dark] = edgefer.load({str(bundle.path)!r}).predict(np.full((48, 48), 18, np.uint8))
print(dark.label)
"""
    done = device.run(device.python, "-c", script)
    assert done.stdout == "angry\n", done.stderr


def test_a_checkpoint_is_found_once_its_wheel_is_installed(device: Device, checkpoints: Path) -> None:
    script = "from edgefer import bundle; print(bundle.checkpoint('edgefer-base'))"
    assert "run: pip install edgefer-checkpoints" in device.run(device.python, "-c", script).stderr
    # pip gets its own home: it runs rustc for its version, which writes there.
    pip: list[str | Path] = [device.python, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "install", "--no-index", checkpoints], check=True)
    assert (Path(device.run(device.python, "-c", script).stdout.strip()) / "best.json").is_file()
    subprocess.run([*pip, "uninstall", "-y", "edgefer-checkpoints"], check=True)


def test_types_reach_whoever_imports_it(device: Device) -> None:
    script = "import edgefer, pathlib; print((pathlib.Path(edgefer.__file__).parent / 'py.typed').exists())"
    assert device.run(device.python, "-c", script).stdout == "True\n"


def test_nothing_is_left_in_the_home_folder(device: Device) -> None:
    """Runs last: no command above wrote telemetry or anything else there."""
    assert list(device.home.rglob("*")) == []


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_newest_python_has_wheels_for_all_that_a_device_needs(wheel: Path, tmp_path: Path, machine: str) -> None:
    """The check needs no interpreter of that version."""
    platforms = [
        f"{glibc}_{machine}" for glibc in ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
    ]
    pip = [sys.executable, "-m", "pip", "--quiet", "install", "--dry-run", "--target", str(tmp_path / "none")]
    asked = [word for platform in platforms for word in ("--platform", platform)]
    asked += ["--python-version", "3.14", "--only-binary", ":all:", "-c", str(ROOT / "constraints.txt")]
    done = subprocess.run([*pip, *asked, f"{wheel}[cascade,heic,report]"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_oldest_packages_that_it_lets_in_do(wheel: Path, tmp_path: Path) -> None:
    """A machine that already has some packages keeps them, as old as pyproject.toml allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = [*project["dependencies"], *project["optional-dependencies"]["cascade"]]
    oldest = [re.sub(r">=([\d.]+).*", r"==\1.*", bound) for bound in bounds if "python_version" not in bound]
    assert len(oldest) == 7
    device = install(interpreter("3.10"), tmp_path, wheel, "tomli", *oldest)
    photo = Image.new("L", (300, 200), 90)
    photo.save(device.folder / "photo.png")
    Image.linear_gradient("L").resize((44, 44)).save(device.folder / "face.png")
    options = ("--detector", "cascade", "--annotate", "copies", "--csv", "faces.csv", "--json")
    done = device.edgefer("predict", "photo.png", "face.png", *options)
    assert done.returncode == 0, done.stderr
    assert [len(each["faces"]) for each in json.loads(done.stdout)["pictures"]] == [0, 1]
    assert sorted(each.name for each in (device.folder / "copies").iterdir()) == ["face.png", "photo.png"]
    for command in (["data", "info", "--json"], ["doctor"], ["bench", "edgefer-nano", "--seconds", "0.1", "--json"]):
        done = device.edgefer(*command)
        assert done.returncode == 0, done.stderr
