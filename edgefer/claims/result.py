"""The schema of `claims.json`: each claim of the ledger with its verdict."""

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
    """A claim that another one was held against."""

    id: Id
    place: str
    quote: str


class TrainedBundle(Frozen):
    """A bundle whose training was held against the claims."""

    recipe: str
    bundle: str = Field(description="its title in the bench")
    source: str = Field(description="the bench's result")
    differences: list[str] = Field(
        description="how the training, or what it was tested on, is not as the document has it; empty where it is"
    )


class MeasuredClaim(Frozen):
    """A training's figure beside a claim."""

    recipe: str
    bundle: str
    source: str
    figure: str = Field(description="with its 95 % interval, in the claim's unit")
    value: float = Field(description="a share, or a number of epochs")
    low: float
    high: float
    images: int | None = Field(description="that it is of; null for none")
    as_written: bool = Field(description="whether it is a test of the claim; else it decides nothing")
    differences: list[str] = Field(description="why it is none")
    says: str = Field(description="the same in a sentence")


class Cost(Frozen):
    """What one network costs on one device."""

    recipe: str
    bundle: str
    network: str
    source: str
    p50_ms: float = Field(description="median latency at batch 1, milliseconds")
    file_bytes: int
    peak_bytes: int | None = Field(description="memory; null on a GPU")
    on: str = Field(description="processor or GPU, and runtime")
    threads: int | None = Field(description="of the CPU; null on a GPU")
    differences: list[str] = Field(description="how it is not the document's network; empty where it is")


class Said(Frozen):
    """What a document says of speed, size or memory without a number: it has no verdict."""

    id: Id
    document: Id
    place: str
    quote: str
    recipes: list[str] = Field(description="whose network it speaks of")
    costs: list[Cost] = Field(description="measured; they depend on no training")
    command: str = Field(description="that measures them")


class Entry(Frozen):
    """One claim, decided or not."""

    id: Id
    document: Id
    place: str
    also: list[Place] = Field(description="other places of the document that say the same")
    quote: str = Field(description="as the document writes it")
    metric: str
    claimed: str = Field(description="the number with its unit, and how it is meant: about, over")
    conditions: ClaimConditions
    found: str = Field(description="measured, counted or recomputed, beside the claim; empty where nothing was")
    beside: list[ComparedClaim] = Field(description="what it was held against in other places; both stand here")
    verdict: Verdict
    by: Literal["arithmetic", "data", "network", "rule", "training"] = Field(
        description="what decides it: the document's own numbers, FER2013, a network's parameters, a rule, a training"
    )
    reason: str = Field(description="one sentence")
    needs: str = Field(description="what it would take to decide it; empty where it is decided")
    lacks: str = Field(description="of that, what is not here, in a few words: weights, FER2013, the extra train")
    command: str = Field(description="that decides it")
    headline: bool
    measured: list[MeasuredClaim] = Field([], description="its figure in each training of the document's recipe")
    costs: list[Cost] = Field([], description="what its network costs, where the claim is about that")
    protocol: FieldProtocol | None = Field(None, description="how the figure was got, for accuracies of the field")
    here: list[MeasuredSystem] = Field([], description="what the system's published weights give here")


class DocumentTally(Frozen):
    """How many claims of a document have which verdict."""

    document: Id
    title: str
    source: str | None = None
    silent: str | None = Field(None, description="why it has no claim here")
    claims: int
    verdicts: dict[Verdict, int]
    holds_by_arithmetic: int = Field(description="of those that hold, by the document's own numbers alone")


class Misreading(Frozen):
    """Digits that may have been misread, and what would follow."""

    document: Id
    place: str
    instead: dict[Id, str]
    settled: list[Id] = Field(description="claims that are contradicted as they stand and would not be")
    left: list[Id] = Field(description="claims in the same place that still would be")
    says: str


class ClaimsResult(Frozen):
    """The ledger, decided as far as it can be here."""

    kind: Literal["edgefer claims"] = "edgefer claims"
    format: Literal[1] = FORMAT
    created: str = Field(description="UTC, ISO 8601")
    repeat: str = Field(description="the command that writes this again")
    versions: dict[str, str]
    data: str | None = Field(description="digest of the FER2013 that was counted; null where there was none")
    claims: int
    places: int = Field(description="where they stand: a claim that is made again counts once above and here each time")
    verdicts: dict[Verdict, int]
    documents: list[DocumentTally]
    entries: list[Entry]
    readings: list[Misreading]
    trained: list[TrainedBundle] = Field([], description="trainings that were held against claims")
    statements: list[Said] = Field([], description="claims of efficiency without a number")
    ours: list[MeasuredSystem] = Field([], description="edgefer-base by each of the field's protocols")
    notes: list[str] = Field(description="what is not here and would decide more")
