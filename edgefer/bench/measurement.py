"""Bundles in, measurements out: every network that runs on the devices, by a list of probes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import console
from edgefer.backends import registry
from edgefer.backends.base import Backend, Options
from edgefer.bench import inputs, state
from edgefer.bench import probes as probing
from edgefer.bench.probes import latency, mistakes
from edgefer.bench.probes.base import Candidate, Context, Probe
from edgefer.bench.recommendation import recommend
from edgefer.bench.result import (
    BenchResult,
    Comparison,
    NetworkEntry,
    Probed,
    Protocol,
    Recommendation,
)
from edgefer.bundle import Bundle
from edgefer.data import attributes
from edgefer.data.dataset import Dataset
from edgefer.devices import jetson, machine
from edgefer.errors import InputError, MissingRequirement
from edgefer.evaluation import timing
from edgefer.lines import typed

MAX_SECONDS = 30.0  # maximum time for a network, if the percentiles need more samples
_PREPROCESSING_SECONDS = 1.0


def bench(
    bundles: Sequence[Bundle],
    dataset: Dataset,
    *,
    device: str | Sequence[str] = "cpu",
    threads: int = 1,
    split: str = "test",
    seconds: float = 3.0,
    options: Options | None = None,
    fallback: bool = False,
    probes: Sequence[Probe] | None = None,
    further: Sequence[Dataset] = (),
    protocols: Sequence[str] = (),
    groups: Path | None = None,
) -> BenchResult:
    """Measure every network of the bundles that runs on a device.

    Networks of all devices are timed in turn (see `edgefer.evaluation.timing`). Each is compared with FP32
    on its own device.

    Args:
        bundles: at least one; all with the data set's classes.
        dataset: source of the images.
        device: one or several of the backends' (`edgefer.backends.registry`).
        threads: threads for one operator, on the CPU.
        split: images to evaluate, e.g. ``test`` or ``public+private``.
        seconds: minimum time for timing each network.
        options: how engines are built and run; `threads` goes first.
        fallback: if a GPU cannot be used, measure on the CPU, and record that in the result.
        probes: what to measure besides accuracy and latency; by default `edgefer.bench.probes.standard`.
        further: further data sets, for accuracy.
        protocols: further accuracy protocols, on all data sets (`edgefer.evaluation.views`).
        groups: table with the group of each image of the first data set (`edgefer.data.attributes`).

    Raises:
        InputError: labels of bundle and data differ, no network runs on a device, the split is empty, the table
            of groups matches no image.
        MissingRequirement: the machine lacks what a device needs: a GPU, its driver, TensorRT, memory.
    """
    devices = list(dict.fromkeys([device] if isinstance(device, str) else device))
    for name in devices:
        registry.get(name)
    if not bundles:
        raise InputError("no bundle to benchmark")
    titles = inputs.titles_of(bundles)
    first, *others = inputs.evaluated(bundles, [dataset, *further], split)
    for bundle in bundles:
        for name in devices:
            inputs.check_runs(bundle, name)
    left_out = [each.missing if each is first else f"{each.title}: {each.missing}" for each in (first, *others)]
    left_out = [line for line, each in zip(left_out, (first, *others), strict=True) if each.missing]
    for line in left_out:
        console.say(line)
    dataset, rows = first.dataset, first.rows
    known = None if groups is None else attributes.read(groups, dataset, rows)
    views = inputs.further_views(protocols)
    images = first.images
    options = replace(options or Options(), threads=threads, board=jetson.named(jetson.describe()))
    extra = [*["evaluations"] * bool(others or views), *["groups"] * (known is not None)]
    chosen = probing.with_needed(probing.standard() if probes is None else probes, *extra)
    with ExitStack() as stack:
        candidates, devices, notes = _candidates(titles, bundles, devices, options, stack, fallback)
        details = [each.session.details() for each in candidates]
        gpu = next((each.gpu for each in details if each.gpu), None)
        context = Context(
            candidates,
            images,
            [latency.inputs(each.preprocessing, rows) for each in candidates],
            _protocol(threads, seconds),
            gpu_bus=gpu.bus if gpu and not gpu.integrated else None,
            further=[each.images for each in others],
            further_views=views,
            attributes=known,
            changes={"further_views": views},
        )
        entries: list[dict[str, Any]] = [_about(each) for each in candidates]
        for probe in chosen:
            for entry, value in zip(entries, probe.measure(context), strict=True):
                found = probe.fields(value)
                entry["probes"] |= found.pop("probes", {})
                entry |= found
        details = [each.session.details() for each in candidates]  # of earlier sessions
    for each in reversed(details):
        context.changes |= each.protocol
    networks = [NetworkEntry(**{**entry, **each.network}) for entry, each in zip(entries, details, strict=True)]
    this_machine, conditions = machine.describe(), context.conditions
    assert conditions is not None, "the latency has been measured"
    comparisons = _comparisons(networks, context.logits, context.samples)
    again = words(threads, seconds, options, fallback=False, probes=chosen)
    asked = inputs.words_of_data([each.dataset for each in others], views, groups)
    return BenchResult(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        repeat=typed(inputs.command(bundles, dataset, devices, split, [*again, *asked])),
        device=devices[0],
        gpu=gpu,
        machine=this_machine,
        conditions=conditions,
        protocol=context.protocol.model_copy(update=context.changes),
        data=inputs.test_data(dataset, split, rows, images.clean),
        further_data=[inputs.further_data(each) for each in others],
        groups=None if known is None else inputs.group_table(known),
        bundles=[inputs.bundle_entry(title, bundle) for title, bundle in zip(titles, bundles, strict=True)],
        networks=networks,
        comparisons=comparisons,
        recommendations=_recommendations(networks, context.samples),
        mistakes=mistakes.most_often(
            rows, dataset.classes, context.logits, [each.bundle.manifest.temperature for each in candidates]
        ),
        probes=[
            Probed(name=each.name, title=each.title, how=each.how, columns=list(each.columns))
            for each in chosen
            if any(each.name in entry.probes for entry in networks)
        ],
        warnings=[
            *notes,
            *left_out,
            *inputs.data_warnings(titles, bundles, dataset, split),
            *(
                f"{each.title}: {line}"
                for each in others
                for line in inputs.flattered(titles, bundles, each.dataset, split)
            ),
            *([] if known is None else inputs.group_warnings(known)),
            *_warnings(this_machine, networks, comparisons),
            *state.warnings(conditions),
            *context.notes,
        ],
    )


def _protocol(threads: int, seconds: float) -> Protocol:
    return Protocol(
        threads=threads,
        warmup_seconds=min(0.2, seconds),
        untimed_per_turn=timing.UNTIMED,
        timed_per_turn=timing.TURN,
        percentile=99,
        min_seconds=seconds,
        with_preprocessing_seconds=min(_PREPROCESSING_SECONDS, seconds),
        max_seconds=max(MAX_SECONDS, seconds),
    )


def _candidates(
    titles: Sequence[str],
    bundles: Sequence[Bundle],
    devices: Sequence[str],
    options: Options,
    stack: ExitStack,
    fallback: bool,
) -> tuple[list[Candidate], list[str], list[str]]:
    """Start every network that runs on the devices; return them, the devices used and notes.

    `stack` closes them, also after an error.
    """
    candidates: list[Candidate] = []
    used: list[str] = []
    notes = []
    with ExitStack() as started:
        for device in devices:
            backend = registry.get(device)
            try:
                found = _started(titles, bundles, backend, options, started)
            except MissingRequirement as error:
                if not (backend.on_gpu and fallback):
                    raise
                notes.append(f"measured on the CPU instead of {device}: {error}")
                console.say(f"{error}; measuring on the CPU instead")
                backend, device = registry.get("cpu"), "cpu"
                if device in {*used, *devices}:
                    continue
                for bundle in bundles:
                    inputs.check_runs(bundle, device)
                found = _started(titles, bundles, backend, options, started)
            candidates += found
            used.append(device)
        stack.push(started.pop_all())
    return candidates, used, notes


def _started(
    titles: Sequence[str], bundles: Sequence[Bundle], backend: Backend, options: Options, stack: ExitStack
) -> list[Candidate]:
    candidates = []
    for title, bundle in zip(titles, bundles, strict=True):
        names = backend.networks(bundle)
        if options.dla is not None and backend.on_gpu:
            names = [name for name in names if bundle.manifest.networks[name].precision == "fp16"]
            if not names:
                raise InputError(f"{title} has no FP16 network, which a DLA needs; omit --dla")
        for name in names:
            session = registry.open_network(bundle, name, backend.device, options)
            stack.callback(session.close)
            candidates.append(Candidate(title, bundle, name, backend, options, session))
    return candidates


def _about(candidate: Candidate) -> dict[str, Any]:
    """Return a network's entry before anything is measured."""
    network = candidate.bundle.manifest.networks[candidate.name]
    return {
        "bundle": candidate.title,
        "network": candidate.name,
        "precision": network.precision,
        "target": network.target,
        "device": candidate.backend.device,
        "runtime": candidate.backend.version(),
        "sha256": network.sha256,
        "file_bytes": network.bytes,
        "memory": None,
        "probes": {},
    }


