"""Bundles in, measurements out: memory, accuracy and latency of every network that runs on the device."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import console, data
from edgefer.bench import accuracy, energy, memory
from edgefer.bench.recommend import recommend
from edgefer.bench.result import (
    BundleEntry,
    Comparison,
    Conditions,
    NetworkEntry,
    Protocol,
    Recommendation,
    Result,
    TestData,
)
from edgefer.bundle import Bundle
from edgefer.data.dataset import Dataset, Split
from edgefer.devices import jetson, machine, nvidia
from edgefer.errors import InputError, LackError
from edgefer.evaluation import predict, timing
from edgefer.preprocessing import Preprocessing
from edgefer.runtimes import bundled, engine, gpu, tensorrt
from edgefer.runtimes.bundled import TARGETS, Session

DEVICES = tuple(TARGETS)

_NOISY = 0.1  # coefficient of variation from which a latency is called noisy
_TIMED_IMAGES = 64
_ENERGY_SECONDS = 3.0
_HOT = 5.0  # degrees that a device may warm up before its figures are called those of a device that is not settled
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
    options: gpu.Options | None = None,
    fallback: bool = False,
) -> Result:
    """Measure every network of the bundles that runs on the device.

    Memory comes first, each network in a fresh process; then accuracy over the split; then latency, all networks in
    turn (see `edgefer.evaluation.timing`); then energy, each network alone, where the device has sensors.

    Args:
        bundles: at least one; all with the data set's classes.
        dataset: where the images are from.
        device: one of `DEVICES`; on ``jetson`` and ``rtx``, TensorRT's engines on the first GPU.
        threads: threads for one operator, on the CPU.
        split: named evaluation set, e.g. ``test`` or ``public+private``.
        seconds: least time that each network is timed for.
        options: how engines are built and run.
        fallback: where the GPU cannot be used, measure on the CPU, and say so in the result.

    Raises:
        InputError: labels of bundle and data differ, no network runs on the device, the split is empty.
        LackError: the machine lacks what the device takes: a GPU, its driver, TensorRT, memory.
    """
    check_device(device)
    if not bundles:
        raise InputError("no bundle to bench")
    titles = titles_of(bundles)
    dataset = with_labels_of(bundles, dataset)
    for bundle in bundles:
        _check(bundle, dataset, device)
    rows = data.split(dataset, split)
    leak_free = accuracy.leak_free(dataset, rows)
    protocol = Protocol(
        threads=threads,
        warmup_seconds=0.2,
        untimed_per_turn=1,
        timed_per_turn=timing.TURN,
        percentile=99,
        least_seconds=seconds,
        most_seconds=max(30.0, seconds),
    )
    options = options or gpu.Options()
    warnings = []
    with ExitStack() as stack:
        try:
            contenders = _contenders(titles, bundles, device, threads, options, stack)
        except LackError as error:
            if device == "cpu" or not fallback:
                raise
            warnings.append(f"{device} was asked for and this is the CPU: {error}")
            console.say(f"{error}; measuring on the CPU instead")
            device = "cpu"
            contenders = _contenders(titles, bundles, device, threads, options, stack)
        protocol = _on_device(protocol, contenders[0].session, options)
        memories = _memories(contenders, threads) if device == "cpu" else [None] * len(contenders)
        logits = [
            predict.logits(each.session.infer, each.preprocessing, rows, _BATCH, f"evaluating {each.full_name}")
            for each in contenders
        ]
        inputs = [_inputs(each.preprocessing, rows) for each in contenders]
        before = _state(device)
        samples = timing.in_turn(
            [each.session.infer for each in contenders],
            inputs,
            percentile=protocol.percentile,
            seconds=protocol.least_seconds,
            most_seconds=protocol.most_seconds,
            warmup_seconds=protocol.warmup_seconds,
        )
        conditions = _conditions(before, _state(device))
        energies = [
            energy.measure(each.session.infer, images, _ENERGY_SECONDS, jetson.watts) if device == "jetson" else None
            for each, images in zip(contenders, inputs, strict=True)
        ]
        on_gpu = contenders[0].session.gpu if isinstance(contenders[0].session, engine.Session) else None
    this_machine = machine.describe()
    runtime = _runtime(device, this_machine)
    networks = [
        _entry(each, runtime, rows, leak_free, outputs, timing.latency(times), used, spent)
        for each, outputs, times, used, spent in zip(contenders, logits, samples, memories, energies, strict=True)
    ]
    comparisons = _comparisons(contenders, networks, logits, samples)
    return Result(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        repeat=_command(bundles, dataset, device, threads, split, seconds, options),
        device=device,
        gpu=on_gpu,
        machine=this_machine,
        conditions=conditions,
        protocol=protocol,
        data=test_data(dataset, split, rows, leak_free),
        bundles=[bundle_entry(title, bundle) for title, bundle in zip(titles, bundles, strict=True)],
        networks=networks,
        comparisons=comparisons,
        recommendations=_recommendations(networks, samples),
        warnings=[
            *warnings,
            *_warnings(titles, bundles, dataset, split, this_machine, networks, comparisons),
            *_device_warnings(conditions),
        ],
    )


def check_device(device: str) -> None:
    """Refuse a device that cannot be benched.

    Raises:
        InputError: there is no such device.
    """
    if device not in DEVICES:
        raise InputError(f"unknown device {device!r}; choose one of {', '.join(DEVICES)}")


def _contenders(
    titles: Sequence[str],
    bundles: Sequence[Bundle],
    device: str,
    threads: int,
    options: gpu.Options,
    stack: ExitStack,
) -> list[_Contender]:
    """Start every network that runs on the device; `stack` ends them, those that were started before an error too."""
    contenders = []
    with ExitStack() as started:
        for title, bundle in zip(titles, bundles, strict=True):
            for name in bundle.networks_for(TARGETS[device]):
                session = bundled.activate(bundle, name, threads, device, options)
                started.callback(session.deactivate)
                contenders.append(_Contender(title, bundle, name, session))
        stack.push(started.pop_all())
    return contenders


def _on_device(protocol: Protocol, session: Session, options: gpu.Options) -> Protocol:
    if not isinstance(session, engine.Session):
        return protocol
    fields = {"transfers": session.transfers, "cuda_graphs": session.graphs, "dla": options.dla}
    return protocol.model_copy(update=fields)


def _state(device: str) -> dict[str, Any]:
    """Return what `Conditions` holds of one moment."""
    return {
        "load": machine.load_average(),
        "jetson": jetson.describe() if device == "jetson" else None,
        "card": nvidia.describe() if device == "rtx" else None,
    }


def _conditions(before: Mapping[str, Any], after: Mapping[str, Any]) -> Conditions:
    moments = (("before", before), ("after", after))
    return Conditions(**{f"{name}_{when}": value for when, state in moments for name, value in state.items()})


def _runtime(device: str, this_machine: machine.Machine) -> str:
    if device == "cpu":
        return f"onnxruntime {this_machine.versions['onnxruntime']}, CPUExecutionProvider"
    flavour = gpu.FLAVOURS[device]
    title = "TensorRT for RTX" if flavour == "tensorrt_rtx" else "TensorRT"
    return f"{title} {tensorrt.api(flavour).__version__}"


def words(threads: int, seconds: float, options: gpu.Options, fallback: bool = False) -> list[str]:
    """Return the words of a command line that ask for these settings of `bench`."""
    found = ["--threads", str(threads), "--seconds", f"{seconds:g}"]
    found += [] if options.graphs else ["--no-cuda-graphs"]
    found += [] if options.dla is None else ["--dla", str(options.dla)]
    return [*found, "--fallback"] if fallback else found


def titles_of(bundles: Sequence[Bundle]) -> list[str]:
    """Return the bundles' names; the second and later of one name get a number."""
    titles: list[str] = []
    for bundle in bundles:
        name = bundle.manifest.name
        count = sum(other.manifest.name == name for other in bundles[: len(titles)])
        titles.append(f"{name} #{count + 1}" if count else name)
    return titles


