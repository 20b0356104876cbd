"""Derives each claim's verdict from its checks or the ledger's rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from edgefer import console, public, versions
from edgefer.bench.result import BenchResult
from edgefer.claims import commands, costs, field, images, trials
from edgefer.claims.findings import CheckFinding, Sources, find, written
from edgefer.claims.ledger import Claim, ClaimConditions, Document, Ledger, Misprint
from edgefer.claims.result import (
    VERDICTS,
    ClaimsResult,
    ComparedClaim,
    DocumentTally,
    Entry,
    MeasuredClaim,
    Misreading,
    Said,
    TrainedBundle,
    Verdict,
)
from edgefer.claims.trials import Trial
from edgefer.data.dataset import Dataset
from edgefer.labels import LABELS
from edgefer.lines import typed

# What a test needs besides counting.
_WHY = {
    "weights": "it needs a training from ImageNet weights",
    "training": "it needs a training from scratch",
}
_NEEDS = {
    "weights": "the network's ImageNet weights, then a training as the document describes, on a GPU",
    "training": "a training from scratch as the document describes, on a GPU",
}
_LACKS = {
    "FER2013": "FER2013, named with --data",
    "the extra train": "torch and timm: pip install 'edgefer[train]'",
}


def decide(
    ledger: Ledger, dataset: Dataset | None = None, results: Sequence[tuple[str, BenchResult]] = ()
) -> ClaimsResult:
    """Return the ledger with each claim's verdict.

    Args:
        ledger: from `edgefer.claims.ledger.read`.
        dataset: FER2013; without it, claims that count it are not run.
        results: benchmarks, each with its file name; their networks may be the documents' (see
            `edgefer.claims.trials`).

    Raises:
        InputError: the installed timm lacks a check's network, or a benchmark's figures are impossible.
    """
    trained, notes = trials.find(results, ledger)
    if dataset is not None and not images.is_fer2013(dataset):
        notes.append(f"{public.place(dataset.origin)} is not the original FER2013, so nothing was counted")
        dataset = None
    sources = Sources(ledger.claims, dataset)
    systems = field.measured()
    documents = {document.key: document for document in ledger.document}
    entries = []
    with console.progress("deciding", len(ledger.claim)) as advance:
        for claim in ledger.claim:
            entries.append(_entry(claim, documents[claim.document], sources, ledger, trained, systems))
            advance(1)
    lacking = {entry.lacks: _LACKS[entry.lacks] for entry in entries if entry.lacks in _LACKS}
    for lack, what in lacking.items():
        missing = sum(entry.lacks == lack for entry in entries)
        notes.append(f"{missing} claims are not run: they need {what}")
    source = [] if dataset is None else ["--data", public.place(dataset.origin)]
    for name, _ in results:
        source += ["--results", name]
    return ClaimsResult(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        repeat=typed(["edgefer", "claims", *source]),
        versions=versions.installed("timm", "torch"),
        data=None if dataset is None else dataset.digest,
        claims=len(entries),
        places=sum(1 + len(entry.also) for entry in entries),
        verdicts=_tally(entries),
        documents=[_summary(document, entries) for document in ledger.document],
        entries=entries,
        readings=[_reading(misprint, ledger, sources, entries, trained) for misprint in ledger.misprint],
        trained=[
            TrainedBundle(
                recipe=each.recipe,
                bundle=each.bundle.title,
                source=each.source,
                differences=[*each.differences, *each.of_test],
            )
            for each in trained
        ],
        statements=[
            Said(
                id=each.id,
                document=each.document,
                place=each.place,
                quote=each.quote,
                recipes=list(each.recipes),
                costs=costs.of(each.recipes, trained),
                command=commands.cost(each.recipes[0]),
            )
            for each in ledger.statement
        ],
        ours=[each for each in systems if each.system == field.OURS],
        notes=notes,
    )


def _entry(
    claim: Claim,
    document: Document,
    sources: Sources,
    ledger: Ledger,
    trained: Sequence[trials.TrialBundle],
    systems: Sequence[field.MeasuredSystem] = (),
) -> Entry:
    findings = [find(check, claim, sources) for check in claim.checks]
    conditions = _conditions(document.conditions, claim.conditions)
    tried = trials.trials_of(claim, trained, ledger)
    by: str
    verdict, by, reason, needs, lacks = _verdict(claim, conditions, findings, tried)
    decided = verdict in ("holds", "contradicted")
    held = [finding for finding in findings if finding.agrees is False] if verdict == "contradicted" else findings
    figure = next((trials.spread(trial.figure, claim) for trial in tried if trial.agrees is not None), "")
    counted = next((finding.found for finding in held if finding.found), "")
    beside = dict.fromkeys(key for finding in held for key in finding.beside)
    return Entry.model_validate(
        {
            "id": claim.id,
            "document": claim.document,
            "place": claim.place,
            "also": list(claim.also),
            "quote": claim.quote,
            "metric": claim.metric,
            "claimed": written(claim),
            "conditions": conditions,
            # If a training decides, an agreeing check's number only appears in the reason.
            "found": (figure if by == "training" else counted) if decided else "",
            "beside": [
                ComparedClaim(id=key, place=sources.claims[key].place, quote=sources.claims[key].quote)
                for key in beside
            ],
            "verdict": verdict,
            "by": by,
            "reason": _sentence(reason),
            "needs": needs,
            "lacks": lacks,
            "command": commands.of(claim, ledger),
            "headline": claim.headline,
            "measured": [_measured(trial, claim) for trial in tried],
            "costs": costs.of([claim.cost], trained) if claim.cost else [],
            "protocol": claim.protocol,
            "here": [each for each in systems if claim.protocol and each.system == claim.document],
        }
    )


def _measured(trial: Trial, claim: Claim) -> MeasuredClaim:
    return MeasuredClaim(
        recipe=trial.trained.recipe,
        bundle=trial.trained.bundle.title,
        source=trial.trained.source,
        figure=trials.spread(trial.figure, claim),
        value=trial.figure.value,
        low=trial.figure.low,
        high=trial.figure.high,
        images=trial.figure.images,
        as_written=not trial.differences,
        differences=list(trial.differences),
        says=_sentence(trial.says),
    )


def _verdict(
    claim: Claim, conditions: ClaimConditions, findings: Sequence[CheckFinding], tried: Sequence[Trial]
) -> tuple[Verdict, str, str, str, str]:
    """Return the verdict, what decides, the reason, what is needed, and what of it is missing.

    One refuting check is enough. Agreeing checks decide only claims that need no training.
    Trainings as written decide if they agree with each other.
    """
    deciding = [finding for finding in findings if finding.decides]
    refuted = [finding for finding in deciding if finding.agrees is False]
    agreed = [finding for finding in deciding if finding.agrees]
    lacking = [finding for finding in deciding if finding.agrees is None]
    fitted = [finding for finding in findings if finding.agrees and not finding.decides]
    if refuted:  # even if something else is missing
        reason = f"{_joined(refuted)}; on the other hand, {_joined(agreed)}" if agreed else _joined(refuted)
        return "contradicted", refuted[0].by, reason, "", ""
    if claim.incomparable is not None:
        return "not comparable", "rule", claim.incomparable.why, claim.incomparable.needs, ""
    if claim.protocol is not None:
        others, unknown = field.differences(claim.protocol), field.unknown(claim.protocol)
        if others:
            return "other protocol", "rule", _with("; ".join(others), agreed), field.WANTED, ""
        if unknown:
            return "not comparable", "rule", _with(f"not found: {', '.join(unknown)}", agreed), field.WANTED, ""
    tests = [trial for trial in tried if not trial.differences]
    said = {trial.agrees for trial in tests if trial.agrees is not None}
    if len(said) == 1:
        reason = "; ".join(trial.says for trial in tests if trial.agrees is not None)
        return ("holds" if said.pop() else "contradicted"), "training", _with(reason, agreed), "", ""
    if tests and claim.needs is not None:
        reason = "; ".join(trial.says for trial in tests)
        needs = tests[0].needs or "more trainings as the document describes: these disagree"
        return "not run", "training", _with(reason, agreed), needs, tests[0].lacks or "more seeds"
    if claim.needs is not None and conditions.classes not in (None, len(LABELS)):
        why = f"it covers {conditions.classes} of FER2013's {len(LABELS)} classes, which is another task"
        needs = f"a network for these {conditions.classes} classes; {_NEEDS[claim.needs]}"
        return "not comparable", "rule", _with(why, agreed), needs, ""
    if claim.needs is not None:
        return "not run", "training", _with(_WHY[claim.needs], agreed), _NEEDS[claim.needs], claim.needs
    if lacking:
        lack = str(lacking[0].lacks)
        return "not run", lacking[0].by, _with(_joined(lacking), agreed), _LACKS[lack], lack
    order = ("data", "network", "arithmetic")
    by = min((finding.by for finding in agreed), key=order.index)
    return "holds", by, _joined([*agreed, *fitted]), "", ""


def _joined(findings: Sequence[CheckFinding]) -> str:
    return "; ".join(dict.fromkeys(finding.says for finding in findings))


def _with(reason: str, agreed: Sequence[CheckFinding]) -> str:
    """Return a reason, followed by the checks that agree but don't decide."""
    return f"{reason}; what could be checked agrees: {_joined(agreed)}" if agreed else reason


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _conditions(general: ClaimConditions, own: ClaimConditions) -> ClaimConditions:
    return ClaimConditions(**{**general.model_dump(exclude_none=True), **own.model_dump(exclude_none=True)})


