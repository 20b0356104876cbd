"""The commands of docs/own-faces.md: from photographs to a working bundle."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edgefer import console, data
from edgefer.cli.main import app
from tests.helpers import sources
from tests.helpers.pictures import lay

PAGE = Path(__file__).parents[2] / "docs" / "own-faces.md"
SHOWN = {"engaged": "happy", "bored": "neutral", "drowsy": "sad"}  # of FER2013


@pytest.mark.slow
@pytest.mark.usefixtures("yunet")
def test_every_command_of_the_page_runs(fer2013: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = data.load(fer2013)
    for own, label in SHOWN.items():
        rows = np.flatnonzero((whole.splits == 1) & (whole.labels == whole.classes.index(label)))[:32]
        for number, row in enumerate(rows):
            photo = lay([(np.asarray(whole.images[row]), 60, 40, 160)], (320, 240))
            sources.write_picture(tmp_path / "photos" / own / f"person{number % 8}_{number}.jpg", photo)
    commands = re.findall(r"^ {4}edgefer (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) == 7

    for command in commands:
        words = shlex.split(command)
        if words[:3] == ["data", "crop", "0"]:  # there is no camera
            continue
        # With so few pictures, one of them is many points.
        more = {"compress": ["--max-drop", "100"], "train": ["--threads", "1"], "bench": ["--seconds", "0.1"]}
        try:
            done = CliRunner().invoke(app, [*words, *more.get(words[0], [])])
        finally:
            console.enable(False)
        assert done.exit_code == 0, (command, done.stderr)

    dataset = data.load(tmp_path / "faces")
    assert {*dataset.classes} == {*SHOWN}
    assert len(dataset) > 60
    assert dataset.division is not None
    assert dataset.division.by == "person"
    assert "engaged" in done.stdout
    assert (tmp_path / "runs" / "compress" / "latest" / "int8.cpu.onnx").is_file()
