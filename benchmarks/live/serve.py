"""`edgefer serve` under load: throughput, p99, agreement with Python, 429s, and no lost responses at SIGTERM.

python benchmarks/live/serve.py [--seconds 10]

wrk (Debian) on loopback, one thread: client and server share the machine. Synthetic faces: one of 48 x 48 pixels
taken as it is, and two in a JPEG of 640 x 480 in which YuNet finds them. "overload" has fewer places than clients: its
latency is that of all answers, 429 too. At SIGTERM 16 clients are sending.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import edgefer
from benchmarks.common import command, protocol
from edgefer import paths
from edgefer.devices import machine

OUT = Path(__file__).parents[1] / "results" / "serve.json"
YUNET = Path(__file__).parents[3] / "shared" / "models" / "yunet_s_dynamic.onnx"
BUNDLE = "edgefer-nano"
CLIENTS = 16
LUA = """
local threads = {}
status = {}
function setup(thread) table.insert(threads, thread) end
function init() status = {} end
local file = io.open(os.getenv("EDGEFER_BODY"), "rb")
wrk.method, wrk.body = "POST", file:read("*a")
file:close()
function response(code) status[tostring(code)] = (status[tostring(code)] or 0) + 1 end
function done(summary, latency)
  local all = {}
  for _, thread in ipairs(threads) do
    for code, count in pairs(thread:get("status")) do all[code] = (all[code] or 0) + count end
  end
  local list = {}
  for code, count in pairs(all) do table.insert(list, string.format('"%s": %d', code, count)) end
  local errors = summary.errors
  print(string.format('RESULT {"seconds": %f, "requests": %d, "p50_ms": %f, "p99_ms": %f, "lost": %d, "status": {%s}}',
    summary.duration / 1e6, summary.requests, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.timeout, table.concat(list, ", ")))
end
"""


def bodies() -> dict[str, bytes]:
    """Return the two pictures for the requests."""
    drawn = edgefer.data.builtin(train=7, val=7, test=7).images
    face, scene = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.squeeze(drawn[5])).save(face, "PNG")
    picture = Image.new("L", (640, 480), 120)
    for place, pixels in enumerate(drawn[[5, 6]]):
        picture.paste(Image.fromarray(np.squeeze(pixels)).resize((190, 190)), (60 + 300 * place, 130))
    picture.save(scene, "JPEG", quality=90)
    return {"face": face.getvalue(), "scene": scene.getvalue()}


@contextmanager
def serving(workers: int, queue: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the server in the meantime; yield its process and port."""
    words = ["serve", BUNDLE, "--listen", "127.0.0.1:0", "--workers", str(workers), "--queue", str(queue)]
    words += ["--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "edgefer", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(90)


def load(port: int, body: bytes, connections: int, seconds: int, query: str = "") -> dict[str, Any]:
    """Return wrk's report for a number of connections, and the server's own counts."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "body").write_bytes(body)
        (Path(folder) / "post.lua").write_text(LUA, encoding="utf-8")
        before = counted(port)
        words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", f"{folder}/post.lua"]
        done = subprocess.run(
            [*words, f"http://127.0.0.1:{port}/predict{query}"],
            env={**os.environ, "EDGEFER_BODY": f"{folder}/body"},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout.partition("RESULT ")[2])
    until_idle(port)
    after = counted(port)
    found["connections"] = connections
    found["answers_per_second"] = found["status"].get("200", 0) / found["seconds"]
    # wrk stops with requests in flight: the server may have counted one more for each connection.
    found["server_counted"] = {code: int(after[code] - before.get(code, 0)) for code in after}
    return found


def counted(port: int) -> dict[str, float]:
    """Return the server's response counts by status."""
    lines = metrics(port).splitlines()
    found = [line for line in lines if line.startswith("edgefer_predict_requests_total{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in found}


def until_idle(port: int) -> None:
    """Wait until no request is in flight."""
    while "edgefer_predict_in_flight 0.0" not in metrics(port):
        time.sleep(0.05)


def metrics(port: int) -> str:
    """Return the content of /metrics."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def equal(port: int, pictures: int = 200) -> dict[str, int]:
    """Return how many synthetic faces get bit-identical results over HTTP and in Python."""
    images = edgefer.data.builtin(train=pictures, val=7, test=7).images[:pictures]
    same = 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with edgefer.load(BUNDLE, device="cpu") as predictor:
        for image in images:
            file = io.BytesIO()
            Image.fromarray(np.squeeze(image)).save(file, "PNG")
            connection.request("POST", "/predict?faces=never", file.getvalue())
            answer = json.loads(connection.getresponse().read())
            (expected,) = predictor.predict(file.getvalue())
            same += answer["faces"][0]["probabilities"] == expected.probabilities
    connection.close()
    return {"pictures": pictures, "equal": same}


def stopped(body: bytes) -> dict[str, Any]:
    """Return the responses that clients got from a server stopped under load, and the server's own count."""
    got: Counter[str] = Counter()
    lock = threading.Lock()
    with serving(workers=2, queue=CLIENTS) as (process, port):

        def client() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            while True:
                try:
                    connection.request("POST", "/predict", body)
                    answer = connection.getresponse()
                except OSError:  # not accepted: no byte of a response arrived
                    return
                try:
                    json.loads(answer.read())
                    kind = str(answer.status)
                except (OSError, http.client.HTTPException, ValueError):
                    kind = "cut"
                with lock:
                    got[kind] += 1

        clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for each in clients:
            each.start()
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        start = time.perf_counter()
        _, said = process.communicate(timeout=90)
        seconds = time.perf_counter() - start
        for each in clients:
            each.join()
    answered = int(said.partition("stopped; ")[2].partition(" ")[0].replace(",", ""))
    return {
        "clients": CLIENTS,
        "answers_received": got["200"],
        "answers_cut": got["cut"],
        "server_answered": answered,
        "exit_code": process.returncode,
        "seconds_to_end": seconds,
    }


def main() -> None:
    """Measure and write the result."""
    os.environ.setdefault("EDGEFER_DETECTOR", str(YUNET))  # else the server falls back to OpenCV's cascade
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="for each row")
    seconds = parser.parse_args().seconds
    pictures = bodies()
    cores = os.cpu_count() or 1
    rows: dict[str, Any] = {}
    start_load = machine.load_average()
    with serving(cores, 64) as (_, port):
        same = equal(port)
        load(port, pictures["scene"], 1, 1)  # started by the first requests
        for name, picture, connections, query in (
            ("one face, 1 client", "face", 1, "?faces=never"),
            ("one face, 8 clients", "face", 8, "?faces=never"),
            ("640 x 480, 1 client", "scene", 1, ""),
            ("640 x 480, 8 clients", "scene", 8, ""),
        ):
            rows[name] = load(port, pictures[picture], connections, seconds, query)
            print(name, rows[name])
    with serving(1, 2) as (_, port):
        rows["overload, 32 clients, 3 places"] = load(port, pictures["scene"], 32, seconds)
        print(rows["overload, 32 clients, 3 places"])
    result = {
        "protocol": protocol(__doc__),
        "command": command(),
        "bundle": BUNDLE,
        "workers": cores,
        "rows": rows,
        "equal": same,
        "sigterm": stopped(pictures["face"]),
        "versions": {name: metadata.version(name) for name in ("fastapi", "uvicorn", "onnxruntime")},
        "load": start_load,
        "machine": machine.describe().model_dump(),
    }
    print(result["equal"], result["sigterm"])
    paths.write_json(OUT, result, indent=2)


if __name__ == "__main__":
    main()
