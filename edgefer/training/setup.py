"""Prepares a training: images, network, teachers, and the saved state to resume from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from edgefer import console, data, models, paths, public, recipes, versions
from edgefer.data import votes as fer_plus
from edgefer.data.dataset import Dataset, Split
from edgefer.errors import InputError
from edgefer.learning import checkpoint, distributed, initial_weights, optimizer, private, randomness
from edgefer.learning import state as states
from edgefer.learning.checkpoint import Checkpoint
from edgefer.lines import shell
from edgefer.recipes import Recipe
from edgefer.recipes.schema import Phase, Teaching
from edgefer.training import precision, unfinished
from edgefer.training.targets import Batch, Targets
from edgefer.training.teachers import Teachers
from edgefer.training.unfinished import TrainingProgress

PACKAGES = ("torch", "timm", "numpy", "safetensors")


@dataclass
class TrainSetup:
    """A prepared training, made by `prepare`.

    Attributes:
        recipe: all settings.
        run: folder for the results.
        device: ``cpu`` or ``cuda``.
        whole: the data set with all its classes.
        dataset: the data set with the chosen classes.
        training: the training images.
        validation: the images that select the checkpoint.
        targets: the training images with their targets.
        model: the network, on the device.
        replica: wrapper that runs the network in a step (`edgefer.learning.distributed`).
        averaged: moving average of the weights, if the recipe has EMA.
        channel_pairs: channels tied by `edgefer.models.mirroring`, if the recipe asks for it.
        precision: of the steps.
        steps: per epoch; an incomplete last batch is dropped.
        progress: progress so far.
        metadata: saved with the state, besides weights and progress.
        sources: see `Checkpoint.sources`.
        saved: the state to resume from.
    """

    recipe: Recipe
    run: Path
    device: str
    whole: Dataset
    dataset: Dataset
    training: Split
    validation: Split
    targets: Targets
    model: nn.Module
    replica: nn.Module
    averaged: ModelEmaV3 | None
    channel_pairs: Any
    precision: precision.Precision
    steps: int
    progress: TrainingProgress
    metadata: dict[str, Any]
    sources: dict[str, Any] | None
    saved: dict[str, Any] | None

    @property
    def selected(self) -> nn.Module:
        """The weights to validate and keep."""
        return self.averaged.module if self.averaged else self.model

    def kept(self) -> dict[str, Tensor]:
        """Return a checkpoint's weights, without the outputs for votes."""
        votes, classes = self.recipe.teaching.votes, len(self.dataset.classes)
        return models.narrowed(self.selected, classes) if votes else self.selected.state_dict()

    def checkpoint(self, val_accuracy: float) -> Checkpoint:
        """Return the current weights and their metadata."""
        return Checkpoint(
            recipe=recipes.named(self.recipe),
            classes=self.dataset.classes,
            data=self.metadata["data"],
            epoch=self.progress.epoch,
            val_accuracy=val_accuracy,
            precision=self.precision,
            versions=versions.installed(*PACKAGES),
            weights=self.kept(),
            initial_weights=self.metadata["initial_weights"],
            epochs=None,
            sources=self.sources,
        )

    def phases_left(self) -> Iterator[Phase]:
        """Yield the remaining phases, and record each in the progress."""
        progress = self.progress
        for index, phase in enumerate(self.recipe.phases):
            if index > progress.phase:
                progress.phase, progress.first_epoch = index, progress.epoch
            if index == progress.phase and not progress.is_at_end_of(self.recipe):
                yield phase

    def begin(self, phase: Phase) -> tuple[torch.optim.Optimizer, optimizer.Schedule]:
        """Return a phase's optimizer and schedule, restored if the saved state is from this phase."""
        optimizer.choose_weights(self.model, phase)
        self.model.zero_grad()  # newly frozen weights must not count in the gradient norm, as after a resume
        self.replica = self.model  # frees the previous phase's replica
        self.replica = distributed.replicated(self.model)
        stepper = optimizer.make_optimizer(self.model, phase)
        schedule = optimizer.Schedule(stepper, phase, self.steps)
        if self.saved and self.saved["phase"] == self.progress.phase:
            with unfinished.of_this_version(self.run):
                stepper.load_state_dict(self.saved["optimizer"])
                schedule.restore(self.saved["schedule"])
        return stepper, schedule

    def restore_randomness(self) -> None:
        """Restore a saved state's random generators."""
        if self.saved:
            with unfinished.of_this_version(self.run):
                randomness.restore(self.saved["random"])

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return a batch's logits, (N, outputs), and loss, a scalar."""
        seed = self.recipe.train.seed + self.progress.epoch * self.steps + self.progress.step
        with precision.autocast(self.device, self.precision), distributed.own_randomness(seed):
            logits = self.replica(batch.x)
            return logits, self.targets.loss(logits, batch)

    def save(self, stepper: torch.optim.Optimizer, schedule: optimizer.Schedule) -> None:
        """Write ``last.json``: everything the next step depends on."""
        tree = {
            **self.metadata,
            "model": self.model.state_dict(),
            "selected": self.selected.state_dict(),
            "phase": self.progress.phase,
            "optimizer": stepper.state_dict(),
            "schedule": schedule.state(),
            "random": randomness.state(),
            "progress": asdict(self.progress),
        }
        states.save(self.run, checkpoint.LAST, tree)


