"""Recipe to checkpoint. `train` reads from top to bottom: setup, then phases, epochs and steps.

Everything that a step depends on is in the saved state, so a run that was killed goes on as if nothing had happened:
on a CPU with the same number of threads the weights are the same to the last bit.
"""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from edgefer import console, data, models, paths, public, recipes, versions
from edgefer.data import votes as fer_plus
from edgefer.data.dataset import Dataset, Split
from edgefer.errors import Diverged, InputError, Interrupted
from edgefer.learning import (
    checkpoint,
    evaluate,
    images,
    interrupt,
    optimizer,
    private,
    randomness,
)
from edgefer.learning import start as starts
from edgefer.learning import state as states
from edgefer.learning.checkpoint import Checkpoint
from edgefer.lines import mark
from edgefer.recipes import Recipe
from edgefer.recipes.schema import Teaching
from edgefer.training import log, precision, sharpness
from edgefer.training.lessons import Lesson, Lessons
from edgefer.training.teachers import Teachers

_SECONDS_BETWEEN_SAVES = 300.0
_PACKAGES = ("torch", "timm", "numpy", "safetensors")


@dataclass(frozen=True)
class Result:
    """What a finished training leaves.

    Attributes:
        run: the folder, with ``best.json``, ``last.json``, ``recipe.json`` and ``log.csv``.
        epochs: epochs done.
        best_epoch: the one whose weights ``best.json`` holds, from 1.
        val_accuracy: of those weights on the validation split, 0 to 1.
        parameters: numbers in the network that were trained.
        seconds: of training, validation included.
        precision: ``bf16`` or ``fp32``, as the steps ran.
        data: the data set's name.
        digest: the data set's SHA-256.
        drawn: True if trained on the built-in faces.
        division: how edgefer took validation and test images from the training images; None where it took none.
        history: the log, a dict for each epoch.
        recipe: all settings as they ran, with names in the place of paths.
        start: the weights it began with (`edgefer.learning.start`); None for a run that an older edgefer began.
        sources: see `Checkpoint.sources`.
        versions: of the packages that decide the result.
    """

    run: Path
    epochs: int
    best_epoch: int
    val_accuracy: float
    parameters: int
    seconds: float
    precision: str
    data: str
    digest: str
    drawn: bool
    division: dict[str, Any] | None
    history: list[dict[str, Any]]
    recipe: dict[str, Any]
    start: dict[str, str] | None
    sources: dict[str, Any] | None
    versions: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as plain JSON values."""
        return {**asdict(self), "run": str(self.run)}


@dataclass
class Progress:
    """How far a training is; part of the saved state."""

    phase: int = 0
    first_epoch: int = 0  # epochs done when the phase began: fewer than planned, if an earlier phase stopped early
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    right: int = 0  # of the images of this epoch that were seen
    seen: int = 0
    seconds_in_epoch: float = 0.0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    def end_epoch(self, line: dict[str, Any], by: str) -> None:
        """Take an epoch's line of the log, and note whether it is the best by ``accuracy`` or ``loss``."""
        self.history.append(line)
        self.epoch, self.step, self.loss_sum, self.seconds_in_epoch = self.epoch + 1, 0, 0.0, 0.0
        self.right = self.seen = 0
        loss, accuracy = line["val_loss"], line["val_accuracy"]
        if accuracy > self.best_accuracy if by == "accuracy" else self.best_loss is None or loss < self.best_loss:
            self.best_epoch, self.best_accuracy, self.best_loss = self.epoch, accuracy, loss


