"""Render a review as one self-contained HTML file (extra `report`)."""

from __future__ import annotations

from pathlib import Path

from edgefer import console
from edgefer.learning import initial_weights
from edgefer.lines import counted
from edgefer.pages import page, svg
from edgefer.pages.svg import Markup
from edgefer.recipes import Recipe
from edgefer.review import charts
from edgefer.review.evaluation import KNOWN
from edgefer.review.result import Maps, Review
from edgefer.review.reviewing import ReviewPictures

_TEMPLATE = Path(__file__).with_name("run.html.j2")
_KEY: dict[str, tuple[svg.Shape, str]] = {
    "training": ("circle", "train"),
    "validation": ("square", "val"),
    "kept epoch": ("diamond", "val"),
}


def html(review: Review, pictures: ReviewPictures) -> str:
    """Return the page."""
    recipe = Recipe.model_validate(review.run.recipe)
    history, best = review.history, review.run.best_epoch
    return page.html(
        _TEMPLATE,
        review=review,
        pictures=pictures,
        recipe=recipe,
        protocol=_protocol(review, recipe),
        notes=_notes(review),
        changes=_augmentation(recipe),
        charts=[
            ("Loss by epoch", charts.losses(history, best)),
            ("Accuracy by epoch", charts.accuracies(history, best)),
            ("Learning rate by epoch", charts.rates(history)),
        ]
        if history
        else [],
        ranges=[_range(each) for each in review.maps],
        key={name: _swatch(*look) for name, look in _KEY.items()},
        trained=any(each.train_accuracy is not None for each in history),
        known=" and ".join(f"{label} taken for {other}" for label, other in KNOWN),
    )


def _range(found: Maps) -> tuple[float, float]:
    """Return the smallest and largest value in the mean maps of classes with images."""
    some = [mean for mean, images in zip(found.means, found.images, strict=True) if images]
    values = [value for mean in some for row in mean for value in row]
    return min(values), max(values)


def _swatch(shape: svg.Shape, class_: str) -> Markup:
    return Markup('<svg class="swatch" aria-hidden="true" viewBox="0 0 14 14">{}</svg>').format(
        svg.mark(shape, 7, 7, 5, class_)
    )


def _protocol(review: Review, recipe: Recipe) -> list[tuple[str, str]]:
    run, settings = review.run, recipe.preprocessing
    classes = f", {len(review.classes)} classes: {', '.join(review.classes)}"
    found = [
        ("recipe", f"{recipe.name}: {recipe.description}"),
        ("trained on", f"{run.data['name']}, SHA-256 {run.data['digest']}{classes}"),
        ("split", f"{recipe.data.split}: splits for training and for selecting the epoch"),
        ("network", f"{recipe.model.name}{_arguments(recipe)}, {review.parameters.total:,} parameters"),
        ("began with", _start(run.initial_weights)),
        ("input", f"{settings.size} x {settings.size} {settings.color}, crop {settings.crop:g}"),
        ("seed", str(run.seed)),
        ("precision of the steps", run.precision),
        ("loss", _loss(recipe)),
    ]
    if run.best_epoch is not None:
        found.append(("kept epoch", f"{run.best_epoch}, chosen by validation {recipe.train.best}"))
    if review.history:
        found.append(("time", console.duration(sum(each.seconds for each in review.history))))
    if run.versions:
        found.append(("versions", ", ".join(f"{name} {version}" for name, version in run.versions.items())))
    found.append(("this page", f"edgefer {review.edgefer}, {review.created[:16].replace('T', ' ')} UTC"))
    return found


def _arguments(recipe: Recipe) -> str:
    said = ", ".join(f"{name} {value}" for name, value in recipe.model.args.items())
    return f" ({said})" if said else ""


def _start(start: dict[str, str] | None) -> str:
    if start is None:
        return "not recorded: this run began with an older edgefer"
    if start.get("kind") == "random":
        return "random weights: not pretrained"
    return f"{initial_weights.sentence(start)}{': pretrained on ImageNet' if start.get('kind') == 'hub' else ''}"


def _loss(recipe: Recipe) -> str:
    train, teaching = recipe.train, recipe.teaching
    parts = ["cross-entropy"]
    if train.label_smoothing:
        parts.append(f"label smoothing {train.label_smoothing:g}")
    if train.class_weights:
        parts.append(f"classes weighted, at most {train.class_weight_clip:g}")
    if recipe.augment.mixup:
        parts.append(f"mixup, alpha {recipe.augment.mixup:g}")
    if teaching.teachers:
        parts.append(counted(len(teaching.teachers), "teacher"))
    if teaching.votes:
        parts.append("FER+ votes, which also correct the teachers" if teaching.votes_power else "FER+ votes")
    return ", ".join(parts)


def _augmentation(recipe: Recipe) -> str:
    settings = recipe.augment
    low, high = settings.scale
    parts = [
        (settings.flip, f"mirrored with probability {settings.flip:g}"),
        (settings.rotate, f"rotated by up to {settings.rotate:g} degrees"),
        (settings.shift, f"shifted by up to {100 * settings.shift:g} %"),
        (settings.shear, f"sheared by up to {settings.shear:g} degrees"),
        ((low, high) != (1, 1), f"zoomed {low:g} to {high:g} times"),
        (settings.brightness, f"brightness changed by up to {100 * settings.brightness:g} %"),
        (settings.contrast, f"contrast by up to {100 * settings.contrast:g} %"),
        (settings.erase, f"a rectangle erased with probability {settings.erase:g}"),
        (settings.mixup, f"mixed in pairs by mixup, alpha {settings.mixup:g}"),
    ]
    return ", ".join(words for on, words in parts if on) or "no augmentation"


def _notes(review: Review) -> list[str]:
    """Return the caveats, shown before anything else."""
    run, looked = review.run, review.data
    notes = []
    if run.finished is False:
        planned = sum(phase["epochs"] for phase in run.recipe["phases"])
        notes.append(f"The run is not finished: {run.epochs} of {planned} epochs are done.")
    if run.best_epoch is None:
        notes.append("No epoch is done yet, so figures and maps are missing.")
    if not looked.same:
        notes.append(
            f"These are not the run's data: it was trained on {run.data['name']} ({run.data['digest'][:8]}), and "
            f"everything but the curves is from {looked.name} ({looked.digest[:8]})."
        )
    if run.finished is None and not review.history:
        notes.append("The folder has no log of the training, so there are no curves.")
    if looked.split == "train" and looked.same and review.evaluation:
        notes.append("The network learned from these images: its accuracy on them is not a measure of quality.")
    if looked.split == "val" and looked.same and review.evaluation:
        notes.append(
            "The validation images selected the kept epoch, so its figures are a little too good; a bench "
            "measures images that selected nothing."
        )
    return notes