def with_labels_of(bundles: Sequence[Bundle], dataset: Dataset) -> Dataset:
    """Return the images of the classes that the first bundle tells apart: a network for four is judged on these.

    What fits no bundle is returned as it is, for `check_labels` to refuse.
    """
    labels = bundles[0].manifest.labels
    return data.only(dataset, labels) if {*labels} <= {*dataset.classes} else dataset


def check_labels(bundle: Bundle, dataset: Dataset) -> None:
    """Refuse data of other classes than the bundle's.

    Raises:
        InputError: its labels are others.
    """
    labels = bundle.manifest.labels
    if labels != dataset.classes:
        raise InputError(
            f"{bundle.path} tells {', '.join(labels)} apart, but {dataset.name} has the classes "
            f"{', '.join(dataset.classes)}; name other data with --data"
        )


def _check(bundle: Bundle, dataset: Dataset, device: str) -> None:
    check_labels(bundle, dataset)
    if not bundle.networks_for(TARGETS[device]):
        raise InputError(f"{bundle.path} has no network for {device}; it has {', '.join(bundle.manifest.networks)}")


def test_data(dataset: Dataset, split: str, rows: Split, clean: Split | None) -> TestData:
    """Return what a result says of its images."""
    return TestData(
        name=dataset.name,
        origin=dataset.origin,
        digest=dataset.digest,
        drawn=dataset.drawn,
        split=split,
        images=len(rows),
        leak_free_images=None if clean is None else len(clean),
        classes=dataset.classes,
    )


