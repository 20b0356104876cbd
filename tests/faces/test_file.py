"""YuNet's file: fetched once, accepted only with the right digest, and the fallback without it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from edgefer import console, download, paths
from edgefer.errors import InputError, MissingRequirement
from edgefer.faces import detector, file
from edgefer.faces.cascade import Cascade


class Server(ThreadingHTTPServer):
    """A local server with predefined responses that counts requests."""

    daemon_threads = True

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805
                self.asked.append(handler.path)
                answer(handler)

            def log_message(self, *arguments: object) -> None:
                """Print nothing."""

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}/yunet_s_dynamic.onnx"


Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(answer: Callable[[BaseHTTPRequestHandler], None]) -> Server:
        servers.append(Server(answer))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def whole(content: bytes, length: int | None = None) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache without the file, and no setting that names another file."""
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(detector.VARIABLE)
    console.say_once.cache_clear()
    return tmp_path / "cache"


def test_the_file_is_fetched_once_and_said_once(
    empty: Path, yunet: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(whole(yunet.read_bytes()))
    monkeypatch.setattr(file, "ADDRESS", server.address)
    monkeypatch.setattr(console, "_enabled", True)
    assert not detector.in_use()[0]
    for _ in range(2):
        assert "YuNet" in detector.open_detector().title
    assert len(server.asked) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("fetched the face detector YuNet (0.24 MB, Apache-2.0)")
    assert paths.sha256(file.place()) == file.SHA256
    assert [each.name for each in file.place().parent.iterdir()] == [file.NAME]
    assert detector.in_use()[0]
    file.place().write_bytes(b"damaged")
    assert detector.open_detector().find(np.zeros((100, 100), np.uint8)) == []
    assert len(server.asked) == 2


def silent(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"some")
    handler.wfile.flush()
    threading.Event().wait(3)


def missing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


BAD: dict[str, tuple[Callable[[BaseHTTPRequestHandler], None], str]] = {
    "another file": (whole(b"x" * 1000), "has changed: its SHA-256 "),
    "cut short": (whole(b"x" * 1000, length=2000), "1,000 of 2,000 bytes|IncompleteRead"),
    "too large": (whole(b"x" * 300_000), "is larger than edgefer reads"),
    "slow": (silent, "did not answer within 0 s"),
    "not there": (missing, "the server says 404"),
}


@pytest.mark.parametrize(("answer", "said"), BAD.values(), ids=BAD)
def test_a_bad_answer_leaves_no_file_and_the_cascade_finds_faces(
    empty: Path,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: Callable[[BaseHTTPRequestHandler], None],
    said: str,
) -> None:
    pytest.importorskip("cv2")
    monkeypatch.setattr(file, "ADDRESS", serve(answer).address)
    get = download.get
    monkeypatch.setattr(download, "get", lambda address, most: get(address, most, silent_seconds=0.3))
    with pytest.raises(MissingRequirement, match=said):
        file.fetch()
    assert not file.place().exists()
    monkeypatch.setattr(console, "_enabled", True)
    assert isinstance(detector.open_detector(), Cascade)
    [line] = capsys.readouterr().err.splitlines()
    assert "which is slower and misses a third of the faces: http://127.0.0.1" in line


def test_offline_and_without_opencv_one_line_says_what_to_do(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "ADDRESS", "http://127.0.0.1:9/yunet_s_dynamic.onnx")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        MissingRequirement, match=r"cannot be reached: .*--detector FILE, or use --faces never"
    ) as caught:
        detector.open_detector()
    assert "\n" not in str(caught.value)


def test_a_detector_is_named_by_argument_or_environment(
    empty: Path, yunet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "ADDRESS", "http://127.0.0.1:9/")
    assert detector.open_detector(yunet).title == f"YuNet ({yunet.name})"
    monkeypatch.setenv(detector.VARIABLE, str(yunet))
    assert detector.in_use() == (True, f"YuNet: {yunet} (EDGEFER_DETECTOR)", "")
    assert detector.open_detector().title == f"YuNet ({yunet.name})"
    monkeypatch.setenv(detector.VARIABLE, str(tmp_path / "nowhere.onnx"))
    with pytest.raises(InputError, match=r"nowhere\.onnx is not there"):
        detector.open_detector()


def test_addresses_end_within_their_bounds(serve: Serve) -> None:
    def around(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", handler.path)
        handler.end_headers()

    def away(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "file:///etc/passwd")
        handler.end_headers()

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    def dripping(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(30):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            threading.Event().wait(0.1)

    with pytest.raises(InputError, match="the server says 302"):
        download.get(serve(around).address, 1000)
    with pytest.raises(InputError, match="the server says 302"):
        download.get(serve(away).address, 1000)
    with pytest.raises(InputError, match=r"more than 1,000,000 bytes"):
        download.get(serve(endless).address, 1_000_000)
    with pytest.raises(MissingRequirement, match="took longer than"):
        download.get(serve(dripping).address, 1000, seconds=0.5)
    for bad in ("ftp://127.0.0.1/a", "http://127.0.0.1:port/", "http://"):
        with pytest.raises((InputError, MissingRequirement)):
            download.get(bad, 1000)
