"""docs/live.webp: the live page on synthetic faces in Chromium.

python benchmarks/live/live_animation.py [--seconds 12]

Synthetic faces move over a plain background and change their expression.
edgefer-base classifies them like a camera's frames.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the tests' browser

import edgefer  # noqa: E402
from edgefer.live.pipeline import Live  # noqa: E402
from edgefer.server import address, run  # noqa: E402
from edgefer.server.app import application  # noqa: E402

OUT = ROOT / "docs" / "live.webp"
WIDTH, HEIGHT = 1100, 850  # the page's size
SHOWN = 880  # width of the animation in pixels
EVERY = 0.4  # seconds between two images


class Drawn:
    """One frame."""

    time = None

    def __init__(self, frame: NDArray[np.uint8]) -> None:
        self._frame, self.arrived = frame, time.perf_counter()

    def pixels(self) -> NDArray[np.uint8]:
        """Return the frame."""
        return self._frame


class Scene:
    """A source with two faces that change."""

    title = "synthetic faces"
    returns = True

    def __init__(self, faces: list[Image.Image]) -> None:
        self._faces = faces

    def frames(self, stopped: Event) -> Iterator[Drawn]:
        """Yield fifteen frames a second."""
        number = 0
        while not stopped.is_set():
            yield Drawn(self._frame(number))
            number += 1
            stopped.wait(1 / 15)

    def _frame(self, number: int) -> NDArray[np.uint8]:
        frame = Image.new("RGB", (854, 480), (74, 88, 104))
        for place, (x, y, side) in enumerate(((110, 130, 220), (500, 110, 250))):
            face = self._faces[(number // 52 + 3 * place) % len(self._faces)]
            left = x + 26 * np.sin(number / 22 + 2 * place)
            top = y + 12 * np.cos(number / 17 + place)
            frame.paste(face.resize((side, side), Image.Resampling.BICUBIC), (round(left), round(top)), oval(side))
        return np.asarray(frame)


def oval(side: int) -> Image.Image:
    """Return a mask that hides the background of a face."""
    rows, columns = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    inside = (columns / 0.86) ** 2 + (rows / 0.99) ** 2 < 1
    return Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).filter(ImageFilter.GaussianBlur(side / 40))


def faces(predictor: Any) -> list[Image.Image]:
    """Return synthetic faces with confident predictions, each label different from the one before."""
    drawn = edgefer.data.builtin(train=700, val=7, test=7)
    images = [np.squeeze(image) for image in drawn.images]
    answers = predictor.predict(images)
    best: dict[str, tuple[float, NDArray[np.uint8]]] = {}
    for image, answer, label in zip(images, answers, drawn.labels, strict=True):
        if drawn.classes[label] == answer.label and answer.confidence > best.get(answer.label, (0.0,))[0]:
            best[answer.label] = (answer.confidence, image)
    order = ("happy", "surprise", "neutral", "angry", "sad", "fear")
    return [Image.fromarray(best[label][1]) for label in order if label in best]


def main() -> None:
    """Show the page, capture it repeatedly and write the animation."""
    from tests.helpers import browser as browsers

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=12)
    seconds = parser.parse_args().seconds
    pictures: list[Image.Image] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        edgefer.load("edgefer-base", device="cpu", detector=os.environ.get("EDGEFER_DETECTOR")) as predictor,
        Live(Scene(faces(predictor)), predictor) as live,
        browsers.browser(Path(folder)) as browser,
    ):
        listening, here = address.bind(address.Address("127.0.0.1", 0))
        with run.in_background(application(predictor, live=live), listening):
            browser.open(here.url(), width=WIDTH)
            browser.run("document.getElementById('understood').click(); document.activeElement.blur()")
            browser.send(
                "Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False
            )
            time.sleep(15)  # starts as a strip
            start = time.monotonic()
            while time.monotonic() - start < seconds:
                due = start + EVERY * (len(pictures) + 1)
                shot = Path(folder) / "shot.png"
                browser.screenshot(shot, whole=False)
                with Image.open(shot) as image:
                    pictures.append(image.convert("RGB").resize((SHOWN, SHOWN * HEIGHT // WIDTH)))
                time.sleep(max(0.0, due - time.monotonic()))
            browser.open("about:blank")
    out = io.BytesIO()
    pictures[0].save(
        out,
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 * EVERY),
        loop=0,
        quality=60,
        method=4,
    )
    OUT.write_bytes(out.getvalue())
    print(f"{OUT.name}: {len(pictures)} pictures, {len(out.getvalue()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
