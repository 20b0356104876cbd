"""Schema and reader of `benchmarks/claims.toml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from edgefer import limits, paths, recipes
from edgefer.claims import spans
from edgefer.claims.checks import Check, Id, Line, Ratio, Reduction, Sum, names
from edgefer.claims.spans import Reading, Span, Unit
from edgefer.errors import InputError
from edgefer.frozen import Frozen
from edgefer.lines import complaint, one_line

_ROWS = 10  # classes of a report; time grows with 2^classes
_DIGITS = r"^[0-9]{1,12}(\.[0-9]{1,12})?$"

Digits = Annotated[str, Field(pattern=_DIGITS)]


class ClaimConditions(Frozen):
    """Conditions of a figure, as far as the document gives them."""

    classes: int | None = None
    split: Line | None = None
    pretraining: Line | None = None
    hardware: Line | None = None
    network: Line | None = None


class Place(Frozen):
    """Another place in the document with the same claim."""

    place: Line
    quote: Line


class Incomparable(Frozen):
    """Why a claim can't be compared, and what would be needed."""

    why: Line
    needs: Line


Address = Annotated[str, Field(pattern=r"^https://[!-~]+$", max_length=300)]


class Fact(Frozen):
    """What published code does, or a result someone got from it."""

    says: Line
    where: Line = Field(description="file and line or function, or an issue")
    url: Address


class FieldProtocol(Frozen):
    """Protocol of an accuracy on FER2013, from its publication and code."""

    crops: Literal["one crop", "one crop, mirrored at random", "ten crops", "ten random views", "not found"] = Field(
        description="views per test image, averaged"
    )
    networks: Annotated[int, Field(ge=1, le=1000)] = Field(1, description="networks in the ensemble")
    chosen_on: Literal[
        "PublicTest", "PrivateTest", "PublicTest and PrivateTest", "a validation split", "nothing", "not found"
    ] = Field(description="images used to choose the checkpoint")
    tested_on: Literal["PublicTest", "PrivateTest", "PublicTest and PrivateTest", "not found"]
    extra_data: Line
    pretraining: Line
    read: Line = Field(description="which parts were read, and which were not")
    code: tuple[Fact, ...] = ()
    reported: tuple[Fact, ...] = Field((), description="results reported by others")


class Document(Frozen):
    """One document."""

    key: Id
    title: Line
    file: Line | None = Field(None, description="file name of the paper, which is not in the repository")
    source: Address | None = None
    silent: Line | None = Field(None, description="why it has no claims in the ledger")
    conditions: ClaimConditions = ClaimConditions()


class ClaimedTraining(Frozen):
    """The recipe that reproduces a document's system, and its test splits."""

    recipe: Id
    splits: tuple[Literal["test", "public+private"], ...] = Field(
        min_length=1, description="possible test splits; several if the document doesn't name one"
    )
    described: bool = Field(
        description="whether the document gives network, optimizer, learning rates, epochs and batch size; if not, "
        "a lower result of ours may be due to our choices"
    )


What = Literal[
    "accuracy",
    "precision",
    "recall",
    "f1",
    "macro-precision",
    "macro-recall",
    "macro-f1",
    "weighted-precision",
    "weighted-recall",
    "weighted-f1",
    "validation-accuracy",
    "best-epoch",
]
_OF_A_CLASS = ("precision", "recall", "f1")


class Test(Frozen):
    """The figure of a finished training to compare a claim with."""

    recipe: Id
    what: What
    label: Literal["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"] | None = None

    @model_validator(mode="after")
    def _of_a_class(self) -> Test:
        if (self.what in _OF_A_CLASS) != (self.label is not None):
            raise ValueError(f"{', '.join(_OF_A_CLASS)} have a label, others don't")
        return self


class Statement(Frozen):
    """A statement on speed, size or memory without a number: measured, but without a verdict."""

    id: Id
    document: Id
    place: Line
    quote: Line
    recipes: tuple[Id, ...] = Field(min_length=1, description="recipes of the networks that it is about")


class Claim(Frozen):
    """A number that a document states as a result or property."""

    id: Id
    document: Id
    place: Line
    quote: Line = Field(description="verbatim from the document")
    value: Digits
    to: Digits | None = None
    unit: Unit = ""
    reading: Reading = "rounded"
    metric: Line
    conditions: ClaimConditions = ClaimConditions()
    also: tuple[Place, ...] = ()
    checks: tuple[Check, ...] = ()
    needs: Literal["weights", "training"] | None = Field(
        None, description="what a test needs besides counting: ImageNet weights, or training from scratch"
    )
    incomparable: Incomparable | None = None
    protocol: FieldProtocol | None = None
    headline: bool = Field(False, description="shown in the README if contradicted or not comparable")
    test: Test | None = None
    cost: Id | None = Field(None, description="recipe to show file size and memory of")
    command: Line | None = Field(None, description="command that decides it; derived from `test` for trainings")

    @model_validator(mode="after")
    def _decidable(self) -> Claim:
        if (self.reading == "range") != (self.to is not None):
            raise ValueError("only a range has 'to'")
        if self.to is not None and float(self.to) < float(self.value):
            raise ValueError("a range ends where it begins or above")
        deciding = [check for check in self.checks if not getattr(check, "fitted", False)]
        if not deciding and not self.needs and not self.incomparable and not self.protocol:
            raise ValueError("give checks, needs, incomparable or protocol: what decides it?")
        if self.command is None and self.test is None:
            raise ValueError("give command or test")
        return self

    @cached_property
    def span(self) -> Span:
        """Values that the number can stand for."""
        return spans.read(self.value, self.reading, self.unit, self.to)