def train(
    recipe: Recipe,
    dataset: Dataset,
    run: Path,
    resume: bool = False,
    tensorboard: bool = False,
    device: str | None = None,
) -> Result:
    """Train a network and keep the checkpoint with the best validation accuracy, or loss (`recipe.train.best`).

    Args:
        recipe: all settings.
        dataset: its `train` split trains, its `val` split selects; `test` is never opened.
        run: folder for the results.
        resume: go on from ``last.json`` in `run`.
        tensorboard: write event files as well.
        device: ``cpu`` or ``cuda``; by default cuda where there is one.

    Raises:
        InputError: settings that do not fit the network or the data, or a run that cannot be resumed.
        Diverged: the loss is not finite; the best checkpoint so far stands in `run`.
        Interrupted: Ctrl-C; the state is saved and the run can be resumed.
    """
    # Setup.
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    settings, teaching = recipe.train, recipe.teaching
    saved = _read_state(run) if resume else None
    if saved:
        dataset = data.as_recorded(dataset, saved["data"])
    elif recipe.model.start:
        dataset = data.as_recorded(dataset, checkpoint.read(Path(recipe.model.start)).data)
    whole, dataset = dataset, data.only(dataset, recipe.data.classes)
    classes = len(dataset.classes)
    training = data.split(dataset, "train", recipe.data.split)
    validation = data.split(dataset, "val", recipe.data.split)
    _check_images(recipe, dataset, training, validation)
    if saved is None and recipe.preprocessing.interpolation != "bilinear":
        raise InputError(
            "augmentation samples bilinearly, so a network that is evaluated otherwise would see other pixels than it "
            "learned; use --set preprocessing.interpolation=bilinear"
        )
    if saved and saved["data"]["digest"] != dataset.digest:
        raise InputError(f"{run} was trained on other data ({saved['data']['name']}); name that with --data")
    with _of_this_version(run):
        progress = Progress(**saved["progress"]) if saved else Progress()
    teachers = Teachers(teaching.teachers, dataset, validation, recipe.preprocessing, device, teaching.mirrored)
    if saved and saved.get("teachers", []) != teachers.digests:
        raise InputError(f"{run} began with other teachers, or they were trained anew; name the same with --teacher")
    if teaching.votes and not Path(teaching.votes).exists():
        raise InputError(f"there are no votes in {teaching.votes}; name fer2013new.csv with --votes")
    votes = torch.from_numpy(fer_plus.read(Path(teaching.votes), whole)[training.indices]) if teaching.votes else None
    votes_digest = paths.sha256(Path(teaching.votes)) if teaching.votes else None
    if saved and saved.get("votes") != votes_digest:
        raise InputError(f"{run} began with other votes; name the same file with --votes")
    randomness.seed(settings.seed)
    model = _network(recipe, whole, dataset, validation, begins=saved is None)
    start = public.value(saved.get("start")) if saved else starts.record(recipe.model, model)
    sources = _sources(teaching, teachers.digests, votes_digest)
    shown = recipes.named(recipe).model_dump(mode="json")  # in all files but private.json
    if teaching.votes:
        models.widen(model, len(fer_plus.KINDS))
    for phase in recipe.phases:
        optimizer.chosen_weights(model, phase)  # a mistake in the last one is worth knowing before the first has run
    model = model.to(device).to(memory_format=torch.channels_last)
    lessons = Lessons(recipe, training, classes, teachers, votes, device)
    partners = None
    if settings.mirror:
        partners = saved.get("partners") if saved else models.find_partners(model, lessons.augmented(slice(256)))
        if not partners:
            raise InputError(f"{run} began without train.mirror; begin anew with --from {run}")
        models.mirror(model, partners)
    averaged = None
    if settings.ema:
        averaged = ModelEmaV3(model, decay=settings.ema, use_warmup=True, warmup_power=settings.ema_power)
    selected = averaged.module if averaged else model  # the weights that are validated and kept
    class_weights = lessons.criterion.weight
    steps = len(training) // settings.batch_size  # what does not fill a batch has its turn in another epoch's order
    board = log.TensorBoard(run) if tensorboard else None
    threads = torch.get_num_threads()
    began = saved.get("threads", threads) if saved else threads
    if saved:
        step_precision = saved["precision"]
        if device == "cpu" and began != threads:
            console.say(
                f"{run} began with {began} CPU threads and goes on with {threads}: the weights will differ in their "
                "last bits from those of a run that never stopped"
            )
        with _of_this_version(run):
            model.load_state_dict(saved["model"])
            selected.load_state_dict(saved["selected"])
    else:
        step_precision = _precision(recipe, model, lessons)
        randomness.seed(settings.seed)
    run.mkdir(parents=True, exist_ok=True)
    with paths.write_atomically(run / "recipe.json") as part:
        part.write_text(json.dumps(shown, indent=1), encoding="utf-8")
    places = {
        "data": None if dataset.drawn else private.absolute(dataset.origin),
        "teachers": list(map(private.absolute, teaching.teachers)),
        "votes": private.absolute(teaching.votes),
    }
    private.write(run, places)
    console.say(
        f"training {recipe.name} on {dataset.name}: {len(training):,} images, {recipe.epochs} epochs of {steps} steps, "
        f"{device}, {step_precision}, into {run}"
    )
    if class_weights is not None:
        shares = zip(dataset.classes, class_weights.tolist(), strict=True)
        console.say(f"class weights: {', '.join(f'{name} {weight:.2f}' for name, weight in shares)}")

    def kept() -> dict[str, Tensor]:
        return models.narrowed(selected, classes) if teaching.votes else selected.state_dict()

    def answer(lesson: Lesson) -> tuple[Tensor, Tensor]:
        with precision.autocast(device, step_precision):
            answers = model(lesson.x)
            return answers, lessons.loss(answers, lesson)

    def save_state() -> None:
        tree = {
            "recipe": shown,
            "data": data.record(whole),
            "teachers": teachers.digests,
            "votes": votes_digest,
            "start": start,
            "partners": partners,
            "precision": step_precision,
            "threads": began,
            "model": model.state_dict(),
            "selected": selected.state_dict(),
            "phase": phase_index,
            "optimizer": stepper.state_dict(),
            "schedule": schedule.state(),
            "random": randomness.state(),
            "progress": asdict(progress),
        }
        states.save(run, checkpoint.LAST, tree)

    with (
        interrupt.wish_to_stop() as stop_asked,
        console.progress(recipe.name, recipe.epochs * steps, done=progress.epoch * steps + progress.step) as advance,
    ):
        if saved:
            with _of_this_version(run):
                randomness.restore(saved["random"])
        last_save = clock = time.monotonic()
        for phase_index, phase in enumerate(recipe.phases):
            if phase_index < progress.phase:
                continue
            if phase_index > progress.phase:
                progress.phase, progress.first_epoch = phase_index, progress.epoch
            first_epoch = progress.first_epoch
            end_epoch = first_epoch + phase.epochs
            if progress.epoch >= end_epoch:
                continue
            optimizer.choose_weights(model, phase)
            model.zero_grad()  # of weights that are frozen from here on: in no norm, as after a resume
            stepper = optimizer.optimizer(model, phase)
            schedule = optimizer.Schedule(stepper, phase, steps)
            if saved and saved["phase"] == phase_index:
                with _of_this_version(run):
                    stepper.load_state_dict(saved["optimizer"])
                    schedule.restore(saved["schedule"])

            if not (run / f"{checkpoint.LAST}.json").exists():
                save_state()  # a run that is killed in its first minutes can be resumed too
            while progress.epoch < end_epoch and not _stops_early(progress, settings.early_stopping, first_epoch):
                model.train()
                if phase.freeze_batchnorm:
                    _freeze_batchnorm(model)
                order = images.order(len(training), settings.seed, progress.epoch)
                while progress.step < steps:
                    done = progress.epoch * steps + progress.step
                    schedule.step(done - first_epoch * steps)
                    batch = order[progress.step * settings.batch_size :][: settings.batch_size]
                    lesson = lessons.take(batch, step_precision)
                    answers, step_loss = answer(lesson)
                    value = step_loss.item()
                    if not math.isfinite(value):
                        raise _diverged(run, progress, training.rows[batch], class_weights)
                    stepper.zero_grad()
                    step_loss.backward()
                    if settings.sam:
                        with sharpness.uphill(model, settings.sam):
                            stepper.zero_grad()
                            answer(lesson)[1].backward()
                    if settings.clip_gradient:
                        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_gradient)
                    stepper.step()
                    if partners:
                        models.mirror(model, partners)
                    if averaged:
                        averaged.update(model, step=done)
                    progress.step += 1
                    progress.loss_sum += value
                    truth = lesson.y if lesson.y.ndim == 1 else lesson.y.argmax(dim=1)  # of a mix, the larger share's
                    progress.right += int((answers[:, :classes].argmax(dim=1) == truth).sum())
                    progress.seen += len(truth)
                    now = time.monotonic()
                    progress.seconds_in_epoch += now - clock
                    clock = now
                    advance(1, f"epoch {progress.epoch + 1}, loss {progress.loss_sum / progress.step:.3f}")
                    if stop_asked():
                        save_state()
                        raise Interrupted(f"interrupted; go on with: edgefer train --resume {run}")
                    if now - last_save > _SECONDS_BETWEEN_SAVES:
                        save_state()
                        last_save = now

                val_loss, val_accuracy = _validate(selected, validation, recipe, classes)
                if not math.isfinite(val_loss):
                    raise _diverged(run, progress, None, class_weights)
                now = time.monotonic()
                line = {
                    "epoch": progress.epoch + 1,
                    "phase": phase.name,
                    "lr": float(f"{stepper.param_groups[0]['lr']:.3g}"),
                    "train_loss": round(progress.loss_sum / steps, 4),
                    # None in an epoch whose images were all seen by an older edgefer, which did not count
                    "train_accuracy": round(progress.right / progress.seen, 5) if progress.seen else None,
                    "val_loss": round(val_loss, 4),
                    "val_accuracy": round(val_accuracy, 5),
                    "seconds": round(progress.seconds_in_epoch + now - clock, 1),
                }
                clock = now
                schedule.epoch(val_loss)
                progress.end_epoch(line, settings.best)
                if progress.best_epoch == progress.epoch:
                    card = Checkpoint(
                        recipe=recipes.named(recipe),
                        classes=dataset.classes,
                        data=data.record(whole),
                        epoch=progress.epoch,
                        val_accuracy=val_accuracy,
                        precision=step_precision,
                        versions=versions.installed(*_PACKAGES),
                        weights=kept(),
                        start=start,
                        sources=sources,
                    )
                    checkpoint.write(run, card)
                log.write_csv(run, progress.history)  # before the state, which may say that all is done
                save_state()
                last_save = time.monotonic()
                if board:
                    board.add(line)
                console.say(_sentence(line, recipe.epochs, progress.best_epoch == progress.epoch, dataset.drawn))
    checkpoint.finish(run, progress.epoch)
    return Result(
        run=run,
        epochs=progress.epoch,
        best_epoch=progress.best_epoch,
        val_accuracy=progress.best_accuracy,
        parameters=sum(kept()[name].numel() for name, _ in model.named_parameters()),
        seconds=round(sum(line["seconds"] for line in progress.history), 1),
        precision=step_precision,
        data=dataset.name,
        digest=dataset.digest,
        drawn=dataset.drawn,
        division=asdict(dataset.division) if dataset.division else None,
        history=progress.history,
        recipe=shown,
        start=start,
        sources=sources,
        versions=versions.installed(*_PACKAGES),
    )


