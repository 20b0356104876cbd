"""The schema of a bench's `result.json`: everything that table and report show, and all that decides the figures."""

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
    percentile: float = Field(description="the highest one quoted; it decides the least number of samples")
    min_seconds: float
    max_seconds: float
    preprocessing_timed: Literal[False] = Field(False, description="of `latency`; `with_preprocessing` has it timed")
    with_preprocessing_seconds: float | None = Field(
        None, description="least time that each network is timed once more, from pixels on; null: it is not"
    )
    graph_optimization: Literal["all"] | None = Field("all", description="ONNX Runtime's; None on a GPU")
    clock: Literal["perf_counter_ns"] = "perf_counter_ns"
    views: Literal["one"] = Field(
        "one", description="of `quality` and all that is compared: one crop of each image, nothing averaged"
    )
    further_views: list[ViewProtocol] = Field(
        [], description="further protocols of accuracy, whose figures stand in `evaluations` alone"
    )
    memory: Literal["fresh process, batch 1"] | None = "fresh process, batch 1"
    arena: Literal["next power of two"] | None = Field(
        "next power of two",
        description="how ONNX Runtime's memory arena grows, from 1 MiB; what it has it keeps. None on a GPU",
    )
    transfers: Literal["none", "copied", "mapped"] = Field(
        "none", description="to and from a GPU, within the time: copied, or memory that CPU and GPU share"
    )
    cuda_graphs: bool | None = Field(None, description="asked for: each inference one CUDA graph; None on a CPU")
    waits: Literal["auto", "spin"] | None = Field(None, description="how a thread waits for a GPU; None on a CPU")
    tf32: bool | None = Field(None, description="whether FP32 may be computed in TF32, as TensorRT does by default")
    energy_seconds: float | None = Field(None, description="that each network runs alone, after half a second")
    dla: int | None = Field(None, description="number of the deep learning accelerator, None for the GPU")


class Conditions(Frozen):
    """The machine before and after the timing: what it was busy with, how warm, at which power and clocks."""

    load_before: float | None = Field(description="running processes, mean over the last minute")
    load_after: float | None
    stolen: float | None = Field(None, description="share of the time that the host took from this virtual machine")
    waited: float | None = Field(
        None, description="share of the time in which this program was ready to run and other ones ran instead (Linux)"
    )
    clock_before: float | None = Field(None, description="of the fastest core, which is the one that works, MHz")
    clock_after: float | None = None
    drift: float | None = Field(
        None, description="latency in the last quarter of the rounds over that in the first, median over the networks"
    )
    jetson_before: Jetson | None = None
    jetson_after: Jetson | None = None
    gpu_before: GpuState | None = None
    gpu_after: GpuState | None = None


class TestData(Frozen):
    """The images the accuracy is from."""

    name: str
    origin: str
    digest: str
    synthetic: bool
    split: str
    images: int
    leak_free_images: int | None = Field(description="images of the split without a copy in the training split")
    classes: tuple[str, ...]
    division: Division | None = Field(
        None, description="how edgefer took these images from training images; null: the source has the split"
    )


class FurtherData(TestData):
    """The images of a further data set."""

    title: str = Field(description="its name, unique in this result")
    shared_classes: tuple[str, ...] = Field(description="that network and data both know")


class GroupTable(Frozen):
    """The table that says which group each image of the first data set belongs to."""

    file: str
    key: str = Field(description="the column that names the images")
    columns: list[str]
    people: bool = Field(description="it is known who is in which image: intervals and tests are over people then")
    matched: int = Field(description="images with a row in the table")
    unmatched: int = Field(description="images without one")
    unused: int = Field(description="rows that name no image of the split")
    min_images: int = Field(description="of a group; smaller ones are named and not ranked")
    permutations: int = Field(description="of each test")
    resamples: int = Field(description="of each bootstrap")
    seed: int


class Training(Frozen):
    """How a bundle's FP32 network was trained, as its manifest says."""

    recipe: dict[str, Any] = Field(description="settings as they ran")
    initial_weights: dict[str, str] | None = Field(
        description="weights it began with; null: an older edgefer did not say"
    )
    epochs: int | None = Field(
        ge=1, description="in all, once every phase was over; null: it was not, or an older edgefer did not say"
    )
    best_epoch: int | None = Field(ge=1, description="the one whose weights these are")
    validation_images: int | None = Field(ge=1, description="of the split that the recipe selects on")
    validation_accuracy: float | None = Field(ge=0, le=1, description="on them, of the FP32 network")


