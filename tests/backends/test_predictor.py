"""`edgefer.load(PATH).predict(images)`, with pictures in every common form."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image, ImageOps

import edgefer
from edgefer import bundle
from edgefer.errors import InputError
from edgefer.inputs import read
from edgefer.labels import LABELS
from tests.helpers import samples

TRUTH = np.array([3, 0, 6, 2, 5])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.write(tmp_path_factory.mktemp("bundles") / "made").path


@pytest.fixture(scope="module")
def predictor(made: Path) -> edgefer.Predictor:
    return edgefer.load(made, network="fp32")


@pytest.fixture
def greys() -> np.ndarray:
    return samples.pictures(TRUTH)


def _labels(predictions: list[edgefer.Prediction]) -> list[str]:
    return [prediction.label for prediction in predictions]


EXPECTED = [LABELS[label] for label in TRUTH]


def test_a_stack_of_grey_images(predictor: edgefer.Predictor, greys: np.ndarray) -> None:
    assert _labels(predictor.predict(greys)) == EXPECTED


def test_a_stack_of_colour_images(predictor: edgefer.Predictor, greys: np.ndarray) -> None:
    assert _labels(predictor.predict(np.stack([greys] * 3, axis=-1))) == EXPECTED


def test_one_image(predictor: edgefer.Predictor, greys: np.ndarray) -> None:
    assert _labels(predictor.predict(greys[0])) == EXPECTED[:1]
    assert _labels(predictor.predict(np.stack([greys[1]] * 3, axis=-1))) == EXPECTED[1:2]
    assert _labels(predictor.predict(Image.fromarray(greys[2]))) == EXPECTED[2:3]


def test_grey_with_an_axis_for_it_and_pictures_with_alpha(predictor: edgefer.Predictor, greys: np.ndarray) -> None:
    assert _labels(predictor.predict(greys[..., None])) == EXPECTED
    clear = np.stack([*[greys] * 3, np.full_like(greys, 255)], axis=-1)
    clear[:, 0] = 0  # fully transparent, so as white as a file's
    white = greys.copy()
    white[:, 0] = 255
    for said, meant in zip(predictor.predict(clear), predictor.predict(white), strict=True):
        assert said.probabilities == pytest.approx(meant.probabilities, abs=1e-6)
    [alone] = predictor.predict(clear[1])
    assert alone.probabilities == pytest.approx(predictor.predict(white[1])[0].probabilities, abs=1e-6)


def test_the_content_of_a_file_as_a_server_has_it(predictor: edgefer.Predictor, greys: np.ndarray) -> None:
    contents = []
    for grey in greys:
        out = io.BytesIO()
        Image.fromarray(grey).save(out, "PNG")
        contents.append(out)
    assert _labels(predictor.predict(contents)) == EXPECTED
    assert _labels(predictor.predict([content.getvalue() for content in contents])) == EXPECTED
    assert _labels(predictor.predict(contents[2])) == EXPECTED[2:3]
    assert _labels(predictor.predict(contents[1].getvalue())) == EXPECTED[1:2]


def test_files_and_mixed_forms_and_sizes(predictor: edgefer.Predictor, greys: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(greys[0]).save(tmp_path / "a.png")
    Image.fromarray(greys[1]).convert("RGB").resize((30, 40)).save(tmp_path / "b.jpg")
    clear = Image.fromarray(greys[3]).convert("RGBA")
    mixed = [tmp_path / "a.png", str(tmp_path / "b.jpg"), Image.fromarray(greys[2]), clear, greys[4]]
    assert _labels(predictor.predict(mixed)) == EXPECTED
    assert _labels(predictor.predict(str(tmp_path / "a.png"))) == EXPECTED[:1]


def test_many_images_from_a_generator_give_what_each_gives_alone(predictor: edgefer.Predictor) -> None:
    truth = np.arange(100) % 7
    images = samples.pictures(truth)
    together = predictor.predict(image for image in images)
    assert _labels(together) == [LABELS[label] for label in truth]
    alone = predictor.predict(images[37])[0]
    assert together[37].probabilities == pytest.approx(alone.probabilities, abs=1e-6)


def test_a_prediction_is_a_distribution_with_a_time(predictor: edgefer.Predictor, greys: np.ndarray) -> None:
    for prediction in predictor.predict(greys):
        assert tuple(prediction.probabilities) == LABELS
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        assert max(prediction.probabilities, key=prediction.probabilities.__getitem__) == prediction.label
        assert prediction.milliseconds > 0


def test_no_picture_gives_no_prediction(predictor: edgefer.Predictor) -> None:
    assert predictor.predict([]) == []


def test_a_photo_is_turned_upright(tmp_path: Path, made: Path) -> None:
    # The preprocessing crops the middle square: grey in the middle of a tall picture, black at both ends.
    wide = np.zeros((12, 48), dtype=np.uint8)
    wide[:, 18:30] = samples.pictures(np.array([4]))[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(wide).save(tmp_path / "turned.png", exif=exif)
    with edgefer.load(made, "fp32") as predictor:
        assert _labels(predictor.predict(tmp_path / "turned.png")) == [LABELS[4]]


class _BytesPath(os.PathLike[bytes]):
    def __fspath__(self) -> bytes:
        return b"a.png"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((12, 12), dtype=np.float32), "picture 0 is an array of float32"),
        (np.zeros((12, 12, 2), dtype=np.uint8), r"picture 0 has shape \(12, 12, 2\)"),
        (np.zeros((2, 12, 12, 2), dtype=np.uint8), r"picture 0 has shape \(12, 12, 2\)"),
        (np.zeros((12,), dtype=np.uint8), "has shape"),
        (np.array(7, dtype=np.uint8), r"has shape \(\)"),
        (np.zeros((0, 12), dtype=np.uint8), "has shape"),
        ([np.zeros((12, 12), dtype=np.uint8), None], "picture 1 is not a picture: NoneType"),
        (7, "no picture: int"),
        (b"png", "picture 0 is not a supported picture"),
        (b"", "picture 0 is empty"),
        (bytearray(b"png"), "no picture: bytearray"),
        ("nowhere.png", "nowhere.png is not there"),
        (Image.new("F", (12, 12)), "picture 0 cannot be used: its pixels are floating-point"),
        (Image.new("L", (0, 5)), "picture 0 has no pixels: 0 x 5"),
        (np.array([np.zeros((12, 12), np.uint8), None], dtype=object), "picture 0"),
        (_BytesPath(), "picture 0 is not a picture: _BytesPath"),
    ],
)
def test_what_is_no_picture_is_refused_by_position_or_name(
    predictor: edgefer.Predictor, images: object, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        predictor.predict(images)  # type: ignore[arg-type]


def test_files_that_are_no_pictures_are_named(predictor: edgefer.Predictor, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("this is no picture")
    Image.new("L", (40, 40), 100).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:60])
    (tmp_path / "nothing.png").touch()
    for name, reason in {
        "text.png": r"is not a supported picture \(.bmp, .*\)",
        "cut.png": "is a damaged picture",
        "nothing.png": "is empty",
        "": "is a folder, not a file",
    }.items():
        with pytest.raises(InputError, match=reason) as caught:
            predictor.predict(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_a_whole_file_of_an_unusable_kind_is_not_called_damaged(predictor: edgefer.Predictor, tmp_path: Path) -> None:
    Image.new("F", (12, 12)).save(tmp_path / "heat.tiff")
    with pytest.raises(InputError, match=r"heat\.tiff cannot be used \(its pixels are floating-point"):
        predictor.predict(tmp_path / "heat.tiff")


def test_many_large_pictures_are_in_memory_one_at_a_time(predictor: edgefer.Predictor, tmp_path: Path) -> None:
    Image.new("L", (4000, 3000), 100).save(tmp_path / "phone.png", compress_level=1)

    def most(pictures: int) -> int:
        tracemalloc.start()
        predictor.predict([tmp_path / "phone.png"] * pictures)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert most(8) < most(1) + 2 * 12_000_000


def test_a_damaged_pillow_image_is_refused_like_its_file(predictor: edgefer.Predictor, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:20_000])
    with (
        Image.open(tmp_path / "cut.png") as image,
        pytest.raises(InputError, match=r"picture 0 cannot be used: .*trunc"),
    ):
        predictor.predict(image)


def test_a_telephone_s_50_million_pixels_are_read_and_more_than_120_are_refused(
    predictor: edgefer.Predictor, tmp_path: Path
) -> None:
    Image.new("L", (8160, 6144), 100).save(tmp_path / "phone.png", compress_level=1)
    assert len(predictor.predict(tmp_path / "phone.png")) == 1
    for side in (11_000, 14_000):  # the second one is refused by Pillow itself
        Image.new("1", (side, side)).save(tmp_path / "poster.png")
        with pytest.raises(InputError, match=r"poster.png has .*more than 120,000,000.*; make it smaller"):
            predictor.predict(tmp_path / "poster.png")


def test_a_name_cannot_write_to_the_terminal(predictor: edgefer.Predictor, tmp_path: Path) -> None:
    (tmp_path / "two\nlines\x1b[31m.png").write_text("no picture")
    with pytest.raises(InputError) as caught:
        predictor.predict(tmp_path / "two\nlines\x1b[31m.png")
    assert str(caught.value).isprintable()


def test_a_way_to_look_for_faces_that_is_none_is_refused(predictor: edgefer.Predictor) -> None:
    with pytest.raises(InputError, match="'sometimes'; use one of auto, always, never"):
        predictor.predict_faces(np.zeros((48, 48), dtype=np.uint8), "sometimes")  # type: ignore[arg-type]


def test_the_int8_network_is_the_default(made: Path) -> None:
    assert edgefer.load(made).network == "int8-cpu"
    with pytest.raises(InputError, match="no network 'int3'"):
        edgefer.load(made, network="int3")


def test_data_and_version_are_within_reach() -> None:
    assert callable(edgefer.data.load)
    assert edgefer.__version__[0].isdigit()
    assert {"load", "data", "__version__"} <= set(dir(edgefer))
    with pytest.raises(AttributeError, match="nothing"):
        edgefer.nothing  # noqa: B018


def test_probabilities_are_at_the_temperature_that_the_bundle_was_given(tmp_path: Path, greys: np.ndarray) -> None:
    from edgefer.bundle import Confidence

    figures = {"split": "val", "images": 9, "error_before": 0.2, "error_after": 0.1}
    sure = Confidence(network="fp32", temperature=2.0, **figures)
    plain = samples.write(tmp_path / "plain").path
    modest = samples.write(tmp_path / "modest", confidence=sure).path
    [[before], [after]] = [edgefer.load(path, network="fp32").predict(greys[0]) for path in (plain, modest)]
    assert before.label == after.label
    assert after.confidence < before.confidence
    roots = np.sqrt(list(before.probabilities.values()))
    np.testing.assert_allclose(list(after.probabilities.values()), roots / roots.sum(), rtol=1e-4)


def test_an_output_that_is_not_finite_is_an_error_and_no_expression(tmp_path: Path, greys: np.ndarray) -> None:
    model = onnx.load_model_from_string(samples.network())
    bias = next(each for each in model.graph.initializer if each.name == "bias")
    bias.CopyFrom(numpy_helper.from_array(np.full(7, np.nan, np.float32), "bias"))
    part = bundle.NetworkFile("fp32.onnx", model.SerializeToString(), "fp32", "any")
    made = bundle.write(tmp_path / "odd", samples.description(), {"fp32": part})
    with pytest.raises(InputError, match=r"fp32\.onnx returns values that are not finite"):
        edgefer.load(made.path, network="fp32").predict(greys)


@pytest.mark.parametrize("ending", ["png", "webp", "jpg"])
def test_a_whole_picture_with_metadata_that_cannot_be_read_is_read(
    predictor: edgefer.Predictor, tmp_path: Path, greys: np.ndarray, ending: str
) -> None:
    Image.fromarray(greys[0]).save(tmp_path / f"odd.{ending}", exif=b"Exif\0\0XXXXXXXX")
    assert _labels(predictor.predict(tmp_path / f"odd.{ending}")) == EXPECTED[:1]


def test_what_is_transparent_is_white_with_16_bits_too(tmp_path: Path) -> None:
    values = np.full((8, 8), 12850, np.uint16)
    values[0] = 30000
    Image.fromarray(values).save(tmp_path / "grey.png", transparency=12850)
    pixels = read(tmp_path / "grey.png")
    assert (pixels[1:] == 255).all()
    assert (pixels[0] == round(30000 / 257)).all()


@pytest.mark.parametrize(("bits", "white"), [(8, 255), (12, 4095), (16, 65535)])
def test_what_stands_in_16_bits_is_as_bright_as_its_own_bits_make_it(tmp_path: Path, bits: int, white: int) -> None:
    shades = np.array([[0, 51, 102, 255]], np.uint8)
    Image.fromarray((shades.astype(np.uint16) * (white / 255)).round().astype(np.uint16)).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read(tmp_path / "grey.png"), shades)


def test_what_a_pgm_calls_white_is_white(tmp_path: Path) -> None:
    (tmp_path / "dark.pgm").write_bytes(b"P5 2 1 65535\n" + struct.pack(">HH", 257, 2570))
    np.testing.assert_array_equal(read(tmp_path / "dark.pgm"), [[1, 10]])


@pytest.mark.parametrize("orientation", range(1, 10))
def test_a_picture_is_turned_as_pillow_does_even_where_another_tag_is_of_the_wrong_kind(
    tmp_path: Path, orientation: int
) -> None:
    values = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    for name, kind in {"fine.png": 4, "odd.png": 2}.items():
        # TIFF: ImageWidth as a number or as text, then the orientation.
        tags = struct.pack("<HHI4sHHIHH", 0x0100, kind, 1, b"\3\0\0\0", 0x0112, 3, 1, orientation, 0)
        exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + tags + bytes(4)
        Image.fromarray(values).save(tmp_path / name, exif=exif)
    with Image.open(tmp_path / "fine.png") as fine:
        expected = np.asarray(ImageOps.exif_transpose(fine))
    for name in ("fine.png", "odd.png"):
        np.testing.assert_array_equal(read(tmp_path / name), expected)
