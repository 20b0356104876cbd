"""The page written by `edgefer export web`, in a real Chromium: offline, with a camera and with files."""

from __future__ import annotations

import base64
import functools
import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper, parser
from PIL import Image
from typer.testing import CliRunner

import edgefer
from edgefer import paths
from edgefer.cli.main import app
from edgefer.export import small_network
from edgefer.export.npm import ONNXRUNTIME, Package
from edgefer.faces import crop
from edgefer.faces.face import Face
from edgefer.inputs import pictures as as_pictures
from edgefer.preprocessing import Preprocessing
from tests.helpers import browser as browsers
from tests.helpers import pictures
from tests.helpers.browser import ROOT, Browser

pytestmark = browsers.MARKS
BLANK = "about:blank"


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder like `python -m http.server`; yield its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def have(package: Package) -> None:
    """Put an npm package into the cache, else skip: tests download nothing."""
    name = f"{package.name.removeprefix('@').replace('/', '-')}-{package.version}.tgz"
    if not (archive := ROOT / "node_modules" / name).exists():
        wanted = f"{package.name}@{package.version}"
        pytest.skip(f"{package.name} is not here; run: npm pack --pack-destination node_modules {wanted}")
    place = paths.cache_dir() / "npm" / f"{package.name.replace('/', '+')}-{package.version}.tgz"
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(archive, place)


def exported(folder: Path, *options: str) -> Path:
    result = CliRunner().invoke(app, ["export", "web", "edgefer-nano", "--out", str(folder), *options])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, yunet: Path) -> Path:
    have(ONNXRUNTIME)
    return exported(tmp_path_factory.mktemp("web") / "large", "--detector", str(yunet))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, yunet: Path) -> Path:
    return exported(tmp_path_factory.mktemp("web") / "small", "--form", "small", "--detector", str(yunet))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, fer2013: Path) -> Iterator[Browser]:
    """A browser with a camera that shows one happy face."""
    folder = tmp_path_factory.mktemp("camera")
    frame = Image.fromarray(pictures.lay([(pictures.happy(fer2013, 1)[0], 200, 120, 220)])).convert("RGB")
    frame.save(folder / "frame.jpg", quality=95)
    (folder / "camera.mjpeg").write_bytes((folder / "frame.jpg").read_bytes() * 2)
    camera = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with browsers.browser(
        folder / "profile", *camera, f"--use-file-for-fake-video-capture={folder}/camera.mjpeg"
    ) as it:
        yield it


def until(browser: Browser, expression: str, true: Callable[[Any], bool] = bool) -> Any:
    """Wait until a JavaScript expression has an accepted value; return it."""
    end = monotonic() + 120
    while not true(value := browser.run(expression)):
        assert monotonic() < end, (expression, value)
        sleep(0.05)
    return value


STATE = "document.getElementById('state').textContent"
LABELS = "[...document.querySelectorAll('#faces h3 span')].map((each) => each.textContent)"


@contextmanager
def opened(browser: Browser, folder: Path) -> Iterator[str]:
    with served(folder) as address:
        browser.open(address)
        until(browser, STATE, lambda state: state == "Ready")
        yield address
        browser.open(BLANK)


@pytest.fixture
def page(browser: Browser, small: Path) -> Iterator[str]:
    with opened(browser, small) as address:
        yield address


@pytest.fixture(params=["large", "small"])
def each_form(browser: Browser, request: pytest.FixtureRequest) -> Iterator[str]:
    with opened(browser, request.getfixturevalue(request.param)) as address:
        yield address


def click(browser: Browser, name: str) -> None:
    browser.run(f"document.getElementById('{name}').click()")


def test_golden_vectors_are_answered_as_python_answers_and_the_row_can_be_copied(
    browser: Browser, each_form: str
) -> None:
    click(browser, "measure")
    until(browser, "document.getElementById('measured').hidden", lambda hidden: not hidden)
    names = browser.run("[...document.querySelectorAll('#columns th')].map((each) => each.textContent)")
    values = browser.run("[...document.querySelectorAll('#row td')].map((each) => each.textContent)")
    row = dict(zip(names, values, strict=True))
    assert row["golden vectors"] == "16 of 16"
    assert float(row["largest difference"]) < 0.05
    assert float(row["network, p50 ms"]) > 0
    browser.run(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => { window.copied = text }}})"
    )
    click(browser, "copy")
    assert browser.run("window.copied").splitlines()[2].startswith("| edgefer-nano | ")


