"""Files of npm packages: only pinned ones, fetched once."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgefer.cli.main import app
from edgefer.errors import MissingRequirement
from edgefer.export.npm import Package


def archive(text: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        entry = tarfile.TarInfo("package/dist/a.js")
        entry.size = len(text)
        made.addfile(entry, io.BytesIO(text))
    return buffer.getvalue()


def package(content: bytes) -> Package:
    return Package("@some/thing", "1.2.3", base64.b64encode(hashlib.sha512(content).digest()).decode(), "MIT", "")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, bytes]]:
    """A registry as a dictionary from path to content; requested entries are removed."""
    held: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = held.pop(self.path, None)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "cache"))
    yield held
    server.shutdown()
    server.server_close()
    thread.join()


ADDRESS = "/@some/thing/-/thing-1.2.3.tgz"


def test_a_package_is_fetched_once(registry: dict[str, bytes]) -> None:
    content = archive(b"one")
    registry[ADDRESS] = content
    assert package(content).files(["dist/a.js"]) == {"dist/a.js": b"one"}
    assert package(content).files(["dist/a.js"]) == {"dist/a.js": b"one"}  # the registry no longer has it
    with pytest.raises(MissingRequirement, match=r"has no dist/b\.js"):
        package(content).files(["dist/a.js", "dist/b.js"])


def test_another_content_than_was_pinned_is_refused(registry: dict[str, bytes]) -> None:
    registry[ADDRESS] = archive(b"two")
    with pytest.raises(MissingRequirement, match="has changed"):
        package(archive(b"one")).files(["dist/a.js"])


def test_a_page_that_lacks_its_runtime_is_one_line(registry: dict[str, bytes], yunet: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["export", "web", "edgefer-nano", "--out", str(out), "--detector", str(yunet)])
    assert result.exit_code == 3
    assert "is not available: the server says 404" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(("detector", "says"), [("other.onnx", "other.onnx"), ("cascade", "needs YuNet")])
def test_a_detector_that_is_another_network_is_refused(detector: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"no network")
    named = detector if detector == "cascade" else str(tmp_path / detector)
    result = CliRunner().invoke(
        app, ["export", "web", "edgefer-nano", "--out", str(tmp_path / "a"), "--detector", named]
    )
    assert result.exit_code == 2
    assert says in result.stderr
