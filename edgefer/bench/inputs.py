"""The inputs of a bench, bundles and images: checks, descriptions and caveats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path

import numpy as np

from edgefer import data, public
from edgefer.backends import registry
from edgefer.bench import training
from edgefer.bench.probes import accuracy
from edgefer.bench.probes.base import Images
from edgefer.bench.result import BundleEntry, FurtherData, GroupTable, TestData
from edgefer.bundle import Bundle, shipped
from edgefer.data import as_recorded, splits_of
from edgefer.data.attributes import Attributes
from edgefer.data.dataset import SPLITS, Dataset, Split
from edgefer.data.splits import comes_from_carved
from edgefer.errors import InputError
from edgefer.evaluation import by_group
from edgefer.evaluation.views import PROTOCOLS, ViewProtocol
from edgefer.labels import numbered
from edgefer.lines import one_line

_NAMED = 4  # in one line


def titles_of(bundles: Sequence[Bundle]) -> list[str]:
    """Return the bundles' names; repeated names get a number."""
    titles: list[str] = []
    for bundle in bundles:
        name = bundle.manifest.name
        count = sum(other.manifest.name == name for other in bundles[: len(titles)])
        titles.append(f"{name} #{count + 1}" if count else name)
    return titles


@dataclass(frozen=True)
class Evaluated:
    """A data set that bundles are evaluated on.

    Attributes:
        title: its name, unique in a bench.
        dataset: with the bundles' labels.
        split: images to evaluate.
        rows: the images.
        shared: the classes shared by network and data.
        missing: which classes are skipped on either side, in one line; empty if all are shared.
    """

    title: str
    dataset: Dataset
    split: str
    rows: Split
    shared: tuple[str, ...]
    missing: str

    @cached_property
    def images(self) -> Images:
        """Return the part that probes use; finds copies in its training images."""
        shared = [self.dataset.classes.index(name) for name in self.shared] if self.missing else []
        return Images(self.title, self.rows, accuracy.leak_free(self.dataset, self.rows), shared)


def evaluated(bundles: Sequence[Bundle], datasets: Sequence[Dataset], split: str) -> list[Evaluated]:
    """Return data sets with the labels of the bundles to evaluate.

    Args:
        bundles: all with the same labels.
        datasets: each data set as read; everything is measured on the first.
        split: images to evaluate.

    Raises:
        InputError: labels of bundle and data differ, a bundle was trained on these images, the split is
            empty, or two data sets are the same.
    """
    found: list[Evaluated] = []
    for given in datasets:
        dataset = divided_as_for(bundles, given)
        shared_classes, missing = shared(bundles[0], dataset), left_out(bundles[0], dataset, split)
        dataset = with_labels_of(bundles, dataset)
        for bundle in bundles:
            check_labels(bundle, dataset)
        rows = data.split(dataset, split)
        for bundle in bundles:
            check_unseen(bundle, dataset, rows)
        for other in found:
            same = other.dataset.digest == dataset.digest and np.array_equal(other.rows.labels, rows.labels)
            if same and np.array_equal(other.rows.indices, rows.indices):
                raise InputError(
                    f"{given.origin} has the same {len(rows):,} images of {split} as {other.dataset.origin}; name each "
                    "data set once"
                )
        titles = {each.title for each in found}
        names = (f"{dataset.name} #{number}" if number > 1 else dataset.name for number in count(1))
        title = next(name for name in names if name not in titles)
        found.append(Evaluated(title, dataset, split, rows, tuple(shared_classes), missing))
    return found


def further_views(protocols: Sequence[str]) -> list[ViewProtocol]:
    """Return the further protocols, each once, in the order of `PROTOCOLS`.

    Raises:
        InputError: a name is unknown.
    """
    for name in protocols:
        if name not in PROTOCOLS:
            raise InputError(f"--protocol takes {', '.join(PROTOCOLS)}, not {one_line(name, 40)}")
    return [name for name in PROTOCOLS[1:] if name in protocols]


