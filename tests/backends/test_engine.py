"""Engines on a fake GPU (`fake_gpu`): copies, recorded graphs, released memory and errors.

The five functions are the real ones, from cuda.bindings, and from pycuda if it is installed.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefer import console
from edgefer.backends import onnxruntime
from edgefer.backends.tensorrt import builder
from edgefer.backends.tensorrt import session as engine
from edgefer.backends.tensorrt.cuda import driver as cuda_driver
from edgefer.errors import InputError, MissingRequirement
from tests.helpers import fake_gpu, samples

trt = pytest.importorskip("tensorrt_rtx")
MODEL = samples.network()
SHAPE = (1, samples.SIZE, samples.SIZE)


@pytest.fixture(scope="module")
def driver() -> ctypes.CDLL:
    return fake_gpu.driver()


@pytest.fixture(params=["bindings", "pycuda"])
def layer(
    request: pytest.FixtureRequest, driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> Iterator[cuda_driver.Cuda]:
    """A machine with a GPU; nothing may be left on it afterwards."""
    if request.param == "pycuda":
        pytest.importorskip("pycuda", reason="pycuda is not installed: it takes CUDA's headers")
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "1")
    monkeypatch.setitem(
        cuda_driver.LAYERS, "pycuda", cuda_driver.LAYERS["pycuda" if request.param == "pycuda" else "cuda.bindings"]
    )
    yield cuda_driver.find()
    assert driver.fake_taken() == 0


@pytest.fixture
def loaded(driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> fake_gpu.Engine:
    """TensorRT's result for an engine's bytes."""
    made = fake_gpu.Engine(MODEL, 8, trt, driver)
    monkeypatch.setattr(builder, "load", lambda content, runtime, dla: made if content else None)
    return made


def opened(layer: cuda_driver.Cuda, **options: object) -> engine.EngineSession:
    return engine.open_engine(b"engine", "tensorrt_rtx", layer, **options)  # type: ignore[arg-type]


def batches(*sizes: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(size=(size, *SHAPE)).astype(np.float32) for size in sizes]


@pytest.mark.parametrize("integrated", [False, True])
def test_logits_are_those_of_onnx_runtime_whatever_the_batch_and_however_often_it_changes(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, integrated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if integrated:
        monkeypatch.setenv("FAKE_CUDA_INTEGRATED", "1")
    with opened(layer) as session, onnxruntime.open_model(MODEL) as right:
        assert (session.input_shape, session.classes, session.max_batch) == (SHAPE, 7, 8)
        protocol = session.details().protocol
        assert (protocol["transfers"], protocol["waits"]) == (("mapped", "spin") if integrated else ("copied", "auto"))
        for batch in batches(1, 1, 1, 8, 8, 3, 1, 1, 20):
            assert np.array_equal(session.infer(batch), right.infer(batch))


def noted_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that collects the size of each queued batch."""
    sizes: list[int] = []
    queue = engine._Slot._queue

    def noted(slot: engine._Slot) -> None:
        sizes.append(slot.size)
        queue(slot)

    monkeypatch.setattr(engine._Slot, "_queue", noted)
    return sizes


