"""Frames from a file, an HTTP stream, an RTSP server and stdin: the right events, and recovery after a server dies."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from threading import Event

import av
import numpy as np
import pytest
from typer.testing import CliRunner

import edgefer
from edgefer.cli.main import app
from edgefer.errors import InputError
from edgefer.live import pipeline, sources
from edgefer.live.pipeline import Live
from edgefer.predictor import Predictor
from tests.helpers import videos


@pytest.fixture(scope="module")
def predictor(yunet: Path) -> Iterator[Predictor]:
    with edgefer.load("edgefer-nano", device="cpu") as opened:
        yield opened


@pytest.fixture(scope="module")
def frames(fer2013: Path, predictor: Predictor) -> list[np.ndarray]:
    """A second of a happy face, then a second of a surprised one."""
    happy, surprised = videos.two_faces(fer2013)
    for pixels, label in ((happy, "happy"), (surprised, "surprise")):
        (face,) = predictor.predict_faces([pixels])[0]
        assert (face.label, face.confidence > 0.6) == (label, True)
    return [happy] * 15 + [surprised] * 15


def labels(lines: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [(line["event"], line["label"]) for line in lines if line["label"] != "unsure"]


def run(*words: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "edgefer", "live", *map(str, words), "--bundle", "edgefer-nano", "--device", "cpu"]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=100)


def test_a_file_is_played_at_its_own_speed_and_each_change_is_a_line(frames: list[np.ndarray], tmp_path: Path) -> None:
    file = videos.write(tmp_path / "v.mp4", frames)
    recorded = tmp_path / "out.mp4"
    done = run(file, "--events", "changes", "--record", recorded)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert labels(lines) == [("appeared", "happy"), ("changed", "surprise")]
    assert lines[-1]["time"] >= 1.0
    assert {line["track"] for line in lines} == {1}
    box = lines[0]["box"]
    assert abs(box["left"] + box["width"] / 2 - 160) < 20
    said = done.stderr.decode()
    assert "Article 5" in said
    assert "frames judged of 30" in said
    with sources.opened(f"file:{recorded}", "it") as (container, stream):
        written = [sources.rgb(frame) for frame, _ in sources.decoded(container, stream, "it")]
    assert written[0].shape == (240, 320, 3)
    yellow = (np.abs(written[len(written) // 2].astype(int) - (255, 196, 0)).max(axis=-1) < 60).sum()
    assert yellow > 500  # a box and a label are drawn


@pytest.mark.parametrize("form", ["mjpeg", "y4m", "raw"])
def test_frames_on_stdin(frames: list[np.ndarray], form: str) -> None:
    few = frames[:1] * 4 + frames[-1:] * 4
    if form == "mjpeg":
        content = b"".join(map(videos.jpeg, few))
    elif form == "raw":
        content = b"".join(pixels.tobytes() for pixels in few)
    else:
        grey = (pixels[..., 0].tobytes() for pixels in few)
        content = b"YUV4MPEG2 W320 H240 F15:1 Ip A1:1 Cmono\n" + b"".join(b"FRAME\n" + plane for plane in grey)
    raw = ["--raw", "320x240:rgb24"] if form == "raw" else []
    done = run("-", "--events", "frames", *raw, stdin=content)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines
    assert {(line["width"], line["height"]) for line in lines} == {(320, 240)}
    assert lines[-1]["faces"][0]["raw"] == "surprise"


def test_an_http_stream_that_dies_is_found_again(
    frames: list[np.ndarray], predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_BACKOFF", (0.1,))
    port = videos.free_port()
    said: list[str] = []
    with videos.http(frames[:1], 15, port) as address:
        live = Live(sources.named(address), predictor, say=said.append)
        live.__enter__()
        videos.until(lambda: live.latest() and live.latest()[1].faces)
        assert live.latest()[1].faces[0].label == "happy"
    try:
        videos.until(lambda: not live.figures().connected)
        with videos.http(frames[-1:], 15, port):
            videos.until(lambda: live.figures().reconnects)
            videos.until(lambda: live.latest()[1].faces and live.latest()[1].faces[0].label == "surprise")
        assert [line.partition(" (")[0] for line in said[:2]] == [f"{address} was lost", f"{address} is back"]
    finally:
        live.stop()


def test_an_rtsp_server_that_dies_is_found_again(
    frames: list[np.ndarray], predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos.need_rtsp()
    monkeypatch.setattr(pipeline, "_BACKOFF", (0.1,))
    port = videos.free_port()
    said: list[str] = []
    with videos.rtsp(frames, tmp_path, port) as address:
        live = Live(sources.named(address), predictor, say=said.append)
        live.__enter__()
        shown: set[str] = set()

        def both() -> bool:
            answered = live.latest()
            shown.update(face.label for face in (answered[1].faces if answered else ()))
            return {"happy", "surprise"} <= shown

        videos.until(both)
    try:
        videos.until(lambda: not live.figures().connected)
        before = live.figures().judged
        with videos.rtsp(frames, tmp_path, port):
            videos.until(lambda: live.figures().judged > before + 5)
        assert live.figures().reconnects == 1
        assert [line.partition(" (")[0] for line in said[:2]] == [f"{address} was lost", f"{address} is back"]
    finally:
        live.stop()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("there-is-none.mp4", "there-is-none.mp4: No such file or directory; give a camera's number"),
        ("97", "there is no camera 97 (/dev/video97)"),
        ("ftp://x/y", "ftp://x/y is not a supported stream address: rtsp, rtsps, http, https"),
        ("concat:a|b", "concat:a|b: No such file or directory"),
        (".", ". is not a video file"),
        ("rtsp://x/y --size 640x480", "--size is for cameras; omit it for other sources"),
        ("0 --no-page --listen 4913", "--listen is the page's address; omit it or --no-page"),
        ("0 --size large", "--size is a width and a height such as 1280x720, not large"),
    ],
)
def test_what_is_no_source_is_one_line(source: str, said: str) -> None:
    if source == "97" and sys.platform != "linux":
        pytest.skip("cameras have other names here")
    done = CliRunner().invoke(app, ["live", *source.split()])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"edgefer: {said}")
    assert len(done.stderr.splitlines()) == 1


def test_a_server_that_is_not_there_is_one_line_without_its_password(predictor: Predictor) -> None:
    port = videos.free_port()
    source = sources.named(f"rtsp://root:secret@127.0.0.1:{port}/a?token=secret")
    assert "secret" not in source.title
    with pytest.raises(InputError, match=r"cannot be opened: Connection refused") as raised, Live(source, predictor):
        pass
    assert "secret" not in str(raised.value)


def test_a_file_that_is_no_video_is_one_line(tmp_path: Path, predictor: Predictor) -> None:
    (tmp_path / "v.mp4").write_bytes(b"no video" * 1000)
    with (
        pytest.raises(InputError, match=r"v\.mp4 cannot be opened"),
        Live(sources.named(str(tmp_path / "v.mp4")), predictor),
    ):
        pass


def test_times_that_jump_hold_nothing_up(frames: list[np.ndarray], tmp_path: Path) -> None:
    """Two concatenated recordings: timestamps restart, and the second one has gaps of hours."""
    parts = [videos.write(tmp_path / f"{place}.ts", frames[:8]) for place in range(2)]
    with av.open(str(tmp_path / "2.ts"), "w") as container:
        stream = container.add_stream("mpeg4", rate=15)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number, pixels in enumerate(frames[:8]):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number + (3 * 3600 * 15 if number >= 4 else 0)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in (*parts, tmp_path / "2.ts")))
    found = [picture.time or 0.0 for picture in sources.named(str(joined)).frames(Event())]
    assert len(found) > 20
    assert np.diff(found).min() >= 0
    assert np.diff(found).max() < 1
    table = tmp_path / "out.csv"
    done = CliRunner().invoke(
        app, ["predict", str(joined), "--csv", str(table), "--bundle", "edgefer-nano", "--device", "cpu"]
    )
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(table.open()))
    assert {row["track"] for row in rows} == {"1"}
    assert len({row["time"] for row in rows}) == len(rows) > 20


@pytest.mark.parametrize("content", ["", "no video"])
def test_nothing_on_stdin_is_one_line(content: str) -> None:
    done = run("-", "--no-page", stdin=content.encode())
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].decode().startswith("edgefer: no video on stdin; check the command")


@pytest.mark.skipif(sys.platform == "win32", reason="has other signals")
@pytest.mark.parametrize(("endless", "code"), [(True, 0), (False, 130)])
def test_ctrl_c_is_how_a_stream_ends_and_cuts_a_file_short(
    frames: list[np.ndarray], tmp_path: Path, endless: bool, code: int
) -> None:
    file = videos.write(tmp_path / "v.mp4", frames * 40)
    with videos.http(frames, 15) if endless else nullcontext(str(file)) as source:
        words = ["live", source, "--no-page", "--events", "frames", "--bundle", "edgefer-nano", "--device", "cpu"]
        process = subprocess.Popen(
            [sys.executable, "-m", "edgefer", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=100)
    assert process.returncode == code, said
    assert b"frames judged of" in said


@pytest.mark.parametrize("raw", ["640", "640x480:nope", "x"])
def test_raw_pixels_of_no_size_or_format_are_refused(raw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = CliRunner().invoke(app, ["live", "-", "--raw", raw], input="")
    assert done.exit_code == 2
    assert (
        f"--raw is a size and a pixel format that FFmpeg knows, such as 640x480:rgb24 or 640x480:nv12, not {raw}"
        in done.stderr
    )
