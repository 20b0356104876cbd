"""Compares finished trainings with the claims that they test.

Rule: only a training that matches the document (`edgefer.claims.as_written`) decides, and only by its FP32
network. It needs the recipe's settings, ImageNet weights if specified, FER2013, the document's test images and
all phases. It is one seed, and what the document leaves open is our choice. So:

- `holds`: the figure's 95 % interval contains a number that rounds to the claim. A higher accuracy or class
  average holds too.
- `contradicted`: the figure is below the claim by more than the 95 % interval of a difference, with the document's
  figure as uncertain as ours (Zou and Donner, "Construction of confidence limits about effect measures",
  Statistics in Medicine 27, 2008; for proportions Newcombe's method 10 of 1998). Per-class figures never
  contradict, since they vary more between seeds than sampling explains. The document must also give network,
  optimizer, learning rates, epochs and batch size; otherwise our choices may be the cause.
- Otherwise nothing is decided: the figure is shown with what would decide.

Figures of other trainings are shown as measured, but not as written, and change no verdict.
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

FP32 = "fp32"  # name of a bundle's network as trained

_OF_TRAINING = ("validation-accuracy", "best-epoch")  # not measured on the benchmark's images


@dataclass(frozen=True)
class TrialBundle:
    """A benchmarked bundle that was trained by one of the ledger's recipes.

    Attributes:
        source: the benchmark's file, or the bundle's folder if benchmarked just now.
        result: the benchmark's result.
        bundle: the bundle.
        networks: the bundle's networks.
        recipe: the recipe's name.
        differences: how its training differs from the recipe.
        of_test: how its test images differ from the document's; empty if no claim is about test images.
        of_network: how its network differs from the recipe's.
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
        """The network as trained."""
        return next((entry for entry in self.networks if entry.network == FP32), None)


@dataclass(frozen=True)
class Trial:
    """A claim's figure in one training.

    Attributes:
        trained: the training.
        figure: the figure.
        differences: why it doesn't test the claim; empty if it does.
        agrees: the decision; None for none.
        says: the result as a sentence, without its full stop.
        needs: what would decide the claim, if the test decides nothing.
        lacks: `needs` in a few words.
    """

    trained: TrialBundle
    figure: Figure
    differences: tuple[str, ...]
    agrees: bool | None
    says: str
    needs: str = ""
    lacks: str = ""


def find(results: Sequence[tuple[str, BenchResult]], ledger: Ledger) -> tuple[list[TrialBundle], list[str]]:
    """Return the bundles trained by a document's recipe, and notes on possible ones.

    Args:
        results: benchmarks, each with its file or another name.
        ledger: names the recipes.

    Raises:
        InputError: a bundle's figures are impossible.
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
                notes.append(f"{source} does not say how {bundle.title} was trained; run `edgefer bench` on it again")
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
        notes.append("no benchmarked network is one of the documents': " + ", ".join(sorted(wanted)))
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
    """Compare a figure with a claim, by the rule at the top of this file."""
    assert claim.test is not None
    span, claimed = _span(figure), claim.span
    of = "" if figure.images is None else f" on {figure.images:,} images"
    start = (
        f"a training as written (one seed, our choices where the document is silent) gives {spread(figure, claim)}{of}"
    )
    whole = claim.test.label is None and claim.test.what != "best-epoch"
    if span.meets(claimed):
        return Trial(trained, figure, (), True, start)
    if not whole:
        lacks = "more seeds"
        needs = "trainings with other seeds: one is not enough for a single class or epoch; each is judged alone"
        return Trial(trained, figure, (), None, f"{start}, which decides nothing", needs, lacks)
    if span.low > claimed.high:
        return Trial(trained, figure, (), True, f"{start}, more than claimed")
    if not training.described:
        needs = "the settings that the document leaves open"
        says = f"{start}, less than claimed, perhaps because of settings that the document omits"
        return Trial(trained, figure, (), None, says, needs, needs)
    short = float(claimed.low) - figure.value
    if short > math.hypot(figure.high - figure.value, figure.value - figure.low):
        return Trial(trained, figure, (), False, f"{start}, below the claim by more than two such trainings may differ")
    needs = "trainings with other seeds: this one is below, but two may differ by that much; each is judged alone"
    return Trial(trained, figure, (), None, f"{start}, slightly less than claimed", needs, "more seeds")


def _span(figure: Figure) -> Span:
    return Span(Fraction(figure.low), Fraction(figure.value), Fraction(figure.high))
