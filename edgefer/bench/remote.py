"""A bench on another machine: copy bundles and images there, run `edgefer bench` there, bring its result back."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgefer import console, paths, versions
from edgefer.backends import registry
from edgefer.bench import inputs, result_file
from edgefer.bench.result import BenchResult
from edgefer.bundle import Bundle
from edgefer.bundle.folder import MANIFEST
from edgefer.data import attributes, packed
from edgefer.data.dataset import Dataset
from edgefer.devices import remote
from edgefer.errors import EdgeferError, GateFailed, InputError, MissingRequirement
from edgefer.lines import printable, typed

_DATA, _GROUPS = "upload/data", "upload/groups.csv"
_ERROR = "edgefer: "  # prefix of the line that says why a command failed (`edgefer.cli.ending`)
_NO_REPORT = "no report.html: "  # not wanted there
_PASSED_ON: dict[int, type[EdgeferError]] = {
    error.exit_code: error for error in (GateFailed, InputError, MissingRequirement, EdgeferError)
}


def bench(
    bundles: Sequence[Bundle],
    dataset: Dataset,
    *,
    host: str,
    devices: Sequence[str],
    split: str,
    options: Sequence[str] = (),
    remote_edgefer: str | None = None,
    further: Sequence[Dataset] = (),
    protocols: Sequence[str] = (),
    groups: Path | None = None,
) -> BenchResult:
    """Measure bundles on another machine; the result is as from a bench here, with that machine's name.

    Copies the bundles' network files and the images of the split.

    Args:
        bundles: at least one; all with the data set's classes.
        dataset: source of the images.
        host: see `edgefer.devices.remote.connect`.
        devices: devices there: ``cpu``, ``jetson``, ...
        split: images to evaluate, e.g. ``test`` or ``public+private``.
        options: further arguments of `edgefer bench` there.
        remote_edgefer: the command there.
        further: data sets for accuracy only.
        protocols: further accuracy protocols.
        groups: table with the group of each image of the first data set.

    Raises:
        InputError: a name or path is wrong, labels of bundle and data differ, the split is empty.
        MissingRequirement: ssh or edgefer is missing, the host cannot be reached, its disk is full, or the connection
            is lost.
        EdgeferError: the bench there failed; with its message and its exit code.
    """
    remote.check_name(host)
    for device in devices:
        registry.get(device)
    all_data = inputs.evaluated(bundles, [dataset, *further], split)
    dataset = all_data[0].dataset
    known = None if groups is None else attributes.read(groups, dataset, all_data[0].rows)
    with paths.temporary_folder() as made:
        folder = made.resolve()
        digests = {}
        for number, each in enumerate(all_data, 1):
            place = f"{_DATA}-{number}"
            (folder / place).mkdir(parents=True)
            digests[place] = packed.write(each.dataset, split, folder / place)
        people = [] if known is None else ["--groups", _GROUPS]
        if known is not None:
            (folder / _GROUPS).write_text(known.table(all_data[0].rows), encoding="utf-8")
        places = {f"upload/bundle-{number}": bundle for number, bundle in enumerate(bundles, 1)}
        for place, bundle in places.items():
            _copy(bundle, folder / place)
        console.say(f"connecting to {host}")
        with remote.connect(host, edgefer=remote_edgefer) as there:
            _check_version(host, there.version)
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            console.say(f"copying {size / 1e6:.1f} MB to {host}")
            there.send(folder / "upload")
            origins = {place: each.dataset.origin for place, each in zip(digests, all_data, strict=True)}
            origins |= {_GROUPS: str(groups)} if groups else {}
            names = {**origins, **{place: str(bundle.path) for place, bundle in places.items()}}
            words = [
                "bench",
                *places,
                *inputs.on(devices),
                *(word for place in digests for word in ("--data", place)),
                "--split",
                split,
                *options,
                *inputs.words_of_data([], protocols, None),
                *people,
                "--out",
                "out",
            ]
            _run(there, words, names)
            there.fetch("out/result.json", folder / "result.json")
        result = _read(folder / "result.json", host, next(iter(digests.values())), bundles)
    again = inputs.command(bundles, dataset, devices, split, options)
    again += inputs.words_of_data([each.dataset for each in all_data[1:]], protocols, groups)
    again += ["--host", host if remote_edgefer is None else f"{host}:{remote_edgefer}"]
    data = {"name": dataset.name, "origin": inputs.origin(dataset), "digest": dataset.digest}
    entries = [
        entry.model_copy(update={"path": inputs.named(bundle)})
        for entry, bundle in zip(result.bundles, bundles, strict=True)
    ]
    others = [
        each.model_copy(
            update={
                "name": ours.dataset.name,
                "origin": inputs.origin(ours.dataset),
                "digest": ours.dataset.digest,
                "shared_classes": ours.shared,
            }
        )
        for each, ours in zip(result.further_data, all_data[1:], strict=True)
    ]
    table = None if known is None else inputs.group_table(known)
    changes = {
        **{"repeat": typed(again), "host": host, "bundles": entries, "further_data": others, "groups": table},
        "warnings": [*result.warnings, *([] if known is None else inputs.group_warnings(known))],
    }
    return result.model_copy(update={**changes, "data": result.data.model_copy(update=data)})


def _copy(bundle: Bundle, folder: Path) -> None:
    """Copy a bundle's files, without others in its folder."""
    folder.mkdir()
    manifest = bundle.manifest
    files = {network.file for network in manifest.networks.values()} | {engine.file for engine in manifest.engines}
    for name in (MANIFEST, *files):
        shutil.copyfile(bundle.path / name, folder / name)