def resumed_recipe(run: Path) -> Recipe:
    """Return the recipe that an unfinished run was started with; teachers and votes are where they lay then.

    Raises:
        InputError: `run` holds no state.
    """
    recipe = recipes.parse(_read_state(run)["recipe"], str(run))
    teaching = recipe.teaching
    lay = {"teachers": private.texts(run, "teachers"), "votes": private.text(run, "votes")}
    found = {key: place for key, place in lay.items() if place}
    return recipe.model_copy(update={"teaching": teaching.model_copy(update=found)})


def data_of(run: Path) -> Path | None:
    """Return where the data lie that an unfinished run was started with, or None where nothing says or they are gone.

    Whether they are the same is for `train` to check.
    """
    place = private.text(run, "data")
    return Path(place) if place and Path(place).exists() else None


def is_finished(recipe: Recipe, progress: Progress) -> bool:
    """Return whether the last phase is done, or stopped early."""
    last = progress.phase == len(recipe.phases) - 1
    planned = progress.first_epoch + recipe.phases[-1].epochs
    early = _stops_early(progress, recipe.train.early_stopping, progress.first_epoch)
    return last and progress.step == 0 and (progress.epoch >= planned or early)


def _check_images(recipe: Recipe, dataset: Dataset, training: Split, validation: Split) -> None:
    """Refuse images that make no batch; say of which classes the validation has none."""
    names, size = dataset.classes, recipe.train.batch_size
    unseen = np.flatnonzero(np.bincount(validation.labels, minlength=len(names)) == 0)
    if unseen.size:
        console.say(
            f"warning: no validation image is {' or '.join(names[i] for i in unseen)}: whether that is told from the "
            "others, nothing here says; add such pictures"
        )
    if len(training) < size:
        raise InputError(
            f"{dataset.name} has {len(training)} training images, fewer than a batch of {size}; "
            f"use --set train.batch_size={max(2, len(training) // 8 * 2)}"
        )
    if recipe.augment.mixup and size % 2:
        raise InputError(f"mixup takes pairs: train.batch_size must be even, not {size}")