def prepare(recipe: Recipe, dataset: Dataset, run: Path, goes_on: bool, device: str | None) -> TrainSetup:
    """Prepare a training, and write ``recipe.json`` into its folder.

    Args:
        recipe: all settings.
        dataset: its `train` split trains, its `val` split selects.
        run: folder for the results.
        goes_on: resume from the state in `run`.
        device: ``cpu`` or ``cuda``; by default cuda if available.

    Raises:
        InputError: settings don't fit the network or the data, or the run can't be resumed.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    settings = recipe.train
    saved = distributed.from_first(lambda: unfinished.read_state(run)) if goes_on else None
    whole, dataset = _divided(recipe, dataset, saved)
    training = data.split(dataset, "train", recipe.data.split)
    validation = data.split(dataset, "val", recipe.data.split)
    _check_images(recipe, dataset, training, validation)
    if saved is None and recipe.preprocessing.interpolation != "bilinear":
        raise InputError(
            "augmentation samples bilinearly, so a network evaluated otherwise sees other pixels than "
            "in training; use --set preprocessing.interpolation=bilinear"
        )
    if saved and saved["data"]["digest"] != dataset.digest:
        raise InputError(f"{run} was trained on other data ({saved['data']['name']}); give that with --data")
    with unfinished.of_this_version(run):
        progress = TrainingProgress(**saved["progress"]) if saved else TrainingProgress()
    teachers = Teachers(
        recipe.teaching.teachers, dataset, validation, recipe.preprocessing, device, recipe.teaching.mirrored
    )
    if saved and saved.get("teachers", []) != teachers.digests:
        raise InputError(f"{run} began with other teachers, or they were trained again; give the same with --teacher")
    votes, votes_digest = _votes(recipe.teaching, whole, training)
    if saved and saved.get("votes") != votes_digest:
        raise InputError(f"{run} began with other votes; give the same file with --votes")
    randomness.seed(settings.seed)
    model = _network(recipe, whole, dataset, validation, begins=saved is None)
    begun_with = public.value(saved.get("initial_weights")) if saved else initial_weights.record(recipe.model, model)
    if votes is not None:
        models.widen(model, len(fer_plus.KINDS))
    for phase in recipe.phases:
        optimizer.chosen_weights(model, phase)  # find errors in later phases before training starts
    model = model.to(device).to(memory_format=torch.channels_last)
    targets = Targets(recipe, training, len(dataset.classes), teachers, votes, device)
    channel_pairs = None
    if settings.mirror:
        paired = models.pair_halves if begun_with["kind"] == "random" else models.find_channel_pairs
        channel_pairs = (
            saved.get("channel_pairs")
            if saved
            else distributed.from_first(lambda: paired(model, targets.augmented(slice(256))))
        )
        if not channel_pairs:
            raise InputError(f"{run} began without train.mirror; start over with --from {shell(run)}")
        models.mirror(model, channel_pairs)
    step_precision = saved["precision"] if saved else distributed.from_first(lambda: _precision(recipe, model, targets))
    model = distributed.with_shared_batchnorm(model, device)
    averaged = None
    if settings.ema:
        averaged = ModelEmaV3(model, decay=settings.ema, use_warmup=True)
    threads = _take_up(run, device, saved, model, averaged) if saved else torch.get_num_threads()
    if not saved:
        randomness.seed(settings.seed)
    shown = recipes.named(recipe).model_dump(mode="json")  # for all files except private.json
    if distributed.is_first():
        _write_recipe(run, recipe, dataset, shown)
    return TrainSetup(
        recipe=recipe,
        run=run,
        device=device,
        whole=whole,
        dataset=dataset,
        training=training,
        validation=validation,
        targets=targets,
        model=model,
        replica=model,
        averaged=averaged,
        channel_pairs=channel_pairs,
        precision=step_precision,
        steps=len(training) // settings.batch_size,
        progress=progress,
        metadata={
            "recipe": shown,
            "data": data.record(whole),
            "teachers": teachers.digests,
            "votes": votes_digest,
            "initial_weights": begun_with,
            "channel_pairs": channel_pairs,
            "precision": step_precision,
            "threads": threads,
        },
        sources=_sources(recipe.teaching, teachers.digests, votes_digest),
        saved=saved,
    )


def _divided(recipe: Recipe, dataset: Dataset, saved: dict[str, Any] | None) -> tuple[Dataset, Dataset]:
    """Return the data set, divided as for the initial network, with all classes and with the chosen ones."""
    if saved:
        dataset = data.as_recorded(dataset, saved["data"])
    elif recipe.model.initial_weights:
        dataset = data.as_recorded(dataset, checkpoint.read(Path(recipe.model.initial_weights)).data)
    return dataset, data.only(dataset, recipe.data.classes)


def _votes(teaching: Teaching, whole: Dataset, training: Split) -> tuple[Tensor | None, str | None]:
    """Return the vote shares, float32, (n, kinds), and the file's SHA-256; None without votes."""
    if not teaching.votes:
        return None, None
    place = Path(teaching.votes)
    if not place.exists():
        raise InputError(f"there are no votes in {teaching.votes}; give fer2013new.csv with --votes")
    return torch.from_numpy(fer_plus.read(place, whole)[training.indices]), paths.sha256(place)


