"""A bundle's description: `manifest.json`, read and written through this schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from edgefer.frozen import Frozen
from edgefer.preprocessing import Preprocessing

FORMAT: Literal[4] = 4

Precision = Literal["fp32", "fp16", "int8"]

_FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"  # no separators and no leading dot: the name stays inside the folder
_DIGEST = r"^[0-9a-f]{64}$"


def _printable(text: str) -> str:
    """Refuse escape sequences and line breaks, which could affect a terminal or a page."""
    if not text.isprintable():
        raise ValueError("must be printable")
    return text


Shown = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
# ``any`` for a plain network; else a target of `edgefer.backends`. Unknown targets are ignored.
Target = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,29}$")]
NetworkName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,49}$")]


class Network(Frozen):
    """One file of the bundle: the network in one precision for one target."""

    file: str = Field(pattern=_FILE_NAME, description="name inside the bundle's folder")
    sha256: str = Field(pattern=_DIGEST)
    bytes: int = Field(gt=0)
    precision: Precision
    target: Target


class Engine(Frozen):
    """An engine built ahead of time, for GPUs of some compute capabilities. Its sidecar repeats this."""

    file: str = Field(pattern=_FILE_NAME, description="name inside the bundle's folder; raw engine bytes")
    sha256: str = Field(pattern=_DIGEST)
    bytes: int = Field(gt=0)
    network: NetworkName = Field(description="key of `networks`: the source graph")
    graph_sha256: str = Field(pattern=_DIGEST, description="SHA-256 of the source graph's file")
    runtime: Literal["tensorrt_rtx"]
    version: Shown = Field(description="version of the runtime that built it, the only one that can read it")
    compute: list[Shown] = Field(min_length=1, description="compute capabilities: 86, 89, 120")
    max_batch: int = Field(gt=0, description="largest batch; fastest at 1")


class Score(Frozen):
    """Accuracy of one network on one named split, measured when the bundle was made."""

    network: NetworkName = Field(description="key of `networks`")
    split: str = Field(description="`val`, the gate's split; never a test split")
    images: int = Field(gt=0)
    accuracy: float = Field(ge=0, le=1)
    macro_f1: float = Field(ge=0, le=1)


class AnswerChange(Frozen):
    """Differences of one INT8 network from FP32, by image, on the split of `scores`."""

    network: NetworkName = Field(description="key of `networks`")
    accuracy: float = Field(ge=-1, le=1, description="INT8's accuracy minus FP32's")
    low: float = Field(ge=-1, le=1, description="lower end of its paired 95 % interval")
    high: float = Field(ge=-1, le=1)
    gained: int = Field(ge=0, description="images that only INT8 gets right")
    lost: int = Field(ge=0, description="images that only FP32 gets right")
    p_value: float = Field(ge=0, le=1, description="McNemar's exact test, two-sided")
    macro_f1: float = Field(ge=-1, le=1, description="INT8's macro F1 minus FP32's")
    recall: list[float | None] = Field(description="the same for each class's recall; null: no images of that class")
    agreement: float = Field(ge=0, le=1, description="share of images with the same prediction")
    runtime: str = Field(description="what ran it; ONNX Runtime also stands in for TensorRT")


class SlowReason(Frozen):
    """One reason why INT8 is not faster, and where."""

    reason: str
    remedy: str = Field(description="suggested remedy")
    macs: float | None = Field(
        ge=0,
        le=1,
        description="share of the network's multiply-accumulates in these nodes; null: unknown",
    )
    nodes: list[str] = Field(description="names in the INT8 file")


class Speed(Frozen):
    """Latency of INT8 for CPUs and FP32, batch 1, timed in turn on the machine that made the bundle."""

    network: NetworkName = Field(description="key of `networks`")
    cpu: str
    fast_int8: bool = Field(description="whether the CPU has VNNI or, on ARM, dot products")
    threads: int = Field(gt=0)
    samples: int = Field(gt=0, description="timed inferences per network")
    fp32_ms: float = Field(gt=0, description="median")
    int8_ms: float = Field(gt=0)
    ratio: float = Field(gt=0, description="INT8's median over FP32's")
    low: float = Field(gt=0, description="lower end of its 95 % interval")
    high: float = Field(gt=0)
    slow: list[SlowReason] = Field(description="why INT8 is not faster; empty if it is")

    @property
    def faster(self) -> bool:
        """Whether INT8 is faster than FP32 beyond the noise."""
        return self.high < 1


class Confidence(Frozen):
    """Calibration of the network's confidence: probabilities are softmax(logits / temperature).

    Guo et al., "On calibration of modern neural networks", ICML 2017: one temperature that minimizes cross-entropy.
    """

    network: NetworkName = Field(description="key of `networks`; the others use its temperature")
    split: str = Field(description="`val`: used to fit the temperature and to measure the errors")
    images: int = Field(gt=0)
    temperature: float = Field(ge=0.01, le=100)
    error_before: float = Field(ge=0, le=1, description="expected calibration error, 15 bins, at temperature 1")
    error_after: float = Field(ge=0, le=1)


class Calibration(Frozen):
    """Which images the activation ranges come from: rows of the training split, never of an evaluation split."""

    scheme: str = Field(description="file name in calibration/, without .toml")
    seed: int
    rows: list[int] = Field(description="rows of the source file, sorted")
    digest: str = Field(description="SHA-256 of these images' pixels, in that order")


class DivisionEntry(Frozen):
    """How edgefer took splits from the data set's training images."""

    by: Literal["person", "sequence", "picture"] = Field(description="what is kept within one split")
    rule: Shown = Field(description="how groups were found; for `picture`, why there are none")
    groups: int = Field(ge=0, description="of the pictures divided")
    cut: int = Field(ge=0, description="pictures in groups that were too large and were split")
    carved: list[Literal["val", "test"]] = Field(description="the splits made by edgefer")
    splits: Annotated[str, Field(max_length=400_000)] | None = Field(
        None, description="split of each picture (0 train, 1 val, 2 test): two bits each, zlib, base64"
    )