def divided_as_for(bundles: Sequence[Bundle], dataset: Dataset) -> Dataset:
    """Return the data set with the splits of the first bundle trained on these pictures, if edgefer made them.

    Args:
        bundles: to evaluate.
        dataset: the whole, with all its classes.
    """
    for bundle in bundles:
        found = as_recorded(dataset, bundle.manifest.data.model_dump())
        if found is not dataset:
            return found
    return dataset


def check_unseen(bundle: Bundle, dataset: Dataset, rows: Split) -> None:
    """Refuse images that a bundle's network was trained on, because its data set was split differently.

    Args:
        bundle: to evaluate.
        dataset: the whole data set.
        rows: the images.

    Raises:
        InputError: it was trained on some of them.
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
    """Return the images of the first bundle's classes: a network for four classes is evaluated on those.

    If the data lack some of its classes, the shared ones are used. Data that fit no bundle are returned
    unchanged, for `check_labels` to refuse.
    """
    labels = bundles[0].manifest.labels
    if {*labels} <= {*dataset.classes}:
        return data.only(dataset, labels)
    return data.with_classes(dataset, labels) if len(shared(bundles[0], dataset)) >= 2 else dataset


def shared(bundle: Bundle, dataset: Dataset) -> list[str]:
    """Return the classes shared by a bundle and a data set, in the bundle's order."""
    return [name for name in bundle.manifest.labels if name in dataset.classes]


def left_out(bundle: Bundle, dataset: Dataset, split: str) -> str:
    """Return which classes a bench skips on either side, in one line; empty if all are shared.

    Args:
        bundle: to evaluate.
        dataset: the whole, with all its classes.
        split: images to evaluate.
    """
    labels, both = bundle.manifest.labels, shared(bundle, dataset)
    if len(both) == len(labels) or len(both) < 2:
        return ""
    theirs = [name for name in dataset.classes if name not in labels]
    images = int(np.isin(data.split(dataset, split).labels, [dataset.classes.index(name) for name in theirs]).sum())
    missing = listed([name for name in labels if name not in both])
    dropped = f"; {images:,} images of {listed(theirs)} are skipped: the network does not know them" if theirs else ""
    return (
        f"evaluated on the {len(both)} classes shared by network and data, {listed(both)}: the data have no {missing}"
        f"{dropped}; `shared` is the accuracy when the network chooses only among these {len(both)}"
    )


def check_labels(bundle: Bundle, dataset: Dataset) -> None:
    """Refuse data with other classes than the bundle's.

    Raises:
        InputError: its labels differ.
    """
    labels = bundle.manifest.labels
    if labels != dataset.classes:
        if numbered(dataset.classes):
            raise InputError(f"{data.guessed(dataset)}; save that with edgefer data info --save")
        raise InputError(
            f"{bundle.path} has the classes {', '.join(labels)}, but {dataset.name} has the classes "
            f"{', '.join(dataset.classes)}; use other data with --data, or map the labels "
            "with edgefer data info --map --save"
        )


def check_bundle(bundle: Bundle, dataset: Dataset, device: str) -> None:
    """Refuse a bundle with other classes than the data, or without a network for the device.

    Raises:
        InputError: either.
    """
    check_labels(bundle, dataset)
    check_runs(bundle, device)


def check_runs(bundle: Bundle, device: str) -> None:
    """Refuse a bundle without a network for the device.

    Raises:
        InputError: it has none.
    """
    if not registry.get(device).networks(bundle):
        raise InputError(f"{bundle.path} has no network for {device}; it has {', '.join(bundle.manifest.networks)}")


def test_data(dataset: Dataset, split: str, rows: Split, clean: Split | None) -> TestData:
    """Return what a result records about its images."""
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


def further_data(each: Evaluated) -> FurtherData:
    """Return what a result records about a further data set's images."""
    images = each.images
    about = test_data(each.dataset, each.split, each.rows, images.clean)
    return FurtherData(**about.model_dump(), title=each.title, shared_classes=each.shared)


