"""One ONNX file that includes preprocessing: Python's pixels and probabilities, checked with golden vectors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, parser
from typer.testing import CliRunner, Result

import edgefer
from edgefer import bundle
from edgefer.backends import registry
from edgefer.cli.main import app
from edgefer.errors import InputError
from edgefer.export import checking, golden, onnx_file
from edgefer.inputs import pictures
from edgefer.preprocessing import Preprocessing

SIZES = ((48, 48), (44, 44), (100, 120), (31, 500), (224, 224), (20, 20), (7, 9), (1, 1), (480, 640))


def type_in(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def run(model: ModelProto, **inputs: NDArray[np.generic]) -> NDArray[np.float32]:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    found: NDArray[np.float32] = onnxruntime.InferenceSession(model.SerializeToString(), settings).run(None, inputs)[0]
    return found


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_file.write(bundle.load("edgefer-nano"), tmp_path_factory.mktemp("export") / "nano.onnx").model


@pytest.mark.parametrize("color", ["grey", "rgb"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("crop", [1.0, 0.9167])
def test_its_pixels_are_those_of_preprocessing_bit_for_bit(color: str, interpolation: str, crop: float) -> None:
    channels = 1 if color == "grey" else 3
    spec = Preprocessing.model_validate(
        {
            "size": 44,
            "crop": crop,
            "color": color,
            "mean": (0.5077, 0.4, 0.3)[:channels],
            "std": (0.255, 0.25, 0.2)[:channels],
            "interpolation": interpolation,
        }
    )
    front = parser.parse_model(onnx_file.before(spec, box=False))
    random = np.random.default_rng(0)
    for size in SIZES:
        for values in (3, 4):
            image = random.integers(0, 256, (*size, values), dtype=np.uint8)
            expected = spec.apply(list(pictures([image])))
            np.testing.assert_array_equal(run(front, image=image), expected, err_msg=f"{size}, {values} channels")


def test_openvino_with_float32_alone_gives_the_same_pixels() -> None:
    pytest.importorskip("openvino")
    spec = Preprocessing(size=44, crop=0.9167)
    front = parser.parse_model(onnx_file.before(spec, box=False)).SerializeToString()
    random = np.random.default_rng(0)
    images = [
        random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((48, 48), (100, 120), (20, 20), (399, 401))
    ]
    found = registry.get("openvino").run(front, [{"image": image} for image in images])
    np.testing.assert_allclose(np.concatenate(found), spec.apply(list(pictures(images))), atol=1e-5)


def test_a_box_beyond_the_edge_is_judged_as_python_judges_it() -> None:
    nano = bundle.load("edgefer-nano")
    model = onnx_file.export(nano, "int8-cpu", box=True)
    with edgefer.load("edgefer-nano", device="cpu") as predictor:
        vectors = golden.make(predictor, box=True).vectors
    boxes = [vector.box for vector in vectors if vector.box]
    assert any(left < 0 or top < 0 for left, top, _, _ in boxes), "no box reaches beyond an edge"
    for vector in vectors:
        answer = run(model, image=vector.image, box=np.array(vector.box, np.int64))
        np.testing.assert_allclose(answer, vector.probabilities, atol=1e-6)


def test_it_says_what_it_is(exported: Path) -> None:
    told = {each.key: each.value for each in onnx.load(exported).metadata_props}
    nano = bundle.load("edgefer-nano").manifest
    assert tuple(json.loads(told["edgefer.labels"])) == nano.labels
    assert told["edgefer.network_sha256"] == nano.networks["int8-cpu"].sha256
    assert Preprocessing.model_validate_json(told["edgefer.preprocessing"]) == nano.preprocessing
    assert "## Licence" in told["edgefer.card"]
    assert told["edgefer.licence"].startswith("The network's files come under edgefer's Apache License 2.0.")
    assert onnx_file.licence("# Mine\n\n## License\n\nMIT\n\n## More\n") == "MIT"
    assert onnx_file.licence("# Mine\n") == ""


def test_check_runs_the_golden_vectors_on_each_runtime_that_is_here(exported: Path) -> None:
    result = type_in("--json", "--check", exported)
    assert result.exit_code == 0, result.output
    devices = {each["device"]: each for each in json.loads(result.stdout)["devices"]}
    assert devices["cpu"]["passed"]
    assert devices["cpu"]["largest"] < 1e-6
    assert devices["openvino"]["passed"] or devices["openvino"]["why"]


def test_check_finds_a_network_that_answers_otherwise(exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported)
    (temperature,) = [each for each in model.graph.initializer if each.name == "temperature"]
    temperature.CopyFrom(onnx.numpy_helper.from_array(np.array([9.0], np.float32), "temperature"))
    onnx.save(model, tmp_path / "other.onnx")
    checking.beside(tmp_path / "other.onnx").write_bytes(checking.beside(exported).read_bytes())
    result = type_in("--check", tmp_path / "other.onnx", "--device", "cpu")
    assert result.exit_code == 1
    assert "FAILED" in result.output


def test_a_file_that_a_runtime_cannot_run_does_not_pass(exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported)
    (node,) = [each for each in model.graph.node if each.op_type == "Softmax"]
    node.op_type = "Nothing"
    onnx.save(model, tmp_path / "other.onnx")
    checking.beside(tmp_path / "other.onnx").write_bytes(checking.beside(exported).read_bytes())
    assert type_in("--check", tmp_path / "other.onnx").exit_code == 2


def test_a_model_card_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    shutil.copytree(bundle.load("edgefer-nano").path, tmp_path / "nano")
    (tmp_path / "nano" / "MODEL_CARD.md").write_bytes("# Modèle".encode("latin-1"))
    with pytest.raises(InputError, match=r"MODEL_CARD\.md is not text"):
        onnx_file.card(bundle.load(tmp_path / "nano"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "edgefer export onnx BUNDLE"),
        (("onnx", "edgefer-nano", "--out", "nano.bin"), "should end in .onnx"),
        (("onnx", "edgefer-nano", "--network", "int9"), "no network 'int9'"),
        (("--check", "nowhere.onnx"), "nowhere.onnx"),
        (("--check", "."), "is a folder, not a file"),
        (("--check", "nowhere.onnx", "onnx"), "--check takes no subcommand"),
        (("--device", "cpu", "onnx", "edgefer-nano"), "--device needs --check"),
        (("--device", "cpu", "litert", "edgefer-nano"), "--device needs --check"),
        (("--device", "cpu"), "edgefer export onnx BUNDLE"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    result = type_in(*arguments)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_golden_vectors_that_somebody_changed_are_refused(exported: Path, tmp_path: Path) -> None:
    copied = tmp_path / "nano.onnx"
    copied.write_bytes(exported.read_bytes())
    tree = json.loads(checking.beside(exported).read_text())
    tree["vectors"][0]["height"] += 1
    checking.beside(copied).write_text(json.dumps(tree))
    with pytest.raises(InputError, match="more or fewer pixels"):
        checking.check(copied)


def test_a_network_with_nearest_pixels_is_refused() -> None:
    spec = Preprocessing(size=44, interpolation="nearest")
    with pytest.raises(InputError, match="bilinear or bicubic"):
        onnx_file.before(spec, box=False)
