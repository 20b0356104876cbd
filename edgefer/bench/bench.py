"""Bundles in, measurements out: memory, accuracy and latency of every network that runs on the device."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import console, data
from edgefer.backends import registry
from edgefer.backends.base import Backend, Options, Session
from edgefer.bench import state, subjects
from edgefer.bench.probes import accuracy, cold_start, energy, gpu_memory, memory, mistakes
from edgefer.bench.probes import robustness as robustnesses
from edgefer.bench.probes import throughput as throughputs
from edgefer.bench.probes.robustness import Robustness
from edgefer.bench.recommend import recommend
from edgefer.bench.result import (
    Comparison,
    NetworkEntry,
    Protocol,
    Recommendation,
    Result,
)
from edgefer.bundle import Bundle
from edgefer.data.dataset import Dataset, Split, spread
from edgefer.devices import jetson, machine, rapl
from edgefer.errors import InputError, LackError
from edgefer.evaluation import predict, timing
from edgefer.lines import typed
from edgefer.preprocessing import Preprocessing

_TIMED_IMAGES = 64
_PREPROCESSING_SECONDS = 1.0
_ENERGY_SECONDS = 3.0
_BATCH = 64


@dataclass(frozen=True)
class _Contender:
    """A network that takes part."""

    title: str
    bundle: Bundle
    name: str
    session: Session

    @property
    def preprocessing(self) -> Preprocessing:
        return self.bundle.manifest.preprocessing

    @property
    def full_name(self) -> str:
        return f"{self.title} {self.name}"


def bench(
    bundles: Sequence[Bundle],
    dataset: Dataset,
    *,
    device: str = "cpu",
    threads: int = 1,
    split: str = "test",
    seconds: float = 3.0,
    options: Options | None = None,
    fallback: bool = False,
    robustness: bool = False,
    throughput: bool = False,
) -> Result:
    """Measure every network of the bundles that runs on the device.

    Memory and first answers come first, in fresh processes; then accuracy over the split; then latency, all networks in
    turn (see `edgefer.evaluation.timing`), and once more with preprocessing; then energy, each network alone, where
    the device has sensors.

    Args:
        bundles: at least one; all with the data set's classes.
        dataset: where the images are from.
        device: one of the backends' (`edgefer.backends.registry`).
        threads: threads for one operator, on the CPU.
        split: named evaluation set, e.g. ``test`` or ``public+private``.
        seconds: least time that each network is timed for.
        options: how engines are built and run; `threads` goes first.
        fallback: where the GPU cannot be used, measure on the CPU, and say so in the result.
        robustness: run each network on worse pictures too (`edgefer.evaluation.corruptions`).
        throughput: count images a second over batch, and over threads on the CPU (`edgefer.bench.probes.throughput`).

    Raises:
        InputError: labels of bundle and data differ, no network runs on the device, the split is empty.
        LackError: the machine lacks what the device takes: a GPU, its driver, TensorRT, memory.
    """
    backend = registry.get(device)
    if not bundles:
        raise InputError("no bundle to bench")
    titles = subjects.titles_of(bundles)
    dataset = subjects.with_labels_of(bundles, subjects.divided_as_for(bundles, dataset))
    for bundle in bundles:
        subjects.check_bundle(bundle, dataset, device)
    rows = data.split(dataset, split)
    for bundle in bundles:
        subjects.check_unseen(bundle, dataset, rows)
    leak_free = accuracy.leak_free(dataset, rows)
    protocol = Protocol(
        threads=threads,
        warmup_seconds=min(0.2, seconds),
        untimed_per_turn=timing.UNTIMED,
        timed_per_turn=timing.TURN,
        percentile=99,
        least_seconds=seconds,
        with_preprocessing_seconds=min(_PREPROCESSING_SECONDS, seconds),
        most_seconds=max(30.0, seconds),
    )
    options = replace(options or Options(), threads=threads, board=_board())
    warnings = []
    with ExitStack() as stack:
        try:
            contenders = _contenders(titles, bundles, backend, options, stack)
        except LackError as error:
            if not (backend.on_gpu and fallback):
                raise
            warnings.append(f"{device} was asked for and this is the CPU: {error}")
            console.say(f"{error}; measuring on the CPU instead")
            device = "cpu"
            backend = registry.get(device)
            for bundle in bundles:
                subjects.check_bundle(bundle, dataset, device)
            contenders = _contenders(titles, bundles, backend, options, stack)
        fresh, failed = _in_fresh_processes(contenders, backend, options)
        logits = [
            predict.logits(each.session.infer, each.preprocessing, rows, _BATCH, f"evaluating {each.full_name}")
            for each in contenders
        ]
        worse: Sequence[Robustness | None] = [None] * len(contenders)
        if robustness:
            infers = [each.session.infer for each in contenders]
            worse = robustnesses.measure(infers, [each.preprocessing for each in contenders], rows)
        inputs = [_inputs(each.preprocessing, rows) for each in contenders]
        on_gpu = contenders[0].session.details().gpu
        card = on_gpu.bus if on_gpu and not on_gpu.integrated else None
        before = state.now(card)
        samples = timing.in_turn(
            [each.session.infer for each in contenders],
            inputs,
            percentile=protocol.percentile,
            seconds=protocol.least_seconds,
            most_seconds=protocol.most_seconds,
            warmup_seconds=protocol.warmup_seconds,
        )
        from_pixels = timing.in_turn(
            [_from_pixels(each) for each in contenders],
            [_pictures(rows)] * len(contenders),
            percentile=95,
            seconds=min(_PREPROCESSING_SECONDS, seconds),
            most_seconds=protocol.most_seconds,
            warmup_seconds=protocol.warmup_seconds,
        )
        busy = partial(contenders[-1].session.infer, inputs[-1][0])
        conditions = state.between(before, state.now(card, busy), timing.drift(samples))
        energies, unread = _energies(contenders, inputs, backend, card)
        if any(energies):
            protocol = protocol.model_copy(update={"energy_seconds": _ENERGY_SECONDS})
        rates = [
            _throughput(each, images[0], backend, options) if throughput else []
            for each, images in zip(contenders, inputs, strict=True)
        ]
        ran = [each.session.details() for each in contenders]
        protocol = protocol.model_copy(update=dict(ran[0].protocol))
    this_machine = machine.describe()
    runtime = backend.version()
    networks = [
        _entry(each, runtime, accuracy.of(each.bundle, rows, leak_free, outputs), timing.latency(times)).model_copy(
            update={
                "quantiles": timing.quantiles(times),
                "with_preprocessing": timing.latency(whole),
                **taken,
                "energy": spent,
                "robustness": left,
                "throughput": rate,
                **details.network,
            }
        )
        for each, outputs, times, whole, taken, spent, left, rate, details in zip(
            contenders, logits, samples, from_pixels, fresh, energies, worse, rates, ran, strict=True
        )
    ]
    comparisons = _comparisons(contenders, networks, logits, samples)
    again = words(threads, seconds, options, robustness=robustness, throughput=throughput)
    return Result(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        repeat=typed(subjects.command(bundles, dataset, device, split, again)),
        device=device,
        gpu=on_gpu,
        machine=this_machine,
        conditions=conditions,
        protocol=protocol,
        data=subjects.test_data(dataset, split, rows, leak_free),
        bundles=[subjects.bundle_entry(title, bundle) for title, bundle in zip(titles, bundles, strict=True)],
        networks=networks,
        comparisons=comparisons,
        recommendations=_recommendations(networks, samples),
        mistakes=mistakes.most_often(
            rows, dataset.classes, logits, [each.bundle.manifest.temperature for each in contenders]
        ),
        warnings=[
            *warnings,
            *_warnings(titles, bundles, dataset, split, device, this_machine, networks, comparisons),
            *state.warnings(conditions),
            *failed,
            *unread,
        ],
    )


def _contenders(
    titles: Sequence[str],
    bundles: Sequence[Bundle],
    backend: Backend,
    options: Options,
    stack: ExitStack,
) -> list[_Contender]:
    """Start every network that runs on the device; `stack` ends them, those that were started before an error too."""
    contenders = []
    with ExitStack() as started:
        for title, bundle in zip(titles, bundles, strict=True):
            for name in backend.networks(bundle):
                session = registry.open_network(bundle, name, backend.device, options)
                started.callback(session.close)
                contenders.append(_Contender(title, bundle, name, session))
        stack.push(started.pop_all())
    return contenders


def _board() -> str | None:
    """Return what an engine is tuned to beside the GPU, whose name all boards of a family share."""
    here = jetson.describe()
    return f"{here.model}, {here.power_mode or 'power mode not known'}" if here else None


def words(
    threads: int,
    seconds: float,
    options: Options,
    *,
    fallback: bool = False,
    robustness: bool = False,
    throughput: bool = False,
) -> list[str]:
    """Return the words of a command line that ask for these settings of `bench`."""
    found = ["--threads", str(threads), "--seconds", f"{seconds:g}"]
    found += [] if options.cuda_graphs else ["--no-cuda-graphs"]
    found += [] if options.dla is None else ["--dla", str(options.dla)]
    flags = {
        "--fallback": fallback,
        "--robustness": robustness,
        "--throughput": throughput,
    }
    return [*found, *(flag for flag, wanted in flags.items() if wanted)]


def _in_fresh_processes(
    contenders: Sequence[_Contender], backend: Backend, options: Options
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return each entry's memory and first answer, and lines on what could not be measured."""
    found: list[dict[str, Any]] = []
    failed = []
    with console.progress("measuring memory and first answers", len(contenders)) as advance:
        for each in contenders:
            if not backend.on_gpu:
                task = (each.bundle.file(each.name), _shape(each.preprocessing), options.threads, backend.device)
                found.append({"memory": memory.of_network(*task), "cold_start": cold_start.of_network(*task)})
            else:
                try:
                    found.append(vars(gpu_memory.of_network(each.bundle, each.name, backend.device, options)))
                except LackError as error:  # a second process may not get what this one has: memory, an exclusive GPU
                    found.append({})
                    failed.append(f"memory and first answer of {each.full_name} were not measured: {error}")
            advance(1, each.full_name)
    return found, failed


