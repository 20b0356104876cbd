"""`edgefer predict --out`: one Parquet row for each picture, from any source."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from edgefer import inputs
from edgefer.batch import run, sources, work
from edgefer.batch.work import BatchJob, BatchWorker
from edgefer.cli.main import app
from edgefer.errors import InputError
from edgefer.labels import LABELS
from tests.helpers import samples, videos

TRUTH = np.array([0, 1, 3, 4, 5, 6, 0])

ONE = ("--out", "out", "--workers", "1")


def _png(grey: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(grey).save(out, "PNG")
    return out.getvalue()


PICTURES = {f"some/{number}.png": _png(grey) for number, grey in enumerate(samples.pictures(TRUTH))}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    samples.write(Path("bundle"))


def predict(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, arguments), "--bundle", "bundle"])


def job(**changes: Any) -> BatchJob:
    return BatchJob(**{"out": "out", "rows": 3, "bundle": "bundle", **changes})


def rows(out: Path | str = "out") -> list[dict[str, Any]]:
    files = sorted(Path(out).glob("*.parquet"))
    return [row for file in files for row in pyarrow.parquet.read_table(file).to_pylist()]


def places(found: list[dict[str, Any]]) -> list[tuple[str, str | None, int | None]]:
    return [(row["source"], row["member"], row["frame"]) for row in found]


def untimed(faces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in face.items() if key != "milliseconds"} for face in faces]


def write_zip(path: str, files: dict[str, bytes] = PICTURES) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def write_tar(path: str, files: dict[str, bytes] = PICTURES) -> None:
    with tarfile.open(path, "w:gz" if path.endswith("gz") else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_folder(folder: str, files: dict[str, bytes] = PICTURES) -> None:
    for name, content in files.items():
        (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
        (Path(folder) / name).write_bytes(content)


def test_one_row_for_each_picture_of_folders_archives_and_videos_with_what_predict_says_of_it() -> None:
    write_folder("in")
    write_zip("in/a.zip")
    write_tar("b.tar")
    write_tar("c.tar.gz")
    videos.write(Path("film.mp4"), [np.full((32, 32, 3), 128, np.uint8)] * 7)
    Path("alone.png").write_bytes(PICTURES["some/3.png"])
    done = predict("in", "b.tar", "c.tar.gz", "film.mp4", "alone.png", "in/a.zip", *ONE, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    found = rows()
    assert said["pictures"] == len(found) == 7 * 5 + 1
    expected: set[tuple[str, str | None, int | None]]
    expected = {(source, name, None) for source in ("in", "in/a.zip", "b.tar", "c.tar.gz") for name in PICTURES}
    expected |= {("film.mp4", None, number) for number in range(7)} | {("alone.png", None, None)}
    assert len(set(places(found))) == len(found)
    assert set(places(found)) == expected
    assert [row["time"] for row in found if row["source"] == "film.mp4"] == sorted({round(n / 15, 3) for n in range(7)})
    # The same as for the single files.
    one_by_one = json.loads(predict("in", "--json").stdout)["pictures"]
    of_file = {picture["file"].removeprefix("in/"): untimed(picture["faces"]) for picture in one_by_one}
    for row in found:
        assert row["error"] is None
        if row["member"]:
            assert untimed(row["faces"]) == of_file[row["member"]]
            assert row["faces"][0]["label"] == LABELS[TRUTH[int(row["member"][5])]]


def test_what_cannot_be_read_gets_one_row_that_says_why() -> None:
    write_zip("half.zip", {"good.png": PICTURES["some/0.png"], "bad.png": b"no picture", "notes.txt": b""})
    write_zip("out-of-it.zip", {"../up.png": PICTURES["some/0.png"]})
    write_zip("bomb.zip", {"zeros.png": bytes(100_000_000)})
    write_tar("bomb.tar.gz", {"zeros.bin": bytes(100_000_000)})
    write_tar("whole.tar.gz")
    Path("cut.tar.gz").write_bytes(Path("whole.tar.gz").read_bytes()[:300])
    write_tar("cut.tar")
    Path("cut.tar").write_bytes(Path("cut.tar").read_bytes()[:700])
    Path("no.zip").write_text("no zip")
    write_zip("empty.zip", {})
    Path("film.mp4").write_text("no video")
    named = ["half.zip", "out-of-it.zip", "bomb.zip", "bomb.tar.gz", "cut.tar.gz", "cut.tar", "no.zip", "empty.zip"]
    done = predict(*named, "film.mp4", *ONE, "--json")
    assert done.exit_code == 2, done.output
    found = {(row["source"], row["member"]): row["error"] for row in rows()}
    assert len(found) == len(rows())
    errors = {place: error for place, error in found.items() if error is not None}
    said = json.loads(done.stdout)
    assert f"{len(errors)} of {len(found)} pictures could not be read ({said['first_error']})" in said["error"]
    assert said["first_error"] in errors.values()
    whole = {("half.zip", "good.png"), *(place for place in found if place[0] == "cut.tar.gz" and place[1])}
    assert found.keys() - errors.keys() <= whole
    assert errors.keys() - whole == {("half.zip", "bad.png"), *((name, None) for name in (*named[1:], "film.mp4"))}
    assert "'../up.png'" in errors[("out-of-it.zip", None)]
    assert "do not trust this file" in errors[("bomb.zip", None)]
    assert "cut.tar.gz is damaged" in errors[("cut.tar.gz", None)]
    assert "0.1 GB" in errors[("bomb.tar.gz", None)]
    assert all(error and "\n" not in error and str(Path.cwd()) not in error for error in errors.values())


def test_a_restart_does_what_is_missing_and_leaves_the_rest() -> None:
    write_zip("a.zip")
    first = run.predict_many(["a.zip"], job(), 1)
    assert (first.pictures, first.files, first.resumed) == (7, 3, 0)
    before = sorted(places(rows()))
    files = sorted(Path("out").iterdir())
    files[1].unlink()
    left = {file: file.stat().st_mtime_ns for file in sorted(Path("out").iterdir())}
    again = run.predict_many(["a.zip"], job(), 1)
    assert (again.pictures, again.resumed, again.workers) == (7, 4, 1)
    assert sorted(places(rows())) == before
    assert {file: file.stat().st_mtime_ns for file in left} == left
    write_folder("more")
    assert run.predict_many(["a.zip", "more"], job(), 1).pictures == 14
    assert run.predict_many(["a.zip", "more"], job(), 1).workers == 0


@pytest.mark.parametrize("name", ["c.tar.gz", "film.mp4"])
def test_what_is_read_in_order_goes_on_where_it_was(name: str) -> None:
    if name == "film.mp4":
        videos.write(Path(name), [np.full((32, 32, 3), 36 * number, np.uint8) for number in range(7)])
    else:
        write_tar(name)
    [shard] = sources.shards([name], run._settings(job()), 3)
    Path("out").mkdir()
    with BatchWorker(job()) as worker:
        assert next(worker.write(shard)) == 3
    assert len(rows()) == 3
    assert not work.is_whole(shard, {file.name for file in Path("out").iterdir()})
    found = run.predict_many([name], job(), 1)
    assert (found.pictures, found.resumed, found.files) == (7, 3, 3)
    assert len(set(places(rows()))) == 7


def test_rows_of_other_pictures_or_settings_are_not_mixed() -> None:
    write_zip("a.zip")
    write_zip("b.zip")
    run.predict_many(["a.zip"], job(), 1)
    with pytest.raises(InputError, match="rows of other pictures, or of another bundle or options"):
        run.predict_many(["b.zip"], job(), 1)
    with pytest.raises(InputError, match="of another bundle or options"):
        run.predict_many(["a.zip"], job(faces="never"), 1)
    Path("out/notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"has other files, such as notes\.txt"):
        run.predict_many(["a.zip"], job(), 1)


def test_a_picture_that_is_meant_twice_has_one_row() -> None:
    write_folder("in")
    run.predict_many(["in/some/*.png", "in", "in/some/1.png"], job(), 1)
    assert len(rows()) == 7


def test_folders_archives_and_the_table_may_lie_in_an_object_store() -> None:
    store = fsspec.filesystem("memory")
    write_zip("a.zip")
    write_tar("c.tar.gz")
    videos.write(Path("film.mp4"), [np.full((32, 32, 3), 99, np.uint8)] * 4)
    for name, content in PICTURES.items():
        store.pipe_file(f"/bucket/{name}", content)
    for name in ("a.zip", "c.tar.gz", "film.mp4"):
        store.pipe_file(f"/bucket/{name}", Path(name).read_bytes())
    try:
        found = run.predict_many(["memory://bucket"], job(out="memory://bucket-out/rows"), 4)
        assert (found.pictures, found.unread, found.engine) == (7 * 3 + 4, 0, "one process")
        assert run.predict_many(["memory://bucket"], job(out="memory://bucket-out/rows"), 1).resumed == 25
        store.get("/bucket-out/rows/", "fetched/", recursive=True)
        assert {row["source"] for row in rows("fetched")} == {
            "memory://bucket",
            *(f"memory://bucket/{name}" for name in ("a.zip", "c.tar.gz", "film.mp4")),
        }
        with pytest.raises(InputError, match="is not there"):
            run.predict_many(["memory://nowhere"], job(out="other"), 1)
    finally:
        store.rm("/", recursive=True)


class _Server(BaseHTTPRequestHandler):
    """Serve a folder's files, with range requests below /ranges/."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        file = Path(self.path.rpartition("/")[2])
        if not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        asked = self.headers.get("Range") if self.path.startswith("/ranges/") else None
        self.send_response(206 if asked else 200)
        if self.path.startswith("/ranges/"):
            self.send_header("Accept-Ranges", "bytes")
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
            content = content[start : end + 1]
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def served() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_archives_and_pictures_of_a_web_server_are_read_and_no_password_is_written() -> None:
    write_zip("a.zip")
    Path("one.png").write_bytes(PICTURES["some/3.png"])
    with served() as host:
        named = [f"http://me:secret@{host}/ranges/a.zip", f"http://{host}/ranges/one.png", f"http://{host}/gone.png"]
        found = run.predict_many(named, job(), 1)
    assert (found.pictures, found.unread) == (9, 1)
    assert {row["source"] for row in rows()} == {
        f"http://{host}/ranges/a.zip",
        f"http://{host}/ranges/one.png",
        f"http://{host}/gone.png",
    }
    assert all(b"secret" not in file.read_bytes() for file in Path("out").iterdir())


