"""Training targets and losses: images, labels, teacher probabilities and votes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from timm.data import Mixup
from torch import Tensor

from edgefer.data.dataset import Split
from edgefer.learning import augmentation, distributed, images, loss
from edgefer.recipes import Recipe
from edgefer.training import precision
from edgefer.training.teacher_views import TeacherViews
from edgefer.training.teachers import Teachers
from edgefer.training.vote_correction import label_model, vote_corrected


@dataclass(frozen=True)
class Batch:
    """A batch.

    Attributes:
        x: normalized pixels, float32, (N, C, S, S), channels last.
        y: labels, int64, (N,); with mixup the share of each label, float32, (N, classes).
        teacher_probabilities: at the teachers' temperature, float32, (N, classes); None without teachers.
        votes: share of each kind of vote, float32, (N, kinds); None without votes.
        share: this process's share of the batch's images, 0 to 1.
        label_share: this process's share of the label weights, 0 to 1.
    """

    x: Tensor
    y: Tensor
    teacher_probabilities: Tensor | None
    votes: Tensor | None
    share: float = 1.0
    label_share: float = 1.0

    def right(self, logits: Tensor) -> int:
        """Return the number of correct predictions; logits of the classes only, (N, classes)."""
        truth = self.y if self.y.ndim == 1 else self.y.argmax(dim=1)  # mixup: the label with the larger share
        return int((logits.argmax(dim=1) == truth).sum())


def by_labels(teacher_probabilities: Tensor, y: Tensor, unknown: list[int]) -> Tensor:
    """Return teacher probabilities, filled in from the labels for classes that no teacher knows.

    Args:
        teacher_probabilities: 0 for the unknown classes, float32, (N, classes).
        y: labels, int64, (N,), or the share of each label, float32, (N, classes).
        unknown: indices of the unknown classes.
    """
    shares = y if y.dim() == 2 else F.one_hot(y, teacher_probabilities.shape[1]).to(teacher_probabilities.dtype)
    out = teacher_probabilities * (1 - shares[:, unknown].sum(1, keepdim=True))
    out[:, unknown] = shares[:, unknown].to(out.dtype)
    return out


class Targets:
    """The training images and their targets.

    Attributes:
        pixels: of the whole images, uint8, from `edgefer.learning.images.load`.
        labels: int64, (n,).
        criterion: the loss for labels only.
    """

    def __init__(
        self, recipe: Recipe, training: Split, classes: int, teachers: Teachers, votes: Tensor | None, device: str
    ) -> None:
        """Load the images.

        Args:
            recipe: all settings.
            training: the images.
            classes: number of classes.
            teachers: those of `recipe.teaching`.
            votes: share of each kind, in the order of the images, float32, (n, kinds).
            device: ``cpu`` or ``cuda``.

        Raises:
            InputError: the labels cannot be weighted.
        """
        count = len(distributed.places(recipe.train.batch_size))
        self._recipe, self._classes, self._teachers, self._device = recipe, classes, teachers, device
        self.criterion = loss.cross_entropy(recipe.train, training.labels, classes).to(device)
        self.pixels = images.load(training, recipe.preprocessing).to(device)
        self.labels = torch.from_numpy(training.labels).to(device)
        self._votes = self._likely = None
        if votes is not None:
            if recipe.teaching.votes_power:
                self._likely = label_model(votes, self.labels, classes)(votes).to(device)
            self._votes = votes.to(device)
        # Each image is its own class, so the result says which images were mixed and by how much.
        self._mixup = Mixup(recipe.augment.mixup, label_smoothing=0, num_classes=count)
        self._each = torch.arange(count, device=device)
        self._log_shares = loss.log_shares(training.labels, classes).to(device) * recipe.train.logit_adjustment
        self._views = TeacherViews(recipe, training, teachers, device) if recipe.teaching.views else None
        self._draws: Tensor | None = None
        self._answers: Tensor | None = None

    def ask_teachers(self, step_precision: precision.Precision) -> None:
        """Compute the teachers' probabilities for each view and cache them on disk, if the recipe has views.

        Args:
            step_precision: precision of the teachers.

        Raises:
            Interrupted: Ctrl-C; finished views are kept.
        """
        if self._views:
            self._views.fill(step_precision)

    def begin_epoch(self, epoch: int) -> None:
        """Choose the epoch's view of each image, deterministic in seed and epoch (from 0)."""
        views, seed = self._recipe.teaching.views, self._recipe.train.seed
        self._draws = images.draws(len(self.pixels), seed, epoch % views if views else epoch)
        if self._views:
            self._answers = self._views.answers(epoch % views).to(self._device)

    def augmented(self, rows: NDArray[np.int64] | slice) -> Tensor:
        """Return augmented images, normalized, float32, (N, C, S, S), channels last."""
        draws = self._draws[rows] if self._draws is not None else None
        x = augmentation.augment(self.pixels[rows], self._recipe.augment, self._recipe.preprocessing, draws)
        return x.contiguous(memory_format=torch.channels_last)

    def take(self, rows: NDArray[np.int64], step_precision: precision.Precision) -> Batch:
        """Return this process's part of a batch, augmented.

        Args:
            rows: rows of the whole batch's images, int64, (N,).
            step_precision: precision of the teachers.
        """
        recipe, teaching = self._recipe, self._recipe.teaching
        whole, mine = self.labels[rows], distributed.places(len(rows))
        rows = rows[mine]
        x = self.augmented(rows)
        y = self.labels[rows]
        share = label_share = len(mine) / len(whole)
        votes = self._votes[rows] if self._votes is not None else None
        likely = self._likely[rows] if self._likely is not None else None
        teacher_probabilities = self._answers[rows].float() if self._answers is not None else None
        if recipe.augment.mixup:
            x, shares = self._mixup(x, self._each)
            y = shares @ F.one_hot(y, self._classes).float()
            votes = shares @ votes if votes is not None else None
            likely = torch.log(shares @ likely.exp()) if likely is not None else None
            # The teachers saw the unmixed views, so their probabilities are mixed too.
            teacher_probabilities = shares @ teacher_probabilities if teacher_probabilities is not None else None
        elif self.criterion.weight is not None and share < 1:  # cross-entropy divides by the weights' sum
            label_share = float(self.criterion.weight[y].sum() / self.criterion.weight[whole].sum())
        if teaching.teachers:
            if teacher_probabilities is None:
                with precision.autocast(self._device, step_precision):
                    teacher_probabilities = self._teachers.probabilities(x, teaching.temperature)
            if likely is not None:
                teacher_probabilities = vote_corrected(
                    teacher_probabilities, likely, teaching.votes_power / teaching.temperature
                )
            unknown = self._teachers.unknown()
            if unknown:
                teacher_probabilities = by_labels(teacher_probabilities, y, unknown)
        return Batch(x, y, teacher_probabilities, votes, share, label_share)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the loss of logits, a scalar; the losses of all processes add up to the batch's.

        Args:
            logits: of the classes, followed by the kinds of vote if any: (N, outputs).
            batch: the batch.
        """
        teaching, said = self._recipe.teaching, logits[:, : self._classes] + self._log_shares
        value: Tensor = batch.label_share * self.criterion(said, batch.y)
        if batch.teacher_probabilities is not None:
            distilled = batch.share * loss.distillation(said, batch.teacher_probabilities, teaching.temperature)
            value = (1 - teaching.share) * value + teaching.share * distilled
        if batch.votes is not None:
            voted = F.cross_entropy(logits[:, self._classes :], batch.votes)
            value = value + batch.share * teaching.votes_weight * voted
        return value
