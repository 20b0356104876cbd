"""Figures by group of pictures or people: age, sex, camera, from a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgefer import console
from edgefer.bench.probes.base import Context, Probe
from edgefer.evaluation import by_group


def _measure(context: Context) -> Sequence[Mapping[str, Any]]:
    known = context.attributes
    if known is None:
        return [{} for _ in context.candidates]
    found = []
    with console.progress("comparing groups", len(context.candidates)) as advance:
        for each, logits in zip(context.candidates, context.logits, strict=True):
            manifest = each.bundle.manifest
            columns = by_group.figures(
                known.columns, context.rows.labels, logits, manifest.labels, manifest.temperature, known.people
            )
            found.append({"groups": columns})
            advance(1, each.full_name)
    return found


PROBE = Probe("groups", _measure)
