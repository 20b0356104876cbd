"""What a bench is of, bundles and images: do they fit, what is said of them, and what must be known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgefer import data, public
from edgefer.backends import registry
from edgefer.bench import training
from edgefer.bench.result import BundleEntry, TestData
from edgefer.bundle import Bundle, shipped
from edgefer.data import as_recorded, splits_of
from edgefer.data.dataset import SPLITS, Dataset, Split
from edgefer.data.splits import comes_from_carved
from edgefer.errors import InputError
from edgefer.labels import numbered

_NAMED = 4  # in one line


def titles_of(bundles: Sequence[Bundle]) -> list[str]:
    """Return the bundles' names; the second and later of one name get a number."""
    titles: list[str] = []
    for bundle in bundles:
        name = bundle.manifest.name
        count = sum(other.manifest.name == name for other in bundles[: len(titles)])
        titles.append(f"{name} #{count + 1}" if count else name)
    return titles


def divided_as_for(bundles: Sequence[Bundle], dataset: Dataset) -> Dataset:
    """Return the data set divided as for the first bundle that was trained on these pictures, where edgefer did that.

    Args:
        bundles: that are judged.
        dataset: the whole, with all its classes.
    """
    for bundle in bundles:
        found = as_recorded(dataset, bundle.manifest.data.model_dump())
        if found is not dataset:
            return found
    return dataset


def check_unseen(bundle: Bundle, dataset: Dataset, rows: Split) -> None:
    """Refuse images that a bundle's network has learned, because its data set was divided otherwise.

    Args:
        bundle: that is judged.
        dataset: the whole that the images are from.
        rows: the images.

    Raises:
        InputError: it has learned some of them.
    """
    said = bundle.manifest.data
    if rows.name == "train" or said.digest == dataset.whole_digest:
        return
    theirs = splits_of(dataset, said.model_dump())
    learned = 0 if theirs is None else int((theirs[rows.indices] == SPLITS.index("train")).sum())
    if learned:
        raise InputError(
            f"{bundle.path} has learned {learned:,} of the {len(rows):,} images of {rows.name}: it was trained on "
            "another division of these pictures; judge it alone, with the labels that it was trained with"
        )


def with_labels_of(bundles: Sequence[Bundle], dataset: Dataset) -> Dataset:
    """Return the images of the classes that the first bundle tells apart: a network for four is judged on these.

    Data that lack some of its classes are judged on those that both know. What fits no bundle is returned as it is, for
    `check_labels` to refuse.
    """
    labels = bundles[0].manifest.labels
    if {*labels} <= {*dataset.classes}:
        return data.only(dataset, labels)
    return data.with_classes(dataset, labels) if len(shared(bundles[0], dataset)) >= 2 else dataset


def shared(bundle: Bundle, dataset: Dataset) -> list[str]:
    """Return the classes that a bundle and a data set both know, in the bundle's order."""
    return [name for name in bundle.manifest.labels if name in dataset.classes]


def left_out(bundle: Bundle, dataset: Dataset, split: str) -> str:
    """Return which classes a bench leaves out on either side, in a line; nothing where all are shared.

    Args:
        bundle: that is judged.
        dataset: the whole, with all its classes.
        split: whose images are judged.
    """
    labels, both = bundle.manifest.labels, shared(bundle, dataset)
    if len(both) == len(labels) or len(both) < 2:
        return ""
    theirs = [name for name in dataset.classes if name not in labels]
    images = int(np.isin(data.split(dataset, split).labels, [dataset.classes.index(name) for name in theirs]).sum())
    missing = listed([name for name in labels if name not in both])
    dropped = f"; {images:,} images of {listed(theirs)} are left out, which the network does not know" if theirs else ""
    return (
        f"judged on the {len(both)} classes that network and data both know, {listed(both)}: the data have no {missing}"
        f"{dropped}; `shared` is the accuracy where the network chooses among these {len(both)} alone"
    )


def check_labels(bundle: Bundle, dataset: Dataset) -> None:
    """Refuse data of other classes than the bundle's.

    Raises:
        InputError: its labels are others.
    """
    labels = bundle.manifest.labels
    if labels != dataset.classes:
        if numbered(dataset.classes):
            raise InputError(f"{data.guessed(dataset)}; write that down with edgefer data info --save")
        raise InputError(
            f"{bundle.path} tells {', '.join(labels)} apart, but {dataset.name} has the classes "
            f"{', '.join(dataset.classes)}; name other data with --data, or give these labels the network's with "
            "edgefer data info --map --save"
        )


