"""The programs of docs/samples, in their own languages, on the golden vectors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefer import bundle
from edgefer.errors import InputError
from edgefer.export import checking, golden, litert_file, onnx_file
from tests.helpers import scripts

SAMPLES = Path(__file__).parents[2] / "docs" / "samples"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_file.write(bundle.load("edgefer-nano"), tmp_path_factory.mktemp("export") / "nano.onnx").model


@pytest.fixture(scope="module")
def tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("ai_edge_litert")
    return litert_file.write(bundle.load("edgefer-nano"), tmp_path_factory.mktemp("litert") / "nano.tflite").model


def answers(*command: str | Path) -> list[tuple[str, float]]:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.rpartition(" ") for line in done.stdout.splitlines()]
    return [(label, float(confidence)) for label, _, confidence in lines]


def assert_golden(found: list[tuple[str, float]], vectors: golden.Golden) -> None:
    assert [label for label, _ in found] == [vector.label for vector in vectors.vectors]
    for (_, confidence), vector in zip(found, vectors.vectors, strict=True):
        assert confidence == pytest.approx(max(vector.probabilities), abs=vectors.tolerance)


def on_golden_vectors(program: Callable[[Path], list[str | Path]], exported: Path, folder: Path) -> None:
    vectors = golden.read(checking.beside(exported))
    assert {vector.channels for vector in vectors.vectors} == {3, 4}
    file = folder / "golden.pam"
    scripts.load("languages").write_pam(file, [vector.image for vector in vectors.vectors])
    assert_golden(answers(*program(folder), exported, file), vectors)


def test_python_with_onnxruntime_alone(exported: Path, tmp_path: Path) -> None:
    on_golden_vectors(lambda _: [sys.executable, SAMPLES / "python" / "label.py"], exported, tmp_path)


@pytest.mark.slow  # downloads 300 MB
def test_node(exported: Path, tmp_path: Path) -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node or npm is not here")
    on_golden_vectors(scripts.load("languages").node, exported, tmp_path)


@pytest.mark.slow
def test_cpp_through_openvino(exported: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    if not (shutil.which("cmake") and shutil.which("g++")):
        pytest.skip("cmake or g++ is not here")
    on_golden_vectors(scripts.load("languages").cpp, exported, tmp_path)


def test_litert_with_preprocessing_written_again(tflite: Path, tmp_path: Path) -> None:
    vectors = golden.read(checking.beside(tflite))
    files = []
    for number, vector in enumerate(vectors.vectors):
        picture, exif = Image.fromarray(vector.image), Image.Exif()
        if number % 2:  # on its side, as a phone stores a portrait
            picture, exif[0x0112] = picture.transpose(Image.Transpose.ROTATE_90), 6
        files.append(tmp_path / f"{number}.png")
        picture.save(files[-1], exif=exif)
    assert_golden(answers(sys.executable, SAMPLES / "litert" / "label.py", tflite, *files), vectors)


def test_check_runs_a_litert_file_and_sees_wrong_preprocessing(tflite: Path, tmp_path: Path) -> None:
    (found,) = checking.check(tflite)
    assert (found.device, found.labels, found.passed) == ("litert", 0, True)
    with pytest.raises(InputError, match="runs only on litert, not on cpu"):
        checking.check(tflite, ["cpu"])
    vectors = golden.read(checking.beside(tflite))
    wrong = vectors.preprocessing.model_copy(update={"mean": (0.0,)})
    shutil.copy(tflite, tmp_path / "wrong.tflite")
    golden.write(vectors.model_copy(update={"preprocessing": wrong}), tmp_path / "wrong.golden.json")
    assert not checking.check(tmp_path / "wrong.tflite")[0].passed


def test_files_of_one_name_share_their_golden_vectors_with_boxes_too(tflite: Path, tmp_path: Path) -> None:
    shutil.copy(tflite, tmp_path / "nano.tflite")
    shutil.copy(checking.beside(tflite), tmp_path / "nano.golden.json")
    model = onnx_file.write(bundle.load("edgefer-nano"), tmp_path / "nano.onnx", box=True).model
    assert checking.check(tmp_path / "nano.tflite")[0].passed
    litert_file.write(bundle.load("edgefer-nano"), tmp_path / "nano.tflite")
    assert checking.check(model, ["cpu"])[0].passed


@pytest.mark.parametrize("content", [b"", b"no network", None])
def test_a_litert_file_that_is_damaged_is_one_line(tflite: Path, tmp_path: Path, content: bytes | None) -> None:
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(tflite.read_bytes()[:5000] if content is None else content)
    shutil.copy(checking.beside(tflite), checking.beside(damaged))
    with pytest.raises(InputError):
        checking.check(damaged)


def test_a_pam_file_holds_pictures_of_any_size_one_after_another(tmp_path: Path) -> None:
    script = scripts.load("languages")
    images = [np.full((height, width, depth), 7, np.uint8) for height, width, depth in ((2, 3, 3), (1, 5, 4))]
    script.write_pam(tmp_path / "two.pam", images)
    assert (tmp_path / "two.pam").read_bytes() == (
        b"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
        + b"\7" * 18
        + b"P7\nWIDTH 5\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
        + b"\7" * 20
    )