def _energies(
    contenders: Sequence[_Contender],
    inputs: Sequence[Sequence[NDArray[np.float32]]],
    backend: Backend,
    card: str | None,
) -> tuple[list[energy.Energy | None], list[str]]:
    """Measure each network's energy; a line says why not, where a sensor is there and could not be read."""
    sensor = energy.sensor(backend.sensors, card)
    if sensor is None:
        why = f"RAPL is there and root alone may read it: {rapl.REMEDY} lets all users, until the next start"
        forbidden = "RAPL" in backend.sensors and rapl.forbidden()
        return [None] * len(contenders), [f"energy was not measured: {why}"] * forbidden
    found = []
    with console.progress("measuring energy", len(contenders)) as advance:
        for each, images in zip(contenders, inputs, strict=True):
            found.append(energy.measure(each.session.infer, images, _ENERGY_SECONDS, sensor))
            advance(1, each.full_name)
    unread = [each.full_name for each, spent in zip(contenders, found, strict=True) if spent is None]
    return found, [f"energy of {', '.join(unread)} was not measured: {sensor.kind} was not read often enough"] * bool(
        unread
    )


def _throughput(
    contender: _Contender, image: NDArray[np.float32], backend: Backend, options: Options
) -> list[throughputs.Point]:
    if backend.on_gpu:
        return throughputs.measure(lambda threads: contender.session.infer, image, [1])
    with ExitStack() as stack:

        def start(threads: int) -> predict.Infer:
            more = replace(options, threads=threads)
            session = registry.open_network(contender.bundle, contender.name, backend.device, more)
            stack.callback(session.close)
            return session.infer

        return throughputs.measure(start, image, throughputs.threads_upto(machine.describe().cores))


