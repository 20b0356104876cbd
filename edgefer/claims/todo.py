"""Commands that decide the claims not yet run, and their training hours.

Hours are estimated from images per second, measured by benchmarks/training/speed.py on one machine, for
all phases and each epoch's validation. Compression and benchmark take minutes and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Literal

from pydantic import Field, ValidationError
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from edgefer import limits, paths, recipes
from edgefer.claims.checks import Id
from edgefer.claims.ledger import Ledger
from edgefer.claims.result import ClaimsResult
from edgefer.devices.machine import Machine
from edgefer.errors import InputError
from edgefer.frozen import Frozen
from edgefer.lines import complaint, counted

KIND: Literal["edgefer training speed"] = "edgefer training speed"
SOURCE = "benchmarks/results/training_speed.json"


class PhaseSpeed(Frozen):
    """Training speed of one phase."""

    name: str
    epochs: int
    images_a_second: float = Field(gt=0)


class RecipeSpeed(Frozen):
    """Training speed of one recipe."""

    size: int
    batch: int
    training_images: int
    validation_images: int
    phases: tuple[PhaseSpeed, ...]
    validation_images_a_second: float = Field(gt=0)


class TrainingSpeeds(Frozen):
    """The measurement file."""

    kind: Literal["edgefer training speed"] = KIND
    protocol: str
    repeat: str
    machine: Machine
    threads: int
    load_before: float
    recipes: dict[str, RecipeSpeed]
    versions: dict[str, str]


class OpenClaim(Frozen):
    """A claim not yet run, and what would decide it."""

    id: Id
    document: Id
    place: str
    quote: str
    claimed: str
    needs: str
    command: str
    recipe: str | None = Field(description="the recipe to train; null if counting decides it")
    hours: float | None = Field(description="training hours on the machine below; null if not measured")


class OpenClaims(Frozen):
    """All open claims."""

    claims: list[OpenClaim]
    machine: str = Field(description="the machine of the hours")
    source: str = Field(description="the measurement file")
    protocol: str


def listed(ledger: Ledger, result: ClaimsResult) -> OpenClaims:
    """Return the claims of a decided ledger that are not run.

    Raises:
        InputError: the measurement file is damaged.
    """
    speeds = _speeds()
    found = []
    for entry in result.entries:
        if entry.verdict != "not run":
            continue
        test = ledger.claims[entry.id].test
        recipe = test.recipe if test and entry.by == "training" else None
        found.append(
            OpenClaim(
                id=entry.id,
                document=entry.document,
                place=entry.place,
                quote=entry.quote,
                claimed=entry.claimed,
                needs=entry.needs,
                command=entry.command,
                recipe=recipe,
                hours=_hours(recipe, speeds) if recipe and speeds else None,
            )
        )
    found.sort(key=lambda each: (each.hours is None, each.hours or 0, each.command))
    threads = "" if speeds is None else f", {counted(speeds.threads, 'thread')}"
    return OpenClaims(
        claims=found,
        machine="" if speeds is None else f"{speeds.machine.cpu}{threads}",
        source=SOURCE if speeds else "",
        protocol=speeds.protocol if speeds else "",
    )


def table(found: OpenClaims) -> Group:
    """Return a terminal table: each command once, with its hours and claims."""
    return Group(*_lines(found))


def _lines(found: OpenClaims) -> Iterator[RenderableType]:
    for command, group in groupby(found.claims, key=lambda each: each.command):
        claims = list(group)
        hours = claims[0].hours
        time = "" if hours is None else f", {hours:,.1f} hours" if hours < 100 else f", {hours:,.0f} hours"
        yield Text(f"{claims[0].recipe or 'counting'}: {counted(len(claims), 'claim')}{time}", style="bold")
        yield Padding(Text(command), (0, 0, 0, 4))
        yield Padding(Text(", ".join(each.id for each in claims)), (0, 0, 0, 4))
        yield Text()
    if found.machine:
        yield Text(f"Training hours on {found.machine}, from {found.source}.")


def _speeds() -> TrainingSpeeds | None:
    place = paths.shipped(SOURCE)
    if not place.exists():
        return None
    try:
        return TrainingSpeeds.model_validate(limits.read_json(place, limits.NOTE))
    except ValidationError as error:
        raise InputError(f"{place}: {complaint(error)}") from None


def _hours(name: str, speeds: TrainingSpeeds) -> float | None:
    """Return a recipe's training hours; None if the recipe changed since the measurement."""
    measured, recipe = speeds.recipes.get(name), recipes.load(name)
    if measured is None or measured.size != recipe.preprocessing.size:
        return None
    if [phase.epochs for phase in measured.phases] != [phase.epochs for phase in recipe.phases]:
        return None
    seconds = sum(phase.epochs * measured.training_images / phase.images_a_second for phase in measured.phases)
    seconds += recipe.epochs * measured.validation_images / measured.validation_images_a_second
    return round(seconds / 3600, 2)