def group_table(known: Attributes) -> GroupTable:
    """Return what a result records about the table of groups."""
    return GroupTable(
        file=known.file,
        key=known.key,
        columns=list(known.columns),
        people=known.people is not None,
        matched=known.matched,
        unmatched=known.unmatched,
        unused=known.unused,
        min_images=by_group.MIN_IMAGES,
        permutations=by_group.PERMUTATIONS,
        resamples=by_group.RESAMPLES,
        seed=by_group.SEED,
    )


def group_warnings(known: Attributes) -> list[str]:
    """Return the caveats of figures by group, one line each."""
    found = []
    if known.unmatched:
        images = known.matched + known.unmatched
        found.append(f"{known.file} has no row for {known.unmatched:,} of {images:,} images: these are in no group")
    return [*found, *(f"{known.file}: {line}" for line in known.skipped)]


def words_of_data(further: Sequence[Dataset], protocols: Sequence[str], groups: Path | None) -> list[str]:
    """Return the command-line arguments for further data sets, protocols and groups."""
    found = [word for each in further for word in ("--data", origin(each))]
    found += [word for each in protocols for word in ("--protocol", each)]
    return found if groups is None else [*found, "--groups", public.place(groups)]


def bundle_entry(title: str, bundle: Bundle) -> BundleEntry:
    """Return what a result records about a bundle."""
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
    """Return the command-line arguments that repeat this bench.

    Args:
        bundles: in order; pretrained ones by name.
        dataset: named unless synthetic.
        devices: to run on.
        split: images to evaluate.
        words: further options.
    """
    source = [] if dataset.synthetic else ["--data", origin(dataset)]
    return ["edgefer", "bench", *map(named, bundles), *on(devices), *source, "--split", split, *words]


def on(devices: Sequence[str]) -> list[str]:
    """Return the command-line arguments that name devices."""
    return [word for device in devices for word in ("--device", device)]


def named(bundle: Bundle) -> str:
    """Return a bundle's title: its name if it comes with edgefer, else its folder (`edgefer.public.place`)."""
    name = bundle.path.name
    ours = shipped(name)
    return name if ours is not None and ours.resolve() == bundle.path.resolve() else public.place(bundle.path)


def origin(dataset: Dataset) -> str:
    """Return a data set's origin in a form that can be shared."""
    return dataset.origin if dataset.synthetic else public.place(dataset.origin)


def data_warnings(titles: Sequence[str], bundles: Sequence[Bundle], dataset: Dataset, split: str) -> list[str]:
    """Return the caveats of accuracy on these images, one per line."""
    found = [
        f"{title} has {len(bundle.manifest.labels)} classes, and images of others are skipped: its accuracy "
        "is not comparable with one on all classes"
        for title, bundle in zip(titles, bundles, strict=True)
        if bundle.manifest.classes_chosen
    ]
    found += flattered(titles, bundles, dataset, split)
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


def flattered(titles: Sequence[str], bundles: Sequence[Bundle], dataset: Dataset, split: str) -> list[str]:
    """Return which bundles were trained or selected on these images, one per line."""
    found = []
    for title, bundle in zip(titles, bundles, strict=True):
        if bundle.manifest.data.digest != dataset.whole_digest:
            continue
        if split in ("train", "all") or _selected(split, bundle.manifest.protocol, dataset.carved):
            role = "trained" if split in ("train", "all") else "selected"
            found.append(f"{title}: images of {split} {role} this network, so its accuracy on them is too high")
    return found


def _selected(split: str, protocol: str, carved: Sequence[str]) -> bool:
    """Return whether a split's images selected the checkpoint; a carved `val` always does."""
    if split == "val":
        return "val" in carved or protocol != "stratified"
    return split == "public+private" and "val" not in carved and protocol != "stratified"


def listed(names: Sequence[str]) -> str:
    """Join names into one line, shortened if there are many."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
