"""OpenVINO, the real one, on edgefer's pretrained networks."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import edgefer
from edgefer import bundle
from edgefer.backends import onnxruntime, registry
from edgefer.backends.base import Options
from edgefer.data import faces
from edgefer.errors import InputError, MissingExtra

pytest.importorskip("openvino")
BACKEND = registry.get("openvino")


@pytest.fixture(scope="module")
def nano() -> bundle.Bundle:
    return bundle.load("edgefer-nano")


@pytest.fixture(scope="module")
def batch(nano: bundle.Bundle) -> np.ndarray:
    drawn = faces.builtin(seed=3, train=64, val=8, test=8).images[:64]
    return nano.manifest.preprocessing.apply(list(drawn))


def test_answers_are_those_of_onnx_runtime(nano: bundle.Bundle, batch: np.ndarray) -> None:
    assert set(BACKEND.networks(nano)) == {"fp16-tensorrt", "int8-tensorrt", "int8-cpu"}
    for name in BACKEND.networks(nano):
        with BACKEND.open(nano, name, Options()) as session, onnxruntime.BACKEND.open(nano, name, Options()) as right:
            assert (session.input_shape, session.classes) == (right.input_shape, right.classes)
            found, wanted = session.infer(batch), right.infer(batch)
        assert found.shape == wanted.shape
        assert (found.argmax(axis=1) == wanted.argmax(axis=1)).mean() > 0.95, name
        np.testing.assert_allclose(found, wanted, atol=0.3)


def test_any_batch_from_any_thread_gives_the_same(nano: bundle.Bundle, batch: np.ndarray) -> None:
    with BACKEND.open(nano, "int8-cpu", Options()) as session:
        alone = np.concatenate([session.infer(batch[number : number + 1]) for number in range(40)])

        def work(size: int) -> bool:
            cut = [session.infer(batch[start : start + size]) for start in range(0, 40, size)]
            return np.allclose(np.concatenate(cut)[:40], alone, atol=1e-4)

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(work, (1, 3, 7, 40, 1, 2, 33, 5)))


def test_what_int8_leaves_in_floating_point_stays_fp32(nano: bundle.Bundle, batch: np.ndarray) -> None:
    with BACKEND.open(nano, "int8-cpu", Options()) as session:
        session.infer(batch[:1])
        assert session.details().network == {"computed_in": "fp32"}


def test_a_batch_that_does_not_fit_and_a_file_that_is_none_are_one_line(nano: bundle.Bundle, batch: np.ndarray) -> None:
    with BACKEND.open(nano, "int8-cpu", Options()) as session:
        wrongs: tuple[Any, ...] = (batch.astype(np.float64), batch[0], batch[:, :, :5], batch[:0])
        for wrong in wrongs:
            with pytest.raises(InputError, match="cannot run on"):
                session.infer(wrong)
    with pytest.raises(RuntimeError, match="closed"):
        session.infer(batch)
    with pytest.raises(InputError, match="cannot be loaded by OpenVINO") as error:
        BACKEND.open_model(b"no network")
    assert "\n" not in str(error.value)


def test_it_is_taken_by_name_alone(nano: bundle.Bundle) -> None:
    with edgefer.load("edgefer-nano", device="openvino") as named, edgefer.load("edgefer-nano") as auto:
        assert (named.device, auto.device) == ("openvino", "cpu")


def test_without_the_package_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r"pip install 'edgefer\[openvino\]'"):
        edgefer.load("edgefer-nano", device="openvino")


def test_it_is_imported_only_where_it_is_asked_for() -> None:
    script = "import sys, edgefer; edgefer.load('edgefer-nano', device='cpu'); print('openvino' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
