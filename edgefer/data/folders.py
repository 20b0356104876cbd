"""Pictures in class folders: finds folders, and reads splits and people from names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgefer.data.dataset import SPLITS, USAGES
from edgefer.data.groups import FEWEST
from edgefer.data.trees import File, Tree, join
from edgefer.errors import InputError
from edgefer.labels import LABELS, MAX_LABELS, MAX_LENGTH, canonical, label_of, ordered, possible
from edgefer.lines import printable

# Of pictures, in folders that are trained on and in those that are asked about.
ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp")
SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), SPLITS[0]),
    **dict.fromkeys(("val", "valid", "validation", "dev", "publictest"), SPLITS[1]),
    **dict.fromkeys(("test", "testing", "privatetest"), SPLITS[2]),
}
# Possible suffixes of a split's name: train_set, Train_Aligned_Faces.
_BEHIND = {"aligned", "cropped", "data", "dataset", "face", "faces", "image", "images", "img", "imgs", "set", "split"}
_NAME = re.compile(rf"({'|'.join(USAGES)})_(\d{{1,18}})")
_NAMED = 5  # in one line
_DEEPEST_TOP = 4  # folders within folders before the class folders begin


@dataclass(frozen=True)
class Pictures:
    """All pictures of a data set in row order, not yet read.

    Attributes:
        files: n of them.
        labels: int64, (n,): index into `classes`.
        splits: uint8, (n,): index into `SPLITS`, from the source.
        rows: int64, (n,).
        classes: in the order of `edgefer.labels.ordered`.
        usage: True if file names give split and row.
        carved: splits to take from the training images, once their pixels are known.
        layout: description, without the splits' origin.
        ignored: paths of other files that are not pictures.
        people: each picture's person folder, if any.
        top: folder with the split or class folders.
        people_rule: how `people` was found, for display.
    """

    files: list[File]
    labels: NDArray[np.int64]
    splits: NDArray[np.uint8]
    rows: NDArray[np.int64]
    classes: tuple[str, ...]
    usage: bool
    carved: tuple[str, ...]
    layout: str
    ignored: list[str]
    people: list[str | None]
    top: str
    people_rule: str = "a folder for each person"


@dataclass
class FoundPictures:
    """Pictures of a data set in the order found."""

    files: list[File]
    names: list[str]  # of the class, for each file
    splits: list[str | None]
    people: list[str | None]
    ignored: list[str]
    strays: list[str] = field(default_factory=list)  # pictures outside class folders
    inside: list[str] = field(default_factory=list)  # folders where pictures should be
    empty: list[str] = field(default_factory=list)  # class folders without a picture

    def check(self, tree: Tree) -> None:
        """Refuse misplaced files and folders, all in one message.

        Raises:
            InputError: there are some.
        """
        wrong = (
            (self.strays, "outside the class folders; move it into one or remove it"),
            (self.inside, "a folder inside a class or person folder; move it out"),
            (self.empty, "no pictures; add some or remove the folder"),
        )
        said = [f"{all_of(tree, paths)}: {what}" for paths, what in wrong if paths]
        if said:
            raise InputError("; ".join(said))


def all_of(tree: Tree, paths: Sequence[str]) -> str:
    """Return some paths for display, and the number of others."""
    more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
    return ", ".join(map(tree.label, paths[:_NAMED])) + more


def look(tree: Tree) -> Pictures:
    """Find all pictures of a tree.

    Raises:
        InputError: there are no class folders, some are empty, or pictures are elsewhere.
    """
    top = _top(tree)
    folders, files = tree.listing(top)
    found = FoundPictures([], [], [], [], [])
    levels = [name for name in folders if split_of(name)]
    if levels and any(canonical(name) for name in folders):
        raise InputError(f"{tree.label(top) or '.'} has class folders next to {levels[0]}; keep one of the two")
    if levels:
        _note_strays(tree, files, found)
        for name in folders:
            if name not in levels and _holds_pictures(tree, join(top, name)):
                raise InputError(
                    f"{tree.label(join(top, name))} is not a "
                    f"known split ({', '.join(sorted(SPLIT_FOLDERS))}); rename it or move it elsewhere"
                )
        for level in levels:
            _split_folder(tree, join(top, level), split_of(level), found)
    else:
        _split_folder(tree, top, None, found)
    found.check(tree)
    check_labels(tree.label(top), found.names, found.splits)
    ordered_levels = sorted(levels, key=lambda level: SPLITS.index(split_of(level) or ""))
    layout = " ".join(["class folders", ", ".join(f"{level}/" for level in ordered_levels)]).strip()
    return order(tree, found, layout, top)


def split_of(folder: str) -> str | None:
    """Return the split of a folder's name, or None."""
    first, *behind = re.split(r"[-_ .]+", folder.lower())
    return SPLIT_FOLDERS.get(first) if set(behind) <= _BEHIND else None


