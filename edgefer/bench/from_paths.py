"""`edgefer.bench`: bundles by path, by name or opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgefer import bundle, console, paths
from edgefer.bench import probes
from edgefer.bench.measurement import bench as measured
from edgefer.bench.result import BenchResult
from edgefer.bundle import Bundle
from edgefer.data.dataset import Dataset
from edgefer.data.default import given

Named = Bundle | Path | str


def bench(
    bundles: Named | Sequence[Named] | None = None,
    data: Dataset | Path | str | Sequence[Dataset | Path | str] | None = None,
    *,
    device: str | Sequence[str] = "cpu",
    threads: int = 1,
    split: str = "test",
    seconds: float = 3.0,
    measure: Sequence[str] = (),
    protocols: Sequence[str] = (),
    groups: Path | str | None = None,
) -> BenchResult:
    """Measure every network of the bundles that runs on the device: accuracy, latency, memory, cold starts.

    >>> import edgefer
    >>> faces = edgefer.data.builtin(train=7, val=7, test=70)
    >>> (network,) = edgefer.bench("edgefer-nano", faces, seconds=0.05).networks
    >>> network.network
    'int8-cpu'
    >>> network.latency.p50 > 0  # milliseconds
    True

    Args:
        bundles: folders, or names of networks that come with edgefer; by default the newest in ``runs/compress``, else
            ``edgefer-base``.
        data: one or several data sets or paths: all but the first are for accuracy only; by
            default from `edgefer.data.find`.
        device: ``cpu`` (ONNX Runtime), ``openvino``, ``jetson``, ``tensorrt``, ``rtx``; or several.
        threads: CPU threads for one operator.
        split: images to evaluate, e.g. ``test`` or ``public+private``.
        seconds: minimum time for timing each network.
        measure: expensive probes: ``robustness`` (accuracy under corruptions), ``throughput`` (images per second).
        protocols: further accuracy protocols: ``flip``, ``ten-crop``.
        groups: a CSV of pictures and their attributes, for figures by group.

    Raises:
        InputError: no such bundle or device, labels of bundle and data differ, the split is empty.
        MissingRequirement: the machine lacks what the device needs.
    """
    if isinstance(bundles, Bundle | Path | str):
        bundles = [bundles]
    opened = [each if isinstance(each, Bundle) else bundle.load(each) for each in bundles or ()]
    several = [data] if data is None or isinstance(data, Dataset | Path | str) else [*data]
    dataset, *further = [given(each) for each in several or [None]]
    return measured(
        opened or [newest()],
        dataset,
        device=device,
        threads=threads,
        split=split,
        seconds=seconds,
        probes=probes.standard(*measure),
        further=further,
        protocols=protocols,
        groups=None if groups is None else Path(groups),
    )


def newest() -> Bundle:
    """Return the newest bundle in ``runs/compress``, else edgefer-base, and say so."""
    if paths.latest("compress") is not None:
        return bundle.newest()
    found = bundle.default()
    console.say(f"no bundle given and none in runs/compress: using {found.manifest.name}, which comes with edgefer")
    return found