def test_pixels_are_those_of_preprocessing_bit_for_bit(browser: Browser, page: str) -> None:
    for color in ("grey", "rgb"):
        for interpolation in ("nearest", "bilinear", "bicubic"):
            compare_pixels(browser, color, interpolation)


def compare_pixels(browser: Browser, color: str, interpolation: str) -> None:
    channels = 1 if color == "grey" else 3
    tree = {"size": 44, "crop": 0.9167, "color": color, "mean": (0.5077, 0.4, 0.3)[:channels]}
    spec = Preprocessing.model_validate({**tree, "std": (0.255, 0.25, 0.2)[:channels], "interpolation": interpolation})
    random = np.random.default_rng(0)
    for height, width in ((48, 48), (44, 44), (100, 120), (31, 250), (224, 224), (7, 9), (1, 1)):
        for values in (3, 4):
            image = random.integers(0, 256, (height, width, values), dtype=np.uint8)
            expected = spec.apply(list(as_pictures([image])))
            pixels = base64.b64encode(image.tobytes()).decode()
            found = browser.run(
                f"import('./pixels.js').then(({{networkInput}}) => Array.from(networkInput({{width: {width}, "
                f"height: {height}, channels: {values}, data: Uint8Array.from(atob('{pixels}'), (letter) => "
                f"letter.charCodeAt(0))}}, {spec.model_dump_json()})))"
            )
            np.testing.assert_array_equal(
                np.array(found, np.float32).reshape(expected.shape), expected, err_msg=f"{height} x {width} x {values}"
            )


