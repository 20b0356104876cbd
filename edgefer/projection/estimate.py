"""Project bundles onto a device that is not available."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from edgefer import data, versions
from edgefer.backends import registry
from edgefer.backends.base import Options
from edgefer.bench import inputs
from edgefer.bench.probes import accuracy
from edgefer.bundle import Bundle
from edgefer.bundle.manifest import Precision
from edgefer.data.dataset import Dataset, Split
from edgefer.devices import machine, present
from edgefer.devices.specs import DeviceSpec, Family, devices
from edgefer.errors import InputError
from edgefer.evaluation import predict
from edgefer.graph.reading import read
from edgefer.graph.roofline import Kernel, kernels, min_time
from edgefer.lines import typed
from edgefer.projection.result import Projected, ProjectedNetwork, Projection, Workload

_BATCH = 64
_ABSENT = {"jetson": "This is not a Jetson", "rtx": "There is no NVIDIA GPU here", "pi": "This is not a Raspberry Pi"}
_BACKENDS = {"pi": "cpu"}  # backends of device families whose name is not a device
_HOSTS = {"jetson": "user@orin", "rtx": "user@machine", "pi": "user@raspberrypi"}
_METHOD = (
    "Roofline (Williams, Waterman and Patterson, CACM 2009): per kernel the longer of arithmetic at "
    "the GPU's dense rate and traffic at memory bandwidth, one kernel after another, batch 1, highest power mode, "
    "perfect kernels. Expect more: kernel launches, which no data sheet states, can take most of the time in networks "
    "this small. Copies to and from the GPU are excluded. A cache can save traffic, not arithmetic"
)
_CPU_METHOD = (
    "Roofline (Williams, Waterman and Patterson, CACM 2009): per operator the longer of arithmetic at the "
    "core's peak rate and traffic at memory bandwidth, one operator after another, batch 1, highest clock, perfect "
    "kernels. Expect more: ONNX Runtime stays below the peak, and a board without a fan lowers its clock. Caches, "
    "which save traffic only, are excluded"
)
_PI_INT8 = (
    "Raspberry Pi 4 has no dot product: INT8 gains at most a factor of two and can be "
    "slower (OpenCV Zoo's MobileFaceNet: 36 ms in INT8, 28 ms in FP32); measure before you choose"
)
_RTX_INT8 = (
    "no INT8 projection: up to version 1.5, TensorRT for RTX documents INT8 only for the weights of matrix "
    "products; for INT8 on such a GPU use --device tensorrt"
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
    """Project accuracy and latency for a device that is not available.

    Accuracy is measured: ONNX Runtime runs the device's graphs with their numerics. Times are projected
    (`edgefer.graph.roofline`) for each device of the family, in the bundle's precisions. For a GPU, FP16 is projected
    even without an FP16 file, from the same layers.

    Args:
        bundles: at least one; all with the data set's classes.
        dataset: source of the images.
        device: ``jetson``, ``rtx`` or ``pi``.
        threads: intra-operator threads, both here and on a projected CPU.
        split: named evaluation set, e.g. ``test`` or ``public+private``.
        root: location of `proc` and `etc`; another folder in tests.

    Raises:
        InputError: labels of bundle and data differ, a bundle has no network for the device, the split is empty, or
            shape inference fails for a graph.
    """
    if not bundles:
        raise InputError("no bundle to project")
    backend = _BACKENDS.get(device, device)
    titles = inputs.titles_of(bundles)
    dataset = inputs.with_labels_of(bundles, inputs.divided_as_for(bundles, dataset))
    for bundle in bundles:
        inputs.check_bundle(bundle, dataset, backend)
    counted = [_count(title, bundle, device) for title, bundle in zip(titles, bundles, strict=True)]
    workloads = [(workload, each) for of_bundle in counted for workload, each in of_bundle]
    rows = data.split(dataset, split)
    for bundle in bundles:
        inputs.check_unseen(bundle, dataset, rows)
    clean = accuracy.leak_free(dataset, rows)
    this_machine = machine.describe()
    networks = [
        _judge(title, bundle, name, backend, this_machine, threads, rows, clean)
        for title, bundle in zip(titles, bundles, strict=True)
        for name in registry.get(backend).networks(bundle)
    ]
    asked = ["edgefer", "bench", *map(inputs.named, bundles), "--device", backend, "--host", _HOSTS[device]]
    warnings = inputs.data_warnings(titles, bundles, dataset, split)
    if device == "rtx" and any(workload.precision == "int8" for workload, _ in workloads):
        warnings.append(_RTX_INT8)
    if device == "pi" and any(workload.precision == "int8" for workload, _ in workloads):
        warnings.append(_PI_INT8)
    again = inputs.command(bundles, dataset, [device], split, ["--threads", str(threads)])[2:]
    return Projection(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        repeat=typed(["edgefer", "project", *again]),
        measure=typed(asked),
        device=device,
        statement=statement(device, root),
        threads=threads if device == "pi" else 1,
        method=_CPU_METHOD if device == "pi" else _METHOD,
        machine=this_machine,
        versions=versions.installed("onnx", "onnxruntime", "numpy"),
        data=inputs.test_data(dataset, split, rows, clean),
        bundles=[inputs.bundle_entry(title, bundle) for title, bundle in zip(titles, bundles, strict=True)],
        networks=networks,
        workloads=[workload for workload, _ in workloads],
        devices=list(devices(device)),
        projected=[_projected(workload, each, gpu, threads) for workload, each in workloads for gpu in devices(device)],
        warnings=warnings,
    )


def statement(device: Family, root: Path = Path("/")) -> str:
    """Return the projection's first line: nothing was measured on such a device.

    Args:
        device: ``jetson``, ``rtx`` or ``pi``.
        root: as for `project`.
    """
    if present.here(device, root):
        return f"Nothing below was measured on this {'board' if device == 'pi' else 'GPU'}: this is a projection."
    return f"{_ABSENT[device]}: nothing below was measured on one."


def _count(title: str, bundle: Bundle, device: Family) -> list[tuple[Workload, list[Kernel]]]:
    """Return the workload of a bundle's networks on a device.

    INT8 and FP16 files for a GPU, INT8 and FP32 files for a CPU. Without a floating-point file, the layers of another
    file are used.
    """
    manifest = bundle.manifest
    names = registry.get(_BACKENDS.get(device, device)).networks(bundle)
    floating: Literal["fp32", "fp16"]
    other: Precision
    floating, other = ("fp32", "fp16") if device == "pi" else ("fp16", "fp32")
    found = []
    for name in names:
        precision = manifest.networks[name].precision
        if precision != other:
            found.append(_workload(title, name, precision, kernels(read(bundle.file(name))), True))
    if not any(workload.precision == floating for workload, _ in found):
        layers = kernels(read(bundle.file(names[0])), floating)
        found.insert(0, _workload(title, names[0], floating, layers, False))
    return found


def _workload(
    title: str, network: str, precision: Precision, found: list[Kernel], as_filed: bool
) -> tuple[Workload, list[Kernel]]:
    workload = Workload(
        bundle=title,
        network=network,
        precision=precision,
        as_filed=as_filed,
        kernels=len(found),
        macs=sum(kernel.macs for kernel in found),
        padded_macs=sum(kernel.padded_macs for kernel in found),
        moved_bytes=sum(kernel.bytes for kernel in found),
        fp32_macs=sum(kernel.macs for kernel in found if kernel.precision == "fp32"),
    )
    return workload, found


def _projected(workload: Workload, found: list[Kernel], gpu: DeviceSpec, threads: int) -> Projected:
    # TensorRT for RTX does not document how it runs Q/DQ convolutions, so no rate is known until one is measured.
    unknown = gpu.family == "rtx" and workload.precision == "int8"
    time = None if unknown else min_time(found, gpu, threads)
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
    device: str,
    here: machine.Machine,
    threads: int,
    rows: Split,
    clean: Split | None,
) -> ProjectedNetwork:
    network = bundle.manifest.networks[name]
    with registry.open_network(bundle, name, options=Options(threads=threads)) as session:
        spec = bundle.manifest.preprocessing
        logits = predict.logits(session.infer, spec, rows, _BATCH, f"evaluating {title} {name}")
    judged = accuracy.of(bundle, rows, clean, logits)
    return ProjectedNetwork(
        bundle=title,
        network=name,
        precision=network.precision,
        target=network.target,
        runtime=f"onnxruntime {here.versions['onnxruntime']} on the CPU"
        + ("" if device == "cpu" else f", standing in for {registry.get(device).title}"),
        sha256=network.sha256,
        file_bytes=network.bytes,
        quality=judged.quality,
        leak_free=judged.leak_free,
        per_class=judged.per_class,
        confusion=judged.confusion,
    )
