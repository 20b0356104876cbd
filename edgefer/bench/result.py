"""The schema of a bench's `result.json`: everything shown, and everything that affects the figures."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from edgefer.bench.probes.base import Column
from edgefer.bench.probes.cold_start import ColdStart
from edgefer.bench.probes.energy import Energy
from edgefer.bench.probes.gpu_memory import GpuMemory
from edgefer.bench.probes.memory import Memory
from edgefer.bench.probes.mistakes import MistakenFace
from edgefer.bench.probes.robustness import Robustness
from edgefer.bench.probes.throughput import Point
from edgefer.bundle.manifest import DataEntry, Precision, Target
from edgefer.data.dataset import Division
from edgefer.devices.gpu import Gpu
from edgefer.devices.jetson import Jetson
from edgefer.devices.machine import Machine
from edgefer.devices.nvidia import GpuState
from edgefer.evaluation.by_group import ColumnFigures
from edgefer.evaluation.timing import Interval, Latency
from edgefer.evaluation.views import ViewProtocol
from edgefer.frozen import Frozen
from edgefer.preprocessing import Preprocessing

FORMAT: Literal[2] = 2


class Protocol(Frozen):
    """How the figures were measured. Results of different protocols must not be compared."""

    load: Literal["single stream"] = "single stream"
    batch: Literal[1] = 1
    threads: int
    warmup_seconds: float
    untimed_per_turn: int
    timed_per_turn: int
    percentile: float = Field(description="highest percentile reported; sets the minimum number of samples")
    min_seconds: float
    max_seconds: float
    preprocessing_timed: Literal[False] = Field(
        False, description="excluded from `latency`; `with_preprocessing` includes it"
    )
    with_preprocessing_seconds: float | None = Field(
        None, description="minimum time for which each network is timed again with preprocessing; null: not timed"
    )
    graph_optimization: Literal["all"] | None = Field("all", description="ONNX Runtime's; None on a GPU")
    clock: Literal["perf_counter_ns"] = "perf_counter_ns"
    views: Literal["one"] = Field(
        "one", description="for `quality` and all comparisons: one crop of each image, nothing averaged"
    )
    further_views: list[ViewProtocol] = Field(
        [], description="further accuracy protocols; their figures are in `evaluations`"
    )
    memory: Literal["fresh process, batch 1"] | None = "fresh process, batch 1"
    arena: Literal["next power of two"] | None = Field(
        "next power of two",
        description="how ONNX Runtime's memory arena grows, from 1 MiB, without shrinking. None on a GPU",
    )
    transfers: Literal["none", "copied", "mapped"] = Field(
        "none", description="to and from a GPU, included in the latency: copied, or memory that CPU and GPU share"
    )
    cuda_graphs: bool | None = Field(None, description="requested: one CUDA graph per inference; None on a CPU")
    waits: Literal["auto", "spin"] | None = Field(None, description="how a thread waits for a GPU; None on a CPU")
    tf32: bool | None = Field(None, description="whether FP32 may run in TF32, TensorRT's default")
    energy_seconds: float | None = Field(None, description="each network runs alone for this long, after half a second")
    dla: int | None = Field(None, description="number of the deep learning accelerator, None for the GPU")


class Conditions(Frozen):
    """The machine before and after the timing: load, temperature, power and clocks."""

    load_before: float | None = Field(description="running processes, mean over the last minute")
    load_after: float | None
    stolen: float | None = Field(None, description="share of the time taken by the host from this virtual machine")
    waited: float | None = Field(
        None, description="share of the time in which this program was ready but others ran (Linux)"
    )
    clock_before: float | None = Field(None, description="of the fastest core, MHz")
    clock_after: float | None = None
    drift: float | None = Field(
        None, description="latency in the last quarter of the rounds over that in the first, median over the networks"
    )
    jetson_before: Jetson | None = None
    jetson_after: Jetson | None = None
    gpu_before: GpuState | None = None
    gpu_after: GpuState | None = None


class TestData(Frozen):
    """The images used for accuracy."""

    name: str
    origin: str
    digest: str
    synthetic: bool
    split: str
    images: int
    leak_free_images: int | None = Field(description="images of the split without a copy in the training split")
    classes: tuple[str, ...]
    division: Division | None = Field(
        None, description="how edgefer split these images off the training images; null: the source has the split"
    )


class FurtherData(TestData):
    """The images of a further data set."""

    title: str = Field(description="its name, unique in this result")
    shared_classes: tuple[str, ...] = Field(description="shared by network and data")


class GroupTable(Frozen):
    """The table with the group of each image of the first data set."""

    file: str
    key: str = Field(description="the column with the images' names")
    columns: list[str]
    people: bool = Field(description="people are known: intervals and tests are over people")
    matched: int = Field(description="images with a row")
    unmatched: int = Field(description="images without one")
    unused: int = Field(description="rows without an image in the split")
    min_images: int = Field(description="of a group; smaller ones are listed but not ranked")
    permutations: int = Field(description="of each test")
    resamples: int = Field(description="of each bootstrap")
    seed: int


class Training(Frozen):
    """How a bundle's FP32 network was trained, from its manifest."""

    recipe: dict[str, Any] = Field(description="settings as they ran")
    initial_weights: dict[str, str] | None = Field(
        description="initial weights; null: not recorded by an older edgefer"
    )
    epochs: int | None = Field(
        ge=1, description="in total, after all phases; null: unfinished, or not recorded by an older edgefer"
    )
    best_epoch: int | None = Field(ge=1, description="epoch of these weights")
    validation_images: int | None = Field(ge=1, description="of the recipe's validation split")
    validation_accuracy: float | None = Field(ge=0, le=1, description="of the FP32 network on that split")


