"""What a review found, as it stands in ``run.json``. Pictures are on the page alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 2


@dataclass(frozen=True)
class Epoch:
    """A line of the training's log.

    Attributes:
        epoch: from 1.
        phase: the recipe's name of it.
        lr: learning rate of its last step.
        train_loss: mean over the steps, with all that the recipe adds: smoothing, weights, mixup, teachers.
        train_accuracy: of the steps' augmented images, 0 to 1, each with the weights of its moment; of a mix counts the
            label with the larger share. None in logs of an older edgefer.
        val_loss: plain cross-entropy, of the weights that are kept.
        val_accuracy: of those, 0 to 1.
        seconds: of training and validation.
    """

    epoch: int
    phase: str
    lr: float
    train_loss: float
    train_accuracy: float | None
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True)
class RunInfo:
    """Which run it is.

    Attributes:
        name: its folder's.
        recipe: all settings as they ran.
        data: name, digest and synthetic mark of what it was trained on.
        seed: of the training.
        initial_weights: those it began with; None where an older edgefer did not note it.
        precision: ``bf16`` or ``fp32``, as the steps ran.
        versions: of the packages that decide the result; empty before the first epoch is done.
        finished: False where phases are left to train; None where the folder does not say.
        epochs: done; None likewise.
        best_epoch: whose weights are kept, from 1; None before the first one is done.
        val_accuracy: of these weights when training validated them, 0 to 1.
    """

    name: str
    recipe: dict[str, Any]
    data: dict[str, Any]
    seed: int
    initial_weights: dict[str, str] | None
    precision: str
    versions: dict[str, str]
    finished: bool | None
    epochs: int | None
    best_epoch: int | None
    val_accuracy: float | None


@dataclass(frozen=True)
class ReviewedData:
    """What the review looked at.

    Attributes:
        name: of the data set.
        digest: its SHA-256.
        synthetic: True for the built-in faces.
        same: it is what the run was trained on.
        split: whose images the network was asked about.
    """

    name: str
    digest: str
    synthetic: bool
    same: bool
    split: str


@dataclass(frozen=True)
class ClassCount:
    """How many images of a class there are.

    Attributes:
        label: of the class.
        train: training images; None where the data have no such split.
        val: validation images; likewise.
        weight: of the class in the loss; None where the recipe weighs none, or the data are not the run's.
    """

    label: str
    train: int | None
    val: int | None
    weight: float | None


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one class; 0 where the quotient is 0 / 0.

    Attributes:
        label: of the class.
        images: of it in the split.
        precision: share of the images predicted as this class that are of it.
        recall: share of the images of this class that were predicted as it.
        f1: harmonic mean of the two.
    """

    label: str
    images: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Pair:
    """A class taken for another one.

    Attributes:
        label: the true class.
        predicted: the one it was taken for.
        images: how many.
        of: images of the true class.
        known: papers show this pair as a typical failure.
    """

    label: str
    predicted: str
    images: int
    of: int
    known: bool


@dataclass(frozen=True)
class ReviewedSplit:
    """What the best weights say of a split: one view of each image.

    Attributes:
        images: how many there were.
        accuracy: share of right answers.
        low: lower end of its 95 % interval (Wilson).
        high: upper end.
        macro_f1: mean F1 over the classes that occur.
        confusion: entry [t][p] counts images of class t that were predicted as p.
        per_class: in the order of the classes.
        pairs: those that papers show, and the most frequent ones of this run; the most images first.
    """

    images: int
    accuracy: float
    low: float
    high: float
    macro_f1: float
    confusion: list[list[int]]
    per_class: list[ClassFigures]
    pairs: list[Pair]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer.

    Attributes:
        row: of the face in the data set's source.
        label: the class that it has there.
        predicted: the class that the network gives it.
        confidence: probability of that, 0 to 1, at no temperature.
    """

    row: int
    label: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Maps:
    """Where a network looks, class by class: means over some of the images that it got right.

    Attributes:
        kind: ``grad-cam`` or ``attention``.
        layer: whose output was looked at.
        images: averaged, for each class; 0 where none was right.
        means: for each class (h, w) from 0 to 1. Grad-CAM: each image's map over its own largest value, then the mean.
            Attention: the mean over channels and images of what a place is multiplied with.
    """

    kind: str
    layer: str
    images: list[int]
    means: list[list[list[float]]]


@dataclass(frozen=True)
class NetworkPart:
    """A part of the network.

    Attributes:
        name: of its weights, up to where the parts differ.
        parameters: numbers in it.
        learning: for each phase, how many of them learn; the others are frozen.
    """

    name: str
    parameters: int
    learning: list[int]


@dataclass(frozen=True)
class ParameterCounts:
    """What learns and what is frozen.

    Attributes:
        phases: of the recipe.
        parts: from the input to the answer.
        total: numbers in all parts.
        learning: for each phase, how many of them learn.
        statistics: further numbers that are counted and not learned: BatchNorm's running means and variances.
    """

    phases: list[str]
    parts: list[NetworkPart]
    total: int
    learning: list[int]
    statistics: int


@dataclass(frozen=True)
class Review:
    """All of it.

    Attributes:
        created: when, ISO 8601, UTC.
        edgefer: version that made it.
        run: which run.
        data: what was looked at.
        classes: names, in their order.
        counts: images of each class.
        history: the log; empty where the folder has none.
        parameters: by part and phase.
        evaluation: of the best weights; None before the first epoch is done.
        maps: Grad-CAM and, for a network that has it, attention.
        mistakes: the surest ones; only where faces were asked for.
        format: of this file.
    """

    created: str
    edgefer: str
    run: RunInfo
    data: ReviewedData
    classes: list[str]
    counts: list[ClassCount]
    history: list[Epoch]
    parameters: ParameterCounts
    evaluation: ReviewedSplit | None
    maps: list[Maps]
    mistakes: list[Mistake] = field(default_factory=list)
    format: int = FORMAT

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as plain JSON values."""
        return asdict(self)