def _network(recipe: Recipe, whole: Dataset, dataset: Dataset, validation: Split, begins: bool) -> nn.Module:
    """Return the network, on the CPU.

    Args:
        recipe: all settings.
        whole: the data set with all its classes.
        dataset: with those that are told apart.
        validation: its images that choose the checkpoint.
        begins: False where its weights will be those of a saved state, and none need be fetched for it.
    """
    asked, channels = recipe.model, recipe.preprocessing.channels
    fresh = begins and not asked.start
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
    if asked.start and begins:
        started = checkpoint.read(Path(asked.start))
        if started.data["digest"] == whole.digest:
            theirs = started.recipe.data
            learned = data.split(data.only(whole, theirs.classes), "train", theirs.split)
            starts.check_apart(asked.start, learned, validation)
        else:
            starts.check_divided_alike(asked.start, started.data, whole)
        given = models.grown(model, started.weights)
        if started.classes != dataset.classes:
            given = models.for_classes(model, given, started.classes, dataset.classes)
        models.take(model, given, f"the network of {asked.start}")
    return model


def _sources(teaching: Teaching, teachers: list[str], votes: str | None) -> dict[str, Any] | None:
    """Return name and SHA-256 of all that taught, or None where only labels did."""
    if not teaching.teachers and teaching.votes is None:
        return None
    named = zip(teaching.teachers, teachers, strict=True)
    return {
        "teachers": [{"name": public.name(each), "sha256": digest} for each, digest in named],
        "votes": {"name": public.name(teaching.votes), "sha256": votes} if teaching.votes else None,
    }


