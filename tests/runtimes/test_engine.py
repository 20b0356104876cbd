"""Engines run on a stand-in for a GPU (`fake_gpu`): what is copied, recorded and given back, and what goes wrong.

The five functions are the real ones, of cuda.bindings, and of pycuda where it is installed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bundle import samples
from runtimes import fake_gpu

from edgefer import console
from edgefer.errors import InputError, LackError
from edgefer.runtimes import cuda, engine, onnxruntime, tensorrt

trt = pytest.importorskip("tensorrt_rtx")
MODEL = samples.network()
SHAPE = (1, samples.SIZE, samples.SIZE)


@pytest.fixture(scope="module")
def driver() -> ctypes.CDLL:
    return fake_gpu.driver()


@pytest.fixture(params=["bindings", "pycuda"])
def layer(request: pytest.FixtureRequest, driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> Iterator[cuda.Cuda]:
    """A machine with a GPU; whatever happens on it, nothing is left on it."""
    if request.param == "pycuda":
        pytest.importorskip("pycuda", reason="pycuda is not installed: it takes CUDA's headers")
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "1")
    monkeypatch.setitem(cuda.LAYERS, "pycuda", cuda.LAYERS["pycuda" if request.param == "pycuda" else "cuda.bindings"])
    yield cuda.find()
    assert driver.fake_taken() == 0


@pytest.fixture
def loaded(driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> fake_gpu.Engine:
    """What TensorRT makes of the bytes of an engine."""
    made = fake_gpu.Engine(MODEL, 8, trt, driver)
    monkeypatch.setattr(tensorrt, "load", lambda content, flavour, dla: made if content else None)
    return made


def activate(layer: cuda.Cuda, **options: object) -> engine.Session:
    return engine.activate(b"engine", "tensorrt_rtx", layer, **options)  # type: ignore[arg-type]


def batches(*sizes: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(size=(size, *SHAPE)).astype(np.float32) for size in sizes]


@pytest.mark.parametrize("integrated", [False, True])
def test_logits_are_those_of_onnx_runtime_whatever_the_batch_and_however_often_it_changes(
    layer: cuda.Cuda, loaded: fake_gpu.Engine, integrated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if integrated:
        monkeypatch.setenv("FAKE_CUDA_INTEGRATED", "1")
    with activate(layer) as session, onnxruntime.activate(MODEL) as right:
        assert (session.shape, session.classes, session.most) == (SHAPE, 7, 8)
        assert session.transfers == ("mapped" if integrated else "copied")
        for batch in batches(1, 1, 1, 8, 8, 3, 1, 1, 20):
            assert np.array_equal(session.infer(batch), right.infer(batch))


def test_a_batch_that_comes_again_is_recorded_once_and_then_started_whole(
    layer: cuda.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = []
    with activate(layer) as session:
        monkeypatch.setattr(session, "_queue", lambda queue=session._queue: (queued.append(1), queue()))
        answers = [session.infer(batch) for batch in batches(1, 1, 1, 1, 1)]
    assert len(queued) == 2  # the first run, and the recording
    assert loaded.contexts[0].runs == 5
    assert len(np.unique(np.array(answers), axis=0)) == 5  # each from its own input


def test_what_cannot_be_recorded_is_run_without_a_graph(
    layer: cuda.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with activate(layer, graphs=False) as session:
        assert not session.graphs
        plain = [session.infer(batch) for batch in batches(1, 1, 1)]
    monkeypatch.setattr(fake_gpu.Context, "recordable", False)
    with activate(layer) as session:
        assert not session.graphs
        assert np.array_equal([session.infer(batch) for batch in batches(1, 1, 1)], plain)
    monkeypatch.setattr(fake_gpu.Context, "recordable", True)
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuGraphInstantiateWithFlags")
    with activate(layer) as session:
        assert np.array_equal([session.infer(batch) for batch in batches(1, 1, 1)], plain)
        assert not session.graphs


def test_an_answer_does_not_change_when_the_next_one_comes(layer: cuda.Cuda, loaded: fake_gpu.Engine) -> None:
    first, second = batches(1, 1)
    with activate(layer) as session:
        answer = session.infer(first)
        kept = answer.copy()
        session.infer(second)
    assert np.array_equal(answer, kept)


@pytest.mark.parametrize(
    "call",
    [
        "cuInit",
        "cuDevicePrimaryCtxRetain",
        "cuCtxPushCurrent_v2",
        "cuStreamCreate",
        "cuMemHostAlloc",
        "cuMemAlloc_v2",
        "cuMemcpyHtoDAsync_v2",
        "cuMemcpyDtoHAsync_v2",
        "cuStreamSynchronize",
        "cuGraphLaunch",
    ],
)
def test_whatever_call_fails_nothing_stays_on_the_device_and_one_line_says_what(
    layer: cuda.Cuda, loaded: fake_gpu.Engine, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        with activate(layer) as session:
            for batch in batches(1, 1, 1):
                session.infer(batch)

    monkeypatch.setenv("FAKE_CUDA_FAIL", call)
    with pytest.raises(LackError) as error:
        work()
    assert "\n" not in str(error.value)
    assert "cannot" in str(error.value)  # and the fixture counts what is left


def test_memory_that_cannot_be_mapped_is_said_so(
    layer: cuda.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_INTEGRATED", "1")
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuMemHostGetDevicePointer_v2")
    with pytest.raises(LackError, match="cannot map memory into the GPU"):
        activate(layer)


def test_an_engine_that_does_not_load_does_not_fit_or_fails_is_one_line(
    layer: cuda.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LackError, match="cannot load the engine on Fake GPU: it does not say why"):
        engine.activate(b"", "tensorrt_rtx", layer)
    loaded.memory = False
    with pytest.raises(LackError, match="Fake GPU has too little memory for the engine"):
        activate(layer)
    loaded.memory = True
    monkeypatch.setattr(fake_gpu.Context, "works", False)
    with pytest.raises(LackError, match="TensorRT cannot run the engine on Fake GPU"), activate(layer) as session:
        session.infer(*batches(1))


def test_an_engine_that_is_no_classifier_is_refused(
    layer: cuda.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.dtype = trt.float16
    with pytest.raises(InputError, match="one input and one output, both float32"):
        activate(layer)


def test_a_batch_of_another_shape_or_type_is_refused_before_it_is_copied(
    layer: cuda.Cuda, loaded: fake_gpu.Engine
) -> None:
    (batch,) = batches(1)
    with activate(layer) as session:
        for wrong in (batch.astype(np.float64), batch[0], batch[:, :, :5], batch[:0]):
            with pytest.raises(InputError, match=r"it takes float32 \(N, 1, 12, 12\)"):
                session.infer(wrong)
    with pytest.raises(RuntimeError, match="deactivated"):
        session.infer(batch)


def test_kernels_compiled_for_one_process_are_there_for_the_next(
    layer: cuda.Cuda, loaded: fake_gpu.Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kernels"
    for wanted in (b"kernels", b"kernels again"):
        with activate(layer, kernels=kept) as session:
            session.infer(*batches(1))
        assert kept.read_bytes() == wanted
    strategy = loaded.config.dynamic_shapes_kernel_specialization_strategy
    assert strategy == trt.DynamicShapesKernelSpecializationStrategy.EAGER  # or others run, and are recorded, for now


def test_a_cache_that_cannot_be_written_stops_nobody(
    layer: cuda.Cuda,
    loaded: fake_gpu.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(console, "_enabled", True)
    with activate(layer, kernels=tmp_path / "file" / "kernels") as session:
        session.infer(*batches(1))
    assert "compiled kernels cannot be kept in" in capsys.readouterr().err


def test_a_recording_that_fails_half_way_gives_back_what_was_recorded(
    layer: cuda.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with activate(layer) as session:
        session.infer(*batches(1))
        monkeypatch.setattr(fake_gpu.Context, "works", False)
        session._record()
        assert session.graphs is False
        monkeypatch.setattr(fake_gpu.Context, "works", True)
        session.infer(*batches(1))


def test_an_engine_for_a_dla_is_loaded_on_that_one(
    layer: cuda.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(tensorrt, "load", lambda content, flavour, dla: asked.append(dla) or loaded)
    activate(layer, dla=1).deactivate()
    assert asked == [1]


def test_the_gpu_is_described(layer: cuda.Cuda) -> None:
    with layer.stream() as stream:
        gpu = stream.gpu
    assert (gpu.name, gpu.compute, gpu.cuda, gpu.integrated) == ("Fake GPU", "87", "13.0", False)
    assert gpu.memory == 8 << 30


def test_a_driver_without_a_gpu_is_said_so(
    driver: ctypes.CDLL, layer: cuda.Cuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "0")
    with pytest.raises(LackError, match="the NVIDIA driver finds no GPU"), layer.stream():
        pass
