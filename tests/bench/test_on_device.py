"""`bench` on a Jetson and on an RTX GPU, both simulated: driver and TensorRT's runtime are fakes (`fake_gpu`), the
board is a tree of files in the formats of NVIDIA's documentation, and nvidia-smi is a script with fixed output.
"""

from __future__ import annotations

import ctypes
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import edgefer
from edgefer import bundle
from edgefer.backends.base import Options
from edgefer.backends.tensorrt import builder
from edgefer.backends.tensorrt.builder import Built
from edgefer.bench import probes
from edgefer.bench.measurement import bench
from edgefer.bench.probes import energy, gpu_memory
from edgefer.bench.result import BenchResult
from edgefer.cli import bench as bench_command
from edgefer.cli.main import app
from edgefer.devices import jetson, nvidia, present
from edgefer.errors import InputError, MissingRequirement
from edgefer.report.table import tables
from tests.helpers import fake_gpu, jetsons, samples

trt = pytest.importorskip("tensorrt_rtx")
IN_A_PROCESS = gpu_memory._start


@pytest.fixture(scope="module")
def driver() -> ctypes.CDLL:
    return fake_gpu.driver()


@pytest.fixture
def card(driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """A machine with a GPU; a list of the engines that it built. Nothing may be left on the GPU."""
    built: list[str] = []

    def build(content: bytes, runtime: str, *arguments: object) -> Built:
        built.append(runtime)
        return Built(content, trt.__version__, (), 0.1)

    monkeypatch.setattr(energy, "_RUN_SECONDS", 0.3)
    monkeypatch.setattr(energy, "_EVERY_SECONDS", 0.001)
    monkeypatch.setattr(energy, "_SETTLING_SECONDS", 0.01)
    monkeypatch.setattr(energy, "_AVERAGING_SECONDS", {})
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "1")
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(builder, "build", build)
    # The fakes live in this process, so it also serves as the fresh one.
    monkeypatch.setattr(gpu_memory, "_start", lambda task: json.loads(json.dumps(gpu_memory.measure(task))))
    monkeypatch.setattr(builder, "load", lambda content, runtime, dla: fake_gpu.Engine(content, 32, trt, driver))
    yield built
    assert driver.fake_taken() == 0