def check_new(run: Path) -> None:
    """Refuse a folder that a training cannot begin in; what one left that was killed in its first second is none.

    Raises:
        InputError: it holds something.
    """
    if run.exists() and not _is_unbegun(run):
        raise InputError(f"{run} is not empty; go on with --resume {run}, or name another folder with --out")


def _is_unbegun(run: Path) -> bool:
    return run.is_dir() and states.is_unbegun(run, [checkpoint.LAST], ["recipe.json", private.FILE, "tensorboard"])


def _read_state(run: Path) -> dict[str, Any]:
    if _is_unbegun(run):
        raise InputError(
            f"{run} holds no training, or one that was interrupted before its first step; begin it again: "
            f"edgefer train RECIPE --out {shlex.quote(str(run))}, with the options that it had"
        )
    saved = states.read(run / f"{checkpoint.LAST}.json")
    if "recipe" not in saved:
        raise InputError(f"{run} holds no training; name a folder that `edgefer train` wrote")
    damage = _damage(saved)
    if damage:
        raise InputError(
            f"{run} was left by another version of edgefer, or its {checkpoint.LAST}.json is damaged ({damage}); begin "
            f"from its best weights with --from {run}"
        )
    return saved


def _damage(saved: dict[str, Any]) -> str:
    """Return which part of a state is of another kind than it was saved with, or nothing."""
    kinds = {"phase": int, "precision": str, "progress": dict, "random": dict, "schedule": dict}
    kinds |= {"model": dict, "selected": dict, "optimizer": dict}
    wrong = [name for name, kind in kinds.items() if type(saved.get(name)) is not kind]
    threads, partners = saved.get("threads", 1), saved.get("partners")
    if type(threads) is not int or threads < 1:
        wrong.append("threads")
    if not checkpoint.is_origin(saved.get("data")):
        wrong.append("data")
    if not checkpoint.is_start(saved.get("start")):
        wrong.append("start")
    if not isinstance(partners, list | dict | tuple | None):
        wrong.append("partners")
    if saved.get("precision") not in ("bf16", "fp32"):
        wrong.append("precision")
    if "progress" not in wrong and not _is_progress(saved["progress"]):
        wrong.append("progress")
    return ", ".join(dict.fromkeys(wrong))


