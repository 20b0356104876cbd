"""edgefer's two web builds compared with face-api.js and human, in one Chromium.

python benchmarks/web/web.py --data fer2013.zip [--skimage FOLDER] [--limit N]

Every system runs in WebAssembly on one thread and takes a canvas. Labels and accuracy: all of PrivateTest, 48 x 48, as
faces that are cut out. Latency: from canvas to answer, the systems in turn, of a face that is cut out, and of a 640 x
480 picture with one face (found, then judged); medians, and the median of the ratios to face-api within a round. First
answer: from opening a page with an empty cache on this machine's own server until the face of that picture is judged;
the median over rounds, the systems in turn. Bytes: what the browser fetched until then, raw and as brotli 9 makes it,
the picture and the benchmark's own page left out. Faces found: on composites of PrivateTest faces on photographs,
turned up to 15 degrees (benchmarks/faces/composites.py), each system with its default settings. WebGPU: the golden
vectors alone, on SwiftShader, which is a GPU in software; its times mean nothing.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the tests' browser

import edgefer  # noqa: E402
from benchmarks.common import FER2013, command, protocol  # noqa: E402
from benchmarks.faces.composites import Composite, composites, photographs  # noqa: E402
from benchmarks.faces.faces import found  # noqa: E402
from edgefer import bundle, console, data, paths, versions  # noqa: E402
from edgefer.devices import machine  # noqa: E402
from edgefer.export import web_folder  # noqa: E402
from edgefer.export.npm import ONNXRUNTIME, Package  # noqa: E402
from edgefer.faces.face import Face  # noqa: E402
from edgefer.labels import LABELS  # noqa: E402
from tests.helpers import browser as browsers  # noqa: E402
from tests.helpers.browser import Browser  # noqa: E402

PAGE = Path(__file__).parent / "page"
NETWORK = "edgefer-nano"
SYSTEMS = ("edgefer large", "edgefer small", "face-api", "human")
PEER = "face-api"  # reference for latencies
CHUNK = 200  # faces per request
ROUNDS, PICTURE_ROUNDS, STARTS, COMPOSITES = 300, 30, 7, 200
FACE_API = Package(
    "@vladmandic/face-api",
    "1.7.15",
    "WDMmK3CfNLo8jylWqMoQgf4nIst3M0fzx1dnac96wv/dvMTN4DxC/Pq1DGtduDk1lktCamQ3MIDXFnvrdHTXDw==",
    "MIT",
    "https://github.com/vladmandic/face-api",
)
HUMAN = Package(
    "@vladmandic/human",
    "3.3.6",
    "Nr5mPfq1gQ+uKeXY5uM3Fj8UxvF5CEh2s6txM5wRThqaW0mF9huooOuZSrT8hhGho0hGaXLFdAwfD/2+teCv6A==",
    "MIT",
    "https://github.com/vladmandic/human",
)
TFJS_WASM = Package(
    "@tensorflow/tfjs-backend-wasm",
    "4.22.0",
    "/IYhReRIp4jg/wYW0OwbbJZG8ON87mbz0PgkiP3CdcACRSvUN0h8rvC0O3YcDtkTQtFWF/tcXq/KlVDyV49wmA==",
    "Apache-2.0",
    "https://github.com/tensorflow/tfjs",
)
_BROTLI = (
    "const z = require('zlib'), fs = require('fs');"
    "const q = {params: {[z.constants.BROTLI_PARAM_QUALITY]: 9, [z.constants.BROTLI_PARAM_LGWIN]: 22}};"
    "console.log(JSON.stringify(process.argv.slice(1).map((f) => z.brotliCompressSync(fs.readFileSync(f), q).length)))"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--skimage", type=Path, help="where scikit-image's wheel is unpacked, if it is not installed")
    parser.add_argument("--detector", type=Path, help="YuNet's file, if it is not in the cache")
    parser.add_argument("--limit", type=int, help="for a trial: so many faces, and fewer rounds")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "web.json")
    arguments = parser.parse_args()
    console.enable()
    load = machine.load_average()
    split = data.split(data.load(arguments.data), "test")
    rows = np.arange(len(split.labels))[: arguments.limit]
    images, labels = split.take(rows), [LABELS[label] for label in split.labels[rows]]
    few = 10 if arguments.limit else 1  # rounds are divided by this
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write(folder, images, arguments.detector)
        placed = _composites(folder, images, arguments.skimage, COMPOSITES // few)
        with _served(folder) as (address, fetched), browsers.browser(folder / "profile") as browser:
            browser.send("Network.setCacheDisabled", cacheDisabled=True)
            version = browser.send("Browser.getVersion")["product"]
            starts = _first_answers(browser, address, fetched, max(2, STARTS // few))
            browser.open(f"{address}page/index.html")
            latency = {
                what: _in_turn(browser, what, rounds // few)
                for what, rounds in (("judge", ROUNDS), ("faces", PICTURE_ROUNDS))
            }
            judged = {name: _labels(browser, name, len(images)) for name in SYSTEMS}
            recall = {name: _find(browser, name, placed) for name in SYSTEMS} if placed else {}
        webgpu = _webgpu(folder)
        sizes = {name: _sizes(folder, files) for name, (_, files) in starts.items()}
    python = _python(images)
    systems = []
    for name in SYSTEMS:
        right = float(np.mean([a == b for a, b in zip(judged[name], labels, strict=True)]))
        entry = {"name": name, "accuracy": right, "first_answer_ms": starts[name][0], **sizes[name]}
        if name in python:
            entry["other_labels_than_python"] = sum(a != b for a, b in zip(judged[name], python[name], strict=True))
        entry |= {what: times[name] for what, times in latency.items()} | recall.get(name, {})
        systems.append(entry)
        console.say(f"{name}: {json.dumps({key: value for key, value in entry.items() if key != 'files'})}")
    tree = {
        "kind": "edgefer web",
        "network": NETWORK,
        "systems": systems,
        "webgpu": webgpu,
        "protocol": {
            "says": protocol(__doc__),
            "command": command(),
            "faces": len(images),
            "rounds": ROUNDS // few,
            "picture_rounds": PICTURE_ROUNDS // few,
            "starts": max(2, STARTS // few),
            "composites": len(placed),
            "load_before": load,
        },
        "browser": version,
        "machine": machine.describe().model_dump(mode="json"),
        "versions": {
            **versions.installed("edgefer", "onnxruntime", "numpy", "pillow"),
            **{each.name: each.version for each in (ONNXRUNTIME, FACE_API, HUMAN, TFJS_WASM)},
        },
    }
    paths.write_json(arguments.out, tree, indent=1)


def _write(folder: Path, images: NDArray[np.uint8], detector: Path | None) -> None:
    """Put all files for the browser into a folder."""
    opened = bundle.load(NETWORK)
    for form in ("large", "small"):
        web_folder.write(opened, folder / form, notice=(), min_confidence=0.35, form=form, detector=detector)
    models = [f"model/{name}_model{end}" for name in ("tiny_face_detector", "face_expression") for end in _ENDS]
    human = [f"models/{name}.{end}" for name in ("blazeface", "emotion") for end in ("json", "bin")]
    tfjs = [f"wasm-out/tfjs-backend-wasm{kind}.wasm" for kind in ("", "-simd", "-threaded-simd")]
    for title, package, names in (
        ("face-api", FACE_API, ["dist/face-api.esm.js", *models]),
        ("human", HUMAN, ["dist/human.esm.js", *human]),
        ("tfjs-wasm", TFJS_WASM, tfjs),
    ):
        for name, content in package.files(names).items():
            file = folder / title / name.removeprefix("wasm-out/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    (folder / "page").symlink_to(PAGE)
    (folder / "data").mkdir()
    (folder / "data" / "faces.bin").write_bytes(np.ascontiguousarray(images).tobytes())


_ENDS = ("-weights_manifest.json", ".bin")


def _composites(
    folder: Path, images: NDArray[np.uint8], skimage: Path | None, number: int
) -> list[tuple[str, tuple[float, float, float]]]:
    """Write pictures with one face each; return their URLs and the face positions. The first is `face.jpg`."""
    photos = list(photographs(skimage).values())
    chosen = np.random.default_rng(0).choice(len(images), min(number, len(images)), replace=False)
    placed = []
    for at, each in enumerate(islice(composites(images[chosen], photos, seed=0), number)):
        Image.fromarray(each.picture).save(folder / "data" / f"{at}.jpg", quality=95)
        placed.append((f"/data/{at}.jpg", each.square))
    large: Composite = next(composites(images[:1], photos, seed=1, sides=(200, 200), rolls=(0, 0)))
    Image.fromarray(large.picture).save(folder / "data" / "face.jpg", quality=95)
    return placed


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder; yield its URL, and a list of the requested paths."""
    fetched: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each file waits 40 ms for an acknowledgement

        def end_headers(self) -> None:
            self.send_header("Cache-Control", "no-store")
            super().end_headers()

        def send_head(self) -> Any:
            fetched.append(self.path.partition("?")[0].lstrip("/"))
            return super().send_head()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", fetched
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _first_answers(
    browser: Browser, address: str, fetched: list[str], rounds: int
) -> dict[str, tuple[dict[str, Any], list[str]]]:
    """Return each system's cold start times, and the files that it fetched."""
    times: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    files: dict[str, list[str]] = {}
    for _ in range(rounds):
        for name in SYSTEMS:
            browser.send("Network.clearBrowserCache")
            fetched.clear()
            browser.open(f"{address}page/index.html?first={name.replace(' ', '+')}")
            answer = browser.run("window.first")
            assert answer["face"], f"{name} finds no face"
            times[name].append(answer["ms"])
            files[name] = sorted({path for path in fetched if not path.startswith(("page/", "data/"))})
            browser.open("about:blank")
    return {name: (_spread(times[name]), files[name]) for name in SYSTEMS}


