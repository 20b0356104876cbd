"""Bundles in, a projection out, for a device that is not here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from edgefer import data, versions
from edgefer.backends import registry
from edgefer.backends.base import Options
from edgefer.bench import subjects
from edgefer.bench.probes import accuracy
from edgefer.bundle import Bundle
from edgefer.bundle.manifest import Precision
from edgefer.data.dataset import Dataset, Split
from edgefer.devices import machine, present
from edgefer.devices.specs import Device, Family, devices
from edgefer.errors import InputError
from edgefer.evaluation import predict
from edgefer.graph.read import read
from edgefer.graph.roofline import Kernel, kernels, least_time
from edgefer.lines import typed
from edgefer.projection.result import NetworkEntry, Projected, Projection, Workload

_BATCH = 64
_ABSENT = {"jetson": "This is no Jetson", "rtx": "There is no GPU of NVIDIA's here"}
_METHOD = (
    "Roofline (Williams, Waterman and Patterson, CACM 2009): each kernel takes the longer of its arithmetic at the "
    "GPU's dense rate and its traffic at memory's bandwidth, one kernel after another, batch 1, highest power mode, "
    "perfect kernels. Expect more: launching a kernel takes time too, which for networks as small as these can be most "
    "of it, and no data sheet states it. Copies to and from the GPU are left out. A cache that keeps tensors between "
    "kernels can save traffic, not arithmetic"
)
_RTX_INT8 = (
    "TensorRT for RTX documents INT8 for the weights of matrix products alone: that it runs these convolutions at the "
    "INT8 rate is not known"
)


def project(
    bundles: Sequence[Bundle],
    dataset: Dataset,
    *,
    device: Family,
    threads: int = 1,
    split: str = "test",
    root: Path = Path("/"),
) -> Projection:
    """Say what can be known of a device that is not here.

    Accuracy is measured: the graphs that the device would get, their numerics run by ONNX Runtime. Times are projected
    (`edgefer.graph.roofline`) for each GPU of the family, in the precisions that the bundle has, and in FP16 from the
    same layers where it has no FP16 file.

    Args:
        bundles: at least one; all with the data set's classes.
        dataset: where the images are from.
        device: ``jetson`` or ``rtx``.
        threads: threads for one operator.
        split: named evaluation set, e.g. ``test`` or ``public+private``.
        root: where `proc` and `etc` are; another folder in tests.

    Raises:
        InputError: labels of bundle and data differ, a bundle has no network for the device, the split is empty, a
            graph's shapes cannot be inferred.
    """
    if not bundles:
        raise InputError("no bundle to project")
    titles = subjects.titles_of(bundles)
    dataset = subjects.with_labels_of(bundles, subjects.divided_as_for(bundles, dataset))
    for bundle in bundles:
        subjects.check_bundle(bundle, dataset, device)
    counted = [_count(title, bundle, device) for title, bundle in zip(titles, bundles, strict=True)]
    workloads = [(workload, each) for of_bundle in counted for workload, each in of_bundle]
    rows = data.split(dataset, split)
    for bundle in bundles:
        subjects.check_unseen(bundle, dataset, rows)
    clean = accuracy.leak_free(dataset, rows)
    this_machine = machine.describe()
    networks = [
        _judge(title, bundle, name, device, this_machine, threads, rows, clean)
        for title, bundle in zip(titles, bundles, strict=True)
        for name in registry.get(device).networks(bundle)
    ]
    asked = ["edgefer", "bench", *map(subjects.named, bundles), "--device", device]
    warnings = subjects.data_warnings(titles, bundles, dataset, split)
    if device == "rtx" and any(workload.precision == "int8" for workload, _ in workloads):
        warnings.append(_RTX_INT8)
    again = subjects.command(bundles, dataset, [device], split, ["--threads", str(threads)])[2:]
    return Projection(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        repeat=typed(["edgefer", "project", *again]),
        measure=typed([*asked, "--host", "user@orin" if device == "jetson" else "user@machine"]),
        device=device,
        statement=statement(device, root),
        method=_METHOD,
        machine=this_machine,
        versions=versions.installed("onnx", "onnxruntime", "numpy"),
        data=subjects.test_data(dataset, split, rows, clean),
        bundles=[subjects.bundle_entry(title, bundle) for title, bundle in zip(titles, bundles, strict=True)],
        networks=networks,
        workloads=[workload for workload, _ in workloads],
        devices=list(devices(device)),
        projected=[_projected(workload, each, gpu) for workload, each in workloads for gpu in devices(device)],
        warnings=warnings,
    )


def statement(device: Family, root: Path = Path("/")) -> str:
    """Return the first line of a projection, which says that none of it was measured on such a device.

    Args:
        device: ``jetson`` or ``rtx``.
        root: as for `project`.
    """
    if present.here(device, root):
        return "Nothing below was measured on this GPU: this is a projection."
    return f"{_ABSENT[device]}: nothing below was measured on one."


def _count(title: str, bundle: Bundle, device: Family) -> list[tuple[Workload, list[Kernel]]]:
    """Return what a bundle's networks ask of a GPU: its INT8 and FP16 files, or other layers taken for FP16 ones."""
    manifest = bundle.manifest
    names = registry.get(device).networks(bundle)
    found = []
    for name in names:
        precision = manifest.networks[name].precision
        if precision != "fp32":
            found.append(_workload(title, name, precision, kernels(read(bundle.file(name))), True))
    if not any(workload.precision == "fp16" for workload, _ in found):
        layers = kernels(read(bundle.file(names[0])), "fp16")
        found.insert(0, _workload(title, names[0], "fp16", layers, False))
    return found


def _workload(
    title: str, network: str, precision: Precision, found: list[Kernel], as_filed: bool
) -> tuple[Workload, list[Kernel]]:
    workload = Workload(
        bundle=title,
        network=network,
        precision="int8" if precision == "int8" else "fp16",
        as_filed=as_filed,
        kernels=len(found),
        macs=sum(kernel.macs for kernel in found),
        moved_bytes=sum(kernel.bytes for kernel in found),
        fp32_macs=sum(kernel.macs for kernel in found if kernel.precision == "fp32"),
    )
    return workload, found


def _projected(workload: Workload, found: list[Kernel], gpu: Device) -> Projected:
    time = least_time(found, gpu)
    return Projected(
        bundle=workload.bundle,
        network=workload.network,
        precision=workload.precision,
        device=gpu.name,
        projected_milliseconds=None if time is None else 1e3 * time.least,
        arithmetic_milliseconds=None if time is None else 1e3 * time.arithmetic,
        memory_milliseconds=None if time is None else 1e3 * time.memory,
    )


def _judge(
    title: str,
    bundle: Bundle,
    name: str,
    device: Family,
    here: machine.Machine,
    threads: int,
    rows: Split,
    clean: Split | None,
) -> NetworkEntry:
    network = bundle.manifest.networks[name]
    with registry.open_network(bundle, name, options=Options(threads=threads)) as session:
        spec = bundle.manifest.preprocessing
        logits = predict.logits(session.infer, spec, rows, _BATCH, f"evaluating {title} {name}")
    judged = accuracy.of(bundle, rows, clean, logits)
    return NetworkEntry(
        bundle=title,
        network=name,
        precision=network.precision,
        target=network.target,
        runtime=f"onnxruntime {here.versions['onnxruntime']} on the CPU, in the place of {registry.get(device).title}",
        sha256=network.sha256,
        file_bytes=network.bytes,
        quality=judged.quality,
        leak_free=judged.leak_free,
        per_class=judged.per_class,
        confusion=judged.confusion,
    )
