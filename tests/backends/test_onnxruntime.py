"""ONNX Runtime behind the three verbs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefer import bundle, console
from edgefer.backends import onnxruntime, registry
from edgefer.bench.result import Protocol
from edgefer.devices import machine
from edgefer.errors import InputError
from tests.helpers import samples


def _input(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 1, samples.SIZE, samples.SIZE)).astype(np.float32)


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("threads", [1, 2])
def test_logits_are_what_the_network_computes(optimize: bool, threads: int) -> None:
    batch = _input(5)
    with onnxruntime.open_model(samples.network(), threads, optimize) as session:
        logits = session.infer(batch)
    middle = (samples.centres() - 0.5) / 0.25
    means = batch.mean(axis=(1, 2, 3))[:, None]
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, 2 * means * middle - middle**2, atol=1e-5)


def test_a_session_knows_its_shape() -> None:
    with onnxruntime.open_model(samples.network(classes=5, channels=3, size=20)) as session:
        assert (session.input_shape, session.classes) == ((3, 20, 20), 5)


def test_a_closed_session_does_not_run() -> None:
    session = onnxruntime.open_model(samples.network())
    session.close()
    with pytest.raises(RuntimeError, match="closed"):
        session.infer(_input(1))


@pytest.mark.parametrize(
    "batch", [_input(1).astype(np.float64), _input(1)[:, :, :-1], _input(1)[0]], ids=["float64", "a row less", "no N"]
)
def test_an_input_of_another_type_or_shape_is_refused(batch: np.ndarray) -> None:
    with (
        onnxruntime.open_model(samples.network()) as session,
        pytest.raises(InputError, match="cannot run on") as caught,
    ):
        session.infer(batch)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no network at all", samples.network()[:150]])
def test_a_file_that_is_no_onnx_is_refused_by_name(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.onnx (is|has)") as caught:
        onnxruntime.open_model(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_answers_that_do_not_belong_to_their_images_are_refused() -> None:
    """A declared (N, 7) guarantees nothing: this network returns one output for the whole batch."""
    network = onnx.load_from_string(samples.network())
    network.graph.node[-1].output[0] = "each"
    axes = numpy_helper.from_array(np.array([0]), "axes")
    network.graph.node.append(helper.make_node("ReduceSum", ["each", "axes"], ["logits"], keepdims=1))
    network.graph.initializer.append(axes)
    with (
        onnxruntime.open_model(network.SerializeToString()) as session,
        pytest.raises(InputError, match=r"the network returns shape \(1, 7\)"),
    ):
        session.infer(_input(5))


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not there"):
        onnxruntime.open_model(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="is a folder, not a file"):
        onnxruntime.open_model(tmp_path)


def test_a_fixed_batch_and_no_threads_are_refused() -> None:
    with pytest.raises(InputError, match="fixed batch of 1"):
        onnxruntime.open_model(samples.network(batch=1))
    with pytest.raises(InputError, match="threads"):
        onnxruntime.open_model(samples.network(), threads=0)


def test_a_network_that_classifies_no_images_is_refused() -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    with pytest.raises(InputError, match=r"must have one input, .* it has x tensor\(float\) \['N', 4\]"):
        onnxruntime.open_model(model.SerializeToString())


def test_a_file_that_does_not_fit_its_manifest_is_refused(tmp_path: Path) -> None:
    for number, (content, message) in enumerate(
        [
            (samples.network(size=20), "preprocessing gives"),
            (samples.network(channels=3), "preprocessing gives"),
            (samples.network(classes=5), "5 outputs, but the manifest has 7 labels"),
        ]
    ):
        part = bundle.NetworkFile("fp32.onnx", content, "fp32", "any")
        made = bundle.write(tmp_path / str(number), samples.description(), {"fp32": part})
        with pytest.raises(InputError, match=message):
            registry.open_network(made, "fp32")


def test_no_telemetry_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(samples.network())
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home/cache")}
    (tmp_path / "home").mkdir()
    code = (
        "from pathlib import Path; from edgefer.backends import onnxruntime;"
        f"onnxruntime.open_model(Path({str(tmp_path / 'network.onnx')!r})).close()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=Path(__file__).parents[2])
    assert list((tmp_path / "home").rglob("*")) == []


def test_the_arena_is_the_one_that_the_protocol_states(capfd: pytest.CaptureFixture[str]) -> None:
    """ONNX Runtime logs how it makes an arena: strategy 0 is kNextPowerOfTwo."""
    ort.set_default_logger_severity(1)
    try:
        onnxruntime.open_model(samples.network()).close()
    finally:
        ort.set_default_logger_severity(2)
    said = capfd.readouterr().err
    assert re.search(r"BFCArena for Cpu .*initial_chunk_size_bytes: 1048576 .*arena_extend_strategy: 0", said)
    assert Protocol.model_fields["arena"].default == "next power of two"


@pytest.fixture
def without_vnni(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU with saturating fast 8-bit products; benchmarks/timing/without_vnni.py tests the kernels themselves."""
    monkeypatch.setattr(onnxruntime, "_saturates", lambda: True)


@pytest.mark.parametrize("name", bundle.pretrained())
@pytest.mark.usefixtures("without_vnni")
def test_on_a_cpu_without_vnni_weights_are_multiplied_exactly_and_logits_stay(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "say_once", said.append)
    made = bundle.load(name)
    side = made.manifest.preprocessing.size
    batch = np.random.default_rng(0).normal(size=(4, 1, side, side)).astype(np.float32)
    settings = onnxruntime.options()
    assert settings.get_session_config_entry("session.x64quantprecision") == "1"
    with registry.open_network(made, "int8-cpu") as session:
        exact = session.infer(batch)
    assert not said  # such as the one about layers that share constants
    if not machine.describe().saturates:
        monkeypatch.setattr(onnxruntime, "_saturates", lambda: False)
        with registry.open_network(made, "int8-cpu") as session:
            assert np.array_equal(session.infer(batch), exact)


@pytest.mark.usefixtures("without_vnni")
def test_a_file_that_exact_products_do_not_take_runs_all_the_same_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = onnxruntime.open_session
    asked: list[Any] = []
    said: list[str] = []

    def fails(model: bytes, settings: Any) -> Any:
        """As ONNX Runtime does, only on x86, for layers that share constants."""
        asked.append(settings)
        if len(asked) == 1:
            raise RuntimeError("Attempt to replace the existing tensor")
        return opened(model, settings)

    monkeypatch.setattr(onnxruntime, "open_session", fails)
    monkeypatch.setattr(console, "say_once", said.append)
    with onnxruntime.open_model(samples.network()) as session:
        assert session.infer(_input(1)).shape == (1, 7)
    assert "layers that share constants" in said[0]


@pytest.mark.parametrize("threads", [-1, 0, 1025, 10**6])
def test_a_number_of_threads_that_is_none_or_would_fill_the_machine_is_refused(threads: int) -> None:
    with pytest.raises(InputError, match=f"threads must be 1 to 1,024, not {threads}"):
        onnxruntime.open_model(samples.network(), threads)


def test_weights_in_another_file_cannot_be_opened_even_if_nobody_has_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network = onnx.load_model_from_string(samples.network())
    onnx.save(network, "n.onnx", save_as_external_data=True, location="secret.bin", size_threshold=0)
    assert Path("secret.bin").stat().st_size
    with pytest.raises(InputError, match="cannot be loaded"):
        onnxruntime.open_model(Path("n.onnx").read_bytes())