def words(
    threads: int, seconds: float, options: Options, *, fallback: bool = False, probes: Sequence[Probe] = ()
) -> list[str]:
    """Return the command-line arguments for these settings of `bench`."""
    found = ["--threads", str(threads), "--seconds", f"{seconds:g}"]
    found += [] if options.cuda_graphs else ["--no-cuda-graphs"]
    found += [] if options.dla is None else ["--dla", str(options.dla)]
    found += ["--fallback"] * fallback
    return [*found, *(word for each in probes if each.option for word in ("--measure", each.option))]


def _comparisons(
    networks: Sequence[NetworkEntry],
    logits: Sequence[NDArray[np.float32]],
    samples: Sequence[NDArray[np.float64]],
) -> list[Comparison]:
    """Compare every network with the first FP32 network of its bundle on its device, if there is one."""
    full: dict[tuple[str, str | None], int] = {}
    for place, entry in enumerate(networks):
        if entry.precision == "fp32":
            full.setdefault((entry.bundle, entry.device), place)
    comparisons = []
    for place, entry in enumerate(networks):
        base = full.get((entry.bundle, entry.device), place)
        if base == place:
            continue
        comparisons.append(
            Comparison(
                bundle=entry.bundle,
                network=entry.network,
                device=entry.device,
                against=networks[base].network,
                latency=timing.ratio(samples[place], samples[base]),
                file_bytes=entry.file_bytes / networks[base].file_bytes,
                accuracy=entry.quality.accuracy - networks[base].quality.accuracy,
                agreement=float((logits[place].argmax(axis=1) == logits[base].argmax(axis=1)).mean()),
            )
        )
    return comparisons


