"""`edgefer serve`: Python's results over HTTP, limits, tokens, cross-site requests, and a stop without losses."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import edgefer
from edgefer.cli.main import app as commands
from edgefer.errors import InputError
from edgefer.labels import LABELS
from edgefer.predictor import Predictor
from edgefer.server import address, run
from edgefer.server.app import ServerSettings, application
from tests.helpers import samples

TOKEN = "a-token-of-the-tests"
BOUNDARY = "edge"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.write(tmp_path_factory.mktemp("serve") / "bundle").path


@pytest.fixture(scope="module")
def predictor(bundle: Path) -> Iterator[Predictor]:
    with edgefer.load(bundle, device="cpu") as opened:
        yield opened


@contextmanager
def serving(predictor: Predictor, settings: ServerSettings | None = None, token: str | None = None) -> Iterator[int]:
    """Serve in the meantime; yield the port."""
    listening, here = address.bind(address.Address("127.0.0.1", 0))
    with run.in_background(application(predictor, settings, token), listening):
        yield here.port


@pytest.fixture(scope="module")
def port(predictor: Predictor) -> Iterator[int]:
    with serving(predictor, ServerSettings(workers=2, max_bytes=200_000, max_pixels=1_000_000)) as found:
        yield found


def ask(
    port: int, path: str, body: bytes | None = None, method: str | None = None, **headers: str
) -> tuple[int, Any, http.client.HTTPMessage]:
    """Return status, body and headers; ``content_type`` is a header's name here."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method or ("GET" if body is None else "POST"), path, body, named)
        answer = connection.getresponse()
        content = answer.read()
        kind = answer.headers.get_content_type()
        return answer.status, json.loads(content) if kind == "application/json" else content.decode(), answer.headers
    finally:
        connection.close()


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def form(*parts: tuple[str, bytes]) -> tuple[bytes, str]:
    """Return a form's body and its type; each part is the text after ``form-data;``, and the content."""
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {about}\r\n\r\n".encode() + content + b"\r\n"
        for about, content in parts
    )
    return body + f"--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"