def _in_turn(browser: Browser, what: str, rounds: int) -> dict[str, Any]:
    names = json.dumps(SYSTEMS)
    call = f"inTurn({names}, '{what}', {rounds}, '/data/face.jpg')"
    taken = dict(zip(SYSTEMS, _asked(browser, call), strict=True))
    return {
        name: {
            **_spread(times),
            "ratio": statistics.median(one / peer for one, peer in zip(times, taken[PEER], strict=True)),
        }
        for name, times in taken.items()
    }


def _spread(times: Sequence[float]) -> dict[str, float]:
    return {
        "p50": float(np.percentile(times, 50)),
        "p10": float(np.percentile(times, 10)),
        "p90": float(np.percentile(times, 90)),
    }


def _labels(browser: Browser, name: str, number: int) -> list[str]:
    found: list[str] = []
    for first in range(0, number, CHUNK):
        found += _asked(browser, f"labels('{name}', {first}, {min(CHUNK, number - first)})")
    console.say(f"{name}: {number} faces judged")
    return found


def _find(browser: Browser, name: str, placed: list[tuple[str, tuple[float, float, float]]]) -> dict[str, Any]:
    answers = _asked(browser, f"find('{name}', {json.dumps([address for address, _ in placed])})")
    hits = [
        [found(Face(face["x"], face["y"], face["side"], face["side"]), square) for face in faces]
        for faces, (_, square) in zip(answers, placed, strict=True)
    ]
    return {
        "recall": float(np.mean([any(each) for each in hits])),
        "false_boxes": sum(len(each) - any(each) for each in hits),
    }