class NamingEntry(Frozen):
    """How the data set's labels were changed after it was read."""

    source: str = Field(pattern=_DIGEST, description="digest of the data set as it was read")
    pairs: Annotated[list[tuple[Shown, Annotated[str, Field(max_length=64)]]], Field(max_length=100)] = Field(
        [], description="new name of each label; empty: its images are dropped"
    )
    votes: str = Field("", pattern=r"^([0-9a-f]{64})?$", description="SHA-256 of the FER+ votes that give the labels")


class DataEntry(Frozen):
    """The data set the network was trained on."""

    name: Shown
    digest: str = Field(pattern=_DIGEST)
    synthetic: bool
    pictures: str = Field("", pattern=r"^([0-9a-f]{64})?$", description="SHA-256 of the pixels only, if known")
    division: DivisionEntry | None = Field(None, description="null: the source has its own splits")
    naming: NamingEntry | None = Field(None, description="null: the source's labels")


class Description(Frozen):
    """A manifest without its list of files: what is known before a file is written."""

    format: Literal[4] = FORMAT
    name: str = Field(pattern=_FILE_NAME, description="the network's name, e.g. compact; used for folders and reports")
    labels: tuple[str, ...] = Field(min_length=2, description="class names, in the order of the outputs")
    preprocessing: Preprocessing
    parameters: int = Field(
        ge=0, description="trained parameters of the FP32 network: weights, biases, BN scale and shift"
    )
    macs: int | None = Field(ge=0, description="multiply-accumulates per image; null: a shape is unknown")
    data: DataEntry
    calibration: Calibration | None
    scores: list[Score]
    agreement: float | None = Field(
        None, ge=0, le=1, description="share of the split with the same INT8 and FP32 prediction"
    )
    changes: list[AnswerChange] = Field([], description="each INT8 network against FP32")
    speed: Speed | None = Field(None, description="measured by `edgefer compress`; `edgefer bench` measures more")
    confidence: Confidence | None = Field(None, description="fitted by `edgefer compress`")
    recipe: dict[str, Any] = Field(description="the recipe of the checkpoint, with the settings used")
    compression: dict[str, Any] = Field(description="how INT8 was made: epochs, steps, seeds, quantizer counts")
    versions: dict[str, str]
    created: str = Field(description="UTC, ISO 8601")

    @property
    def temperature(self) -> float:
        """Temperature: divides the logits before softmax."""
        return self.confidence.temperature if self.confidence else 1.0

    @property
    def protocol(self) -> Literal["official", "stratified"]:
        """How the recipe split the training data, and so which images selected the network."""
        protocol: Literal["official", "stratified"] = self._divided().get("split", "official")
        return protocol

    @property
    def classes_chosen(self) -> bool:
        """Whether the recipe dropped images of some classes."""
        return bool(self._divided().get("classes"))

    def _divided(self) -> dict[str, Any]:
        return self.recipe.get("data") or {}

    @field_validator("recipe")
    @classmethod
    def _recipe_says_how_data_were_divided(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        """The rest of a recipe is only shown; this part tells on which images accuracy would be too high."""
        divided = recipe.get("data") or {}
        if not isinstance(divided, dict) or divided.get("split", "official") not in ("official", "stratified"):
            raise ValueError("its data.split must be official or stratified")
        return recipe

    @field_validator("labels")
    @classmethod
    def _labels_can_be_shown(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Labels are printed to terminals: escape sequences, line breaks and duplicates are refused."""
        if len(set(labels)) != len(labels):
            raise ValueError("two labels are equal")
        if not all(label.isprintable() and 0 < len(label) <= 64 for label in labels):
            raise ValueError("a label must be 1 to 64 printable characters")
        return labels


class Manifest(Description):
    """Everything needed to run the networks on a device, and to reproduce them."""

    networks: dict[NetworkName, Network] = Field(min_length=1, description="by name: fp32, int8-cpu, int8-tensorrt")
    engines: list[Engine] = Field([], description="engines added by `edgefer build`")

    def description(self) -> Description:
        """Return everything but the list of files, for `bundle.write`."""
        return Description(**{name: getattr(self, name) for name in Description.model_fields if name != "format"})