def test_the_square_to_classify_is_that_of_python(browser: Browser, page: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    pixels = base64.b64encode(image.tobytes()).decode()
    for width, height in ((40, 56), (56, 40), (50, 50), (0.5, 0.2)):
        found = browser.run(
            "import('./faces.js').then(({square}) => Array.from(square({width: 120, height: 90, channels: 3, data: "
            f"Uint8Array.from(atob('{pixels}'), (letter) => letter.charCodeAt(0))}}, "
            f"{{x: 15.2, y: 71.1, width: {width}, height: {height}, roll: 9}}).data))"
        )
        expected = crop.of(image, Face(15.2, 71.1, width, height, roll=9.0))
        np.testing.assert_array_equal(np.array(found, np.uint8), expected.ravel())


def test_a_camera_s_face_is_found_and_labelled(browser: Browser, each_form: str) -> None:
    click(browser, "agreed")
    click(browser, "camera")
    assert until(browser, LABELS, lambda labels: labels == ["happy"])
    assert browser.run(STATE) == "Live"
    shares = "[...document.querySelectorAll('#faces i')].map((each) => +each.style.getPropertyValue('--share'))"
    assert sum(browser.run(shares)) == pytest.approx(1, abs=0.01)
    click(browser, "camera")
    assert until(browser, STATE, lambda state: state == "Ready")
    assert browser.said == []


def test_faces_of_a_file_are_those_of_python(
    browser: Browser, each_form: str, fer2013: Path, yunet: Path, tmp_path: Path
) -> None:
    faces = pictures.happy(fer2013, 3)
    picture = pictures.lay([(faces[0], 40, 60, 160), (faces[1], 260, 200, 240)])
    turned = pictures.lay([(faces[2], 200, 100, 220)], roll=25)
    with edgefer.load("edgefer-nano", device="cpu", detector=yunet) as predictor:
        for number, pixels in enumerate((picture, turned)):
            file = tmp_path / f"{number}.png"
            Image.fromarray(pixels).save(file)
            expected = predictor.predict_faces(file)[0]
            open_file(browser, file)
            assert sorted(until(browser, LABELS)) == sorted(each.label for each in expected)


def open_file(browser: Browser, file: Path) -> None:
    browser.run("document.getElementById('faces').replaceChildren()")
    document = browser.send("DOM.getDocument")["root"]["nodeId"]
    node = browser.send("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
    browser.send("DOM.setFileInputFiles", nodeId=node, files=[str(file)])


@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_fits_its_screen_and_everyone_can_use_it(browser: Browser, page: str, width: int) -> None:
    for dark in (False, True):
        browser.open(page, width=width, dark=dark)
        until(browser, STATE, lambda state: state == "Ready")
        assert browsers.violations(browser) == []
        click(browser, "agreed")
        click(browser, "camera")
        until(browser, LABELS)
        click(browser, "camera")
        assert browser.run("document.documentElement.scrollWidth") == width
        assert browser.run(browsers.STICKING_OUT) == []
        assert browsers.violations(browser) == []
        assert browser.said == []
        assert all(url.startswith((page, "blob:")) for url in browser.fetched)


def test_consent_comes_first(browser: Browser, page: str) -> None:
    notice = browser.run("document.getElementById('notice').textContent")
    assert "must be told and must agree" in notice
    assert "Article 50" in notice
    assert browser.run("document.getElementById('watch').hidden")


def test_nothing_but_its_own_server_can_be_reached(browser: Browser, page: str) -> None:
    refused = "fetch('https://example.org/').then(() => 'reached', () => 'refused')"
    assert browser.run(refused) == "refused"
    assert (
        browser.run(
            "new Promise((done) => { const image = new Image(); image.onerror = () => done('refused'); "
            "image.onload = () => done('reached'); image.src = 'http://127.0.0.1:1/a.png'; })"
        )
        == "refused"
    )
    assert any("Content Security Policy" in each for each in browser.said)


def test_it_works_without_its_server(browser: Browser, small: Path) -> None:
    with served(small) as address:
        browser.open(address)
        until(browser, "navigator.serviceWorker.ready.then(() => navigator.serviceWorker.controller !== null)")
    browser.open(address)
    assert until(browser, STATE, lambda state: state == "Ready")


def test_another_page_at_its_address_is_shown(browser: Browser, small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    shutil.copytree(small, folder)
    with served(folder) as address:
        browser.open(address)
        until(browser, "navigator.serviceWorker.ready.then(() => navigator.serviceWorker.controller !== null)")
        (folder / "index.html").write_text("<title>another</title>", encoding="utf-8")
        browser.open(f"{address}?again")
        assert browser.run("document.title") == "another"
        browser.run("navigator.serviceWorker.getRegistration().then((it) => it.unregister())")
        browser.open(BLANK)


def test_a_picture_is_turned_as_its_exif_says_put_on_white_and_no_larger_than_a_canvas(
    browser: Browser, page: str, tmp_path: Path
) -> None:
    click(browser, "agreed")
    turned = Image.new("RGB", (40, 20))
    exif = turned.getexif()
    exif[0x0112] = 6  # a quarter turn
    turned.save(tmp_path / "turned.jpg", exif=exif)
    Image.new("RGBA", (30, 30)).save(tmp_path / "clear.png")
    Image.new("L", (5000, 4000)).save(tmp_path / "large.png")
    size = "(({width, height}) => [width, height])(document.getElementById('picture'))"
    for name, expected in (("turned.jpg", "20,40"), ("clear.png", "30,30"), ("large.png", "4472,3577")):
        open_file(browser, tmp_path / name)
        until(browser, f"{size}.join() === '{expected}'")
        if name == "clear.png":
            pixel = "[...document.getElementById('picture').getContext('2d').getImageData(9, 9, 1, 1).data]"
            assert browser.run(pixel) == [255, 255, 255, 255]
    until(browser, STATE, lambda state: state == "Ready")


def test_a_page_that_cannot_begin_says_why(browser: Browser, small: Path, tmp_path: Path) -> None:
    browser.open((small / "index.html").as_uri())
    until(browser, STATE, lambda state: "web server" in state)
    for name in ("smooth.js", "model.json"):
        shutil.copytree(small, tmp_path / name)
        (tmp_path / name / name).unlink()
        with served(tmp_path / name) as address:
            browser.open(address)
            until(browser, STATE, lambda state: state == "A file of this page is missing or damaged")
            browser.open(BLANK)


def test_a_camera_is_opened_once_and_what_prevents_it_is_said(browser: Browser, page: str) -> None:
    click(browser, "agreed")
    browser.run(
        "navigator.mediaDevices.getUserMedia = () => { window.asked = (window.asked ?? 0) + 1; "
        "return new Promise((done, fail) => setTimeout(() => fail(new Error('Permission denied')), 300)); }"
    )
    click(browser, "camera")
    click(browser, "camera")
    until(browser, STATE, lambda state: state == "The camera cannot be used: Permission denied")
    assert browser.run("window.asked") == 1
    browser.run("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")  # as without https
    click(browser, "camera")
    until(browser, STATE, lambda state: "https" in state)
    assert browser.run("document.getElementById('camera').getAttribute('aria-pressed')") == "false"


@pytest.mark.parametrize("form", ["large", "small"])
def test_licences_are_passed_on_with_their_text(form: str, request: pytest.FixtureRequest) -> None:
    said = (request.getfixturevalue(form) / "licences.txt").read_text(encoding="utf-8")
    assert "Apache License" in said
    assert "for research use" in said  # in the model card
    assert ("Microsoft Corporation" in said) == ("Permission is hereby granted" in said) == (form == "large")


def test_the_small_form_is_small(small: Path) -> None:
    """Network, runtime and detector: at most 1.6 MB in total; the detector is the only third-party file."""
    later = {"golden.json", "licences.txt", "offline.js"}
    assert sum(file.stat().st_size for file in small.iterdir() if file.name not in later) < 400_000


def test_the_small_form_s_kernels_compute_what_onnx_says(browser: Browser, small: Path, tmp_path: Path) -> None:
    model = parser.parse_model(ODD)
    random = np.random.default_rng(0)
    for name, shape in WEIGHTS.items():
        # multiples of an eighth, exact in float16
        values = (random.integers(-16, 17, shape) / 8).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    image = random.normal(size=(1, 3, 14, 10)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = dict(
        zip([each.name for each in session.get_outputs()], session.run(None, {"image": image}), strict=True)
    )
    folder = tmp_path / "page"
    shutil.copytree(small, folder)
    (folder / "odd.bin").write_bytes(small_network.convert(model))
    with served(folder) as address:
        browser.open(address)
        found = browser.run(
            "import('./runtime.js').then(async ({open}) => { const [run] = await open(['odd.bin']); "
            f"const image = Float32Array.from({image.ravel().tolist()}); await run(image, [1, 3, 14, 10]); "
            "await run(new Float32Array(3 * 6 * 6), [1, 3, 6, 6]); const out = await run(image, [1, 3, 14, 10]); "
            "return Object.fromEntries(Object.entries(out).map(([name, values]) => [name, Array.from(values)])); })"
        )
        browser.open(BLANK)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values.ravel(), rtol=1e-4, atol=1e-4, err_msg=name)


# Channels not divisible by 4 or 8, rows with 1, 2 and 3 leftover pixels, both paddings and strides, three sizes.
ODD = """<ir_version: 8, opset_import: ["" : 13]>
odd (float[1, 3, height, width] image) => (float[n, places, 5] heads, float[1, 7] logits, float[n, q, p, 1] score)
<float[4] twice = {1.0, 1.0, 2.0, 2.0}, int64[3] rows = {1, -1, 5}>
{
  a = Conv <pads = [1, 1, 1, 1]> (image, w_a, b_a)
  a_relu = Relu (a)
  deep = Conv <pads = [1, 1, 1, 1], group = 12> (a_relu, w_deep, b_deep)
  pooled = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (deep)
  point = Conv (pooled, w_point, b_point)
  large = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">
    (point, , twice)
  both = Add (a_relu, large)
  strided = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (both, w_strided, b_strided)
  skip = Conv <strides = [2, 2]> (both, w_skip, b_skip)
  joined = Add (strided, skip)
  joined_relu = Relu (joined)
  four = Conv (joined_relu, w_four, b_four)
  average = GlobalAveragePool (four)
  flat = Flatten (average)
  logits = Gemm <transB = 1> (flat, w_logits, b_logits)
  head = Conv <pads = [1, 1, 1, 1]> (joined_relu, w_head, b_head)
  head_last = Transpose <perm = [0, 2, 3, 1]> (head)
  heads = Reshape (head_last, rows)
  raw = Conv (joined_relu, w_score, b_score)
  raw_last = Transpose <perm = [0, 2, 3, 1]> (raw)
  score_4 = Sigmoid (raw_last)
  score = Identity (score_4)
}
"""
WEIGHTS = {
    "w_a": (12, 3, 3, 3),
    "w_deep": (12, 1, 3, 3),
    "w_point": (12, 12, 1, 1),
    "w_strided": (9, 12, 3, 3),
    "w_skip": (9, 12, 1, 1),
    "w_four": (6, 9, 4, 4),
    "w_logits": (7, 6),
    "w_head": (5, 9, 3, 3),
    "w_score": (1, 9, 1, 1),
}
WEIGHTS |= {f"b_{name[2:]}": shape[:1] for name, shape in WEIGHTS.items()}