def test_a_batch_that_comes_again_is_recorded_once_and_then_started_whole(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = noted_sizes(monkeypatch)
    with opened(layer) as session:
        answers = [session.infer(batch) for batch in batches(1, 1, 1, 1, 1)]
    assert len(queued) == 2  # the first run, and the recording
    assert loaded.contexts[0].runs == 5
    assert len(np.unique(np.array(answers), axis=0)) == 5  # each from its own input


def test_what_cannot_be_recorded_is_run_without_a_graph(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(layer, graphs=False) as session:
        assert not session.details().network["cuda_graphs"]
        plain = [session.infer(batch) for batch in batches(1, 1, 1)]
    monkeypatch.setattr(fake_gpu.Context, "recordable", False)
    with opened(layer) as session:
        assert np.array_equal([session.infer(batch) for batch in batches(1, 1, 1)], plain)
        assert not session.details().network["cuda_graphs"]
    monkeypatch.setattr(fake_gpu.Context, "recordable", True)
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuGraphInstantiateWithFlags")
    with opened(layer) as session:
        assert np.array_equal([session.infer(batch) for batch in batches(1, 1, 1)], plain)
        assert not session.details().network["cuda_graphs"]


def test_an_answer_does_not_change_when_the_next_one_comes(layer: cuda_driver.Cuda, loaded: fake_gpu.Engine) -> None:
    first, second = batches(1, 1)
    with opened(layer) as session:
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
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        with opened(layer) as session:
            for batch in batches(1, 1, 1):
                session.infer(batch)

    monkeypatch.setenv("FAKE_CUDA_FAIL", call)
    with pytest.raises(MissingRequirement) as error:
        work()
    assert "\n" not in str(error.value)
    assert "cannot" in str(error.value)  # the fixture counts what is left


def test_memory_that_cannot_be_mapped_is_said_so(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_INTEGRATED", "1")
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuMemHostGetDevicePointer_v2")
    with pytest.raises(MissingRequirement, match="cannot map memory to the GPU"):
        opened(layer)


def test_an_engine_that_does_not_load_does_not_fit_or_fails_is_one_line(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingRequirement, match="cannot load the engine on Fake GPU: no reason given"):
        engine.open_engine(b"", "tensorrt_rtx", layer)
    loaded.memory = False
    with pytest.raises(MissingRequirement, match="Fake GPU has not enough memory for the engine"):
        opened(layer)
    loaded.memory = True
    monkeypatch.setattr(fake_gpu.Context, "works", False)
    with (
        pytest.raises(MissingRequirement, match="TensorRT cannot run the engine on Fake GPU"),
        opened(layer) as session,
    ):
        session.infer(*batches(1))


def test_an_engine_that_is_no_classifier_is_refused(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.dtype = trt.float16
    with pytest.raises(InputError, match="one input and one output, both float32"):
        opened(layer)


def test_a_batch_of_another_shape_or_type_is_refused_before_it_is_copied(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine
) -> None:
    (batch,) = batches(1)
    with opened(layer) as session:
        wrongs: tuple[Any, ...] = (batch.astype(np.float64), batch[0], batch[:, :, :5], batch[:0])
        for wrong in wrongs:
            with pytest.raises(InputError, match=r"it takes float32 \(N, 1, 12, 12\)"):
                session.infer(wrong)
    with pytest.raises(RuntimeError, match="closed"):
        session.infer(batch)


def test_kernels_compiled_for_one_process_are_there_for_the_next(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kernels"
    for wanted in (b"kernels", b"kernels again"):
        with opened(layer, kernels=kept) as session:
            session.infer(*batches(1))
        assert kept.read_bytes() == wanted
    strategy = loaded.config.dynamic_shapes_kernel_specialization_strategy
    assert strategy == trt.DynamicShapesKernelSpecializationStrategy.EAGER  # else others run and record for now


def test_a_cache_that_cannot_be_written_stops_nobody(
    layer: cuda_driver.Cuda,
    loaded: fake_gpu.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(console, "_enabled", True)
    with opened(layer, kernels=tmp_path / "file" / "kernels") as session:
        session.infer(*batches(1))
    assert "cannot cache compiled kernels in" in capsys.readouterr().err


def test_a_recording_that_fails_half_way_gives_back_what_was_recorded(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(layer) as session:
        session.infer(*batches(1))
        monkeypatch.setattr(fake_gpu.Context, "works", False)
        with pytest.raises(MissingRequirement, match="TensorRT cannot run"):
            session.infer(*batches(1))
        assert not session.details().network["cuda_graphs"]
        monkeypatch.setattr(fake_gpu.Context, "works", True)
        session.infer(*batches(1))


def test_an_engine_for_a_dla_is_loaded_on_that_one(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def load(content: bytes, runtime: object, dla: int | None) -> fake_gpu.Engine:
        asked.append(dla)
        return loaded

    monkeypatch.setattr(builder, "load", load)
    opened(layer, dla=1).close()
    assert asked == [1]


def test_the_gpu_is_described(layer: cuda_driver.Cuda) -> None:
    with layer.device() as device:
        gpu = device.gpu
    assert (gpu.name, gpu.compute, gpu.cuda, gpu.integrated) == ("Fake GPU", "87", "13.0", False)
    assert gpu.memory == 8 << 30


def test_a_driver_without_a_gpu_is_said_so(
    driver: ctypes.CDLL, layer: cuda_driver.Cuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "0")
    with pytest.raises(MissingRequirement, match="the NVIDIA driver found no GPU"), layer.device():
        pass


def test_a_size_that_comes_back_keeps_its_graph_when_others_came_between(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = noted_sizes(monkeypatch)
    with opened(layer) as session, onnxruntime.open_model(MODEL) as right:
        for batch in batches(1, 3, 5, 1, 4, 8, 2, 1, 3, 7):
            assert np.array_equal(session.infer(batch), right.infer(batch))
    assert sorted(queued) == [1, 1, 2, 4, 4, 8, 8]  # each size once, and once more to record it


def test_threads_infer_at_once_each_with_a_context_and_a_stream_of_its_own(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, driver: ctypes.CDLL
) -> None:
    sizes = [1, 2, 8, 1, 3, 1, 20, 1]
    with opened(layer) as session, onnxruntime.open_model(MODEL) as right:
        wanted = [right.infer(batch) for batch in batches(*sizes)]

        def work(number: int) -> bool:
            again = batches(*sizes)
            return all(
                np.array_equal(session.infer(batch), want)
                for _ in range(10)
                for batch, want in zip(again, wanted, strict=True)
            )

        before = driver.fake_taken()
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(work, range(8)))
        assert len(loaded.contexts) > 4  # one for each size in each running thread
        gc.collect()
        assert driver.fake_taken() == before  # ended threads have released their resources


def test_sessions_close_in_any_order_in_any_thread_and_more_than_once(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine
) -> None:
    first, second, third = opened(layer), opened(layer), opened(layer)
    (batch,) = batches(1)
    wanted = first.infer(batch)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(first.infer, batch).result()
        pool.submit(first.close).result()
        first.close()
        assert np.array_equal(second.infer(batch), wanted)
        third.close()
        assert np.array_equal(pool.submit(second.infer, batch).result(), wanted)
        second.close()  # while the other thread lives and has a lane


def test_a_session_that_nobody_closed_gives_everything_back_when_it_is_collected(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine, driver: ctypes.CDLL
) -> None:
    session = opened(layer)
    session.infer(*batches(1))
    cycle = [session]
    cycle.append(cycle)  # type: ignore[arg-type]
    assert driver.fake_taken() > 0
    del session, cycle
    gc.collect()
    assert driver.fake_taken() == 0


def test_a_forked_process_cannot_use_the_engine_and_gives_back_nothing_of_its_parents(
    layer: cuda_driver.Cuda, loaded: fake_gpu.Engine
) -> None:
    with opened(layer) as session:
        child = os.fork()
        if child == 0:
            with pytest.raises(RuntimeError, match="forked"):
                session.infer(*batches(1))
            session.close()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert session.infer(*batches(1)).shape == (1, 7)
