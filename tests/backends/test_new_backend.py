"""A backend is one module and one row: a toy backend in this file goes through every edgefer command."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from typer.testing import CliRunner

import edgefer
from edgefer import bundle
from edgefer.backends import registry, targets
from edgefer.backends.base import Details, Options, Sides, fitting
from edgefer.backends.targets import Target
from edgefer.bench.measurement import bench
from edgefer.cli.main import app
from edgefer.compression import gate
from edgefer.compression import targets as compression
from edgefer.errors import InputError, MissingRequirement
from edgefer.graph import lowering
from edgefer.graph.lowering import Lowered
from tests.helpers import samples


class Session:
    """NumPy, for the samples' only network."""

    input_shape: Sides = (1, samples.SIZE, samples.SIZE)
    classes: int | None = 7

    def __init__(self, model: bytes) -> None:
        found = {each.name: numpy_helper.to_array(each) for each in onnx.load_from_string(model).graph.initializer}
        self.weights, self.bias = found["weights"], found["bias"]

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return (batch.mean(axis=(2, 3)) @ self.weights + self.bias).astype(np.float32)

    def close(self) -> None:
        pass

    def details(self) -> Details:
        return Details(network={"computed_in": "fp32"})

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lowered(model: onnx.ModelProto, keep: Collection[str]) -> Lowered:
    """The toy requires networks with a producer name."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    model.producer_name = "toy box"
    return Lowered(model)


class Toy:
    device, title = "toy", "Toy"
    targets = (Target("toy", lowering=f"{__name__}:lowered", rules="cpu"), targets.CPU)
    automatic, on_gpu, sensors = False, False, ()
    here = True

    def check(self) -> None:
        if not self.here:
            raise MissingRequirement("the toy box is empty; run: pip install toys")

    def version(self) -> str:
        return "Toy 1.0"

    def networks(self, made: bundle.Bundle) -> list[str]:
        return fitting(made, self.targets)

    def open(self, made: bundle.Bundle, network: str, options: Options) -> Session:
        return self.open_model(made.file(network), options.threads)

    def open_model(self, model: Path | bytes, threads: int = 1) -> Session:
        self.check()
        return Session(model if isinstance(model, bytes) else model.read_bytes())

    def run(self, model: bytes, inputs: Sequence[Mapping[str, NDArray[Any]]]) -> list[NDArray[np.float32]]:
        raise MissingRequirement("the toy runs classifiers alone")

    def meter(self) -> None:
        return None


BACKEND = Toy()


@pytest.fixture(autouse=True)
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BACKENDS, "toy", f"{__name__}:BACKEND")


@pytest.fixture
def made(tmp_path: Path) -> bundle.Bundle:
    return samples.write(tmp_path / "made")


def test_it_loads_and_predicts_as_onnx_runtime_does(made: bundle.Bundle) -> None:
    pictures = samples.pictures(np.arange(7))
    with edgefer.load(made.path, device="toy") as toy, edgefer.load(made.path, device="cpu") as right:
        assert (toy.device, toy.network) == ("toy", "int8-cpu")
        wanted = [each.probabilities for each in right.predict(pictures)]
        for found, want in zip(toy.predict(pictures), wanted, strict=True):
            assert found.probabilities == pytest.approx(want, abs=1e-5)


def test_a_gpu_that_refuses_the_network_leaves_it_to_the_cpu(
    made: bundle.Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Toy, made: bundle.Bundle, network: str, options: Options) -> Session:
        raise InputError("the toy refuses the network")

    for name, value in {"automatic": True, "on_gpu": True, "open": refuse}.items():
        monkeypatch.setattr(Toy, name, value)
    with edgefer.load(made.path) as chosen:
        assert chosen.device == "cpu"
    with pytest.raises(InputError, match="the toy refuses"):
        edgefer.load(made.path, device="toy")


def test_it_is_benched(made: bundle.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    # The row only exists in this process, so it also serves as the fresh process of memory and cold start.
    from edgefer.bench.probes import cold_start, memory

    monkeypatch.setattr(memory, "of_network", lambda *task: None)
    monkeypatch.setattr(cold_start, "of_network", lambda *task: cold_start.ColdStart(0.1, 0.1, 0.1, 3))
    result = bench([made], samples.dataset(), device="toy", seconds=0.05)
    assert result.device == "toy"
    assert [entry.runtime for entry in result.networks] == ["Toy 1.0", "Toy 1.0"]
    assert [entry.computed_in for entry in result.networks] == ["fp32", "fp32"]
    assert result.networks[0].quality.accuracy == 1.0


def test_its_target_is_lowered_for_and_linted(made: bundle.Bundle) -> None:
    symmetric = onnx.load(made.file("int8-cpu"))
    assert lowering.lower(symmetric, "toy").model.producer_name == "toy box"
    assert "int8-toy" in compression.lowered(symmetric)
    assert compression.part("int8-toy", symmetric).file == "int8.toy.onnx"
    done = CliRunner().invoke(app, ["lint", str(made.file("int8-cpu")), "--target", "toy"])
    assert done.exit_code == 0, done.output


def test_the_gate_says_what_ran_its_networks() -> None:
    assert gate._run_by("int8-toy") == "ONNX Runtime, standing in for Toy"
    assert gate._run_by("int8-cpu") == "ONNX Runtime"
    assert gate._run_by("int8-rtx") == "ONNX Runtime, standing in for TensorRT for RTX"


def test_help_and_errors_know_it(made: bundle.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BACKEND, "here", False)
    with pytest.raises(MissingRequirement, match="pip install toys"):
        edgefer.load(made.path, device="toy")
    with pytest.raises(InputError, match=r"unknown device 'tyo'; choose one of .*, toy"):
        edgefer.load(made.path, device="tyo")
