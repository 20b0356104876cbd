"""Shared by all tests: paths of data and caches, few threads, no telemetry, and the skips that CI allows."""

from __future__ import annotations

import functools
import gc
import os
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.helpers.skips import Skips

ROOT = Path(__file__).parent.parent

# Read on import by torch, onnxruntime and the hub's client, and by processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one test process per CPU
os.environ.update(ORT_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_OFFLINE="1", MPLBACKEND="Agg")
# Settings of the user who runs the tests.
for name in ("EDGEFER_DATA", "EDGEFER_TRACEBACK"):
    os.environ.pop(name, None)

# Tests download nothing: the detector is the file beside the checkout; without it, tests are skipped.
YUNET = ROOT.parent / "shared" / "models" / "yunet_s_dynamic.onnx"
os.environ["EDGEFER_DETECTOR"] = str(YUNET) if YUNET.exists() else "cascade"

# A shell starts its background jobs with Ctrl-C ignored, and processes that tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_measured: dict[tuple[object, ...], object] = {}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """Start a browser for the pages of one file."""
    from tests.helpers import browser as browsers

    with browsers.browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="session", autouse=True)
def _command_built_once() -> object:
    """Typer rebuilds the command and its subcommands for each call, which takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", functools.cache(get_command))
        yield


@pytest.fixture(scope="module", autouse=True)
def _fresh_processes_once(request: pytest.FixtureRequest) -> object:
    """Memory and cold starts need separate processes: once per network here, except in their own tests."""
    from edgefer.bench.probes import (
        cold_start,
        memory,  # after the settings above
    )

    with pytest.MonkeyPatch.context() as patch:
        if request.path.name not in ("test_memory.py", "test_cold_start.py"):
            for module in (memory, cold_start):
                patch.setattr(module, "of_network", _once(module.of_network))
            patch.setattr(cold_start, "_STARTS", 1)
        yield


def _once(measure: Callable[..., object]) -> Callable[..., object]:
    def of_network(model: Path, *arguments: object) -> object:
        key = (measure, model.read_bytes(), *arguments)
        if key not in _measured:
            _measured[key] = measure(model, *arguments)
        return _measured[key]

    return of_network


@pytest.fixture(scope="module", autouse=True)
def _short_timing(request: pytest.FixtureRequest) -> object:
    """Networks are timed until there is a figure, not until it is precise, except in the clock's own tests."""
    from edgefer.evaluation import timing

    real = timing.in_turn

    def in_turn(*streams: Any, seconds: float = 3.0, warmup_seconds: float = 0.2, **more: Any) -> object:
        return real(*streams, seconds=min(seconds, 0.01), warmup_seconds=min(warmup_seconds, 0.01), **more)

    with pytest.MonkeyPatch.context() as patch:
        if request.path.name not in ("test_timing.py", "test_proofs.py"):
            patch.setattr(timing, "in_turn", in_turn)
            patch.setattr(timing, "BEYOND", 1)  # 100 samples for p99
        yield


@pytest.fixture(scope="session")
def fer2013() -> Path:
    """Return the FER2013 zip, from EDGEFER_FER2013 or ../shared/data/fer2013/fer2013.zip."""
    named = os.environ.get("EDGEFER_FER2013")
    path = Path(named) if named else ROOT.parent / "shared" / "data" / "fer2013" / "fer2013.zip"
    if not path.exists():
        pytest.skip("FER2013 is not here; set EDGEFER_FER2013 to fer2013.zip")
    return path


@pytest.fixture(scope="session")
def yunet() -> Path:
    """Return the face detector's file, ../shared/models/yunet_s_dynamic.onnx."""
    if not YUNET.exists():
        pytest.skip("YuNet is not here; put yunet_s_dynamic.onnx into ../shared/models")
    return YUNET


def pytest_configure(config: pytest.Config) -> None:
    """Keep test caches out of the user's: one folder per pytest run, shared by its processes."""
    if not hasattr(config, "workerinput"):  # through the environment of the starting process
        folder = tempfile.TemporaryDirectory(prefix="edgefer-tests-")
        config.add_cleanup(folder.cleanup)
        os.environ["EDGEFER_CACHE"] = folder.name
    config.pluginmanager.register(Skips(ROOT / "tests" / "skips.toml"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Objects from imports live to the end: the garbage collector need not scan them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run folders in one process per CPU, four at most; named files in this process, for `-s` and debuggers."""
    named = all(Path(argument.partition("::")[0]).is_file() for argument in config.args)
    count = min(4, os.cpu_count() or 1)
    return 0 if named or count == 1 else count