class BundleEntry(Frozen):
    """One bundle of the bench."""

    title: str = Field(description="the bundle's name, unique in this result")
    path: str
    preprocessing: Preprocessing
    parameters: int
    macs: int | None = Field(description="multiply-accumulates per image; null: unknown")
    trained_on: DataEntry
    training: Training | None = Field(None, description="null: not in the manifest")


class Quality(Frozen):
    """Quality of a network on some images."""

    images: int
    accuracy: float
    low: float = Field(description="95 % interval of the accuracy (Wilson)")
    high: float
    macro_f1: float
    weighted_f1: float
    calibration_error: float = Field(description="expected calibration error, 15 bins, at the bundle's temperature")


class ClassRow(Frozen):
    """One class of one network."""

    label: str
    images: int
    precision: float
    recall: float
    f1: float


class Evaluation(Frozen):
    """A network's accuracy on some images by some protocol."""

    data: str = Field(description="name of the first data set, or title of a further one")
    protocol: ViewProtocol
    quality: Quality
    leak_free: Quality | None = Field(description="without images that also occur in that data set's training images")
    shared: Quality | None = Field(description="as in `NetworkEntry`")
    per_class: list[ClassRow]
    confusion: list[list[int]] = Field(description="rows: true class, columns: predicted class, images")


class NetworkEntry(Frozen):
    """One network of a bundle, measured."""

    bundle: str = Field(description="title of its bundle")
    network: str
    precision: Precision
    target: Target
    device: str = Field(description="as named with --device")
    runtime: str
    sha256: str
    file_bytes: int
    engine_bytes: int | None = Field(None, description="of what runs on a GPU")
    cuda_graphs: bool | None = Field(None, description="whether its inferences were CUDA graphs; None on a CPU")
    computed_in: Literal["fp32", "bf16", "fp16"] | None = Field(
        None, description="type of what is not quantized, if the runtime chooses it; None: as in the file"
    )
    on_gpu: list[str] = Field([], description="layers that the DLA could not run")
    quality: Quality
    leak_free: Quality | None
    shared: Quality | None = Field(
        None, description="choosing among the classes shared by network and data; null: all are shared"
    )
    per_class: list[ClassRow]
    confusion: list[list[int]] = Field(description="rows: true class, columns: predicted class, images")
    latency: Latency = Field(description="milliseconds")
    quantiles: list[float] = Field([], description="latency percentiles 0, 1, ... 100, ms; empty: not recorded")
    with_preprocessing: Latency | None = Field(
        None, description="milliseconds from an image's pixels in memory to its logits; null: not timed"
    )
    memory: Memory | None = Field(description="bytes")
    gpu_memory: GpuMemory | None = Field(None, description="bytes; None on a CPU")
    cold_start: ColdStart | None = Field(None, description="seconds from process start to first prediction")
    throughput: list[Point] = Field([], description="by batch and threads; empty: not requested")
    energy: Energy | None = Field(None, description="by power rail, for the network only; None without sensors")
    robustness: Robustness | None = Field(None, description="accuracy under corruptions; None: not requested")
    evaluations: list[Evaluation] = Field(
        [], description="on further data sets and by further protocols; `quality` is one crop of the first data set"
    )
    groups: list[ColumnFigures] = Field([], description="by column of `Result.groups`; empty: not requested")
    probes: dict[str, dict[str, float | None]] = Field(
        {}, description="figures of further probes, by name; `Result.probes` says how to show them"
    )


class Recommendation(Frozen):
    """The network of a bundle to deploy on this device."""

    bundle: str
    network: str
    device: str
    reason: str


class Comparison(Frozen):
    """A network compared with the FP32 network of its bundle."""

    bundle: str
    network: str
    device: str = Field(description="of both")
    against: str
    latency: Interval = Field(description="ratio of medians, timed in turn, bootstrap over rounds")
    file_bytes: float = Field(description="ratio")
    accuracy: float = Field(description="difference, e.g. -0.003")
    agreement: float = Field(description="share of images with the same prediction")


class Probed(Frozen):
    """A probe with figures in `NetworkEntry.probes`, and how they are shown."""

    name: str
    title: str
    how: str = Field(description="how it is measured")
    columns: list[Column]


class BenchResult(Frozen):
    """A bench: inputs, protocol and results."""

    kind: Literal["edgefer bench"] = "edgefer bench"
    format: Literal[2] = FORMAT
    created: str = Field(description="UTC, ISO 8601")
    repeat: str = Field(description="the command to repeat this")
    host: str | None = Field(None, description="machine given with --host; null: this machine")
    device: str = Field(description="device given with --device; the first of several")
    gpu: Gpu | None = Field(None, description="as reported by its driver")
    machine: Machine
    conditions: Conditions
    protocol: Protocol
    data: TestData
    further_data: list[FurtherData] = Field([], description="with figures in `NetworkEntry.evaluations`")
    groups: GroupTable | None = Field(None, description="null: not requested")
    bundles: list[BundleEntry]
    networks: list[NetworkEntry]
    comparisons: list[Comparison]
    recommendations: list[Recommendation] = Field([])
    mistakes: list[MistakenFace] = Field([], description="rows of the faces most often misclassified; no pixels")
    probes: list[Probed] = Field([], description="further probes that ran; their figures are in `networks`")
    warnings: list[str]


def devices(result: BenchResult) -> list[str]:
    """Return the devices of a result's networks, in order."""
    return list(dict.fromkeys([result.device, *(entry.device for entry in result.networks)]))
