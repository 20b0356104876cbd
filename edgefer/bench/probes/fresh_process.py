"""Memory and cold start of each network, in fresh processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgefer import console
from edgefer.bench.probes import cold_start, gpu_memory, memory
from edgefer.bench.probes.base import Context, Probe
from edgefer.errors import MissingRequirement


def _measure(context: Context) -> Sequence[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    with console.progress("measuring memory and cold starts", len(context.candidates)) as advance:
        for each in context.candidates:
            device = each.backend.device
            if not each.backend.on_gpu:
                task = (each.bundle.file(each.name), each.shape, each.options.threads, device)
                found.append({"memory": memory.of_network(*task), "cold_start": cold_start.of_network(*task)})
            else:
                try:
                    found.append(vars(gpu_memory.of_network(each.bundle, each.name, device, each.options)))
                except MissingRequirement as error:  # a second process may lack memory or an exclusive GPU
                    found.append({})
                    context.notes.append(f"memory and cold start of {each.full_name} were not measured: {error}")
            advance(1, each.full_name)
    return found


PROBE = Probe("fresh_process", _measure)