def _memories(contenders: Sequence[_Contender], threads: int) -> list[memory.Memory | None]:
    found = []
    with console.progress("measuring memory", len(contenders)) as advance:
        for each in contenders:
            spec = each.preprocessing
            shape = (spec.channels, spec.size, spec.size)
            found.append(memory.of_network(each.bundle.file(each.name), shape, threads))
            advance()
    return found


def _inputs(preprocessing: Preprocessing, rows: Split) -> list[NDArray[np.float32]]:
    """Return images spread over the split as inputs of batch 1."""
    positions = np.unique(np.linspace(0, len(rows) - 1, _TIMED_IMAGES).astype(np.int64))
    batch = preprocessing.apply(rows.take(positions))
    return [np.ascontiguousarray(batch[number : number + 1]) for number in range(len(batch))]


def _entry(
    contender: _Contender,
    runtime: str,
    rows: Split,
    leak_free: Split | None,
    logits: NDArray[np.float32],
    latency: timing.Latency,
    used: memory.Memory | None,
    spent: energy.Energy | None,
) -> NetworkEntry:
    network = contender.bundle.manifest.networks[contender.name]
    judged = accuracy.of(contender.bundle, rows, leak_free, logits)
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
        memory=used,
        energy=spent,
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


def bundle_entry(title: str, bundle: Bundle) -> BundleEntry:
    """Return what a result says of a bundle."""
    manifest = bundle.manifest
    return BundleEntry(
        title=title,
        path=str(bundle.path),
        preprocessing=manifest.preprocessing,
        parameters=manifest.parameters,
        macs=manifest.macs,
        trained_on=manifest.data,
    )


def _recommendations(networks: Sequence[NetworkEntry], samples: Sequence[NDArray[np.float64]]) -> list[Recommendation]:
    places = {id(entry): place for place, entry in enumerate(networks)}

    def ratio(over: NetworkEntry, under: NetworkEntry) -> timing.Interval:
        return timing.ratio(samples[places[id(over)]], samples[places[id(under)]])

    titles = dict.fromkeys(entry.bundle for entry in networks)
    found = (recommend([entry for entry in networks if entry.bundle == title], ratio) for title in titles)
    return [each for each in found if each is not None]


