"""What a step learns from: pictures, their labels, what teachers and people say of them, and the loss of an answer."""

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
        y: labels, int64, (N,); with mixup the shares of each label, float32, (N, classes).
        teacher_probabilities: what the teachers say at their temperature, float32, (N, classes); None without teachers.
        votes: shares of each kind of vote, float32, (N, kinds); None without votes.
        share: of the images of all processes, those that this one has, 0 to 1.
        label_share: likewise of the weights of their labels.
    """

    x: Tensor
    y: Tensor
    teacher_probabilities: Tensor | None
    votes: Tensor | None
    share: float = 1.0
    label_share: float = 1.0

    def right(self, logits: Tensor) -> int:
        """Return how many answers are right: logits of the classes alone, (N, classes)."""
        truth = self.y if self.y.ndim == 1 else self.y.argmax(dim=1)  # of a mix, the larger share's
        return int((logits.argmax(dim=1) == truth).sum())


def by_labels(teacher_probabilities: Tensor, y: Tensor, unknown: list[int]) -> Tensor:
    """Return teachers' probabilities where classes that no teacher knows have the share that labels give them.

    Args:
        teacher_probabilities: of the teachers, 0 for those classes, float32, (N, classes).
        y: labels, int64, (N,), or shares of each label, float32, (N, classes).
        unknown: the classes.
    """
    shares = y if y.dim() == 2 else F.one_hot(y, teacher_probabilities.shape[1]).to(teacher_probabilities.dtype)
    out = teacher_probabilities * (1 - shares[:, unknown].sum(1, keepdim=True))
    out[:, unknown] = shares[:, unknown].to(out.dtype)
    return out


class Targets:
    """The training images with all that is known of them.

    Attributes:
        pixels: of the whole pictures, uint8, from `edgefer.learning.images.load`.
        labels: int64, (n,).
        criterion: the loss that the labels alone give.
    """

    def __init__(
        self, recipe: Recipe, training: Split, classes: int, teachers: Teachers, votes: Tensor | None, device: str
    ) -> None:
        """Load the images.

        Args:
            recipe: all settings.
            training: the images.
            classes: how many there are.
            teachers: of `recipe.teaching`.
            votes: shares of each kind, of the same images in the same order, float32, (n, kinds).
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
        # Each image as a class of its own: what comes back is how much of which image another one was mixed with.
        self._mixup = Mixup(recipe.augment.mixup, label_smoothing=0, num_classes=count)
        self._each = torch.arange(count, device=device)
        self._log_shares = loss.log_shares(training.labels, classes).to(device) * recipe.train.logit_adjustment
        self._views = TeacherViews(recipe, training, teachers, device) if recipe.teaching.views else None
        self._draws: Tensor | None = None
        self._answers: Tensor | None = None

    def ask_teachers(self, step_precision: precision.Precision) -> None:
        """Have the teachers' answers for each view on disk, if the recipe names a number of views.

        Args:
            step_precision: in which the teachers answer.

        Raises:
            Interrupted: Ctrl-C; the views that are done are kept.
        """
        if self._views:
            self._views.fill(step_precision)

    def begin_epoch(self, epoch: int) -> None:
        """Draw the epoch's view of each image, whatever its batch: the same for the same seed and epoch, from 0."""
        views, seed = self._recipe.teaching.views, self._recipe.train.seed
        self._draws = images.draws(len(self.pixels), seed, epoch % views if views else epoch)
        if self._views:
            self._answers = self._views.answers(epoch % views).to(self._device)

    def augmented(self, rows: NDArray[np.int64] | slice) -> Tensor:
        """Return a network's input of images, normalized, float32, (N, C, S, S), channels last."""
        draws = self._draws[rows] if self._draws is not None else None
        x = augmentation.augment(self.pixels[rows], self._recipe.augment, self._recipe.preprocessing, draws)
        return x.contiguous(memory_format=torch.channels_last)

    def take(self, rows: NDArray[np.int64], step_precision: precision.Precision) -> Batch:
        """Return what this process takes of a batch of images, augmented.

        Args:
            rows: which images the whole batch has, int64, (N,).
            step_precision: in which the teachers answer.
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
            # Of views that are mixed, the teachers' answers are mixed: they have not seen the mix.
            teacher_probabilities = shares @ teacher_probabilities if teacher_probabilities is not None else None
        elif self.criterion.weight is not None and share < 1:  # cross-entropy divides by the sum of the weights
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
        """Return the loss of a network's logits, a scalar: over all processes these add up to the batch's.

        Args:
            logits: of the classes, and behind them of the kinds of vote if there are votes: (N, outputs).
            batch: what they answer.
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
