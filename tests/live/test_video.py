"""`edgefer predict video.mp4 --csv`: one row per face and frame, the same after a kill."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import edgefer
from edgefer.cli.main import app
from edgefer.live import sources, video
from tests.helpers import videos

KILLED = """
import sys
from edgefer.live import video
video._SAVED = 0.0
from edgefer.cli.main import run_command
sys.argv = ["edgefer", *sys.argv[1:]]
run_command()
"""
FRAMES = 120


@pytest.fixture(scope="module")
def film(fer2013: Path, yunet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of a happy face, then four of a surprised one."""
    happy, surprised = videos.two_faces(fer2013)
    half = FRAMES // 2
    return videos.write(tmp_path_factory.mktemp("film") / "film.mp4", [happy] * half + [surprised] * half)


def predict(*words: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, words), "--bundle", "edgefer-nano", "--device", "cpu"])


def test_a_row_for_each_face_and_frame_with_track_and_time(film: Path, tmp_path: Path) -> None:
    done = predict(film, "--csv", tmp_path / "out.csv", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["frames"], said["rows"], said["tracks"], said["resumed"]) == (FRAMES, FRAMES, 1, 0)
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [int(row["frame"]) for row in rows] == list(range(FRAMES))
    assert {row["track"] for row in rows} == {"1"}
    assert [float(row["time"]) for row in rows] == pytest.approx([n / 15 for n in range(FRAMES)], abs=0.001)
    labels = [row["label"] for row in rows]
    assert labels[FRAMES // 2 - 1] == "happy"
    assert labels[FRAMES // 2 + 8] == "surprise"  # half a second later
    assert all(abs(sum(float(row[label]) for label in edgefer.labels.LABELS) - 1) < 0.001 for row in rows)
    assert list(tmp_path.iterdir()) == [tmp_path / "out.csv"]


def test_a_killed_run_goes_on_and_writes_what_it_would_have_written(film: Path, tmp_path: Path) -> None:
    whole, table = tmp_path / "whole.csv", tmp_path / "out.csv"
    assert predict(film, "--csv", whole).exit_code == 0
    state = tmp_path / "out.csv.unfinished.json"
    words = ["predict", film, "--csv", table, "--bundle", "edgefer-nano", "--device", "cpu"]
    killed = subprocess.Popen([sys.executable, "-c", KILLED, *map(str, words)])
    videos.until(lambda: state.exists() and json.loads(state.read_text())["state"]["frames"] >= 10)
    killed.kill()
    killed.wait()
    assert not table.exists()
    done = predict(film, "--csv", table, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["resumed"] >= 10
    assert table.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "whole.csv"]


def test_a_state_of_other_options_is_not_gone_on_with(film: Path, tmp_path: Path) -> None:
    table = tmp_path / "out.csv"
    (tmp_path / "out.csv.unfinished").write_text("rows of something else\n" * 100)
    (tmp_path / "out.csv.unfinished.json").write_text('{"key": {}, "state": {"bytes": 5}}')
    done = predict(film, "--csv", table, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["resumed"] == 0
    assert "starting over" in done.stderr
    assert "something else" not in table.read_text()


def test_a_video_that_lies_on_its_side_is_turned_upright() -> None:
    class Frame:
        rotation = 90

        def to_ndarray(self, format: str) -> np.ndarray:
            pixels = np.zeros((2, 3, 3), np.uint8)
            pixels[0, 2] = 255  # a counterclockwise quarter turn moves the upper right corner to the upper left
            return pixels

    turned = sources.rgb(Frame())  # type: ignore[arg-type]
    assert turned.shape == (3, 2, 3)
    assert turned[0, 0].tolist() == [255] * 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.mp4"], "a video's faces go into a table; add --csv FILE"),
        (["a.mp4", "b.png", "--csv", "o.csv"], "one video at a time"),
        (["a.mp4", "--csv", "o.csv", "--faces", "never"], "--faces never is for pictures cropped to the face"),
        (["a.mp4", "--csv", "o.csv", "--annotate", "f"], "--annotate is for pictures; use: edgefer live a.mp4"),
        (["a.mp4", "--csv", "o.csv"], "there is no video a.mp4"),
    ],
)
def test_what_does_not_go_with_a_video_is_one_line(words: list[str], said: str) -> None:
    done = predict(*words)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"edgefer: {said}")


def test_names_of_videos() -> None:
    assert video.is_video("a/B.MP4")
    assert not video.is_video("a.png")
    assert not video.is_video("https://example.org/a.mp4")