def _shape(spec: Preprocessing) -> tuple[int, int, int]:
    return (spec.channels, spec.size, spec.size)


def _inputs(preprocessing: Preprocessing, rows: Split) -> list[NDArray[np.float32]]:
    """Return images spread over the split as inputs of batch 1."""
    batch = preprocessing.apply(rows.take(spread(len(rows), _TIMED_IMAGES)))
    return [np.ascontiguousarray(batch[number : number + 1]) for number in range(len(batch))]


def _pictures(rows: Split) -> list[NDArray[np.uint8]]:
    """Return the same images as `_inputs` as they are, one by one."""
    return [rows.take(position[None]) for position in spread(len(rows), _TIMED_IMAGES)]


def _from_pixels(contender: _Contender) -> timing.Work:
    prepare, infer = contender.preprocessing.apply, contender.session.infer
    return lambda pictures: infer(prepare(pictures))


def _entry(contender: _Contender, runtime: str, judged: accuracy.Accuracy, latency: timing.Latency) -> NetworkEntry:
    network = contender.bundle.manifest.networks[contender.name]
    return NetworkEntry(
        bundle=contender.title,
        network=contender.name,
        precision=network.precision,
        target=network.target,
        runtime=runtime,
        sha256=network.sha256,
        file_bytes=network.bytes,
        quality=judged.quality,
        leak_free=judged.leak_free,
        per_class=judged.per_class,
        confusion=judged.confusion,
        latency=latency,
        memory=None,
    )


