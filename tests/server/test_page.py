"""The live page in a real Chromium: on a phone and a desktop, by keyboard, and with a screen reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic, perf_counter, sleep
from typing import Any

import numpy as np
import pytest

import edgefer
from edgefer.faces.face import Face
from edgefer.labels import LABELS
from edgefer.live.judge import JudgeSettings
from edgefer.live.pipeline import Live
from edgefer.live.smooth import Smoothing
from edgefer.predictor import Predictor
from edgefer.server import address, run
from edgefer.server.app import application
from tests.helpers import browser as browsers
from tests.helpers import samples, videos
from tests.helpers.browser import Browser

pytestmark = browsers.MARKS
SIDE = 120
HOSTILE = "<img src=x onerror=\"document.title='ran'\">"
BLANK = "about:blank"
TOKEN = "a-token-of-the-tests"


@dataclass
class Picture:
    """A frame that arrived now."""

    shades: list[int]
    time: float | None = None
    arrived: float = field(default_factory=perf_counter)

    def pixels(self) -> np.ndarray:
        frame = np.full((360, 640, 3), 30, np.uint8)
        for place, label in enumerate(self.shades):
            frame[100 : 100 + SIDE, left(place) : left(place) + SIDE] = round(255 * samples.centres()[label])
        return frame


def left(place: int) -> int:
    return 60 + 300 * place


class Stage:
    """A source with a square for each face; brightness encodes the expression. Also the detector that finds them."""

    title = f"stage {HOSTILE}"
    returns = True

    def __init__(self) -> None:
        self.shades = [3]
        self.away = False

    def frames(self, stopped: Event) -> Iterator[Picture]:
        while not (stopped.is_set() or self.away):
            yield Picture(list(self.shades))
            stopped.wait(0.03)

    def find(self, picture: np.ndarray, min_face: int | None = None) -> list[Face]:
        return [
            Face(left(place) + SIDE / 2, 100 + SIDE / 2, SIDE, SIDE, 0.95)
            for place in range(2)
            if picture[160, left(place) + SIDE // 2, 0] != 30
        ]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    with edgefer.load(samples.write(tmp_path_factory.mktemp("page") / "bundle").path, device="cpu") as opened:
        yield opened


@contextmanager
def shown(predictor: Predictor, stage: Stage, port: int = 0, token: str | None = None) -> Iterator[int]:
    """Show a stage; yield the port."""
    settings = JudgeSettings(every=1, smoothing=Smoothing(seconds=0.2, evidence=0.01, min_confidence=0.1, leave=0.0))
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(predictor, "start_detector", lambda: stage)
        live = stack.enter_context(Live(stage, predictor, settings, say=lambda line: None))
        listening, here = address.bind(address.Address("127.0.0.1", port))
        stack.enter_context(run.in_background(application(predictor, token=token, live=live), listening))
        yield here.port


@pytest.fixture
def stage(browser: Browser, predictor: Predictor) -> Iterator[tuple[Stage, str]]:
    made = Stage()
    with shown(predictor, made) as port:
        yield made, f"http://127.0.0.1:{port}/"
        browser.open(BLANK)  # else the page's message about a closed server appears in the next test


def until(browser: Browser, expression: str, true: Callable[[Any], bool] = bool) -> Any:
    """Wait until a JavaScript expression has an accepted value; return it."""
    end = monotonic() + 60
    while not true(value := browser.run(expression)):
        assert monotonic() < end, (expression, value)
        sleep(0.05)
    return value


def text(of: str) -> str:
    return f"document.querySelector('{of}')?.textContent"


STATE = text("#state")
CARDS = "[...document.querySelectorAll('#faces h3 span')].map((each) => each.textContent)"
BOXES = (
    "[...document.querySelectorAll('#boxes rect.box')].map((each) => "
    "['x', 'y', 'width', 'height'].map((name) => Number(each.getAttribute(name))))"
)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_fits_its_screen_and_everyone_can_use_it(
    browser: Browser, stage: tuple[Stage, str], width: int, dark: bool
) -> None:
    stage[0].shades = [3, 4]
    browser.open(stage[1], width=width, dark=dark)
    until(browser, CARDS, lambda labels: len(labels) == 2)
    browser.run("document.querySelector('details').open = true")
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run(browsers.STICKING_OUT) == []
    assert browsers.violations(browser) == []
    assert browser.said == []
    assert {url.replace(stage[1], "/").partition("/frames")[0] for url in browser.fetched} <= {
        "/",
        "/style.css",
        "/live.js",
    }
    assert browser.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 23, 28)" if dark else "rgb(255, 255, 255)"
    )


def test_boxes_stand_on_the_faces_of_the_frame_that_is_shown(browser: Browser, stage: tuple[Stage, str]) -> None:
    stage[0].shades = [3, 5]
    browser.open(stage[1])
    assert until(browser, BOXES, lambda boxes: len(boxes) == 2) == [[left(place), 100, SIDE, SIDE] for place in (0, 1)]
    # The drawing covers the picture, and the picture has the face's shade at the box's centre.
    for name in ("left", "top", "width", "height"):
        places = [f"document.getElementById('{each}').getBoundingClientRect().{name}" for each in ("boxes", "picture")]
        assert browser.run(places[0]) == pytest.approx(browser.run(places[1]), abs=1)
    pixel = "document.getElementById('picture').getContext('2d').getImageData({}, 160, 1, 1).data[0]"
    for place, label in enumerate((3, 5)):
        assert browser.run(pixel.format(left(place) + SIDE // 2)) == pytest.approx(
            255 * samples.centres()[label], abs=4
        )
    words = until(browser, "[...document.querySelectorAll('#boxes text')].map((each) => each.textContent)")
    assert [word.split()[:2] for word in words] == [["1", LABELS[3]], ["2", LABELS[5]]]
    assert browser.run("document.getElementById('boxes').getAttribute('aria-label')") == (
        f"2 faces: face 1 looks {LABELS[3]}, face 2 looks {LABELS[5]}"
    )


def test_what_changes_is_listed_shown_and_read_out(browser: Browser, stage: tuple[Stage, str]) -> None:
    stage[0].shades = [3]
    browser.open(stage[1])
    until(browser, CARDS, lambda labels: labels == [LABELS[3]])
    stage[0].shades = [6]
    until(browser, CARDS, lambda labels: labels == [LABELS[6]])
    stage[0].shades = []
    until(browser, text("#said"), lambda said: said == "Face 1 left")
    assert browser.run("!document.getElementById('nobody').hidden")
    assert browser.run(BOXES) == []
    listed = browser.run("[...document.querySelectorAll('#changes span')].map((each) => each.textContent)")
    assert listed[0] == "Face 1 left"
    assert any(each.startswith(f"Face 1 appeared: {LABELS[3]}") for each in listed)
    assert any(LABELS[6] in each and each.startswith("Face 1: ") for each in listed)
    assert browser.run("document.getElementById('said').getAttribute('aria-live')") == "polite"
    spoken = browser.run("document.getElementById('strip').getAttribute('aria-label')")
    assert spoken.startswith("face 1: ")
    assert LABELS[3] in spoken
    assert LABELS[6] in spoken


def test_bars_add_up_and_the_largest_is_the_label(browser: Browser, stage: tuple[Stage, str]) -> None:
    stage[0].shades = [5]
    browser.open(stage[1])
    until(browser, text("#faces dt.first"), lambda name: name == LABELS[5])
    shares = browser.run(
        "[...document.querySelectorAll('#faces i')].map((each) => +each.style.getPropertyValue('--share'))"
    )
    assert sum(shares) == pytest.approx(1, abs=0.01)
    assert int(np.argmax(shares)) == 5
    assert browser.run("[...document.querySelectorAll('#faces dt')].map((each) => each.textContent)") == list(LABELS)


def test_the_page_comes_back_after_the_server_does(browser: Browser, predictor: Predictor) -> None:
    stage = Stage()
    with shown(predictor, stage, videos.free_port()) as port:
        browser.open(f"http://127.0.0.1:{port}/")
        until(browser, STATE, lambda state: state == "Live")
    until(browser, STATE, lambda state: "Connection lost" in state)
    stage.shades = [4]
    with shown(predictor, stage, port):
        until(browser, STATE, lambda state: state == "Live")
        until(browser, CARDS, lambda labels: labels == [LABELS[4]])
        browser.open(BLANK)


def test_a_camera_that_is_away_is_said_and_comes_back(browser: Browser, stage: tuple[Stage, str]) -> None:
    browser.open(stage[1])
    until(browser, STATE, lambda state: state == "Live")
    stage[0].away = True
    until(browser, STATE, lambda state: "disconnected" in state)
    stage[0].away = False
    until(browser, STATE, lambda state: state == "Live")


def test_all_is_reached_by_keyboard(browser: Browser, stage: tuple[Stage, str]) -> None:
    browser.open(stage[1])
    until(browser, STATE, lambda state: state == "Live")
    focused = []
    for _ in range(6):
        browser.press("Tab")
        focused.append(browser.run("document.activeElement.id || document.activeElement.tagName"))
        assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        if focused[-1] == "pause":
            browser.press("Enter")
    assert focused == ["understood", "pause", "hide", "tell", "changes", "SUMMARY"]
    until(browser, "!asked")  # the frame in transit has arrived
    assert browser.run(STATE) == "Paused"
    browser.run("document.getElementById('pause').click()")
    until(browser, STATE, lambda state: state == "Live")


def test_the_picture_can_be_hidden_while_its_answers_stay(browser: Browser, stage: tuple[Stage, str]) -> None:
    browser.open(stage[1])
    until(browser, CARDS)
    browser.run("document.getElementById('hide').click()")
    assert browser.run("getComputedStyle(document.getElementById('picture')).visibility") == "hidden"
    assert until(browser, CARDS, lambda labels: labels == [LABELS[3]])
    assert browser.run(f"!document.getElementById('cover').hidden && {text('#cover')}") == "The picture is hidden"


def test_the_notice_stands_first_until_it_was_read(browser: Browser, stage: tuple[Stage, str]) -> None:
    browser.open(stage[1])
    until(browser, STATE, lambda state: state == "Live")
    for said in ("told and must agree", "Article 5", "Article 50", "go to a person"):
        assert said in browser.run(text("#notice"))
    browser.run("document.getElementById('understood').click()")
    assert browser.run("document.getElementById('notice').hidden")
    browser.open(stage[1])
    until(browser, STATE, lambda state: state == "Live")
    assert browser.run("document.getElementById('notice').hidden")
    assert "Article 5" in browser.run(text("footer"))  # there it stays


def test_names_run_nothing(browser: Browser, stage: tuple[Stage, str]) -> None:
    browser.open(stage[1])
    until(browser, text("#source"), lambda said: said == f"stage {HOSTILE}")
    assert browser.run("document.title") == "edgefer live"
    assert browser.run("document.images.length") == 0
    browser.run(
        "document.body.append(Object.assign(document.createElement('script'), {text: \"document.title = 'ran'\"}))"
    )
    assert browser.run("document.title") == "edgefer live"
    assert any("Content Security Policy" in each for each in browser.said)


def test_a_picture_that_the_browser_cannot_decode_stops_nothing(browser: Browser, stage: tuple[Stage, str]) -> None:
    browser.open(stage[1])
    until(browser, STATE, lambda state: state == "Live")
    browser.run(
        "window.whole = createImageBitmap; window.createImageBitmap = async () => { throw new Error('memory'); }; 0"
    )
    stage[0].shades = [6]
    until(browser, CARDS, lambda labels: labels == [LABELS[6]])  # results continue without it
    assert browser.said == []
    browser.run("window.createImageBitmap = window.whole; 0")
    pixel = f"document.getElementById('picture').getContext('2d').getImageData({left(0) + 60}, 160, 1, 1).data[0]"
    shade = 255 * samples.centres()[6]
    until(browser, pixel, lambda value: abs(value - shade) < 5)


def test_a_page_that_stays_is_not_taken_for_a_client_that_is_slow(
    browser: Browser, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_HEAD", 1.5)
    with shown(predictor, Stage()) as port:
        browser.open(f"http://127.0.0.1:{port}/")
        first = until(browser, "lastFrame?.time")
        browser.run("socket.addEventListener('close', () => { window.cut = true; })")
        until(browser, "lastFrame?.time", lambda now: now > first + 3)
        assert not browser.run("window.cut")
        browser.open(BLANK)


def test_the_printed_link_works_from_another_site(browser: Browser, predictor: Predictor, tmp_path: Path) -> None:
    """A mail or chat in the browser is another site; the cookie must come with the linked page."""
    with shown(predictor, Stage(), token=TOKEN) as port:
        link = address.Address("127.0.0.1", port).url(TOKEN)
        (tmp_path / "mail.html").write_text(f'<a href="{link}">watch it</a>')
        browser.open(tmp_path / "mail.html")
        browser.run("document.querySelector('a').click()")
        until(browser, "document.getElementById('state')?.textContent", lambda state: state == "Live")
        browser.open(BLANK)


def test_another_sites_page_and_a_wrong_token_see_nothing(
    browser: Browser, predictor: Predictor, tmp_path: Path
) -> None:
    with shown(predictor, Stage(), token=TOKEN) as port:
        here = f"http://127.0.0.1:{port}/"
        browser.open(f"{here}?token=wrong-wrong-wrong-wrong")
        assert browser.run(text("h1")) == "This page needs a token"
        assert browsers.violations(browser) == []
        connect = (
            f"new Promise((done) => {{ const one = new WebSocket('ws://127.0.0.1:{port}/frames'); "
            "one.onopen = () => done('open'); one.onerror = () => done('refused'); })"
        )
        assert browser.run(connect) == "refused"
        browser.run(f"document.getElementById('token').value = '{TOKEN}'; document.querySelector('form').submit()")
        until(browser, "document.getElementById('state')?.textContent", lambda state: state == "Live")
        assert "token" not in browser.run("location.href")
        (tmp_path / "other.html").write_text("<p>another site</p>")
        browser.open(tmp_path / "other.html")
        assert browser.run(connect) == "refused"
