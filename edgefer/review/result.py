"""The schema of ``run.json``. Images are only in the HTML page."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 2


@dataclass(frozen=True)
class Epoch:
    """One epoch of the training log.

    Attributes:
        epoch: from 1.
        phase: its name in the recipe.
        lr: learning rate of the last step.
        train_loss: mean over the steps, including smoothing, class weights, mixup and teachers.
        train_accuracy: on the augmented images of each step, 0 to 1, with the weights at that step. A mixed image
            counts for the label with the larger share. None in older logs.
        val_loss: plain cross-entropy of the weights that are kept.
        val_accuracy: of the same weights, 0 to 1.
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
    """The training run.

    Attributes:
        name: of its folder.
        recipe: all settings used.
        data: name, digest and synthetic mark of the training data.
        seed: of the training.
        initial_weights: None if an older edgefer did not record them.
        precision: ``bf16`` or ``fp32``.
        versions: of the packages that affect the result; empty before the first epoch is done.
        finished: False if phases remain; None if unknown.
        epochs: completed; None if unknown.
        best_epoch: the epoch whose weights are kept, from 1; None before the first one is done.
        val_accuracy: of these weights as validated in training, 0 to 1.
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
    """The data that the review used.

    Attributes:
        name: of the data set.
        digest: SHA-256 of the data set.
        synthetic: True for the built-in faces.
        same: whether the run was trained on it.
        split: the split that was evaluated.
    """

    name: str
    digest: str
    synthetic: bool
    same: bool
    split: str


@dataclass(frozen=True)
class ClassCount:
    """Number of images in a class.

    Attributes:
        label: class name.
        train: training images; None if there is no training split.
        val: validation images; None if there is no validation split.
        weight: of the class in the loss; None without class weights or with other data.
    """

    label: str
    train: int | None
    val: int | None
    weight: float | None


@dataclass(frozen=True)
class ClassFigures:
    """Metrics of one class; 0 for 0 / 0.

    Attributes:
        label: class name.
        images: number in the split.
        precision: share of images predicted as this class that belong to it.
        recall: share of images of this class that were predicted as it.
        f1: harmonic mean of the two.
    """

    label: str
    images: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Pair:
    """A confused pair of classes.

    Attributes:
        label: the true class.
        predicted: the predicted class.
        images: number of such mistakes.
        of: images of the true class.
        known: whether papers show this pair as a typical failure.
    """

    label: str
    predicted: str
    images: int
    of: int
    known: bool


@dataclass(frozen=True)
class ReviewedSplit:
    """Evaluation of the best weights on a split, one view per image.

    Attributes:
        images: number of images.
        accuracy: share of correct predictions.
        low: lower bound of its 95 % interval (Wilson).
        high: upper bound.
        macro_f1: mean F1 over the classes that occur.
        confusion: entry [t][p] counts images of class t that were predicted as p.
        per_class: in the order of the classes.
        pairs: those that papers show and the most frequent ones of this run, sorted by frequency.
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
    """A wrong prediction.

    Attributes:
        row: of the image in the data set's source.
        label: its class in the data set.
        predicted: the network's class.
        confidence: probability of that class, 0 to 1, without temperature scaling.
    """

    row: int
    label: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Maps:
    """Mean maps per class over some correctly classified images.

    Attributes:
        kind: ``grad-cam`` or ``attention``.
        layer: the layer whose output is mapped.
        images: number averaged per class; 0 if none was correct.
        means: per class (h, w) from 0 to 1. Grad-CAM: each map divided by its maximum, then averaged.
            Attention: the mean attention weight over channels and images.
    """

    kind: str
    layer: str
    images: list[int]
    means: list[list[list[float]]]


@dataclass(frozen=True)
class NetworkPart:
    """A part of the network.

    Attributes:
        name: common prefix of its weights.
        parameters: their number.
        learning: number of trainable parameters in each phase.
    """

    name: str
    parameters: int
    learning: list[int]


@dataclass(frozen=True)
class ParameterCounts:
    """Trainable and frozen parameters.

    Attributes:
        phases: of the recipe.
        parts: from input to output.
        total: number of parameters in all parts.
        learning: number of trainable parameters in each phase.
        statistics: parameters that are counted but not trained: BatchNorm's running means and variances.
    """

    phases: list[str]
    parts: list[NetworkPart]
    total: int
    learning: list[int]
    statistics: int


@dataclass(frozen=True)
class Review:
    """A review.

    Attributes:
        created: ISO 8601, UTC.
        edgefer: version that wrote it.
        run: the training run.
        data: the data that was used.
        classes: class names in order.
        counts: images of each class.
        history: the log; empty if the folder has none.
        parameters: by part and phase.
        evaluation: of the best weights; None before the first epoch is done.
        maps: Grad-CAM and, if the network has it, attention.
        mistakes: the most confident ones; only if faces were requested.
        format: format version of this file.
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