def _take_up(run: Path, device: str, saved: dict[str, Any], model: nn.Module, averaged: ModelEmaV3 | None) -> int:
    """Load a saved state's weights; return its number of CPU threads."""
    threads = torch.get_num_threads()
    began: int = saved.get("threads", threads)
    if device == "cpu" and began != threads:
        console.say(
            f"{run} began with {began} CPU threads and continues with {threads}: its weights will differ "
            "in their last bits from an uninterrupted run's"
        )
    with unfinished.of_this_version(run):
        model.load_state_dict(saved["model"])
        (averaged.module if averaged else model).load_state_dict(saved["selected"])
    return began


def _write_recipe(run: Path, recipe: Recipe, dataset: Dataset, shown: dict[str, Any]) -> None:
    """Write ``recipe.json``, and a private file with the paths of data, teachers and votes."""
    run.mkdir(parents=True, exist_ok=True)
    with paths.write_atomically(run / "recipe.json") as part:
        part.write_text(json.dumps(shown, indent=1), encoding="utf-8")
    where = {
        "data": None if dataset.synthetic else private.absolute(dataset.origin),
        "teachers": list(map(private.absolute, recipe.teaching.teachers)),
        "votes": private.absolute(recipe.teaching.votes),
    }
    private.write(run, where)


def _check_images(recipe: Recipe, dataset: Dataset, training: Split, validation: Split) -> None:
    """Refuse too few images for a batch; warn about classes without validation images."""
    names, size = dataset.classes, recipe.train.batch_size
    unseen = np.flatnonzero(np.bincount(validation.labels, minlength=len(names)) == 0)
    if unseen.size:
        console.say(
            f"warning: no validation image is {' or '.join(names[i] for i in unseen)}, so accuracy says "
            "nothing about that class; add such pictures"
        )
    if len(training) < size:
        raise InputError(
            f"{dataset.name} has {len(training)} training images, fewer than a batch of {size}; "
            f"use --set train.batch_size={max(2, len(training) // 8 * 2)}"
        )
    if recipe.augment.mixup and size % 2:
        raise InputError(f"mixup pairs images: train.batch_size must be even, not {size}")


def _network(recipe: Recipe, whole: Dataset, dataset: Dataset, validation: Split, begins: bool) -> nn.Module:
    """Return the network, on the CPU.

    Args:
        recipe: all settings.
        whole: the data set with all its classes.
        dataset: the data set with the chosen classes.
        validation: the images that select the checkpoint.
        begins: False if a saved state provides the weights, so none are downloaded.
    """
    asked, channels = recipe.model, recipe.preprocessing.channels
    fresh = begins and not asked.initial_weights
    model = models.create(
        asked.name,
        len(dataset.classes),
        channels,
        asked.args,
        asked.pretrained and fresh,
        asked.weights if fresh else None,
        asked.zero_head,
    )
    models.check(model, asked.name, asked.args, len(dataset.classes), channels, recipe.preprocessing.size)
    if asked.initial_weights and begins:
        started = checkpoint.read(Path(asked.initial_weights))
        if started.data["digest"] == whole.digest:
            theirs = started.recipe.data
            learned = data.split(data.only(whole, theirs.classes), "train", theirs.split)
            initial_weights.check_disjoint(asked.initial_weights, learned, validation)
        else:
            initial_weights.check_divided_alike(asked.initial_weights, started.data, whole)
        given = models.grown(model, started.weights)
        if started.classes != dataset.classes:
            parts = data.made_of(dataset, started.classes)
            given = models.for_classes(model, given, started.classes, dataset.classes, parts)
        models.take(model, given, f"the network of {asked.initial_weights}")
    return model


def _sources(teaching: Teaching, teachers: list[str], votes: str | None) -> dict[str, Any] | None:
    """Return name and SHA-256 of each teacher and of the votes, or None if training used labels only."""
    if not teaching.teachers and teaching.votes is None:
        return None
    named = zip(teaching.teachers, teachers, strict=True)
    return {
        "teachers": [{"name": public.name(each), "sha256": digest} for each, digest in named],
        "votes": {"name": public.name(teaching.votes), "sha256": votes} if teaching.votes else None,
    }


def _precision(recipe: Recipe, model: nn.Module, targets: Targets) -> precision.Precision:
    if recipe.train.precision != "auto":
        return recipe.train.precision
    first = slice(recipe.train.batch_size)
    return precision.choose(model, targets.augmented(first), targets.labels[first])
