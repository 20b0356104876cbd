"""Finished trainings next to the claims that they test, and what one of them can decide.

The rule. Only a training that is as the document has it decides (`edgefer.claims.as_written`): every setting that of
the recipe, ImageNet's weights where it has them, FER2013, the document's test images, all phases over; and of it the
FP32 network alone. It is one seed, on the images that the document's own figure is of, and what the document leaves
open is our choice. So:

- `holds`: the figure's 95 % interval reaches a number that rounds to the claim. Of the whole network (accuracy,
  averages over classes) more than was claimed holds too: a system that does better does what was claimed.
- `contradicted`: it stays below even by the interval of a difference, where the document's figure is as uncertain as
  ours and the distances add up as squares (Zou and Donner, "Construction of confidence limits about effect measures",
  Statistics in Medicine 27, 2008; for shares Newcombe's method 10 of 1998). Only a figure of the whole network can
  contradict: of one class, seeds differ by more than images explain, as classes trade images with each other. And
  only where the document gives network, optimizer, rates, epochs and batch: else our choices may be why.
- Else nothing is decided: the figure stands next to the claim, with what it would take.

A figure from any other training stands next to the claim as measured, but not as written, and changes no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from edgefer.bench.result import BenchResult, BundleEntry, NetworkEntry
from edgefer.claims import as_written, figures
from edgefer.claims.figures import Figure
from edgefer.claims.findings import shown
from edgefer.claims.ledger import Claim, ClaimedTraining, Ledger
from edgefer.claims.spans import Span
from edgefer.errors import InputError

FP32 = "fp32"  # name of the network that a bundle holds as it was trained

_OF_TRAINING = ("validation-accuracy", "best-epoch")  # these are not of the bench's images


@dataclass(frozen=True)
class TrialBundle:
    """A bundle of a bench whose training has the name of a recipe that the ledger names.

    Attributes:
        source: the bench's file, or its bundle's folder where it was benched now.
        result: of the bench.
        bundle: of it.
        networks: of the bundle.
        recipe: its name.
        differences: how its training was not as the recipe has it.
        of_test: how its test images are not those of the document; none where no claim is of test images.
        of_network: how its network is not the recipe's.
    """

    source: str
    result: BenchResult
    bundle: BundleEntry
    networks: tuple[NetworkEntry, ...]
    recipe: str
    differences: tuple[str, ...]
    of_test: tuple[str, ...]
    of_network: tuple[str, ...]

    @property
    def fp32(self) -> NetworkEntry | None:
        """The network as it was trained."""
        return next((entry for entry in self.networks if entry.network == FP32), None)


@dataclass(frozen=True)
class Trial:
    """A claim's figure in one training.

    Attributes:
        trained: which.
        figure: the figure.
        differences: how it is no test of the claim; empty for one that is.
        agrees: what it decides; None for nothing.
        says: it in a sentence, without its full stop.
        needs: what would decide it, where it is a test and decides nothing.
        lacks: that in a few words.
    """

    trained: TrialBundle
    figure: Figure
    differences: tuple[str, ...]
    agrees: bool | None
    says: str
    needs: str = ""
    lacks: str = ""


def find(results: Sequence[tuple[str, BenchResult]], ledger: Ledger) -> tuple[list[TrialBundle], list[str]]:
    """Return the bundles in results that trained a document's recipe, and notes on those that may have.

    Args:
        results: benches, each with its file or another name.
        ledger: names the recipes.

    Raises:
        InputError: figures of such a bundle cannot be right.
    """
    wanted = {*ledger.trainings, *(recipe for each in ledger.statement for recipe in each.recipes)}
    found, notes = [], []
    for source, result in results:
        for bundle in result.bundles:
            training = bundle.training
            name = str(training.recipe.get("name") if training else bundle.title)
            if name not in wanted:
                continue
            if training is None:
                notes.append(f"{source} does not say how {bundle.title} was trained: bench it again with this edgefer")
                continue
            networks = tuple(entry for entry in result.networks if entry.bundle == bundle.title)
            for entry in networks:
                if not figures.is_possible(entry, result.data.classes):
                    raise InputError(f"{source}: the figures of {bundle.title} {entry.network} cannot be right")
            splits = ledger.trainings[name].splits if name in ledger.trainings else ()
            found.append(
                TrialBundle(
                    source=source,
                    result=result,
                    bundle=bundle,
                    networks=networks,
                    recipe=name,
                    differences=tuple(as_written.differences(training, bundle.trained_on)),
                    of_test=tuple(as_written.of_test(training, result, splits)) if splits else (),
                    of_network=tuple(as_written.of_network(training, result)),
                )
            )
    if results and not found:
        notes.append("nothing that was measured is one of the documents' networks: " + ", ".join(sorted(wanted)))
    return found, notes


def trials_of(claim: Claim, trained: Sequence[TrialBundle], ledger: Ledger) -> list[Trial]:
    """Return a claim's figure in each training of its recipe."""
    wanted = claim.test
    if wanted is None:
        return []
    found = []
    for each in trained:
        entry = each.fp32
        if each.recipe != wanted.recipe or entry is None or each.bundle.training is None:
            continue
        figure = figures.measure(wanted, each.bundle.training, entry, each.result.data.classes)
        if figure is None:
            continue
        differences = each.differences if wanted.what in _OF_TRAINING else (*each.differences, *each.of_test)
        if differences:
            says = f"measured, but not as written, {spread(figure, claim)}: {', '.join(differences)}"
            found.append(Trial(each, figure, differences, None, says))
        else:
            found.append(_judged(claim, each, figure, ledger.trainings[wanted.recipe]))
    return found


def spread(figure: Figure, claim: Claim) -> str:
    """Return a figure with its interval in a claim's unit."""
    span = _span(figure)
    value = shown(span.mid, claim)
    return value if figure.images is None else f"{value} ({shown(span.low, claim)} to {shown(span.high, claim)})"


def _judged(claim: Claim, trained: TrialBundle, figure: Figure, training: ClaimedTraining) -> Trial:
    """Hold a figure against a claim: see the top of this file."""
    assert claim.test is not None
    span, claimed = _span(figure), claim.span
    of = "" if figure.images is None else f" on {figure.images:,} images"
    start = f"a training as written, one seed, with our choice for what is left open, gives {spread(figure, claim)}{of}"
    whole = claim.test.label is None and claim.test.what != "best-epoch"
    if span.meets(claimed):
        return Trial(trained, figure, (), True, start)
    if not whole:
        lacks = "more seeds"
        needs = "trainings of other seeds: one says too little of a single class or epoch; the ledger holds each alone"
        return Trial(trained, figure, (), None, f"{start}, which decides nothing", needs, lacks)
    if span.low > claimed.high:
        return Trial(trained, figure, (), True, f"{start}, more than is claimed")
    if not training.described:
        needs = "the settings that the document leaves open"
        says = f"{start}, less than is claimed; settings that the document does not give may be why"
        return Trial(trained, figure, (), None, says, needs, needs)
    short = float(claimed.low) - figure.value
    if short > math.hypot(figure.high - figure.value, figure.value - figure.low):
        return Trial(trained, figure, (), False, f"{start}, below the claim by more than two such trainings may differ")
    needs = (
        "trainings of other seeds: this one stays below, but by less than two may differ; the ledger holds each alone"
    )
    return Trial(trained, figure, (), None, f"{start}, a little less than is claimed", needs, "more seeds")


def _span(figure: Figure) -> Span:
    return Span(Fraction(figure.low), Fraction(figure.value), Fraction(figure.high))