def _recommendations(networks: Sequence[NetworkEntry], samples: Sequence[NDArray[np.float64]]) -> list[Recommendation]:
    places = {id(entry): place for place, entry in enumerate(networks)}

    def ratio(over: NetworkEntry, under: NetworkEntry) -> timing.Interval:
        return timing.ratio(samples[places[id(over)]], samples[places[id(under)]])

    groups = dict.fromkeys((entry.bundle, entry.device) for entry in networks)
    found = (recommend([each for each in networks if (each.bundle, each.device) == group], ratio) for group in groups)
    return [each for each in found if each is not None]


def _warnings(
    this_machine: machine.Machine, networks: Sequence[NetworkEntry], comparisons: Sequence[Comparison]
) -> list[str]:
    found = []
    if this_machine.saturates and any(each.precision == "int8" and each.device == "cpu" for each in networks):
        found.append(
            "this CPU has no VNNI: exact INT8 products are slower; `edgefer compress --cpu "
            "no-vnni` makes weights that fit this CPU's fast products"
        )
    for entry in networks:
        if entry.on_gpu:
            layers = inputs.listed(entry.on_gpu)
            found.append(f"{entry.bundle} {entry.network}: the DLA cannot run {layers}: the GPU ran them")
    noisy = [entry for entry in networks if entry.latency.coefficient_of_variation > timing.NOISY]
    if noisy:
        worst = max(entry.latency.coefficient_of_variation for entry in noisy)
        names = inputs.listed([f"{entry.bundle} {entry.network}" for entry in noisy])
        found.append(
            f"latency of {names} is noisy (coefficient of "
            f"variation {'up to ' * (len(noisy) > 1)}{worst:.2f}): other programs on this machine affect p90 to p99"
        )
    for comparison in comparisons:
        if comparison.latency.high >= 1:
            found.append(
                f"{comparison.bundle} {comparison.network} is not faster than {comparison.against} on this machine: "
                f"{comparison.latency.estimate:.2f}x its latency "
                f"({comparison.latency.low:.2f} to {comparison.latency.high:.2f})"
            )
    return found