def _holds_pictures(tree: Tree, folder: str) -> bool:
    """Return whether a folder or one of its subfolders has pictures, like a split's folder."""
    folders, files = tree.listing(folder)
    return any(only_pictures(each) for each in (files, *(tree.listing(join(folder, name))[1] for name in folders)))


def _top(tree: Tree) -> str:
    """Return the folder with the splits or classes: the top, or its only subfolder."""
    top = ""
    for _ in range(_DEEPEST_TOP):
        folders, files = tree.listing(top)
        if any(split_of(name) or canonical(name) for name in folders):
            return top
        if len(folders) >= FEWEST and _are_people(tree, top, folders):
            return top
        if len(folders) != 1 or only_pictures(files):
            break
        top = join(top, folders[0])
    if _are_classes(tree, top):
        return top
    raise InputError(
        f"{tree.label('')} contains no data set: no fer2013.csv, no fer2013.zip, no folders train and "
        f"test, no class folders ({', '.join(LABELS)}, or yours), no other known layout (see docs/data.md)"
    )


def _are_classes(tree: Tree, folder: str) -> bool:
    """Return whether folders with unknown names are classes: two or more, all with pictures."""
    folders, files = tree.listing(folder)
    if len(folders) < 2 or only_pictures(files):
        return False
    return all(only_pictures(tree.listing(join(folder, name))[1]) for name in folders)


def _are_people(tree: Tree, folder: str, names: list[str]) -> bool:
    """Return whether the folders in `folder` are people: none is a class, and all contain only class folders."""
    inside = [(name, *tree.listing(join(folder, name))) for name in names if canonical(name) is None]
    return len(inside) == len(names) and all(
        deeper and all(canonical(_without(name, each)) for each in deeper) and not only_pictures(files)
        for name, deeper, files in inside
    )


def _without(person: str, folder: str) -> str:
    """Return a class folder's name without the person's prefix, as in ``aia/aia_anger``."""
    rest = folder[len(person) :]
    return rest.lstrip("-_ .") if folder.lower().startswith(person.lower()) and rest[:1] in "-_ ." else folder


def _split_folder(tree: Tree, folder: str, split: str | None, found: FoundPictures) -> None:
    """Add the pictures of all class folders in `folder`, or in its people's folders."""
    names, files = tree.listing(folder)
    _note_strays(tree, files, found)
    if not names:
        raise InputError(f"{tree.label(folder)} has no class folders")
    if _are_people(tree, folder, names):
        for name in names:
            path = join(folder, name)
            deeper, files = tree.listing(path)
            found.ignored += [file.path for file in files]
            for each in deeper:
                _class_folder(tree, join(path, each), _without(name, each), split, found, name)
        return
    if not any(map(canonical, names)) and all(_has_folders_alone(tree, join(folder, name)) for name in names):
        raise InputError(
            f"{tree.label(folder)} has nested folders, and {names[0]} may be a class or a "
            "person. Make one folder per class and begin file names with person1_, person2_, ..., or give a CSV of "
            "path, label and person"
        )
    for name in names:
        _class_folder(tree, join(folder, name), name, split, found, None)


def _has_folders_alone(tree: Tree, folder: str) -> bool:
    folders, files = tree.listing(folder)
    return bool(folders) and not only_pictures(files)


def _class_folder(
    tree: Tree, path: str, name: str, split: str | None, found: FoundPictures, person: str | None
) -> None:
    """Add the pictures of a class folder, directly or in a folder per person."""
    label = label_of(name)
    deeper, files = tree.listing(path)
    if deeper and (person is not None or only_pictures(files)):
        found.inside += [join(path, each) for each in deeper]
        return
    if not deeper:
        _take(tree, path, files, label, split, found, person)
    found.ignored += [file.path for file in files if deeper]
    for each in deeper:
        inner = join(path, each)
        more, files = tree.listing(inner)
        if more:
            found.inside += [join(inner, each) for each in more]
            continue
        _take(tree, inner, files, label, split, found, each)


def _take(
    tree: Tree, path: str, files: list[File], label: str, split: str | None, found: FoundPictures, person: str | None
) -> None:
    """Add the pictures of one folder."""
    pictures = only_pictures(files)
    if not pictures:
        found.empty.append(path)
        return
    found.files += pictures
    found.names += [label] * len(pictures)
    found.splits += [split] * len(pictures)
    found.people += [person] * len(pictures)
    found.ignored += [file.path for file in files if not is_picture(file)]