def _is_progress(said: dict[str, Any]) -> bool:
    """Return whether a state says how far a training is, in numbers that can be."""
    try:
        progress = Progress(**said)
        whole = [getattr(progress, name) for name in ("phase", "first_epoch", "epoch", "step", "right", "seen")]
        parts = [progress.loss_sum, progress.seconds_in_epoch, progress.best_accuracy, progress.best_loss or 0.0]
        lines = [line[name] for line in progress.history for name in ("epoch", "val_loss", "val_accuracy", "seconds")]
        return (
            all(type(number) is int and 0 <= number < 1 << 31 for number in (*whole, progress.best_epoch))
            and all(type(number) in (int, float) and math.isfinite(number) for number in (*parts, *lines))
            and progress.right <= progress.seen
            and max(progress.best_epoch, progress.first_epoch) <= progress.epoch == len(progress.history)
            and all(line.keys() <= {*log.COLUMNS} for line in progress.history)
        )
    except (KeyError, TypeError, AttributeError, IndexError):
        return False


@contextmanager
def _of_this_version(run: Path) -> Iterator[None]:
    """Take up a part of a saved state; one that does not fit was left by other code."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError, OverflowError):
        raise InputError(
            f"{run} was left by another version of edgefer, torch or timm, and this one cannot go on with it; go on "
            f"with that one, or begin from its best weights with --from {run}"
        ) from None


def _precision(recipe: Recipe, model: nn.Module, lessons: Lessons) -> precision.Precision:
    if recipe.train.precision != "auto":
        return recipe.train.precision
    first = slice(recipe.train.batch_size)
    return precision.choose(model, lessons.augmented(first), lessons.labels[first])


def _freeze_batchnorm(model: nn.Module) -> None:
    for module in optimizer.batchnorms(model):
        module.eval()


def _stops_early(progress: Progress, patience: int, first_epoch: int) -> bool:
    return 0 < patience <= progress.epoch - max(progress.best_epoch, first_epoch)


def _validate(model: nn.Module, validation: Split, recipe: Recipe, classes: int) -> tuple[float, float]:
    answers = evaluate.logits(model, validation, recipe.preprocessing)[:, :classes]
    mean_loss = F.cross_entropy(torch.from_numpy(answers), torch.from_numpy(validation.labels)).item()
    return mean_loss, float((answers.argmax(axis=1) == validation.labels).mean())


def _diverged(run: Path, progress: Progress, rows: NDArray[np.int64] | None, weight: Tensor | None) -> Diverged:
    """Return what is said of a loss that is not finite: of the step on `rows`, or without them of the validation."""
    kept = f"the best checkpoint, of epoch {progress.best_epoch}, stays in {run}" if progress.best_epoch else ""
    lighter = "" if weight is None else f", or train.class_weight_clip under the {weight.max().item():.2f} of now"
    return Diverged(
        (
            f"the validation loss is not finite after epoch {progress.epoch + 1}"
            if rows is None
            else f"the loss is not finite at epoch {progress.epoch + 1}, step {progress.step + 1} "
            f"(batch of rows {', '.join(map(str, rows[:4]))}, ...)"
        )
        + "; try a lower phases.0.lr or train.clip_gradient=1"
        + lighter
        + (f"; {kept}" if kept else "")
    )


def _sentence(line: dict[str, Any], epochs: int, best: bool, drawn: bool) -> str:
    return (
        f"epoch {line['epoch']} of {epochs}: train loss {line['train_loss']:.3f}, val loss {line['val_loss']:.3f}, "
        f"val accuracy {100 * line['val_accuracy']:.2f} %{mark(drawn)}, "
        f"{console.duration(line['seconds'])}" + (" (best)" if best else "")
    )
