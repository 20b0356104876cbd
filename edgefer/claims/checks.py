"""The checks that the ledger may name: what must be so if a claim is true. `edgefer.claims.findings` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgefer.frozen import Frozen
from edgefer.labels import LABELS

Id = Annotated[str, Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$", max_length=80)]
Name = Annotated[  # an id, or one for each class, which `*` stands for
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
    """The claim is the mean of other claims: a macro average."""

    kind: Literal["mean"]
    of: Name


class Weighted(Frozen):
    """The claim is the mean of other claims, each weighted by its class's images."""

    kind: Literal["weighted"]
    of: Name
    supports: Name


class AccuracyCheck(Frozen):
    """The claim follows from recalls and supports."""

    kind: Literal["accuracy"]
    recalls: Name
    supports: Name


class Predictions(Frozen):
    """The precisions and recalls around the claim take one prediction for each image."""

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
    """The claim and others add up to one."""

    kind: Literal["part"]
    whole: Id
    others: tuple[Id, ...] = Field(min_length=1)


class Agrees(Frozen):
    """The claim is another one, in another place."""

    kind: Literal["agrees"]
    other: Id


class Attainable(Frozen):
    """The claim is a share of a whole number of images; one of the numbers is enough."""

    kind: Literal["attainable"]
    images: tuple[Count, ...] = ()
    support: Id | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Attainable:
        if bool(self.images) == bool(self.support):
            raise ValueError("give images or support")
        return self


class Least(Frozen):
    """The claim is the least of some."""

    kind: Literal["least"]
    of: Name


class Ratio(Frozen):
    """The claim is the quotient of two others."""

    kind: Literal["ratio"]
    over: Id
    under: Id


class Reduction(Frozen):
    """The claim is by how much one other is less than the one before."""

    kind: Literal["reduction"]
    before: Id
    after: Id


class Bytes(Frozen):
    """The claim is the size of so many numbers."""

    kind: Literal["bytes"]
    of: Id
    each: Literal[1, 2, 4, 8] = 4
    wide: int = Field(0, ge=0, description="of them so many may have 8 bytes: a counter that Keras keeps as int64")


class ImagesCheck(Frozen):
    """The claim counts FER2013; one of the splits is enough, where the document does not say which it means."""

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
    """Layers behind a network's features, by the numbers of their channels."""

    convolution: tuple[Count, Count] | None = Field(None, description="1 x 1, with bias: inputs, outputs")
    norm: Count | None = Field(None, description="BatchNorm")
    dense: tuple[Count, ...] = Field((), description="inputs, hidden ones, outputs; with bias")


class TimmNetwork(Frozen):
    """A network of timm's."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    title: Line
    classes: int = Field(ge=0, description="0 without a classifier")
    count: Literal["trained", "measured", "both"] = Field(
        "trained", description="weights, biases, scales; BatchNorm's means and variances; or both, as Keras adds up"
    )
    keras_inputs: bool = Field(
        False, description="7 more: Keras's networks keep mean and variance of the colours, and how many it saw"
    )
    head: Head | None = None


class ParameterCheck(Frozen):
    """The claim counts parameters; each of the networks fits."""

    kind: Literal["parameters"]
    networks: tuple[TimmNetwork, ...] = Field(min_length=1)
    explained: tuple[TimmNetwork, ...] = Field((), description="where the figure may come from, if it is not theirs")
    fitted: bool = Field(
        False,
        description="their layers were searched for so as to give the figure: it says where that can come from, "
        "and decides nothing",
    )


class ParameterRatio(Frozen):
    """The claim is how many times the parameters of one network another one has."""

    kind: Literal["parameter-ratio"]
    over: TimmNetwork
    under: TimmNetwork


class Input(Frozen):
    """The claim is the side of the images that a network was made for."""

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


# The fields of checks that name claims. `over` and `under` are networks in one of them.
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
