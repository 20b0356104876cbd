"""Accuracy on further data sets and by further protocols, in separate rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgefer.bench.probes import accuracy
from edgefer.bench.probes.base import Candidate, Context, Images, Probe
from edgefer.bench.result import Evaluation
from edgefer.evaluation import views
from edgefer.evaluation.views import ViewProtocol

_BATCH = 64


def _measure(context: Context) -> Sequence[Mapping[str, Any]]:
    jobs: list[tuple[Images, ViewProtocol]] = [
        (images, protocol)
        for images in (context.first, *context.further)
        for protocol in ("one-crop", *context.further_views)
        if images is not context.first or protocol != "one-crop"  # which is `quality`
    ]
    return [{"evaluations": [_evaluation(each, *job) for job in jobs]} for each in context.candidates]


def _evaluation(candidate: Candidate, images: Images, protocol: ViewProtocol) -> Evaluation:
    said = f"evaluating {candidate.full_name} on {images.title}, {protocol}"
    logits = views.logits(candidate.session.infer, candidate.preprocessing, images.rows, protocol, _BATCH, said)
    found = accuracy.of(candidate.bundle, images.rows, images.clean, logits, images.shared)
    return Evaluation(data=images.title, protocol=protocol, **vars(found))


PROBE = Probe("evaluations", _measure)
