"""A real browser, headless Chromium, through the DevTools protocol over two pipes: no driver, no package."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
AXE = Path(os.environ.get("EDGEFER_AXE", ROOT / "node_modules" / "axe-core" / "axe.min.js"))
COMMAND = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_OPTIONS = (
    "--disable-gpu",  # the first: `browser` omits it if a GPU is requested
    "--headless",
    "--no-sandbox",  # CI runs as root
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-pipe",
    "about:blank",
)
MARKS = [
    pytest.mark.slow,  # each starts a browser
    pytest.mark.skipif(COMMAND is None, reason="chromium is not here"),
]
# Elements wider than the page. Wide content should scroll within itself, so nothing may overflow.
STICKING_OUT = (
    "[...document.querySelectorAll('body *')].filter((each) => !each.closest('.scroll, pre, .hint, svg, .scale') &&"
    " each.getClientRects().length && each.getBoundingClientRect().right > innerWidth + 1)"
    ".map((each) => each.outerHTML.slice(0, 80))"
)


class Browser:
    """One page of a browser.

    Attributes:
        said: console warnings and errors of the page, and uncaught exceptions.
        fetched: requested URLs, without its own file and data: URLs.
    """

    def __init__(self, process: subprocess.Popen[bytes], to: int, back: int) -> None:
        self.said: list[str] = []
        self.fetched: list[str] = []
        self._process, self._to, self._back = process, to, back
        self._numbers = itertools.count(1)
        self._rest = b""
        self._loaded = False
        self._session: str | None = None
        target = next(each for each in self.send("Target.getTargets")["targetInfos"] if each["type"] == "page")[
            "targetId"
        ]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setFocusEmulationEnabled", enabled=True)

    def send(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a protocol method and wait for its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": arguments}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            heard = self._read()
            if heard.get("id") == number:
                assert "error" not in heard, (method, heard["error"])
                result: dict[str, Any] = heard["result"]
                return result

    def open(
        self, page: Path | str, *, width: int = 1400, dark: bool = False, scripts: bool = True, paper: bool = False
    ) -> None:
        """Load a file or URL as on a screen (or paper) of a width and theme."""
        self.said.clear()
        self.fetched.clear()
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media="print" if paper else "", features=[scheme])
        self.send("Emulation.setScriptExecutionDisabled", value=not scripts)
        self._loaded = False
        assert "errorText" not in self.send("Page.navigate", url=page if isinstance(page, str) else page.as_uri()), page
        while not self._loaded:
            self._read()

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, or the result of its promise."""
        done = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowRight": 39, "ArrowLeft": 37}
            more = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], **more)

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """Save a screenshot as PNG."""
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=whole, **self._clip() if whole else {})
        path.write_bytes(base64.b64decode(shot["data"]))

    def _clip(self) -> dict[str, Any]:
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}}

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._back, 1 << 20)
            assert part, "the browser ended"
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        heard: dict[str, Any] = json.loads(text)
        self._note(heard.get("method", ""), heard.get("params", {}))
        return heard

    def _note(self, method: str, about: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            self.said.append(str(about["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.said.append(str(about["args"]))
        elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.said.append(about["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            url = about["request"]["url"]
            if not url.startswith(("file:", "data:")):
                self.fetched.append(url)


@contextmanager
def browser(folder: Path, *options: str, gpu: bool = False) -> Iterator[Browser]:
    """Start a browser with its profile in `folder`, further Chromium options, and with or without a GPU."""
    assert COMMAND
    there, to = _pipe()
    back, here = _pipe()
    command = (COMMAND, f"--user-data-dir={folder}", *options, *_OPTIONS[gpu:])
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$@" 3<&{there} 4>&{here}', "bash", *command],  # the protocol's pipe ends are 3 and 4
        pass_fds=(there, here),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(there)
    os.close(here)
    try:
        found = Browser(process, to, back)
        yield found
        found._session = None
        found.send("Browser.close")
    finally:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(to)
        os.close(back)


def open_and_check(browser: Browser, page: Path, width: int, dark: bool) -> None:
    """Open a page with all folded parts: no console errors, no requests, and no overflow."""
    browser.open(page, width=width, dark=dark)
    assert browser.said == []
    assert browser.fetched == []
    browser.run("document.querySelectorAll('details').forEach((each) => each.open = true)")
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run(STICKING_OUT) == []


def violations(browser: Browser) -> list[str]:
    """Return the findings of axe-core's accessibility checks on the open page."""
    if not AXE.exists():
        pytest.skip("axe-core is not here; run: npm install --no-save --no-package-lock axe-core")
    browser.run(AXE.read_text(encoding="utf-8") + "; 0")
    found: list[str] = browser.run(
        "axe.run({resultTypes: ['violations']}).then((done) => done.violations.map((each) => "
        "`${each.impact} ${each.id}: ${each.nodes[0].html.slice(0, 150)}`))"
    )
    return found


def _pipe() -> tuple[int, int]:
    """Return a pipe's ends with numbers above those that the browser uses."""
    low = os.pipe()
    found = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low)
    for end in low:
        os.close(end)
    return found[0], found[1]