def is_picture(file: File) -> bool:
    """Return whether a file has a picture's suffix."""
    dot = file.path.rfind(".")
    return dot >= 0 and file.path[dot:].lower() in ENDINGS


def only_pictures(files: list[File]) -> list[File]:
    """Return the files with a picture's suffix."""
    return [file for file in files if is_picture(file)]


def _note_strays(tree: Tree, files: list[File], found: FoundPictures) -> None:
    found.strays += [picture.path for picture in only_pictures(files)]
    found.ignored += [file.path for file in files]


def check_labels(where: str, names: Sequence[str], splits: Sequence[str | None]) -> tuple[str, ...]:
    """Return a data set's labels in order.

    Args:
        where: name in messages.
        names: each picture's label.
        splits: each picture's, one of `SPLITS`; None if the source has none.

    Raises:
        InputError: too few, too many or unprintable labels, or some without training pictures; all are listed.
    """
    classes = ordered(names)
    bad = [name for name in classes if not possible(name)]
    if bad:
        raise InputError(
            f"{where}: {', '.join(map(_shown, bad[:_NAMED]))} cannot be a label (1 to {MAX_LENGTH} "
            "printable characters); rename it"
        )
    if not classes:
        raise InputError(f"{where} has no labelled pictures; give another file or folder")
    if len(classes) < 2:
        raise InputError(f"{where} has only one class ({', '.join(classes)}); a data set needs two or more")
    if len(classes) > MAX_LABELS:
        raise InputError(
            f"{where} has {len(classes)} labels, such as {', '.join(classes[:_NAMED])}, but at most {MAX_LABELS} "
            "are possible; if these are people or file names, give another folder or column"
        )
    training = {name for name, split in zip(names, splits, strict=True) if split in (None, SPLITS[0])}
    missing = [name for name in classes if training and name not in training]
    if missing:
        raise InputError(
            f"{where} has pictures of {', '.join(missing[:_NAMED])}, but not for training; add some, or "
            "move these elsewhere"
        )
    return classes


def _shown(name: str) -> str:
    return printable(name[:40]) or "an empty name"


def order(tree: Tree, found: FoundPictures, layout: str, top: str) -> Pictures:
    """Return the pictures in row order: from file names, else the order of `found`."""
    classes = ordered(found.names)
    places = {name: place for place, name in enumerate(classes)}
    labels = np.array([places[name] for name in found.names], dtype=np.int64)
    named = _from_names(tree, found.files)
    carved: tuple[str, ...] = ()
    if named is not None:
        splits, rows = named
    else:
        rows = np.arange(len(labels), dtype=np.int64)
        splits, carved = _from_folders(found.splits)
    paths = [file.path for file in found.files]
    places_of = np.array(sorted(range(len(paths)), key=lambda i: (rows[i], splits[i], paths[i])), dtype=np.int64)
    rows = rows[places_of]
    if (np.diff(rows) == 0).any():  # some copies of FER2013 have other, not unique numbers
        rows = np.arange(len(rows), dtype=np.int64)
    return Pictures(
        files=[found.files[i] for i in places_of],
        labels=labels[places_of],
        splits=splits[places_of],
        rows=rows,
        classes=classes,
        usage=named is not None,
        carved=carved,
        layout=layout,
        ignored=found.ignored,
        people=[found.people[i] for i in places_of],
        top=top,
    )


def _from_names(tree: Tree, files: list[File]) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
    """Return splits and rows from names like ``PublicTest_28709.png``, or None if no file has such a name."""
    matches = [_NAME.fullmatch(file.path.rpartition("/")[2].rpartition(".")[0]) for file in files]
    if not any(matches):
        return None
    others = [file.path for file, match in zip(files, matches, strict=True) if match is None]
    if others:
        raise InputError(f"{all_of(tree, others)}: not named <Usage>_<row> like the others; rename or remove it")
    said = [match.groups() for match in matches if match is not None]
    splits = np.array([USAGES.index(usage) for usage, _ in said], dtype=np.uint8)
    return splits, np.array([int(row) for _, row in said], dtype=np.int64)


def _from_folders(names: list[str | None]) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Return splits from folder names, and which to take from the training images."""
    splits = np.array([SPLITS.index(name or "train") for name in names], dtype=np.uint8)
    if not any(names):
        return splits, SPLITS[1:]
    if 0 not in splits:
        return splits, ()
    return splits, tuple(name for name in SPLITS[1:] if name == "val" and SPLITS.index(name) not in splits)