def test_the_shells_names_options_and_missing_packages_end_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    write_zip("a.zip")
    Path("empty").mkdir()
    for arguments, code, said in (
        (("a.zip", "--out", "out", "--csv", "t.csv"), 2, "omit them"),
        (("a.zip", "--workers", "1"), 2, "add --out FOLDER"),
        (("a.zip", "--out", ""), 2, "--out is empty; name a folder"),
        (("gone.zip", "--out", "out"), 2, "there is no picture gone.zip"),
        (("empty", "--out", "out"), 2, "empty holds no picture, archive or video"),
        (("nosuch://a/b", "--out", "out"), 2, "nosuch://a/b cannot be read"),
        (("data:image/png;base64,AAAA", "--out", "out"), 2, "--out takes files"),
    ):
        done = predict(*arguments)
        assert (done.exit_code, said in done.output) == (code, True), (arguments, done.output)
        assert len(done.output.strip().splitlines()) == 1
    monkeypatch.setitem(sys.modules, "ray", None)
    done = predict("a.zip", "--out", "out", "--workers", "2")
    assert (done.exit_code, "pip install 'edgefer[ray]'" in done.output) == (3, True), done.output
    assert run._usual_workers(1) == 1
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = predict("a.zip", *ONE)
    assert (done.exit_code, "pip install 'edgefer[arrow]'" in done.output) == (3, True), done.output


@pytest.mark.parametrize("name", ["a.zip", "c.tar.gz"])
def test_a_picture_that_ends_process_after_process_gets_an_error_too(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (write_zip if name == "a.zip" else write_tar)(name)
    real = inputs.decoded

    def decoded(content: bytes, label: str) -> np.ndarray:
        if "some/4" in label:
            raise SystemExit  # like a crash, no handler catches it
        return real(content, label)

    monkeypatch.setattr(inputs, "decoded", decoded)
    for _ in range(4):
        with pytest.raises(SystemExit):
            run.predict_many([name], job(), 1)
    found = run.predict_many([name], job(), 1)
    assert found.unread == 1
    [error] = [row["error"] for row in rows() if row["error"]]
    assert "ends the process that reads it" in error
    assert found.pictures == (7 if name == "a.zip" else 5)  # nothing can be skipped in a stream
    assert not [file for file in Path("out").iterdir() if file.name.startswith(".")]