def _webgpu(folder: Path) -> dict[str, Any]:
    """Return the results of the golden vectors on WebGPU, by SwiftShader, a software GPU; there is no other here."""
    with (
        _served(folder / "large") as (address, _),
        browsers.browser(folder / "profile-gpu", *_SWIFTSHADER, gpu=True) as browser,
    ):
        browser.open(f"{address}licences.txt")  # any page of that server: the modules do the rest
        found: dict[str, Any] = browser.run(
            "Promise.all([import('/edgefer.js'), import('/check.js')])"
            ".then(async ([{ open }, { check }]) => check(await open('WebGPU')))"
        )
        console.say(f"WebGPU: {found}")
        return {**found, "adapter": "SwiftShader"}


_SWIFTSHADER = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")


def _asked(browser: Browser, call: str) -> Any:
    return browser.run(f"import('./bench.js').then((bench) => bench.{call})")


def _sizes(folder: Path, files: list[str]) -> dict[str, Any]:
    places = [str(folder / name) for name in files]
    done = subprocess.run(["node", "-e", _BROTLI, *places], check=True, capture_output=True, text=True)
    brotli = json.loads(done.stdout)
    return {"bytes": sum(Path(place).stat().st_size for place in places), "bytes_brotli": sum(brotli), "files": files}


def _python(images: NDArray[np.uint8]) -> dict[str, list[str]]:
    """Return the labels from edgefer in Python, for the network of each build."""
    found = {}
    for name, network in (("edgefer large", "int8-cpu"), ("edgefer small", "fp16-tensorrt")):
        with edgefer.load(NETWORK, network, device="cpu") as predictor:
            found[name] = [each.label for each in predictor.predict(list(images))]
    return found


if __name__ == "__main__":
    main()
