"""`edgefer bench --device jetson` and `rtx` without the device, and `edgefer project` anywhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from edgefer import bundle, console, data, paths
from edgefer.cli.main import app
from edgefer.devices import present
from edgefer.labels import LABELS
from edgefer.projection.result import Projection
from edgefer.projection.table import PROJECTED
from tests.helpers import samples
from tests.helpers.projected import write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Go to a folder with class folders of grey images in ``faces`` and a bundle; there is no device."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(present, "here", lambda device, root=Path("/"): False)
    dataset = samples.dataset(each=35)
    for split, name in enumerate(("train", "val", "test")):
        for row in (dataset.splits == split).nonzero()[0]:
            place = Path("faces", name, LABELS[dataset.labels[row]])
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(dataset.images[row]).save(place / f"{row}.png")
    digest = data.load(Path("faces")).digest
    write(Path("mine"), data=bundle.DataEntry(name="greys", digest=digest, synthetic=False))
    yield tmp_path
    console.enable(False)


def _run(*arguments: str, command: str = "bench") -> Result:
    return CliRunner().invoke(app, [command, "mine", "--data", "faces", *arguments])


@pytest.mark.parametrize(
    ("device", "first"), [("jetson", "This is not a Jetson: "), ("rtx", "There is no NVIDIA GPU here: ")]
)
def test_all_is_printed_and_written_then_it_is_an_error(folder: Path, device: str, first: str) -> None:
    done = _run("--device", device)
    assert done.exit_code == 3, done.output
    assert done.stdout.startswith(first)
    assert PROJECTED in done.stdout
    assert done.stderr.splitlines()[-1].startswith("edgefer: nothing was measured")
    assert f"--device {device} --host" in done.stderr.splitlines()[-1]
    (run,) = Path("runs/bench").iterdir()  # `latest` would be a second entry
    assert run.name.endswith("-grey-projected")
    assert [file.name for file in run.iterdir()] == ["projection.json"]
    kept = Projection.model_validate_json((run / "projection.json").read_text())
    assert kept.device == device
    assert paths.latest("bench") is None


def test_asked_for_it_is_no_error(folder: Path) -> None:
    done = _run("--device", "jetson", "--out", "here", command="project")
    assert done.exit_code == 0, done.output
    assert "To measure: " in done.stdout
    assert "edgefer:" not in done.stderr
    assert [file.name for file in Path("here").iterdir()] == ["projection.json"]
    assert not Path("runs/bench").exists()


@pytest.mark.parametrize(("command", "code"), [("project", 0), ("bench", 3)])
def test_json_is_one_object_that_says_how_it_ended(folder: Path, command: str, code: int) -> None:
    done = _run("--device", "jetson", "--json", "--out", "here", command=command)
    assert done.exit_code == code
    printed = json.loads(done.stdout)
    assert printed["command"] == command
    assert printed["kind"] == "edgefer projection"
    assert printed["projection"] == "here/projection.json"
    assert printed.get("exit_code", 0) == code
    assert ("error" in printed) == bool(code)
    assert ("nothing was measured" in done.stderr) == bool(code)
    assert printed["projected"] == json.loads(Path("here/projection.json").read_text())["projected"]


def test_where_the_device_is_it_is_not_projected_unless_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(present, "here", lambda device, root=Path("/"): True)
    assert "projection" not in _run("--device", "jetson").stdout
    done = _run("--device", "jetson", command="project")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Nothing below was measured")


def test_without_the_extra_it_says_so_and_that_there_is_no_device(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("edgefer.projection", "edgefer.graph"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = _run("--device", "jetson")
    assert done.exit_code == 3
    assert "there is no Jetson here" in done.stderr
    assert "pip install 'edgefer[compress]'" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "faces"], "faces exists already"),
        (["--split", "holdout"], "holdout"),
    ],
)
def test_wrong_input_is_said_in_one_line(folder: Path, options: list[str], message: str) -> None:
    done = _run("--device", "jetson", *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert PROJECTED not in done.stdout
    assert not Path("runs/bench").exists()