def _check_version(host: str, version: str) -> None:
    """Refuse an edgefer with possibly different options and results.

    Raises:
        MissingRequirement: its version differs from this one's in more than the last number.
    """
    here = versions.installed().get("edgefer", "0+unknown")  # as `edgefer --version` says
    if version == here:
        return
    if version.split(".")[:2] != here.split(".")[:2]:
        raise MissingRequirement(
            f"{host} has edgefer {version}, this machine has {here}; install the same version there: edgefer=={here}"
        )
    console.say(f"note: {host} has edgefer {version}, this machine has {here}")


def _run(there: remote.Host, words: Sequence[str], names: Mapping[str, str]) -> None:
    """Run a command there and pass on its output and failure.

    Args:
        there: the host.
        words: arguments of edgefer.
        names: local names for the paths there.

    Raises:
        EdgeferError: it failed.
    """
    reason = ""

    def heard(line: str) -> None:
        nonlocal reason
        if line.startswith(_ERROR):
            reason = printable(line.removeprefix(_ERROR))
        elif line and not line.startswith(_NO_REPORT):
            console.say(f"{there.name}: {printable(line)}")

    code = there.run(words, heard)
    if code == 0:
        return
    for place in sorted(names, key=len, reverse=True):
        reason = reason.replace(place, names[place])
    kind = _PASSED_ON.get(code)
    if kind is not None:
        raise kind(f"{there.name}: {reason or 'the bench failed; see its output above'}")
    if code > 128:
        raise MissingRequirement(
            f"the bench on {there.name} was killed there (exit code {code}); did it run out of memory?"
        )
    raise MissingRequirement(f"the bench on {there.name} ended with exit code {code}; see its output above")


def _read(path: Path, host: str, digest: str, bundles: Sequence[Bundle]) -> BenchResult:
    """Read the result of the networks and images that were sent.

    Raises:
        MissingRequirement: it is not one.
    """
    problem = MissingRequirement(
        f"{host} did not return the result of this bench; install the same edgefer version there"
    )
    try:
        result = result_file.read(path)  # untrusted, like any file: strict schema, printable texts
    except InputError:
        raise problem from None
    sent = {network.sha256 for bundle in bundles for network in bundle.manifest.networks.values()}
    measured = {entry.sha256 for entry in result.networks}
    if result.data.digest != digest or len(result.bundles) != len(bundles) or not measured <= sent:
        raise problem
    return result
