"""One predictor in many threads gives the same results as in one."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import edgefer
from edgefer import data
from edgefer.inputs import pictures
from tests.helpers import samples

THREADS = 8


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.write(tmp_path_factory.mktemp("bundles") / "made").path


@pytest.fixture(scope="module")
def photos(fer2013: Path, yunet: Path) -> list[np.ndarray]:
    """Return pictures of 1 to 4 faces, of several sizes, grey and RGB."""
    faces = data.split(data.load(fer2013), "val").take(np.arange(40))
    found = []
    for number in range(THREADS):
        side = 70 + 6 * number
        photo = np.full((2 * side + 60, 2 * side + 90), 110, np.uint8)
        for each in range(1 + number % 4):
            top, left = 20 + (each // 2) * (side + 10), 20 + (each % 2) * (side + 20)
            face = Image.fromarray(faces[4 * number + each]).resize((side, side), Image.Resampling.BICUBIC)
            photo[top : top + side, left : left + side] = np.asarray(face)
        found.append(photo if number % 2 else np.stack([photo] * 3, axis=-1))
    return found


@contextmanager
def _others(made: Path) -> Iterator[None]:
    """Make, use and drop predictors all the time."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            other = edgefer.load(made)
            other.predict(samples.pictures(np.array([3])))
            other.start_detector()
            other.close()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            yield
        finally:
            done.set()
        working.result()


def _said(predictions: list[edgefer.Prediction]) -> list[tuple[Any, ...]]:
    return [(each.label, each.box, *each.probabilities.values()) for each in predictions]


def _agree(answer: Callable[[int], Any], rounds: int) -> None:
    """Compare the results of many threads, started together in each round, with those of one."""
    alone = [answer(number) for number in range(THREADS)]
    together = threading.Barrier(THREADS)

    def work(first: int) -> list[tuple[int, Any]]:
        found = []
        for number in range(rounds):
            together.wait(60)
            which = (first + number) % THREADS
            found.append((which, answer(which)))
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(work, range(THREADS)):
            for which, said in found:
                assert said == alone[which]


def test_predict(made: Path) -> None:
    stacks = [samples.pictures(np.arange(5 + 5 * number) % 7, seed=number) for number in range(THREADS)]
    with edgefer.load(made) as predictor, _others(made):
        _agree(lambda number: _said(predictor.predict(stacks[number])), rounds=40)


def test_predict_faces_whose_detector_nobody_has_started(made: Path, photos: list[np.ndarray]) -> None:
    with edgefer.load(made) as first:
        boxes = [[each.box for each in first.predict_faces(photo)[0]] for photo in photos]
    assert sum(map(len, boxes)) >= THREADS
    with edgefer.load(made) as predictor, ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda photo: [each.box for each in predictor.predict_faces(photo)[0]], photos)
        assert list(found) == boxes


def test_predict_faces(made: Path, photos: list[np.ndarray]) -> None:
    with edgefer.load(made) as predictor, _others(made):
        _agree(lambda number: _said(predictor.predict_faces(photos[number])[0]), rounds=6)


def test_one_picture_that_threads_share(tmp_path: Path) -> None:
    # A Pillow image reads its pixels and orientation on first use.
    pixels = np.random.default_rng(0).integers(0, 256, (300, 200), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    content = io.BytesIO((tmp_path / "turned.png").read_bytes())
    for _ in range(40):
        together = threading.Barrier(THREADS)

        def look(given: object, together: threading.Barrier = together) -> np.ndarray:
            together.wait(60)
            [found] = pictures(given)  # type: ignore[arg-type]
            return found

        with Image.open(tmp_path / "turned.png") as image, ThreadPoolExecutor(THREADS) as pool:
            for found in pool.map(look, [image, content] * (THREADS // 2)):
                np.testing.assert_array_equal(found, np.rot90(pixels, -1))


def test_a_predictor_that_is_closed_while_it_is_used_answers_rightly_or_says_that_it_is_closed(made: Path) -> None:
    stack = samples.pictures(np.arange(200) % 7)
    with edgefer.load(made) as predictor:
        right = _said(predictor.predict(stack))

    def work(predictor: edgefer.Predictor) -> None:
        while True:
            try:
                assert _said(predictor.predict(stack)) == right
            except RuntimeError:
                return

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(5):
            predictor = edgefer.load(made)
            working = [pool.submit(work, predictor) for _ in range(THREADS)]
            predictor.close()
            for each in working:
                each.result(60)