@pytest.fixture
def board(card: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An Orin Nano's files; this machine then looks like one."""
    root = jetsons.orin_nano(tmp_path / "board")
    describe, watts = jetson.describe, jetson.watts
    monkeypatch.setenv("FAKE_CUDA_INTEGRATED", "1")
    monkeypatch.setitem(sys.modules, "tensorrt", trt)  # JetPack's version has the same API and another number
    monkeypatch.setattr(builder, "_OLDEST", 1)
    monkeypatch.setattr(jetson, "describe", lambda here=root: describe(here))
    monkeypatch.setattr(jetson, "watts", lambda here=root: watts(here))
    monkeypatch.setattr(present, "here", lambda device: device == "jetson")
    return root


@pytest.fixture
def smi(card: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Return a function that makes nvidia-smi print a line."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def says(line: str, reasons: str = "") -> None:
        script = folder / "nvidia-smi"
        script.write_text(
            "#!/bin/sh\n"
            f'echo "$@" >> {folder}/asked\n'
            "case $1 in\n"
            "*event_reasons*) exit 2;;\n"  # like a driver before 530
            f"*throttle_reasons*) echo {reasons};;\n"
            "--query-gpu=power.draw) echo 22.31;;\n"
            f"*) cat <<'EOF'\n{line}\nEOF\n;;\n"
            "esac\n"
        )
        script.chmod(0o755)

    says("NVIDIA GeForce RTX 4060, 580.65.06, 41, 2460, 3105, 22.31, 115.00", "0x0000000000000001")
    return says


@pytest.fixture
def made(tmp_path: Path) -> bundle.Bundle:
    return samples.write(tmp_path / "made")


def on(device: str, made: bundle.Bundle, **options: object) -> BenchResult:
    """Measure everything but energy unless requested: it runs each network for a while."""
    options = {"probes": [each for each in probes.standard() if each is not energy.PROBE], **options}
    return bench([made], samples.dataset(), device=device, seconds=0.05, **options)  # type: ignore[arg-type]


def test_a_jetson_runs_the_engines_that_it_built_and_the_result_says_what_decides_the_figures(
    made: bundle.Bundle, board: Path, card: list[str]
) -> None:
    result = on("jetson", made)
    assert [entry.network for entry in result.networks] == ["fp32", "int8-tensorrt"]
    assert card == ["tensorrt", "tensorrt"]
    assert result.networks[0].quality.accuracy == 1
    assert result.device == "jetson"
    assert result.networks[0].runtime == f"TensorRT {trt.__version__}"
    assert result.gpu is not None
    assert (result.gpu.name, result.gpu.compute, result.gpu.cuda) == ("Fake GPU", "87", "13.0")
    assert (result.protocol.transfers, result.protocol.cuda_graphs) == ("mapped", True)
    protocol = result.protocol
    assert (protocol.graph_optimization, protocol.arena) == (None, None)  # these are for CPUs
    assert all(entry.cuda_graphs and entry.engine_bytes == entry.file_bytes for entry in result.networks)
    before = result.conditions.jetson_before
    assert before is not None
    assert (before.model, before.jetpack, before.power_mode) == ("NVIDIA Jetson Orin Nano Developer Kit", "6.2", "15W")
    assert before.temperatures["gpu"] == 46.906
    assert result.conditions.jetson_after == before
    assert BenchResult.model_validate_json(result.model_dump_json()) == result
    on("jetson", made)
    assert len(card) == 2  # the second time they are cached


def test_energy_is_power_times_time_by_rail(made: bundle.Bundle, board: Path) -> None:
    entry = on("jetson", made, probes=None).networks[0]
    assert entry.energy is not None
    assert set(entry.energy.rails) == {"VDD_IN", "VDD_CPU_GPU_CV"}
    rail = entry.energy.rails["VDD_IN"]
    assert (rail.watts, rail.idle_watts) == (pytest.approx(5.072 * 0.912), pytest.approx(5.072 * 0.912))
    assert entry.energy.sensor == "INA3221"
    assert rail.joules == pytest.approx(rail.watts * entry.energy.seconds / entry.energy.inferences)


def test_memory_on_the_gpu_is_what_a_network_takes_beside_the_context_and_a_peak_is_seen(
    made: bundle.Bundle, card: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = on("rtx", made).networks[0].gpu_memory
    image = 4 * (samples.SIZE**2 + 7)
    assert alone is not None
    assert alone.buffers == 32 * image  # edgefer's own memory, for the largest batch
    assert alone.steady == alone.peak == 32 * image + (64 << 10)  # and the graph; without the context's 300 MiB
    monkeypatch.setattr(fake_gpu.Context, "takes", 90 << 20)
    monkeypatch.setattr(fake_gpu.Context, "gives_back", 70 << 20)
    entry = on("rtx", made).networks[0]
    assert entry.gpu_memory is not None
    assert entry.gpu_memory.peak == alone.buffers + (90 << 20)  # in the first run, before the graph exists
    assert entry.gpu_memory.steady == alone.steady + (20 << 20)
    assert entry.memory is not None
    assert 0 < entry.memory.steady <= entry.memory.peak
    assert entry.cold_start is not None
    assert entry.cold_start.starts == 3


def test_memory_that_cannot_be_measured_is_a_note_and_the_rest_stands(
    made: bundle.Bundle, card: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuMemGetInfo_v2")
    result = on("rtx", made)
    assert [(entry.gpu_memory, entry.memory, entry.cold_start) for entry in result.networks] == [(None, None, None)]
    note = "memory and cold start of grey fp32 were not measured: out of memory: cannot query the GPU's free memory"
    assert any(each.startswith(note) for each in result.warnings)
    assert result.networks[0].quality.accuracy == 1


def test_what_the_fresh_process_says_is_found_among_what_libraries_print(
    made: bundle.Bundle, card: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = {"bundle": str(made.path), "network": "fp32", "device": "rtx", **asdict(Options())}
    gpu_memory.main(task)
    said = f"[TRT] loaded{capsys.readouterr().out}[TRT] bye"
    monkeypatch.setattr(gpu_memory, "_CHILD", f"print({said!r})")
    found = IN_A_PROCESS(task)
    assert set(found) == {"memory", "gpu_memory", "answered"}
    assert found["gpu_memory"]["buffers"] == 32 * 4 * (samples.SIZE**2 + 7)
    monkeypatch.setattr(gpu_memory, "_CHILD", "print('nothing')")
    with pytest.raises(MissingRequirement, match="returned nothing"):
        IN_A_PROCESS(task)


def test_a_process_without_a_gpu_ends_with_one_line(made: bundle.Bundle) -> None:
    with pytest.raises(MissingRequirement) as error:
        gpu_memory.of_network(made, "fp32", "rtx", Options())
    assert "\n" not in str(error.value)
    assert "driver" in str(error.value)


def test_images_a_second_are_counted_by_batch(made: bundle.Bundle, card: list[str]) -> None:
    points = on("rtx", made, probes=probes.standard("throughput")).networks[0].throughput
    assert [(point.batch, point.threads) for point in points] == [(batch, 1) for batch in (1, 2, 4, 8, 16, 32)]
    assert all(point.images_per_second > 0 for point in points)


def test_power_is_read_while_the_network_runs_and_before(monkeypatch: pytest.MonkeyPatch) -> None:
    running = False

    def infer(batch: np.ndarray) -> np.ndarray:
        nonlocal running
        running = True
        return batch

    monkeypatch.setattr(energy, "_EVERY_SECONDS", 0.001)
    monkeypatch.setattr(energy, "_SETTLING_SECONDS", 0.01)
    monkeypatch.setattr(energy, "_AVERAGING_SECONDS", {})
    sensor = energy.sampled("INA3221", lambda: {"rail": 9.0 if running else 4.0})
    assert sensor is not None
    spent = energy.measure(infer, [np.zeros((1, 1, 2, 2), np.float32)], 0.3, sensor)
    assert spent is not None
    assert spent.rails["rail"].idle_watts == 4
    assert spent.rails["rail"].watts == 9
    assert spent.readings >= 5
    assert spent.sensor == "INA3221"
    assert energy.sampled("INA3221", dict) is None


def test_a_sensor_that_answers_too_seldom_gives_no_energy_and_a_note(
    made: bundle.Bundle, card: list[str], smi: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "_MIN_READINGS", 10**6)
    result = on("rtx", made, probes=None)
    assert [entry.energy for entry in result.networks] == [None]
    assert result.protocol.energy_seconds is None
    note = "energy of grey fp32 was not measured: nvidia-smi was not read often enough"
    assert note in result.warnings


def test_what_the_board_says_against_its_figures_is_a_note(
    made: bundle.Bundle, board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = "\n".join(on("jetson", made).warnings)
    assert "sudo jetson_clocks" in notes
    assert "power mode 15W: figures are for this mode; for the fastest: sudo nvpmodel -m 2" in notes
    assert "over-current" not in notes

    jetsons.lock_clocks(board)
    jetsons.write(board, {"var/lib/nvpmodel/status": "pmode:0002 fmode:cool\n"})
    real = jetson.describe
    states: list[object] = []

    def warmer() -> jetson.Jetson | None:
        """Afterwards it is 9 degrees warmer and has been throttled; the engine's path is requested first."""
        if len(states) == 2:
            files = {
                "sys/class/thermal/thermal_zone1/temp": "55906\n",
                "sys/class/hwmon/hwmon3/oc1_event_cnt": "3\n",
            }
            jetsons.write(board, files)
        states.append(1)
        return real()

    monkeypatch.setattr(jetson, "describe", warmer)
    notes = "\n".join(on("jetson", made).warnings)
    assert "jetson_clocks" not in notes
    assert "power mode" not in notes
    assert "warmed up by 9 degrees" in notes
    assert "over-current" in notes


def test_what_could_not_be_recorded_is_in_the_result(
    made: bundle.Bundle, board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuGraphInstantiateWithFlags")
    result = on("jetson", made)
    assert result.protocol.cuda_graphs is True
    assert [entry.cuda_graphs for entry in result.networks] == [False, False]


def test_an_rtx_gpu_runs_the_bundle_s_engine_where_it_fits_and_another_one_where_not(
    made: bundle.Bundle, card: list[str], smi: Callable[..., None], tmp_path: Path
) -> None:
    content = made.file("fp32").read_bytes()
    fields = {"network": "fp32", "runtime": "tensorrt_rtx", "version": trt.__version__, "max_batch": 32}
    added = bundle.add_engine(made, content, file="fp32.engine", compute=["87"], **fields)
    result = on("rtx", added, probes=None)
    assert [entry.network for entry in result.networks] == ["fp32"]
    assert card == []
    assert result.conditions.gpu_before == nvidia.GpuState(
        name="NVIDIA GeForce RTX 4060",
        driver="580.65.06",
        temperature=41,
        clock=2460,
        max_clock=3105,
        watts=22.31,
        max_watts=115,
        throttled=False,
    )
    assert "--id=0000:01:00.0" in (tmp_path / "bin" / "asked").read_text()  # the GPU that CUDA selected
    spent = result.networks[0].energy
    assert spent is not None
    assert spent.rails["power.draw"].watts == pytest.approx(22.31)
    assert (result.protocol.transfers, result.networks[0].runtime) == ("copied", f"TensorRT for RTX {trt.__version__}")
    for change in ({"compute": ["89"]}, {"compute": ["87"], "version": "1.0"}):
        other = bundle.add_engine(made, content, file="fp32.engine", **{**fields, **change})
        on("rtx", other)
    assert card == ["tensorrt_rtx"]  # built for the first, reused for the second


def test_a_gpu_that_holds_its_clock_down_is_noted(made: bundle.Bundle, smi: Callable[..., None]) -> None:
    smi("NVIDIA GeForce RTX 4060, 580.65.06, 87, 1200, 3105, [N/A], 115.00", "0x0000000000000020")
    result = on("rtx", made)
    assert "the GPU lowered its clock" in result.warnings[-1]
    assert result.conditions.gpu_after is not None
    assert result.conditions.gpu_after.watts is None


@pytest.mark.parametrize("said", ["", "No devices were found", "a, b", ",,,,,,,"])
def test_what_nvidia_smi_says_wrongly_is_left_out(smi: Callable[..., None], said: str) -> None:
    smi(said)
    assert nvidia.describe() is None


def test_without_a_gpu_it_is_one_line_or_with_fallback_the_cpu_and_the_result_says_so(
    made: bundle.Bundle, card: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "0")
    with pytest.raises(MissingRequirement, match="the NVIDIA driver found no GPU"):
        on("rtx", made)
    result = on("rtx", made, fallback=True)
    assert result.device == "cpu"
    assert [entry.network for entry in result.networks] == ["fp32", "int8-cpu"]
    assert result.networks[0].runtime.startswith("onnxruntime")
    assert result.warnings[0] == "measured on the CPU instead of rtx: the NVIDIA driver found no GPU"
    assert result.repeat.split()[3:5] == ["--device", "cpu"]


def test_memory_that_is_short_for_the_second_network_gives_back_what_the_first_one_took(
    made: bundle.Bundle, board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builder.load
    loaded: list[object] = []

    def load(content: bytes, runtime: builder.Runtime, dla: int | None) -> fake_gpu.Engine:
        engine: fake_gpu.Engine = real(content, runtime, dla)
        engine.memory = not loaded
        loaded.append(engine)
        return engine

    monkeypatch.setattr(builder, "load", load)
    with pytest.raises(MissingRequirement, match="not enough memory for the engine"):
        on("jetson", made)  # the fixture counts
    assert len(loaded) == 2


def test_a_dla_gets_the_fp16_network_and_layers_that_run_elsewhere_are_named(
    made: bundle.Bundle, board: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def build(content: bytes, runtime: str, compute: object, batch: int, workspace: int, dla: int, file: Path) -> Built:
        asked.append((batch, workspace, dla))
        return Built(content, trt.__version__, (), 0.1, ("head.Gemm",))

    monkeypatch.setattr(builder, "build", build)
    with pytest.raises(InputError, match="no FP16 network, which a DLA needs"):
        on("jetson", made, options=Options(dla=0))
    parts = {"fp16-tensorrt": bundle.NetworkFile("fp16.onnx", samples.network(), "fp16", "tensorrt"), **samples.parts()}
    whole = bundle.write(tmp_path / "whole", samples.description(), parts)
    result = on("jetson", whole, options=Options(dla=0, cuda_graphs=False))
    assert asked == [(1, 1 << 30, 0)]  # a DLA only takes one size, and FP16
    assert [entry.network for entry in result.networks] == ["fp16-tensorrt"]
    assert (result.protocol.dla, result.protocol.cuda_graphs) == (0, False)
    assert [entry.on_gpu for entry in result.networks] == [["head.Gemm"]]
    assert "grey fp16-tensorrt: the DLA cannot run head.Gemm: the GPU ran them" in result.warnings
    assert result.repeat.endswith("--no-cuda-graphs --dla 0")


def test_a_dla_that_takes_no_convolution_is_refused() -> None:
    kinds = trt.LayerType

    class Config:
        takes: tuple[object, ...] = (kinds.ACTIVATION,)

        def set_flag(self, flag: object) -> None:
            pass

        def can_run_on_DLA(self, layer: SimpleNamespace) -> bool:  # noqa: N802
            return layer.type in self.takes

    layers = [SimpleNamespace(name="conv", type=kinds.CONVOLUTION), SimpleNamespace(name="relu", type=kinds.ACTIVATION)]
    network = SimpleNamespace(num_layers=2, get_layer=layers.__getitem__)
    config = Config()
    with pytest.raises(InputError, match="none of the network's convolutions; omit --dla"):
        builder._use_dla(trt, SimpleNamespace(num_DLA_cores=1), network, config, 0)
    config.takes = (kinds.CONVOLUTION,)
    assert builder._use_dla(trt, SimpleNamespace(num_DLA_cores=1), network, config, 0) == ("relu",)


def test_engines_that_build_prepared_are_found_by_bench_and_by_load(
    made: bundle.Bundle, board: Path, card: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = CliRunner().invoke(app, ["build", str(made.path), "--device", "jetson", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert [each["network"] for each in said["engines"]] == ["fp32", "int8-tensorrt"]
    assert all(each["bytes"] > 0 for each in said["engines"])
    assert len(card) == 2
    on("jetson", made)
    edgefer.load(made.path, device="jetson").close()
    assert len(card) == 2
    refused = CliRunner().invoke(app, ["build", str(made.path), "--device", "cpu"])
    assert refused.exit_code == 2


def test_a_bench_on_a_board_without_data_says_first_that_only_latency_counts(
    made: bundle.Bundle, board: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EDGEFER_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_command, "_FACES", 14)
    done = CliRunner().invoke(app, ["bench", str(made.path), "--device", "jetson", "--seconds", "0.1"])
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[0].startswith("no FER2013 here: latency is measured on synthetic faces")


def test_tables_of_a_device_fit_80_columns(made: bundle.Bundle, board: Path) -> None:
    terminal = Console(width=80, highlight=False, record=True, file=io.StringIO())
    terminal.print(tables(on("jetson", made, probes=None)))
    text = terminal.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "NVIDIA Jetson Orin Nano Developer Kit, Fake GPU (SM 87); TensorRT" in text.replace("\n", " ")
    assert "VDD_IN" in text
    assert "deploy fp32" in text


def test_the_command_benches_on_a_device(
    made: bundle.Bundle, board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefer.data.find", lambda named: samples.dataset())
    out = tmp_path / "out"
    command = ["bench", str(made.path), "--device", "jetson", "--seconds", "0.1", "--out", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert BenchResult.model_validate_json((out / "result.json").read_text()).device == "jetson"
