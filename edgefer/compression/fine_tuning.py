"""Fine-tuning of a changed network (INT8 or ReLU) to match the FP32 network.

The saved state has everything that a step depends on, so a killed run resumes exactly: on
a CPU with the same number of threads the weights are bit-identical.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgefer import console
from edgefer.compression import quantization
from edgefer.data.dataset import Split
from edgefer.errors import Diverged
from edgefer.learning import (
    augmentation,
    distributed,
    evaluate,
    images,
    loop,
    loss,
    optimizer,
    private,
    randomness,
    state,
)
from edgefer.learning.loop import Progress
from edgefer.lines import shell
from edgefer.models.mirroring import ChannelPairs
from edgefer.recipes import Recipe
from edgefer.recipes.schema import Phase

Stage = Literal["relu", "int8"]
STAGES: dict[Stage, str] = {"relu": "fine-tuning with ReLU", "int8": "INT8 fine-tuning"}
# Relative to the initial rate of the recipe's last phase. INT8 starts close to FP32, new activations far away.
_LR_SHARE: dict[Stage, float] = {"relu": 0.25, "int8": 0.01}
# For INT8 with Adam and AdamW, which normalize gradients. MobileNetV4 got closer to FP32 with this rate than
# with a tenth or four times of it, after the same number of steps.
_ADAPTIVE_LR = 1e-4


@dataclass(frozen=True)
class FineTuneSettings:
    """Length and learning rate of a fine-tuning.

    Attributes:
        stage: what changed; also names the state.
        epochs: passes over the training images.
        steps: per pass; may be less than the images allow.
        lr: initial rate, with cosine decay to 0.
        seed: of the images' order and augmentation.
    """

    stage: Stage
    epochs: int
    steps: int
    lr: float
    seed: int


def settings(
    stage: Stage,
    recipe: Recipe,
    training: Split,
    epochs: int | None,
    max_steps: int,
    seed: int,
    lr: float | None = None,
) -> FineTuneSettings:
    """Return settings for a network that was trained with `recipe`.

    Args:
        stage: what changed.
        recipe: of the checkpoint.
        training: the images to train on.
        epochs: whole passes; None for one of at most `max_steps` steps.
        max_steps: see `epochs`.
        seed: any number.
        lr: initial rate; None: by optimizer.
    """
    whole = max(1, len(training) // recipe.train.batch_size)
    last = recipe.phases[-1]
    rate = last.lr * _LR_SHARE[stage]
    if stage == "int8" and last.optimizer != "sgd":
        rate = min(last.lr, _ADAPTIVE_LR)
    return FineTuneSettings(stage, epochs or 1, whole if epochs else min(whole, max_steps), lr or rate, seed)


def _progress(said: Any) -> Progress:
    """Return a fine-tuning's progress from its state.

    Raises:
        KeyError, TypeError, ValueError: it is invalid.
    """
    progress = Progress(**said)
    counts = [progress.epoch, progress.step, progress.best_epoch]
    lines = [line[name] for line in progress.history for name in ("epoch", "val_accuracy")]
    if not loop.are_numbers(counts, [progress.loss_sum, progress.seconds_in_epoch, progress.best_accuracy, *lines]):
        raise ValueError
    if not progress.history or max(progress.best_epoch, len(progress.history) - 1) > progress.epoch:
        raise ValueError
    return progress


def finetune(
    student: nn.Module,
    teacher: nn.Module,
    training: Split,
    validation: Split,
    recipe: Recipe,
    plan: FineTuneSettings,
    work: Path,
    notes: dict[str, Any],
    where: dict[str, Any] | None = None,
    channel_pairs: ChannelPairs | None = None,
) -> Progress:
    """Train `student` in place, ending with the weights of the epoch with the best validation accuracy.

    The loss is the cross-entropy between the teacher's probabilities and the student's (Hinton et al. 2015 with
    temperature 1), so labels are not used. In INT8, BatchNorm keeps its running statistics, and NNCF's observers are
    off since calibration: ranges learn by gradient, as weights do. With new activations, BatchNorm is trained again.

    Args:
        student: from `quantize`, calibrated, or from `with_relu`.
        teacher: the FP32 network, in eval mode.
        training: images to learn from, with the recipe's augmentation.
        validation: images that select the best epoch.
        recipe: of the checkpoint: augmentation, preprocessing, batch size, kind of optimizer.
        plan: length and learning rate.
        work: folder for the state, resumed if present.
        notes: saved in the state, for resuming.
        where: saved next to it (`edgefer.learning.private`), for a resume on this machine.
        channel_pairs: keep INT8 weights symmetric by these pairs (`edgefer.models.mirroring`).

    Raises:
        Diverged: the loss is not finite; names epoch, step and rows.
        Interrupted: Ctrl-C; the state is saved and the fine-tuning can be resumed.
    """
    # Setup.
    checkpoint_path = work / f"{plan.stage}.json"
    saved = distributed.from_first(lambda: state.read(checkpoint_path) if checkpoint_path.exists() else None)
    begin_anew = f"delete {work} and compress again"
    with state.taking_up(checkpoint_path, begin_anew):
        progress = _progress(saved["progress"]) if saved else Progress()
    randomness.seed(plan.seed)
    student.eval()
    last = recipe.phases[-1]
    phase = Phase(name=plan.stage, epochs=plan.epochs, optimizer=last.optimizer, lr=plan.lr, momentum=last.momentum)
    stepper = optimizer.make_optimizer(student, phase)
    schedule = optimizer.Schedule(stepper, phase, plan.steps)
    if plan.stage == "relu":
        student = distributed.with_shared_batchnorm(student, "cpu")
    replica = distributed.replicated(student)
    pixels = images.load(training, recipe.preprocessing)
    batch_size = min(recipe.train.batch_size, len(training))
    if saved:
        with state.taking_up(checkpoint_path, begin_anew):
            student.load_state_dict(saved["best"])  # test now what is loaded in the end
            student.load_state_dict(saved["network"])
            stepper.load_state_dict(saved["optimizer"])
            best = saved["best"]
    else:
        with console.progress(f"checking before {STAGES[plan.stage]}", len(validation)) as advance:
            accuracy = evaluate.accuracy(student, validation, recipe.preprocessing, advance)
        progress.history.append({"epoch": 0, "val_accuracy": round(accuracy, 5)})  # the network before any step
        progress.best_accuracy = progress.history[0]["val_accuracy"]
        best = _copy(student)
        console.say(f"before {STAGES[plan.stage]}: val accuracy {100 * accuracy:.2f} %")

    if where is not None and distributed.is_first():
        private.write(work, where)

    def save() -> None:
        tree = {
            "notes": notes,
            "progress": asdict(progress),
            "network": student.state_dict(),
            "best": best,
            "optimizer": stepper.state_dict(),
            "random": randomness.state(),
        }
        state.save(work, plan.stage, tree)

    go_on = distributed.command(f"edgefer compress --resume {shell(work)}")
    with loop.running(STAGES[plan.stage], plan.epochs, plan.steps, progress, save, go_on) as running:
        if saved:
            with state.taking_up(checkpoint_path, begin_anew):
                randomness.restore(saved["random"])
        else:
            running.save()
        while progress.epoch < plan.epochs:
            order = images.order(len(training), plan.seed, progress.epoch)
            student.train(plan.stage == "relu")
            for step in running.steps():
                schedule.step(progress.epoch * plan.steps + step)
                batch = order[step * batch_size :][:batch_size]
                mine = distributed.places(len(batch))
                draws = augmentation.draw(len(batch))[mine]
                x = augmentation.augment(pixels[batch[mine]], recipe.augment, recipe.preprocessing, draws)
                x = x.contiguous(memory_format=torch.channels_last)
                with torch.no_grad():
                    wanted = teacher(x).softmax(dim=1)
                with distributed.own_randomness(plan.seed + progress.epoch * plan.steps + step):
                    step_loss = len(mine) / len(batch) * loss.distillation(replica(x), wanted, temperature=1.0)
                (value,) = distributed.total(step_loss.item())
                if not math.isfinite(value):
                    raise _diverged(plan, progress, training.rows[batch], notes)
                stepper.zero_grad()
                distributed.backward(step_loss)
                stepper.step()
                if channel_pairs and plan.stage == "int8":
                    quantization.mirror(student, channel_pairs)
                distributed.average_statistics(student)
                progress.loss_sum += value

            student.eval()
            accuracy = evaluate.accuracy(student, validation, recipe.preprocessing)
            line = {
                "epoch": progress.epoch + 1,
                "loss": round(progress.loss_sum / plan.steps, 4),
                "val_accuracy": round(accuracy, 5),
                "seconds": round(progress.seconds_in_epoch, 1),
            }
            progress.next_epoch(line)
            if line["val_accuracy"] > progress.best_accuracy:
                progress.best_epoch, progress.best_accuracy = progress.epoch, line["val_accuracy"]
                best = _copy(student)
            console.say(
                f"{STAGES[plan.stage]}, epoch {line['epoch']} of {plan.epochs}: val accuracy {100 * accuracy:.2f} %"
            )
            running.save()
            running.seconds()  # exclude checking and saving from the next epoch
    student.load_state_dict(best)
    return progress


def _diverged(plan: FineTuneSettings, progress: Progress, rows: NDArray[np.int64], notes: dict[str, Any]) -> Diverged:
    remedy = "omit --activation" if notes.get("config", {}).get("activation") else "try --ptq, without fine-tuning"
    return Diverged(
        f"the loss of {STAGES[plan.stage]} is not finite at epoch {progress.epoch + 1}, step {progress.step + 1} "
        f"(batch of rows {', '.join(map(str, rows[:4]))}, ...); {remedy}"
    )


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