def check_bundle(bundle: Bundle, dataset: Dataset, device: str) -> None:
    """Refuse a bundle that has other classes than the data, or nothing for the device.

    Raises:
        InputError: either.
    """
    check_labels(bundle, dataset)
    check_runs(bundle, device)


def check_runs(bundle: Bundle, device: str) -> None:
    """Refuse a bundle that has nothing for the device.

    Raises:
        InputError: so it is.
    """
    if not registry.get(device).networks(bundle):
        raise InputError(f"{bundle.path} has no network for {device}; it has {', '.join(bundle.manifest.networks)}")


def test_data(dataset: Dataset, split: str, rows: Split, clean: Split | None) -> TestData:
    """Return what a result says of its images."""
    return TestData(
        name=dataset.name,
        origin=origin(dataset),
        digest=dataset.digest,
        synthetic=dataset.synthetic,
        split=split,
        images=len(rows),
        leak_free_images=None if clean is None else len(clean),
        classes=dataset.classes,
        division=dataset.division if comes_from_carved(split, dataset.carved) else None,
    )


def bundle_entry(title: str, bundle: Bundle) -> BundleEntry:
    """Return what a result says of a bundle."""
    manifest = bundle.manifest
    return BundleEntry(
        title=title,
        path=named(bundle),
        preprocessing=manifest.preprocessing,
        parameters=manifest.parameters,
        macs=manifest.macs,
        trained_on=manifest.data,
        training=training.of(manifest),
    )


def command(
    bundles: Sequence[Bundle], dataset: Dataset, devices: Sequence[str], split: str, words: Sequence[str]
) -> list[str]:
    """Return the words of the command line that benches these again.

    Args:
        bundles: in order; what comes with edgefer has its own name there.
        dataset: named where it is not synthetic.
        devices: that it runs on.
        split: whose images are judged.
        words: further options.
    """
    source = [] if dataset.synthetic else ["--data", origin(dataset)]
    return ["edgefer", "bench", *map(named, bundles), *on(devices), *source, "--split", split, *words]


def on(devices: Sequence[str]) -> list[str]:
    """Return the words of a command line that name devices."""
    return [word for device in devices for word in ("--device", device)]


def named(bundle: Bundle) -> str:
    """Return what to call a bundle: its own name if it comes with edgefer, else its folder (`edgefer.public.place`)."""
    name = bundle.path.name
    ours = shipped(name)
    return name if ours is not None and ours.resolve() == bundle.path.resolve() else public.place(bundle.path)


def origin(dataset: Dataset) -> str:
    """Return where a data set is from, as a file that people pass on says it."""
    return dataset.origin if dataset.synthetic else public.place(dataset.origin)


def data_warnings(titles: Sequence[str], bundles: Sequence[Bundle], dataset: Dataset, split: str) -> list[str]:
    """Return what is to be known of accuracy on these images, in lines."""
    found = []
    for title, bundle in zip(titles, bundles, strict=True):
        if bundle.manifest.classes_chosen:
            found.append(
                f"{title} tells {len(bundle.manifest.labels)} classes apart, and images of others are left out: "
                "its accuracy does not compare with that on all of them"
            )
        if split == "train" or _selected(split, bundle.manifest.protocol, dataset.carved):
            role = "trained" if split == "train" else "selected"
            found.append(f"{title}: images of {split} {role} this network, so its accuracy on them flatters it")
    others: dict[tuple[str, str], list[str]] = {}
    for title, bundle in zip(titles, bundles, strict=True):
        trained_on = bundle.manifest.data
        if trained_on.digest != dataset.whole_digest:
            others.setdefault((trained_on.name, trained_on.digest), []).append(title)
    for (name, digest), trained in others.items():
        were, are = ("was", "is") if len(trained) == 1 else ("were", "are")
        found.append(
            f"{listed(trained)} {were} trained on {name} ({digest[:8]}), "
            f"but {are} evaluated on {dataset.name} ({dataset.whole_digest[:8]})"
        )
    return found


def _selected(split: str, protocol: str, carved: Sequence[str]) -> bool:
    """Return whether images of a split chose the checkpoint; a carved `val` does with either protocol."""
    if split == "val":
        return "val" in carved or protocol != "stratified"
    return split == "public+private" and "val" not in carved and protocol != "stratified"


def listed(names: Sequence[str]) -> str:
    """Return names for a line, of many the first."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
