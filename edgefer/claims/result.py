"""Schema of `claims.json`: the ledger's claims with their verdicts."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from edgefer.claims.checks import Id
from edgefer.claims.field import MeasuredSystem
from edgefer.claims.ledger import ClaimConditions, FieldProtocol, Place
from edgefer.frozen import Frozen

FORMAT: Literal[1] = 1

Verdict = Literal["holds", "contradicted", "other protocol", "not comparable", "not run"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


class ComparedClaim(Frozen):
    """A claim that another one was compared with."""

    id: Id
    place: str
    quote: str


class TrainedBundle(Frozen):
    """A bundle with a training that was compared with the claims."""

    recipe: str
    bundle: str = Field(description="its title in the benchmark")
    source: str = Field(description="the benchmark's result")
    differences: list[str] = Field(
        description="how training or test images differ from the document; empty if they match"
    )


class MeasuredClaim(Frozen):
    """A training's figure for a claim."""

    recipe: str
    bundle: str
    source: str
    figure: str = Field(description="with its 95 % interval, in the claim's unit")
    value: float = Field(description="a share, or a number of epochs")
    low: float
    high: float
    images: int | None = Field(description="number of images; null for none")
    as_written: bool = Field(description="whether it tests the claim; if not, it decides nothing")
    differences: list[str] = Field(description="why it doesn't")
    says: str = Field(description="the figure as a sentence")


class Cost(Frozen):
    """Latency, size and memory of one network on one device."""

    recipe: str
    bundle: str
    network: str
    source: str
    p50_ms: float = Field(description="median latency at batch 1, milliseconds")
    file_bytes: int
    peak_bytes: int | None = Field(description="memory; null on a GPU")
    on: str = Field(description="processor or GPU, and runtime")
    threads: int | None = Field(description="CPU threads; null on a GPU")
    differences: list[str] = Field(description="how it differs from the document's network; empty if it matches")


class Said(Frozen):
    """A statement on speed, size or memory without a number; it has no verdict."""

    id: Id
    document: Id
    place: str
    quote: str
    recipes: list[str] = Field(description="recipes of the networks that it is about")
    costs: list[Cost] = Field(description="measured; independent of training")
    command: str = Field(description="command that measures them")


class Entry(Frozen):
    """One claim with its verdict."""

    id: Id
    document: Id
    place: str
    also: list[Place] = Field(description="other places in the document with the same claim")
    quote: str = Field(description="verbatim from the document")
    metric: str
    claimed: str = Field(description="the number with its unit and qualifier (about, over)")
    conditions: ClaimConditions
    found: str = Field(description="the measured, counted or recomputed number; empty if none")
    beside: list[ComparedClaim] = Field(description="the claims that it was compared with")
    verdict: Verdict
    by: Literal["arithmetic", "data", "network", "rule", "training"] = Field(
        description="what decides it: the document's own numbers, FER2013, parameter counts, a rule or a training"
    )
    reason: str = Field(description="one sentence")
    needs: str = Field(description="what is needed to decide it; empty if decided")
    lacks: str = Field(description="what is missing, in short: weights, FER2013, the extra train")
    command: str = Field(description="command that decides it")
    headline: bool
    measured: list[MeasuredClaim] = Field([], description="its figure in each training of the recipe")
    costs: list[Cost] = Field([], description="cost of its network, if the claim is about that")
    protocol: FieldProtocol | None = Field(None, description="protocol, for published accuracies")
    here: list[MeasuredSystem] = Field([], description="our measurements of the published weights")


class DocumentTally(Frozen):
    """Number of a document's claims per verdict."""

    document: Id
    title: str
    source: str | None = None
    silent: str | None = Field(None, description="why it has no claims in the ledger")
    claims: int
    verdicts: dict[Verdict, int]
    holds_by_arithmetic: int = Field(description="claims that hold only by the document's own numbers")


class Misreading(Frozen):
    """Digits that may have been misread, and the consequences."""

    document: Id
    place: str
    instead: dict[Id, str]
    settled: list[Id] = Field(description="contradicted claims that would no longer be")
    left: list[Id] = Field(description="claims in the same place that would still be contradicted")
    says: str


class ClaimsResult(Frozen):
    """The ledger with its verdicts."""

    kind: Literal["edgefer claims"] = "edgefer claims"
    format: Literal[1] = FORMAT
    created: str = Field(description="UTC, ISO 8601")
    repeat: str = Field(description="the command that reproduces this file")
    versions: dict[str, str]
    data: str | None = Field(description="digest of the FER2013 data; null without")
    claims: int
    places: int = Field(description="places in the documents; a repeated claim counts each time")
    verdicts: dict[Verdict, int]
    documents: list[DocumentTally]
    entries: list[Entry]
    readings: list[Misreading]
    trained: list[TrainedBundle] = Field([], description="trainings compared with claims")
    statements: list[Said] = Field([], description="efficiency statements without a number")
    ours: list[MeasuredSystem] = Field([], description="edgefer-base by each published protocol")
    notes: list[str] = Field(description="missing inputs that would decide more claims")