class Misprint(Frozen):
    """Digits that may be misprinted, or misread during text extraction."""

    document: Id
    place: Line
    instead: dict[Id, Digits] = Field(min_length=1, description="by claim, the possible original digits")


class Ledger(Frozen):
    """All documents and claims."""

    document: tuple[Document, ...] = Field(min_length=1)
    claim: tuple[Claim, ...] = Field(min_length=1)
    misprint: tuple[Misprint, ...] = ()
    training: tuple[ClaimedTraining, ...] = ()
    statement: tuple[Statement, ...] = ()

    @cached_property
    def trainings(self) -> dict[str, ClaimedTraining]:
        """Trainings by recipe."""
        return {training.recipe: training for training in self.training}

    @cached_property
    def claims(self) -> dict[str, Claim]:
        """Claims by id."""
        return {claim.id: claim for claim in self.claim}


def read(path: Path | None = None) -> Ledger:
    """Read and validate the ledger.

    Args:
        path: a TOML file; by default the one shipped with edgefer.

    Raises:
        InputError: it is missing, is not TOML, or has an unknown key, a value out of bounds, a duplicate
            id, or a check of an unknown claim.
    """
    place = path or paths.shipped("benchmarks/claims.toml")
    if not place.exists():
        raise InputError(f"no ledger at {place}; reinstall edgefer")
    tree = limits.read_toml(place, limits.LEDGER)
    try:
        ledger = Ledger.model_validate(tree)
    except ValidationError as error:
        raise InputError(f"{place}: {_first(error, tree)}") from None
    for said in _mistakes(ledger):
        raise InputError(f"{place}: {said}")
    return ledger


def matching(claims: Mapping[str, Claim], name: str) -> dict[str, Claim]:
    """Return the claims of a pattern such as ``attention.*.recall`` by what ``*`` matches, sorted.

    A name without ``*`` is one claim. ``*`` matches one segment, without dots.
    """
    if "*" not in name:
        return {name: claims[name]} if name in claims else {}
    start, _, end = name.partition("*")
    found = {}
    for key, claim in claims.items():
        if fnmatchcase(key, name) and "." not in (segment := key[len(start) : len(key) - len(end)]):
            found[segment] = claim
    return dict(sorted(found.items()))


def _first(error: ValidationError, tree: object) -> str:
    """Return a schema's first error as one line that names the claim."""
    node, named = tree, ""
    for part in error.errors()[0]["loc"][:2]:
        try:
            node = node[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            break
    if isinstance(node, dict):
        named = str(node.get("id") or node.get("key") or "")[:80]
    return one_line(": ".join(filter(None, (named, complaint(error)))))


def _mistakes(ledger: Ledger) -> Iterator[str]:
    """Yield errors that the schema cannot detect."""
    for what, keys in (
        ("claims", [claim.id for claim in ledger.claim]),
        ("documents", [document.key for document in ledger.document]),
        ("trainings", [training.recipe for training in ledger.training]),
        ("statements", [statement.id for statement in ledger.statement]),
    ):
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            yield f"two {what} are called {twice}"
    documents = {document.key for document in ledger.document}
    for claim in ledger.claim:
        if claim.document not in documents:
            yield f"{claim.id}: no document {claim.document}"
        if not claim.id.startswith(f"{claim.document}."):
            yield f"{claim.id}: its id does not start with its document, {claim.document}."
        for check in claim.checks:
            for name in names(check):
                if not matching(ledger.claims, name):
                    yield f"{claim.id}: its check {check.kind} names {name}, which doesn't exist"
            yield from _classes(ledger, claim, check)
        if claim.test and claim.test.recipe not in ledger.trainings:
            yield f"{claim.id}: no training of {claim.test.recipe}"
    for statement in ledger.statement:
        if statement.document not in documents:
            yield f"{statement.id}: no document {statement.document}"
    named = [(training.recipe, training.recipe) for training in ledger.training]
    named += [(statement.id, recipe) for statement in ledger.statement for recipe in statement.recipes]
    named += [(claim.id, claim.cost) for claim in ledger.claim if claim.cost]
    for where, recipe in named:
        if recipe not in recipes.names():
            yield f"{where}: no recipe {recipe}"
    for misprint in ledger.misprint:
        for key in misprint.instead:
            if key not in ledger.claims:
                yield f"a misprint names {key}, which doesn't exist"


def _classes(ledger: Ledger, claim: Claim, check: Check) -> Iterator[str]:
    """Yield checks that combine columns of different classes, or may divide by 0."""
    columns = [name for name in names(check) if "*" in name] if not isinstance(check, Sum) else []
    rows = [list(matching(ledger.claims, name)) for name in columns]
    if any(len(each) > _ROWS for each in rows):
        yield f"{claim.id}: its check {check.kind} has more than {_ROWS} rows"
    if any(each != rows[0] for each in rows):
        yield f"{claim.id}: its check {check.kind} has columns with different classes: {', '.join(columns)}"
    divisor = check.under if isinstance(check, Ratio) else check.before if isinstance(check, Reduction) else None
    for other in matching(ledger.claims, divisor).values() if divisor else ():
        if other.span.low <= 0:
            yield f"{claim.id}: its check {check.kind} divides by {other.id}, which may be 0"
    supports = getattr(check, "supports", None) or getattr(check, "support", None)
    for other in matching(ledger.claims, supports).values() if supports else ():
        if not re.fullmatch(r"[1-9][0-9]*", other.value) or other.unit:
            yield f"{claim.id}: {other.id} counts images, so it must be a whole number above 0"