def _tally(entries: Sequence[Entry]) -> dict[Verdict, int]:
    return {verdict: sum(entry.verdict == verdict for entry in entries) for verdict in VERDICTS}


def _summary(document: Document, entries: Sequence[Entry]) -> DocumentTally:
    own = [entry for entry in entries if entry.document == document.key]
    return DocumentTally(
        document=document.key,
        title=document.title,
        source=document.source,
        silent=document.silent,
        claims=len(own),
        verdicts=_tally(own),
        holds_by_arithmetic=sum(entry.verdict == "holds" and entry.by == "arithmetic" for entry in own),
    )


def _reading(
    misprint: Misprint,
    ledger: Ledger,
    sources: Sources,
    entries: Sequence[Entry],
    trained: Sequence[trials.TrialBundle],
) -> Misreading:
    """Decide the claims of a place again with other digits, and list the contradictions that this resolves."""
    document = next(each for each in ledger.document if each.key == misprint.document)
    changes = {key: {"value": value} for key, value in misprint.instead.items()}
    claims = {
        key: Claim.model_validate(claim.model_dump() | changes.get(key, {})) for key, claim in ledger.claims.items()
    }
    there = [
        entry
        for entry in entries
        if (entry.document, entry.place.partition(":")[0]) == (misprint.document, misprint.place)
    ]
    before = [entry.id for entry in there if entry.verdict == "contradicted"]
    others = Sources(claims, sources.dataset)
    after = [
        entry.id
        for entry in there
        if _entry(claims[entry.id], document, others, ledger, trained).verdict == "contradicted"
    ]
    settled = [key for key in before if key not in after]
    said = ", ".join(f"{value} for {ledger.claims[key].value} ({key})" for key, value in misprint.instead.items())
    return Misreading(
        document=misprint.document,
        place=misprint.place,
        instead=misprint.instead,
        settled=settled,
        left=after,
        says=f"With {said}, {len(settled)} of the {len(before)} contradictions in {misprint.place} disappear and "
        f"{len(after)} remain: digits may be misprinted, or misread during text extraction.",
    )