class BundleEntry(Frozen):
    """One bundle of the bench."""

    title: str = Field(description="the bundle's name, unique in this result")
    path: str
    preprocessing: Preprocessing
    parameters: int
    macs: int | None = Field(description="multiply-accumulates of one image; null where they cannot be counted")
    trained_on: DataEntry
    training: Training | None = Field(None, description="null where the manifest does not say")


class Quality(Frozen):
    """How often a network is right on some images."""

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
    leak_free: Quality | None = Field(description="without images that stand in that data set's training images too")
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
        None, description="type of what is not quantized, where the runtime chooses one; None: that of the file"
    )
    on_gpu: list[str] = Field([], description="layers that a DLA was asked for and could not take")
    quality: Quality
    leak_free: Quality | None
    shared: Quality | None = Field(
        None, description="choosing among the classes that network and data share; null where that is all of them"
    )
    per_class: list[ClassRow]
    confusion: list[list[int]] = Field(description="rows: true class, columns: predicted class, images")
    latency: Latency = Field(description="milliseconds")
    quantiles: list[float] = Field(
        [], description="latency that 0, 1, ... 100 % of the samples stay below, ms; empty where not kept"
    )
    with_preprocessing: Latency | None = Field(
        None, description="milliseconds from an image's pixels in memory to its logits; null where that is not timed"
    )
    memory: Memory | None = Field(description="bytes")
    gpu_memory: GpuMemory | None = Field(None, description="bytes; None on a CPU")
    cold_start: ColdStart | None = Field(None, description="seconds from process start to first answer")
    throughput: list[Point] = Field([], description="by batch and threads; empty where not asked for")
    energy: Energy | None = Field(None, description="by power rail, the network alone; None without sensors")
    robustness: Robustness | None = Field(None, description="accuracy under corruptions; None where not asked for")
    evaluations: list[Evaluation] = Field(
        [], description="on further data sets and by further protocols; `quality` is the first data set's one crop"
    )
    groups: list[ColumnFigures] = Field([], description="by column of `Result.groups`; empty where not asked for")
    probes: dict[str, dict[str, float | None]] = Field(
        {}, description="what further probes measured, by their names; `Result.probes` says how to show it"
    )


class Recommendation(Frozen):
    """The network of a bundle to deploy on this device."""

    bundle: str
    network: str
    device: str
    reason: str


class Comparison(Frozen):
    """A network against the FP32 network of its bundle."""

    bundle: str
    network: str
    device: str = Field(description="of both")
    against: str
    latency: Interval = Field(description="ratio of medians, timed in turn, bootstrap over rounds")
    file_bytes: float = Field(description="ratio")
    accuracy: float = Field(description="difference, e.g. -0.003")
    agreement: float = Field(description="share of images that both predict alike")


class Probed(Frozen):
    """A probe whose figures stand in `NetworkEntry.probes`, and how they are shown."""

    name: str
    title: str
    how: str = Field(description="how it is measured")
    columns: list[Column]


class BenchResult(Frozen):
    """A bench: what was measured, on what, how, and what came out."""

    kind: Literal["edgefer bench"] = "edgefer bench"
    format: Literal[2] = FORMAT
    created: str = Field(description="UTC, ISO 8601")
    repeat: str = Field(description="the command that measures this again")
    host: str | None = Field(None, description="where it was measured, as named with --host; null: on this machine")
    device: str = Field(description="that was measured, as named with --device; the first of several")
    gpu: Gpu | None = Field(None, description="as its driver describes it")
    machine: Machine
    conditions: Conditions
    protocol: Protocol
    data: TestData
    further_data: list[FurtherData] = Field([], description="whose figures stand in `NetworkEntry.evaluations`")
    groups: GroupTable | None = Field(None, description="null where not asked for")
    bundles: list[BundleEntry]
    networks: list[NetworkEntry]
    comparisons: list[Comparison]
    recommendations: list[Recommendation] = Field([])
    mistakes: list[MistakenFace] = Field([], description="faces most often wrong, by their rows; no pixels")
    probes: list[Probed] = Field([], description="further probes that ran; what they found stands in `networks`")
    warnings: list[str]


def devices(result: BenchResult) -> list[str]:
    """Return the devices that networks of a result ran on, in order."""
    return list(dict.fromkeys([result.device, *(entry.device for entry in result.networks)]))
