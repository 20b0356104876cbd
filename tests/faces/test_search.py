"""YuNet through edgefer's own code: faces at any size, rotation and number, and pictures without any."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefer.errors import InputError
from edgefer.faces import crop, notes
from edgefer.faces.face import Face, roll
from edgefer.faces.search import Search
from edgefer.faces.yunet import YuNet, suppress
from tests.helpers.pictures import happy, lay


@pytest.fixture(scope="module")
def detector(yunet: Path) -> Search:
    return Search(YuNet(yunet), "YuNet")


@pytest.fixture(scope="module")
def faces(fer2013: Path) -> np.ndarray:
    return happy(fer2013)


def _near(face: Face, left: int, top: int, side: int) -> bool:
    off = max(abs(face.x - left - side / 2), abs(face.y - top - side / 2))
    return off < side / 4 and 0.6 < face.side / side < 1.5


def test_faces_are_found_with_score_and_landmarks_the_highest_rank_first(detector: Search, faces: np.ndarray) -> None:
    found = detector.find(lay([(faces[0], 30, 60, 240), (faces[1], 400, 200, 120)]))
    assert len(found) == 2
    assert _near(found[0], 30, 60, 240)
    assert _near(found[1], 400, 200, 120)
    assert found[0].rank > found[1].rank
    for face in found:
        assert face.score is not None
        assert 0.5 < face.score <= 1
        eyes, mouth = face.landmarks[:2], face.landmarks[3:]
        assert max(y for _, y in eyes) < face.landmarks[2][1] < min(y for _, y in mouth)
        assert eyes[0][0] < eyes[1][0]


def test_a_small_face_in_a_picture_of_twelve_megapixels_is_found(detector: Search, faces: np.ndarray) -> None:
    picture = lay([(faces[0], 2900, 1700, 95)], size=(4000, 3000))
    [found] = detector.find(picture)
    assert _near(found, 2900, 1700, 95)
    assert not any(_near(face, 2900, 1700, 95) for face in detector.find(picture, min_face=300))


def test_a_large_face_in_a_large_picture_is_one_face(detector: Search, faces: np.ndarray) -> None:
    [found] = detector.find(lay([(faces[0], 600, 300, 2200)], size=(4000, 3000)))
    assert _near(found, 600, 300, 2200)


@pytest.mark.parametrize("place", [1000 - 60, 1024 - 60, 1150, 1900])
def test_a_face_on_the_seam_of_tiles_is_found_once(detector: Search, faces: np.ndarray, place: int) -> None:
    [found] = detector.find(lay([(faces[0], place, 700, 120)], size=(2400, 1800)), min_face=20)
    assert _near(found, place, 700, 120)


def test_the_box_shows_the_square_that_is_classified() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (200, 300), dtype=np.uint8)
    for face, side in ((Face(150, 100, 60, 90), 80), (Face(150, 100, 90, 60), 80), (Face(150, 100, 70, 70), 70)):
        cut = crop.of(picture, face)
        assert cut.shape == (side, side)
        left, top, width, height = face.box(picture)
        np.testing.assert_array_equal(cut, picture[top : top + height, left : left + width])


@pytest.mark.parametrize("turn", [-40, 30])
def test_turned_faces_are_found_and_cut_out_upright(detector: Search, faces: np.ndarray, turn: int) -> None:
    off, better = [], []
    for face in faces:
        straight, turned = (lay([(face, 200, 100, 200)], roll=roll) for roll in (0, turn))
        before, after = detector.find(straight)[0], detector.find(turned)[0]
        off.append(after.roll - before.roll - turn)
        want, upright, left = (
            np.asarray(Image.fromarray(cut).resize((24, 24)), np.float32)[3:21, 3:21].ravel()
            for cut in (
                crop.of(straight, before),
                crop.of(turned, after),
                crop.square(turned, after.x, after.y, after.side),
            )
        )
        better.append(np.corrcoef(want, upright)[0, 1] > np.corrcoef(want, left)[0, 1])
    assert abs(np.median(off)) < 12
    assert sum(better) >= len(faces) - 2


@pytest.mark.parametrize("turn", [-50, 50])
def test_the_second_side_is_looked_at_only_where_the_first_has_no_face(
    yunet: Path, faces: np.ndarray, turn: int
) -> None:
    class Counting(YuNet):
        wholes = 0

        def run(self, picture: np.ndarray, threshold: float) -> list[Face]:
            self.wholes += picture.shape == (480, 640)
            return super().run(picture, threshold)

    network = Counting(yunet)
    search = Search(network, "counts")
    assert search.find(np.full((480, 640), 110, np.uint8)) == []
    assert network.wholes == 3  # upright and to both sides
    looks = set()
    for face in faces:
        network.wholes = 0
        assert search.find(lay([(face, 200, 100, 200)], roll=turn))
        looks.add(network.wholes)
    assert looks == {1, 2}  # some are found upright


@pytest.mark.parametrize("side", [48, 100, 224, 512])
def test_a_picture_that_is_a_face_is_answered_as_a_whole(detector: Search, faces: np.ndarray, side: int) -> None:
    for face in faces[:4]:
        picture = np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC))
        [found] = detector.find(picture)
        assert found.box(picture) == (0, 0, side, side)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (48, 48), (65, 65), (3000, 20), (300, 400, 3)])
def test_a_picture_without_a_face_has_none(detector: Search, shape: tuple[int, ...]) -> None:
    assert detector.find(np.full(shape, 90, dtype=np.uint8)) == []
    assert detector.find(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)) == []


def test_grey_and_colour_give_the_same_faces(detector: Search, faces: np.ndarray) -> None:
    picture = lay([(faces[0], 200, 120, 150)])
    assert detector.find(picture) == detector.find(np.stack([picture] * 3, axis=-1))


@pytest.mark.parametrize("shape", [(10_000, 12_000), (3000, 4000), (2, 50_000), (480, 640)])
def test_no_size_of_picture_or_face_makes_it_look_at_more_than_so_many_pixels(shape: tuple[int, int]) -> None:
    class Counting(YuNet):
        def __init__(self) -> None:
            self.pixels, self.largest = 0, 0

        def run(self, picture: np.ndarray, threshold: float) -> list[Face]:
            self.pixels += picture.size
            self.largest = max(self.largest, *picture.shape)
            return []

    for min_face in (None, 1, 10_000):
        network = Counting()
        assert Search(network, "counts").find(np.zeros(shape, np.uint8), min_face) == []
        assert network.pixels < 60_000_000
        assert network.largest <= 1024


def test_threads_share_a_detector(detector: Search, faces: np.ndarray) -> None:
    photos = [lay([(faces[n % 8], 20 + 30 * n, 40, 90 + 20 * n)], size=(500 + 8 * n, 400)) for n in range(8)]
    alone = [detector.find(photo) for photo in photos]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(detector.find, photos * 3)) == alone * 3


def test_a_file_that_is_another_network_or_none_is_refused(tmp_path: Path) -> None:
    from tests.helpers import samples

    made = samples.write(tmp_path / "made")
    with pytest.raises(InputError, match="is not YuNet"):
        YuNet(made.file("fp32"))
    (tmp_path / "no.onnx").write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match=r"no\.onnx"):
        YuNet(tmp_path / "no.onnx")
    with pytest.raises(InputError, match="is not there"):
        YuNet(tmp_path / "nowhere.onnx")


def test_of_boxes_that_overlap_the_one_with_the_highest_score_is_kept() -> None:
    boxes = np.array([(10, 10, 10, 10), (11, 11, 10, 10), (40, 40, 10, 10), (10, 19, 10, 10)], np.float32)
    assert suppress(boxes, np.array([0.6, 0.9, 0.7, 0.5], np.float32)) == [1, 2, 3]


def _points(turn: float, nose: float = 0.0) -> tuple[tuple[float, float], ...]:
    """Return landmarks of a 100-pixel face, rotated clockwise; `nose` is its sideways offset."""
    upright = [complex(-20, -20), complex(20, -20), complex(nose, 0), complex(-15, 20), complex(15, 20)]
    way = complex(np.cos(np.radians(turn)), np.sin(np.radians(turn)))
    return tuple((float((each * way).real), float((each * way).imag)) for each in upright)


@pytest.mark.parametrize("turn", [-170, -45, 0, 10, 90])
def test_roll_is_clockwise_and_does_not_depend_on_where_the_nose_points(turn: float) -> None:
    assert roll(_points(turn)) == pytest.approx(turn)
    assert roll(_points(turn, 15)) == pytest.approx(turn)


def test_small_profile_and_occluded_are_noted_whatever_the_roll() -> None:
    for turn in (0, 40):
        assert notes.of(Face(0, 0, 100, 100, 0.9, _points(turn))) == ()
        assert notes.of(Face(0, 0, 100, 100, 0.9, _points(turn, 25))) == ("profile",)
        assert notes.of(Face(0, 0, 20, 20, 0.8, _points(turn, 25))) == ("small", "profile", "occluded")
    assert notes.of(Face(0, 0, 100, 100)) == ()  # from the cascade: nothing is known


def test_most_masks_are_noted_and_few_faces_without(detector: Search, fer2013: Path) -> None:
    noted = {False: 0, True: 0}
    found = {False: 0, True: 0}
    for face in happy(fer2013, 24):
        for masked in noted:
            picture = lay([(face, 200, 120, 180)]).copy()
            if masked:
                picture[220:300, 225:355] = 220
            for each in detector.find(picture)[:1]:
                found[masked] += 1
                noted[masked] += notes.OCCLUDED in notes.of(each)
    assert noted[True] / found[True] > 0.5 > 4 * noted[False] / found[False]


def test_a_square_beyond_the_edge_goes_on_with_the_last_pixels() -> None:
    picture = np.tile(np.arange(40, dtype=np.uint8), (30, 1))
    cut = crop.square(picture, 0, 15, 20)
    assert cut.shape == (20, 20)
    assert (cut[:, :10] == 0).all()
    assert (cut[:, 10:] == np.arange(10)).all()
    assert crop.square(picture, 500, 500, 10, 30).shape == (10, 10)


def test_a_turned_square_is_what_was_there_before_the_turn() -> None:
    random = np.random.default_rng(3)
    face = np.asarray(Image.fromarray(random.integers(0, 256, (6, 6), dtype=np.uint8)).resize((120, 120)))
    picture = Image.new("L", (400, 300), 90)
    picture.paste(Image.fromarray(face), (140, 90))
    turned = np.asarray(picture.rotate(-30, Image.Resampling.BICUBIC, center=(200, 150)))
    cut = crop.square(turned, 200, 150, 120, 30)
    assert np.abs(cut.astype(int) - face)[3:-3, 3:-3].mean() < 4
