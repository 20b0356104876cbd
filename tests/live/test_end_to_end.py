"""`edgefer live` in real use: the real command, real servers, and its page in a real Chromium."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

from tests.helpers import browser as browsers
from tests.helpers import videos
from tests.helpers.browser import Browser

pytestmark = browsers.MARKS
TOKEN = "a-token-of-the-tests"
BLANK = "about:blank"
RATE = 15
STATE = "document.getElementById('state')?.textContent"
BOXES = (
    "[...document.querySelectorAll('#boxes rect.box')].map((each) => "
    "['x', 'y', 'width', 'height'].map((name) => Number(each.getAttribute(name))))"
)
LABELS = "[...document.querySelectorAll('#faces h3 span')].map((each) => each.textContent)"


@dataclass
class Watched:
    """A running command and its output."""

    process: subprocess.Popen[bytes]
    said: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    @property
    def page(self) -> str:
        """The printed URL; waits for it."""
        videos.until(lambda: self.process.poll() is not None or any("watch it at" in line for line in self.said))
        found = re.search(r"watch it at (\S+)", "\n".join(self.said))
        assert found, self.said
        return found[1]

    def events(self) -> list[tuple[str, str]]:
        lines = [json.loads(line) for line in list(self.printed)]
        return [(line["event"], line["label"]) for line in lines if line["label"] != "unsure"]

    def resident(self) -> int:
        """Its memory in bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def watching(source: str, *words: str, stdin: Callable[[Any], None] | None = None) -> Iterator[Watched]:
    """Run `edgefer live`; `stdin` writes to it from a separate thread."""
    command = [sys.executable, "-m", "edgefer", "live", source, "--page", "--events", "changes"]
    command += ["--bundle", "edgefer-nano", "--device", "cpu", "--listen", f"127.0.0.1:{videos.free_port()}", *words]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE if stdin else None, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    watched = Watched(process)

    def read(stream: Any, lines: list[str]) -> None:
        lines.extend(line.decode().rstrip() for line in stream)

    threads = [
        threading.Thread(target=read, args=(process.stdout, watched.printed), daemon=True),
        threading.Thread(target=read, args=(process.stderr, watched.said), daemon=True),
    ]
    if stdin:
        threads.append(threading.Thread(target=stdin, args=(process.stdin,), daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield watched
    finally:
        process.terminate()
        assert process.wait(60) is not None
        for thread in threads:
            thread.join(60)


def until(browser: Browser, expression: str, true: Callable[[Any], bool] = bool) -> Any:
    """Wait until a JavaScript expression has an accepted value; return it."""
    end = monotonic() + 100
    while not true(value := browser.run(expression)):
        assert monotonic() < end, (expression, value)
        sleep(0.05)
    return value


def both_labels_are_shown(browser: Browser) -> None:
    """Wait until the page has shown the happy and the surprised face, each with a box at its position."""
    shown: set[str] = set()

    def both(found: dict[str, Any]) -> bool:
        if found["labels"] and found["boxes"]:
            shown.update(found["labels"])
            ((left, top, width, height),) = found["boxes"]
            assert abs(left + width / 2 - 160) < 25
            assert abs(top + height / 2 - 120) < 25
            assert 60 < width < 180
        return {"happy", "surprise"} <= shown

    until(browser, f"({{labels: {LABELS}, boxes: {BOXES}}})", both)


@pytest.fixture(scope="module")
def frames(fer2013: Path, yunet: Path) -> list[np.ndarray]:
    """Two seconds of a happy face, then two of a surprised one."""
    happy, surprised = videos.two_faces(fer2013)
    return [happy] * 2 * RATE + [surprised] * 2 * RATE


class Pipe:
    """Writes JPEG after JPEG into a command, like a camera program."""

    def __init__(self, frames: Sequence[np.ndarray]) -> None:
        self._frames = list(map(videos.jpeg, frames))

    def __call__(self, stream: Any) -> None:
        number = 0
        with suppress(OSError):
            while True:
                stream.write(self._frames[number % len(self._frames)])
                stream.flush()
                number += 1
                sleep(1 / RATE)


@pytest.mark.parametrize("kind", ["rtsp", "http", "file", "stdin"])
def test_the_page_shows_each_source(browser: Browser, frames: list[np.ndarray], tmp_path: Path, kind: str) -> None:
    with ExitStack() as stack:
        stdin = None
        if kind == "rtsp":
            videos.need_rtsp()
            source = stack.enter_context(videos.rtsp(frames, tmp_path, videos.free_port()))
        elif kind == "http":
            source = stack.enter_context(videos.http(frames, RATE))
        elif kind == "file":
            source = str(videos.write(tmp_path / "v.mp4", frames * 15))
        else:
            source, stdin = "-", Pipe(frames)
        watched = stack.enter_context(watching(source, stdin=stdin))
        browser.open(watched.page)
        both_labels_are_shown(browser)
        assert browser.said == []
        assert (
            source.rpartition("/")[2] in browser.run("document.getElementById('source').textContent") or kind == "stdin"
        )
        browser.open(BLANK)
        events = watched.events()
    assert events[0][0] == "appeared"
    assert {"happy", "surprise"} <= {label for _, label in events}
    assert any("Article 5" in line for line in watched.said)


@pytest.mark.parametrize("kind", ["rtsp", "http"])
def test_the_page_comes_back_after_the_server_was_killed(
    browser: Browser, frames: list[np.ndarray], tmp_path: Path, kind: str
) -> None:
    if kind == "rtsp":
        videos.need_rtsp()
    port = videos.free_port()

    def serving() -> Any:
        return videos.rtsp(frames, tmp_path, port) if kind == "rtsp" else videos.http(frames, RATE, port)

    with ExitStack() as stack:
        with serving() as source:
            watched = stack.enter_context(watching(source))
            browser.open(watched.page)
            both_labels_are_shown(browser)
        until(browser, STATE, lambda state: "disconnected" in state)
        with serving():
            until(browser, STATE, lambda state: state == "Live")
            both_labels_are_shown(browser)
            assert until(browser, "last.figures.reconnects") == 1
            browser.open(BLANK)
    told = [line for line in watched.said if line.startswith(source)]
    assert "was lost" in told[0]
    assert any(line.endswith("is back") for line in told)  # the last one may be that the source has ended since


def test_a_token_is_refused_and_accepted(browser: Browser, frames: list[np.ndarray]) -> None:
    with videos.http(frames, RATE) as source, watching(source, "--token", TOKEN) as watched:
        right = watched.page
        bare = right.partition("?")[0]
        assert right == f"{bare}?token={TOKEN}"
        for wrong in (bare, f"{bare}?token={TOKEN[:-1]}x"):
            browser.open(wrong)
            assert browser.run("document.querySelector('h1').textContent") == "This page needs a token"
            assert browsers.violations(browser) == []
        browser.open(right)
        until(browser, STATE, lambda state: state == "Live")
        until(browser, BOXES)
        assert browser.run("location.href") == bare
        browser.open(BLANK)


@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_fits_and_everyone_can_use_it(browser: Browser, frames: list[np.ndarray], width: int) -> None:
    with videos.http(frames, RATE) as source, watching(source) as watched:
        browser.open(watched.page, width=width)
        until(browser, LABELS)
        browser.run("document.querySelector('details').open = true")
        assert browser.run("document.documentElement.scrollWidth") == width
        assert browser.run(browsers.STICKING_OUT) == []
        assert browsers.violations(browser) == []
        assert browser.said == []
        browser.open(BLANK)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_at_five_times_the_rate_memory_and_queue_stay_flat(browser: Browser, frames: list[np.ndarray]) -> None:
    """A stream of 640 x 480 pixels at full speed, with each frame classified and the page open."""
    large = [np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in (frames[0], frames[-1])]
    with videos.http(large, 5000) as source, watching(source, "--every", "1") as watched:
        browser.open(watched.page)
        until(browser, BOXES)
        figures: dict[str, Any] = {}
        queues: set[int] = set()

        def captured(count: int) -> None:
            def enough(found: dict[str, Any]) -> bool:
                figures.update(found)
                queues.add(found["queue"])
                return bool(found["captured"] >= count)

            until(browser, "last.figures", enough)

        captured(1000)
        settled = watched.resident()
        captured(5000)
        grown = watched.resident() - settled
        browser.open(BLANK)
    assert queues <= {0, 1}
    assert figures["captured"] > 5 * figures["judged"]
    assert figures["dropped"] >= figures["captured"] - figures["judged"] - 2
    assert grown < 32 << 20  # an RGB frame has 0.9 MB: 4,000 of them would be 3.7 GB