def _comparisons(
    contenders: Sequence[_Contender],
    networks: Sequence[NetworkEntry],
    logits: Sequence[NDArray[np.float32]],
    samples: Sequence[NDArray[np.float64]],
) -> list[Comparison]:
    """Compare every network with the first FP32 network of its bundle, where there is one."""
    full: dict[str, int] = {}
    for place, entry in enumerate(networks):
        if entry.precision == "fp32":
            full.setdefault(entry.bundle, place)
    comparisons = []
    for place, entry in enumerate(networks):
        base = full.get(entry.bundle, place)
        if base == place:
            continue
        comparisons.append(
            Comparison(
                bundle=entry.bundle,
                network=entry.network,
                against=contenders[base].name,
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

    titles = dict.fromkeys(entry.bundle for entry in networks)
    found = (recommend([entry for entry in networks if entry.bundle == title], ratio) for title in titles)
    return [each for each in found if each is not None]


def _warnings(
    titles: Sequence[str],
    bundles: Sequence[Bundle],
    dataset: Dataset,
    split: str,
    device: str,
    this_machine: machine.Machine,
    networks: Sequence[NetworkEntry],
    comparisons: Sequence[Comparison],
) -> list[str]:
    found = subjects.data_warnings(titles, bundles, dataset, split)
    if device == "cpu" and this_machine.saturates and any(entry.precision == "int8" for entry in networks):
        found.append(
            "this CPU has no VNNI: INT8 weights at full range are multiplied exactly, which takes longer; `edgefer "
            "compress --cpu no-vnni` makes a network whose weights fit this CPU's fast products"
        )
    for entry in networks:
        if entry.on_gpu:
            layers = subjects.listed(entry.on_gpu)
            found.append(f"{entry.bundle} {entry.network}: the DLA cannot take {layers}: that ran on the GPU")
    noisy = [entry for entry in networks if entry.latency.coefficient_of_variation > timing.NOISY]
    if noisy:
        worst = max(entry.latency.coefficient_of_variation for entry in noisy)
        names = subjects.listed([f"{entry.bundle} {entry.network}" for entry in noisy])
        found.append(
            f"latency of {names} is noisy (coefficient of "
            f"variation {'up to ' * (len(noisy) > 1)}{worst:.2f}): other work on this machine shows in p90 to p99"
        )
    for comparison in comparisons:
        if comparison.latency.high >= 1:
            found.append(
                f"{comparison.bundle} {comparison.network} is not faster than {comparison.against} on this machine: "
                f"{comparison.latency.estimate:.2f} times its latency "
                f"({comparison.latency.low:.2f} to {comparison.latency.high:.2f})"
            )
    return found