def _command(
    bundles: Sequence[Bundle],
    dataset: Dataset,
    device: str,
    threads: int,
    split: str,
    seconds: float,
    options: gpu.Options,
) -> str:
    command = ["edgefer", "bench", *(str(bundle.path) for bundle in bundles), "--device", device]
    command += [] if dataset.drawn else ["--data", dataset.origin]
    return shlex.join([*command, "--split", split, *words(threads, seconds, options)])


def data_warnings(titles: Sequence[str], bundles: Sequence[Bundle], dataset: Dataset, split: str) -> list[str]:
    """Return what is to be known of accuracy on these images, in lines."""
    found = []
    for title, bundle in zip(titles, bundles, strict=True):
        settings = bundle.manifest.recipe.get("data", {})
        protocol = settings.get("split")
        if settings.get("classes"):
            found.append(
                f"{title} tells {len(bundle.manifest.labels)} classes apart, and images of others are left out: "
                "its accuracy does not compare with that on all of them"
            )
        if split == "train" or (split in ("val", "public+private") and protocol != "stratified"):
            role = "trained" if split == "train" else "selected"
            found.append(f"{title}: images of {split} {role} this network, so its accuracy on them flatters it")
        trained_on = bundle.manifest.data
        if trained_on.digest != dataset.whole_digest:
            found.append(
                f"{title} was trained on {trained_on.name} ({trained_on.digest[:8]}), "
                f"but is evaluated on {dataset.name} ({dataset.whole_digest[:8]})"
            )
    return found


def _warnings(
    titles: Sequence[str],
    bundles: Sequence[Bundle],
    dataset: Dataset,
    split: str,
    this_machine: machine.Machine,
    networks: Sequence[NetworkEntry],
    comparisons: Sequence[Comparison],
) -> list[str]:
    found = data_warnings(titles, bundles, dataset, split)
    x86 = this_machine.architecture in ("x86_64", "AMD64")
    if x86 and not this_machine.fast_int8 and any(entry.precision == "int8" for entry in networks):
        found.append("this CPU has no VNNI: INT8 gains little speed and may lose accuracy, as 8-bit products saturate")
    for entry in networks:
        if entry.latency.coefficient_of_variation > _NOISY:
            found.append(
                f"latency of {entry.bundle} {entry.network} is noisy (coefficient of variation "
                f"{entry.latency.coefficient_of_variation:.2f}): other work on this machine shows in p90 to p99"
            )
    for comparison in comparisons:
        if comparison.latency.high >= 1:
            found.append(
                f"{comparison.bundle} {comparison.network} is not faster than {comparison.against} on this machine: "
                f"{comparison.latency.estimate:.2f} times its latency "
                f"({comparison.latency.low:.2f} to {comparison.latency.high:.2f})"
            )
    return found


def _device_warnings(conditions: Conditions) -> list[str]:
    """Return what the device itself says against the figures."""
    found = []
    board, after = conditions.jetson_before, conditions.jetson_after
    if board and after:
        if not board.clocks_locked:
            found.append("the clocks follow the load: sudo jetson_clocks holds them at their highest")
        mode = board.power_mode or "unknown"
        if not mode.upper().startswith("MAXN"):
            found.append(f"power mode {mode}: these figures are of this mode (sudo nvpmodel -q; -m 0 gives the most)")
        if (after.throttled or 0) > (board.throttled or 0):
            found.append("the board held its clocks down for over-current while it was measured")
        warmer = max(
            (after.temperatures[zone] - board.temperatures.get(zone, 1e9) for zone in after.temperatures), default=0
        )
        if warmer > _HOT:
            found.append(
                f"the board warmed up by {warmer:.0f} degrees while it was measured: let it run warm, and repeat"
            )
    if conditions.card_after and conditions.card_after.throttled:
        found.append("the card held its clock down while it was measured (nvidia-smi -q -d PERFORMANCE says why)")
    return found
