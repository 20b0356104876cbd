"""The ledger's checks: conditions that a true claim satisfies. `edgefer.claims.findings` runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgefer.frozen import Frozen
from edgefer.labels import LABELS

Id = Annotated[str, Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$", max_length=80)]
Name = Annotated[  # an id, or one per class with `*` for the class
    str, Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*(\.\*\.[a-z0-9]+([.-][a-z0-9]+)*)?$", max_length=80)
]
Line = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\n\r]+$")]
Count = Annotated[int, Field(gt=0, le=10**9)]


class F1(Frozen):
    """The claim follows from precision and recall."""

    kind: Literal["f1"]
    precision: Id
    recall: Id


class MeanCheck(Frozen):
    """The claim is the mean of other claims (a macro average)."""

    kind: Literal["mean"]
    of: Name


class Weighted(Frozen):
    """The claim is the mean of other claims, weighted by the images per class."""

    kind: Literal["weighted"]
    of: Name
    supports: Name


class AccuracyCheck(Frozen):
    """The claim follows from recalls and supports."""

    kind: Literal["accuracy"]
    recalls: Name
    supports: Name


class Predictions(Frozen):
    """The claim's precisions and recalls imply one prediction per image."""

    kind: Literal["predictions"]
    precisions: Name
    recalls: Name
    supports: Name


class MicroPrecision(Frozen):
    """The claim is all hits over all predictions."""

    kind: Literal["micro-precision"]
    precisions: Name
    recalls: Name
    supports: Name


class Sum(Frozen):
    """The claim is the sum of other claims."""

    kind: Literal["sum"]
    of: tuple[Name, ...] = Field(min_length=1)


class PartCheck(Frozen):
    """The claim and the others add up to `whole`."""

    kind: Literal["part"]
    whole: Id
    others: tuple[Id, ...] = Field(min_length=1)


class Agrees(Frozen):
    """The claim repeats another one."""

    kind: Literal["agrees"]
    other: Id


class Attainable(Frozen):
    """The claim is k out of n images for a whole k; one n is enough."""

    kind: Literal["attainable"]
    images: tuple[Count, ...] = ()
    support: Id | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Attainable:
        if bool(self.images) == bool(self.support):
            raise ValueError("give images or support")
        return self


class Least(Frozen):
    """The claim is the minimum of other claims."""

    kind: Literal["least"]
    of: Name


class Ratio(Frozen):
    """The claim is the ratio of two others."""

    kind: Literal["ratio"]
    over: Id
    under: Id


class Reduction(Frozen):
    """The claim is the relative reduction from one claim to another."""

    kind: Literal["reduction"]
    before: Id
    after: Id


class Bytes(Frozen):
    """The claim is the size of this many numbers."""

    kind: Literal["bytes"]
    of: Id
    each: Literal[1, 2, 4, 8] = 4
    wide: int = Field(0, ge=0, description="how many of them may have 8 bytes, like Keras's int64 counter")


class ImagesCheck(Frozen):
    """The claim counts FER2013 images; one split is enough if the document doesn't name it."""

    kind: Literal["images"]
    what: Literal["all", "class", "mean-of-others", "classes", "side"]
    labels: tuple[Literal["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"], ...] = ()
    splits: tuple[Literal["all", "train", "val", "test", "public+private"], ...] = Field(("all",), min_length=1)

    @model_validator(mode="after")
    def _labels_where_needed(self) -> ImagesCheck:
        if self.what in ("class", "mean-of-others") and not 0 < len(set(self.labels)) < len(LABELS):
            raise ValueError("name labels, not all of them")
        return self


class Head(Frozen):
    """Layers after a network's features, by their channels."""

    convolution: tuple[Count, Count] | None = Field(None, description="1 x 1, with bias: inputs, outputs")
    norm: Count | None = Field(None, description="BatchNorm")
    dense: tuple[Count, ...] = Field((), description="inputs, hidden units, outputs; with bias")


class TimmNetwork(Frozen):
    """A timm network."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    title: Line
    classes: int = Field(ge=0, description="0 without a classifier")
    count: Literal["trained", "measured", "both"] = Field(
        "trained", description="trainable parameters, BatchNorm means and variances, or both, like Keras's total"
    )
    keras_inputs: bool = Field(
        False, description="7 more: Keras keeps mean and variance of the three channels, and a counter"
    )
    head: Head | None = None


class ParameterCheck(Frozen):
    """The claim is the parameter count of each of these networks."""

    kind: Literal["parameters"]
    networks: tuple[TimmNetwork, ...] = Field(min_length=1)
    explained: tuple[TimmNetwork, ...] = Field((), description="possible origins of the figure, if it is not theirs")
    fitted: bool = Field(
        False,
        description="their layers were searched to match the figure; this explains it, and decides nothing",
    )


class ParameterRatio(Frozen):
    """The claim is the ratio of two networks' parameter counts."""

    kind: Literal["parameter-ratio"]
    over: TimmNetwork
    under: TimmNetwork


class Input(Frozen):
    """The claim is a network's input size."""

    kind: Literal["input"]
    network: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


Check = Annotated[
    F1
    | MeanCheck
    | Weighted
    | AccuracyCheck
    | Predictions
    | MicroPrecision
    | Sum
    | PartCheck
    | Agrees
    | Attainable
    | Least
    | Ratio
    | Reduction
    | Bytes
    | ImagesCheck
    | ParameterCheck
    | ParameterRatio
    | Input,
    Field(discriminator="kind"),
]


# Fields of checks that name claims. In ParameterRatio, `over` and `under` are networks.
_NAMES: tuple[str, ...] = (
    "of",
    "precision",
    "precisions",
    "recall",
    "recalls",
    "supports",
    "support",
    "other",
    "others",
    "whole",
)
_NAMES += ("over", "under", "before", "after")


def names(check: Check) -> Sequence[str]:
    """Return the names of the claims that a check reads."""
    found: list[str] = []
    for field in _NAMES:
        value = getattr(check, field, None)
        found += value if isinstance(value, tuple) else [value] if isinstance(value, str) else []
    return found