def until(true: Callable[[], bool]) -> None:
    """Wait for another thread or process."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def begun(port: int, body: bytes, **headers: str) -> socket.socket:
    """Begin a request and send all but its last byte."""
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = ["POST /predict HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {len(body)}", *lines, "", ""]
    client.sendall("\r\n".join(head).encode() + body[:-1])
    return client


def ended(client: socket.socket, body: bytes) -> tuple[int, Any]:
    """Send the last byte; return status and body."""
    client.sendall(body[-1:])
    answer = http.client.HTTPResponse(client)
    answer.begin()
    try:
        return answer.status, json.loads(answer.read())
    finally:
        client.close()


def in_flight(port: int) -> float:
    text = ask(port, "/metrics")[1]
    return float(next(line for line in text.splitlines() if line.startswith("edgefer_predict_in_flight ")).split()[1])


def test_answers_are_those_of_python_whoever_asks_at_the_same_time(port: int, predictor: Predictor) -> None:
    pictures = [png(np.kron(grey, np.ones((4, 4), np.uint8))[:40]) for grey in samples.pictures(np.arange(35) % 7)]
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda body: ask(port, "/predict", body)[:2], pictures))
    for body, (status, answer) in zip(pictures, answers, strict=True):
        assert status == 200, answer
        ((expected,),) = predictor.predict_faces([body])
        (face,) = answer["faces"]
        assert face["probabilities"] == expected.probabilities  # to the last bit
        assert (face["label"], face["confidence"]) == (expected.label, expected.confidence)
        assert (answer["width"], answer["height"], answer["bundle"]) == (48, 40, "grey")


def test_faces_that_are_found_are_those_of_python(port: int, predictor: Predictor, yunet: Path) -> None:
    drawn = edgefer.data.builtin(train=7, val=7, test=7)
    scene = np.full((300, 400), 120, np.uint8)
    for place, face in enumerate(drawn.images[[5, 6]]):
        big = np.asarray(Image.fromarray(np.squeeze(face)).resize((150, 150), Image.Resampling.BICUBIC))
        scene[70:220, 20 + 190 * place : 170 + 190 * place] = big
    body = png(scene)
    (expected,) = predictor.predict_faces([body])
    assert expected
    content, kind = form(('name="note"', b"hello"), ('name="picture"; filename="a.png"', body))
    for status, answer, _ in (
        ask(port, "/predict", body),
        ask(port, "/predict", content, content_type=kind),
        # The content type of curl --data-binary for a picture.
        ask(port, "/predict", body, content_type="application/x-www-form-urlencoded"),
    ):
        assert status == 200
        for face, prediction in zip(answer["faces"], expected, strict=True):
            assert face["box"] == prediction.box._asdict()
            assert face["probabilities"] == prediction.probabilities
            assert face["landmarks"] == [list(point) for point in prediction.landmarks]
            assert (face["score"], face["roll"]) == (prediction.score, prediction.roll)
    assert ask(port, "/predict?faces=always&min_face=250", body)[1]["faces"] == []


def test_below_the_minimum_confidence_a_label_is_unsure(port: int) -> None:
    body = png(samples.pictures(np.array([3]))[0])
    assert ask(port, "/predict", body)[1]["faces"][0]["label"] == LABELS[3]
    assert ask(port, "/predict?min_confidence=1", body)[1]["faces"][0]["label"] == "unsure"


def test_what_is_no_picture_is_refused_in_one_line(port: int) -> None:
    tall, wide = form(('name="a"; filename="a.png"', b"x")), form(('name="url"', b"http://127.0.0.1/"))
    two = form(*[(f'name="{name}"; filename="a.png"', png(np.zeros((9, 9), np.uint8))) for name in "ab"])
    cases: list[tuple[str, bytes, str, int, str]] = [
        ("/predict", b"", "image/png", 422, "no picture in the body"),
        ("/predict", b"GIF89a", "image/png", 422, "the picture is not a supported picture"),
        ("/predict", png(np.zeros((50, 50), np.uint8))[:-30], "image/png", 422, "the picture is a damaged picture"),
        ("/predict", png(np.zeros((1001, 1000), np.uint8)), "image/png", 422, "more than 1,000,000"),
        ("/predict", bytes(200_001), "image/png", 413, "more than 200,000 bytes"),
        ("/predict", tall[0], tall[1], 422, "not a supported picture"),
        ("/predict", wide[0], wide[1], 422, "no file in the form"),
        ("/predict", two[0], two[1], 422, "Too many files"),
        ("/predict", b"nothing", "multipart/form-data", 422, "the form cannot be read"),
        ("/predict?faces=some", b"x", "image/png", 422, "faces: input should be 'auto', 'always' or 'never'"),
        ("/predict?min_face=0", b"x", "image/png", 422, "min_face: "),
    ]
    for path, body, kind, expected, said in cases:
        status, answer, _ = ask(port, path, body, content_type=kind)
        assert (status, list(answer)) == (expected, ["error"]), (path, body[:20], answer)
        assert said in answer["error"]
        assert "\n" not in answer["error"]
    assert ask(port, "/predict")[0] == 405
    assert ask(port, "/nothing")[0] == 404


def test_a_body_without_a_length_is_bounded_too(port: int) -> None:
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    with client:
        client.sendall(
            f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        for _ in range(5):
            client.sendall(b"C350\r\n" + bytes(50_000) + b"\r\n")
        assert client.recv(12) == b"HTTP/1.1 413"


def test_an_address_in_a_body_is_never_asked(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/face.png"
        for body, kind in ((url.encode(), "text/plain"), (json.dumps({"url": url}).encode(), "application/json")):
            assert ask(port, "/predict", body, content_type=kind)[0] == 422
        assert ask(port, f"/predict?url={url}", b"x")[0] == 422
        elsewhere.settimeout(0)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_no_picture_touches_the_disk(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    def rolled(file: object) -> None:
        raise AssertionError("a picture was written to the disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rolled)
    noise = np.random.default_rng(0).integers(0, 255, (1200, 1200, 3), np.uint8)
    content, kind = form(('name="picture"; filename="a.png"', png(noise)))
    assert len(content) > 4_000_000
    with serving(predictor) as port:
        assert ask(port, "/predict?faces=never", content, content_type=kind)[0] == 200


def test_beyond_its_queue_it_says_so_and_keeps_what_it_has(predictor: Predictor) -> None:
    body = png(samples.pictures(np.array([5]))[0])
    with serving(predictor, ServerSettings(workers=1, queue=1)) as port:
        clients = [begun(port, body), begun(port, body)]
        until(lambda: in_flight(port) == 2)
        status, answer, headers = ask(port, "/predict", body)
        assert (status, headers["Retry-After"]) == (429, "1")
        assert "the queue is full" in answer["error"].lower()
        assert ask(port, "/healthz")[0] == 200
        for client in clients:
            status, answer = ended(client, body)
            assert (status, answer["faces"][0]["label"]) == (200, LABELS[5])
        assert ask(port, "/predict", body)[0] == 200
        text = ask(port, "/metrics")[1]
    assert 'edgefer_predict_requests_total{status="200"} 3.0' in text
    assert 'edgefer_predict_requests_total{status="429"} 1.0' in text
    assert "edgefer_faces_total 3.0" in text


def test_a_client_that_leaves_frees_its_place(predictor: Predictor) -> None:
    with serving(predictor, ServerSettings(workers=1, queue=0)) as port:
        client = begun(port, b"12")
        until(lambda: in_flight(port) == 1)
        client.close()
        until(lambda: in_flight(port) == 0)
        assert ask(port, "/predict", png(samples.pictures(np.array([5]))[0]))[0] == 200


def test_the_schema_describes_what_is_answered(port: int) -> None:
    _, schema, _ = ask(port, "/openapi.json")
    post = schema["paths"]["/predict"]["post"]
    assert {"200", "401", "413", "422", "429"} <= set(post["responses"])
    assert {"image/*", "multipart/form-data"} <= set(post["requestBody"]["content"])
    answer = ask(port, "/predict", png(samples.pictures(np.array([5]))[0]))[1]
    models = schema["components"]["schemas"]
    assert set(models["Answer"]["properties"]) == set(answer)
    assert set(models["FaceAnswer"]["properties"]) == set(answer["faces"][0])


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4912", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_without_a_token_another_hosts_name_gets_nothing(port: int, host: str) -> None:
    """A page with DNS that resolves to 127.0.0.1 sends its own name."""
    for path, body in (("/", None), ("/metrics", None), ("/predict", b"x"), ("/openapi.json", None)):
        status, answer, _ = ask(port, path, body, Host=host)
        assert status == 403
        assert "only localhost" in answer["error"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:4912", "LOCALHOST:1"])
def test_this_machine_has_several_names(port: int, host: str) -> None:
    assert ask(port, "/openapi.json", Host=host)[0] == 200


def test_another_sites_page_gets_nothing(port: int) -> None:
    body = png(samples.pictures(np.array([5]))[0])
    own = f"http://127.0.0.1:{port}"
    assert ask(port, "/predict", body, Origin=own)[0] == 200
    for origin in ("https://evil.example", "null", "http://[evil", f"http://127.0.0.1:{port + 1}"):
        assert ask(port, "/predict", body, Origin=origin)[0] == 403


def test_a_token_is_demanded_of_everything_but_health(predictor: Predictor) -> None:
    body = png(samples.pictures(np.array([5]))[0])
    with serving(predictor, token=TOKEN) as port:
        assert ask(port, "/healthz", Host="any.example")[:2] == (200, {"status": "ok"})
        for wrong in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00e9"):
            for path in ("/predict", "/metrics", "/openapi.json", "/"):
                status, _, headers = ask(port, path, body if path == "/predict" else None, Authorization=wrong)
                assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        # A token suffices with any host name: a page of another site has none.
        right = {"Authorization": f"Bearer {TOKEN}", "Host": "edgefer.example"}
        assert ask(port, "/predict", body, **right)[0] == 200
        assert ask(port, "/predict", body, Origin="https://evil.example", **right)[0] == 403
        assert ask(port, f"/?token={TOKEN[:-1]}x")[0] == 401
        status, _, headers = ask(port, f"/?token={TOKEN}")
        assert (status, headers["Location"]) == (303, "/")
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie  # else the printed link, followed from a mail, ends without the token
        assert ask(port, "/metrics", Cookie=f"edgefer-{port}=wrong")[0] == 401
        status, metrics, _ = ask(port, "/metrics", Cookie=cookie.partition(";")[0])
    assert status == 200
    assert 'edgefer_turned_away_requests_total{status="401"} 26.0' in metrics
    assert 'edgefer_turned_away_requests_total{status="403"} 1.0' in metrics
    assert 'edgefer_predict_requests_total{status="401"} 6.0' in metrics
    assert 'edgefer_predict_requests_total{status="403"} 1.0' in metrics


def closed(client: socket.socket) -> bool:
    """Return whether the server has closed a connection; wait until it sends something."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /predict HTTP/1.1\r\nHost:",
        b"DELETE /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n",
    ],
)
def test_a_client_that_does_not_end_its_request_is_not_waited_for(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Even if the client sends byte after byte ("slow loris")."""
    monkeypatch.setattr(run, "_HEAD", 0.3)
    with serving(predictor) as port, socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(sent)
        client.setblocking(False)

        def ends() -> bool:
            try:
                client.send(b"x")
                return closed(client)
            except BlockingIOError:
                return False
            except OSError:
                return True

        until(ends)


def test_a_request_that_is_being_answered_has_the_time_of_its_body(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_HEAD", 1.5)
    body = png(samples.pictures(np.array([5]))[0])
    with serving(predictor) as port:
        client = begun(port, body)
        time.sleep(1.8)
        assert ended(client, body)[0] == 200


def test_connections_that_ask_for_nothing_are_bounded(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_MOST_CONNECTIONS", 3)
    with serving(predictor) as port:
        clients = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(4)]
        assert closed(clients[3])
        clients.pop().close()
        clients.pop().close()

        def answers() -> bool:
            try:
                return ask(port, "/healthz")[0] == 200
            except (ConnectionError, http.client.HTTPException):  # it has not yet noticed that others left
                return False

        until(answers)
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("text", "expected", "local"),
    [
        ("8000", ("127.0.0.1", 8000), True),
        ("localhost", ("localhost", 4912), True),
        ("0.0.0.0:80", ("0.0.0.0", 80), False),
        ("[::1]:8000", ("::1", 8000), True),
        ("[::]", ("::", 4912), False),
        ("pi.local:8000", ("pi.local", 8000), False),
        ("127.9.9.9", ("127.9.9.9", 4912), True),
    ],
)
def test_where_to_listen(text: str, expected: tuple[str, int], local: bool) -> None:
    found = address.parse(text)
    assert (found.host, found.port) == expected
    assert found.local is local
    assert (address.token_for(found, None) is None) is local


@pytest.mark.parametrize("text", ["", "a b", "host:port", "::1", "host:99999", "http://host:80", "host:80/path"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InputError, match="--listen"):
        address.parse(text)


def test_small_answers_are_sent_at_once() -> None:
    """With Nagle's algorithm each response on a kept-alive connection waits 40 ms for the client's acknowledgement."""

    async def accepted() -> int:
        listening, here = address.bind(address.Address("127.0.0.1", 0))
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        server = await asyncio.start_server(connected, sock=listening)
        _, writer = await asyncio.open_connection(here.host, here.port)
        value = await found
        writer.close()
        server.close()
        return int(value)

    assert asyncio.run(accepted())


def test_a_chosen_token_is_taken_as_it_stands_in_the_address_that_is_printed(predictor: Predictor) -> None:
    chosen = address.token_for(address.parse("0.0.0.0"), "a+b/c=d~e.f_g-h123")
    with serving(predictor, token=chosen) as port:
        url = address.Address("127.0.0.1", port).url(chosen)
        status, _, headers = ask(port, url.removeprefix(f"http://127.0.0.1:{port}"))
        assert status == 303
        assert ask(port, "/metrics", Cookie=headers["Set-Cookie"].partition(";")[0])[0] == 200


def test_broken_requests_and_bugs_write_no_traceback(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(predictor, "predict_faces", broken)
    with serving(predictor) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            client.sendall(b"nothing\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 400"
        status, answer, _ = ask(port, "/predict", png(np.zeros((50, 50), np.uint8)))
    assert (status, list(answer)) == (500, ["error"])
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


def test_a_short_token_is_refused(bundle: Path) -> None:
    done = CliRunner().invoke(commands, ["serve", str(bundle), "--token", "short"])
    assert done.exit_code == 2
    assert "--token needs at least 16" in done.stderr


def test_a_port_in_use_is_one_line(bundle: Path, yunet: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        here = f"127.0.0.1:{taken.getsockname()[1]}"
        done = CliRunner().invoke(commands, ["serve", str(bundle), "--listen", here])
    assert done.exit_code == 2
    assert "is in use; choose another with --listen" in done.stderr


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run `edgefer serve` until it has printed its URL; yield the process and its output."""
    words = [sys.executable, "-m", "edgefer", "serve", *arguments]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    try:
        assert process.stdout is not None
        said = [process.stdout.readline(), process.stdout.readline()]
        assert said[1], process.communicate(timeout=60)
        yield process, said
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_loses_nothing_that_was_accepted(bundle: Path, yunet: Path, number: signal.Signals) -> None:
    body = png(samples.pictures(np.array([5]))[0])
    with command(str(bundle), "--listen", "127.0.0.1:0", "--workers", "1") as (process, said):
        port = int(said[0].strip().rstrip("/").rpartition(":")[2])
        assert f"curl --data-binary @photo.jpg http://127.0.0.1:{port}/predict" in said[1]
        clients = [begun(port, body) for _ in range(3)]
        until(lambda: in_flight(port) == 3)
        process.send_signal(number)
        until(lambda: refused(port))
        for client in clients:
            status, answer = ended(client, body)
            assert (status, answer["faces"][0]["label"]) == (200, LABELS[5])
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "stopped; 3 pictures answered" in err
    assert "must be told" in err
    assert "Traceback" not in out + err


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionError:
        return True
    return False


def test_beyond_this_machine_a_token_is_made_and_printed(bundle: Path, yunet: Path) -> None:
    with command(str(bundle), "--listen", "0.0.0.0:0") as (_, said):
        port = int(said[0].strip().rstrip("/").rpartition(":")[2])
        token = said[1].partition("Bearer ")[2].partition("'")[0]
        assert len(token) >= 32
        assert ask(port, "/metrics")[0] == 401
        assert ask(port, "/metrics", Authorization=f"Bearer {token}")[0] == 200
