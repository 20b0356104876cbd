"""Review a training run. `review` reads from top to bottom: the folder, then the network's predictions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import edgefer
from edgefer import console, data, models
from edgefer.data.dataset import Dataset, Split
from edgefer.errors import InputError
from edgefer.evaluation import metrics
from edgefer.learning import checkpoint, evaluate, loss
from edgefer.pages import picture
from edgefer.recipes import Recipe
from edgefer.review import evaluation, maps, parameters, samples
from edgefer.review.result import ClassCount, Maps, Mistake, Review, ReviewedData, ReviewedSplit
from edgefer.review.run import Run
from edgefer.review.samples import Samples

_MISTAKES = 24
_OF_A_PAIR = 8
_PANELS = 3  # pairs of this run shown with faces, besides those in papers
_EXAMPLES = 2  # faces with a map, per class
_FACE = 96  # maximum side in pixels


@dataclass(frozen=True)
class ShownFace:
    """A wrong prediction with its face.

    Attributes:
        mistake: the prediction.
        address: data URL of the image.
    """

    mistake: Mistake
    address: str


@dataclass(frozen=True)
class Panel:
    """Faces of one class that were predicted as another.

    Attributes:
        label: true class.
        predicted: predicted class.
        faces: most confident mistakes first.
    """

    label: str
    predicted: str
    faces: list[ShownFace]


@dataclass(frozen=True)
class ReviewPictures:
    """Images for the page that are not in the JSON.

    Attributes:
        samples: augmented images.
        maps: for each of the review's maps, one image per class; None if no image of the class was correct.
        examples: faces per class with Grad-CAM; like the next two, empty unless faces were requested.
        mistakes: the most confident of all.
        panels: by class pair.
    """

    samples: Samples
    maps: list[list[str | None]]
    examples: list[list[str]] = field(default_factory=list)
    mistakes: list[ShownFace] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)


def review(
    run: Run, dataset: Dataset, split: str = "val", with_faces: bool = False, device: str | None = None
) -> tuple[Review, ReviewPictures]:
    """Review a run: data and recipe, the best weights' predictions on a split, and Grad-CAM.

    Args:
        run: from `edgefer.review.run.read`.
        dataset: the training data, or other data with the same classes.
        split: the split to evaluate. No other image is opened, except training images with `with_faces`, which show
            augmentation.
        with_faces: include real faces in the pictures; these are people.
        device: ``cpu`` or ``cuda``; by default cuda if available.

    Raises:
        InputError: the data have other classes or no such split, or the logits are not finite.
        MissingExtra: captum is not installed.
    """
    recipe, kept = run.recipe, run.checkpoint
    dataset = data.as_recorded(dataset, run.data)
    same = dataset.digest == run.info.data["digest"]
    dataset = data.only(dataset, recipe.data.classes)
    classes = dataset.classes
    if kept and kept.classes != classes:
        raise InputError(
            f"{dataset.name} has the classes {', '.join(classes)}, and the network {', '.join(kept.classes)}; "
            "give other data with --data"
        )
    rows = data.split(dataset, split, recipe.data.split)
    training = _part(dataset, "train", recipe)
    counts = _counts(recipe, classes, training, _part(dataset, "val", recipe), same)
    network = _network(run, len(classes))
    table = parameters.count(network, recipe.phases)
    sheet = samples.sheet(recipe, training if with_faces else None, classes)

    found: ReviewedSplit | None = None
    logits: NDArray[np.float32] | None = None
    looked: list[Maps] = []
    pictures = ReviewPictures(sheet, [])
    if kept:
        network = network.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        network = network.to(memory_format=torch.channels_last)
        with console.progress(f"{split} images", len(rows)) as advance:
            logits = evaluate.logits(network, rows, recipe.preprocessing, advance)
        if not np.isfinite(logits).all():
            raise InputError(f"the network in {run.folder} returns values that are not finite; train it again")
        found = evaluation.figures(logits, rows, classes)
        looked, pictures = _maps(network, rows, logits, recipe, classes, sheet, with_faces)
        if with_faces:
            pictures.mistakes.extend(_faces(evaluation.surest(logits, rows, classes, _MISTAKES), rows))
            pictures.panels.extend(_panels(logits, rows, classes, found))
    return (
        Review(
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            edgefer=edgefer.__version__,
            run=run.info,
            data=ReviewedData(dataset.name, dataset.digest, dataset.synthetic, same, split),
            classes=list(classes),
            counts=counts,
            history=run.history,
            parameters=table,
            evaluation=found,
            maps=looked,
            mistakes=[face.mistake for face in pictures.mistakes],
        ),
        pictures,
    )


def _part(dataset: Dataset, name: str, recipe: Recipe) -> Split | None:
    try:
        return data.split(dataset, name, recipe.data.split)
    except InputError:  # a packed split, or a folder with only test images
        return None


def _counts(
    recipe: Recipe, classes: tuple[str, ...], training: Split | None, validation: Split | None, same: bool
) -> list[ClassCount]:
    trained, selected = (
        None if each is None else np.bincount(each.labels, minlength=len(classes)).tolist()
        for each in (training, validation)
    )
    weights = None
    if recipe.train.class_weights and training is not None and same:
        weights = loss.class_weights(training.labels, len(classes), recipe.train.class_weight_clip).tolist()
    return [
        ClassCount(
            label=label,
            train=trained[at] if trained else None,
            val=selected[at] if selected else None,
            weight=round(weights[at], 4) if weights else None,
        )
        for at, label in enumerate(classes)
    ]


def _network(run: Run, classes: int) -> nn.Module:
    """Return the network with its best weights, or an untrained one with the same architecture."""
    if run.checkpoint:
        return checkpoint.build(run.checkpoint)
    settings = run.recipe.model
    return models.create(settings.name, classes, run.recipe.preprocessing.channels, settings.args).eval()


def _maps(
    network: nn.Module,
    rows: Split,
    logits: NDArray[np.float32],
    recipe: Recipe,
    classes: tuple[str, ...],
    sheet: Samples,
    with_faces: bool,
) -> tuple[list[Maps], ReviewPictures]:
    groups = maps.right_ones(logits.argmax(axis=1), rows.labels, len(classes))
    places = np.concatenate(groups)
    if not len(places):
        return [], ReviewPictures(sheet, [])
    chosen = rows.subset(places)
    with console.progress("where it looks", len(chosen)) as advance:
        heat = maps.grad_cam(network, chosen, recipe.preprocessing, advance)
    attended = maps.attention(network, chosen, recipe.preprocessing)
    looked, drawn = [], []
    for kind, found in (("grad-cam", heat), ("attention", attended)):
        if found is None:
            continue
        means = maps.mean_by_class(found, groups)
        counted = [len(group) for group in groups]
        looked.append(Maps(kind, found.layer, counted, np.round(means.astype(np.float64), 4).tolist()))
        shown = means if kind == "grad-cam" else _stretched(means, counted)
        drawn.append(
            [
                picture.address(maps.picture(each)) if number else None
                for each, number in zip(shown, counted, strict=True)
            ]
        )
    examples = _examples(chosen, groups, logits[places], recipe, heat) if with_faces and heat else []
    return looked, ReviewPictures(sheet, drawn, examples)


def _stretched(means: NDArray[np.float32], images: list[int]) -> NDArray[np.float32]:
    """Scale attention from its smallest to its largest mean over all classes: it varies little."""
    some = means[np.array(images) > 0]
    low, high = some.min(), some.max()
    return np.asarray((means - low) / max(high - low, 1e-12), np.float32)


def _examples(
    chosen: Split, groups: list[NDArray[np.int64]], logits: NDArray[np.float32], recipe: Recipe, heat: maps.ImageMaps
) -> list[list[str]]:
    """Return each class's most confident correct faces, overlaid with their maps."""
    sure = metrics.softmax(logits).max(axis=1)
    found: list[list[str]] = []
    start = 0
    for group in groups:
        part = slice(start, start + len(group))
        start += len(group)
        best = part.start + np.argsort(-sure[part], kind="stable")[:_EXAMPLES]
        if not len(best):
            found.append([])
            continue
        faces = samples.pictures(torch.from_numpy(recipe.preprocessing.apply(chosen.take(best))), recipe)
        found.append(
            [picture.address(maps.over(face, heat.maps[at]), _FACE) for face, at in zip(faces, best, strict=True)]
        )
    return found


def _faces(found: list[tuple[int, Mistake]], rows: Split) -> list[ShownFace]:
    return [ShownFace(mistake, picture.address(rows.take(np.array([place]))[0], _FACE)) for place, mistake in found]


def _panels(logits: NDArray[np.float32], rows: Split, classes: tuple[str, ...], found: ReviewedSplit) -> list[Panel]:
    known = [pair for pair in found.pairs if pair.known]
    own = [pair for pair in found.pairs if not pair.known][:_PANELS]
    panels = []
    for pair in (*known, *own):
        of_pair = evaluation.surest(logits, rows, classes, _OF_A_PAIR, (pair.label, pair.predicted))
        panels.append(Panel(pair.label, pair.predicted, _faces(of_pair, rows)))
    return panels
