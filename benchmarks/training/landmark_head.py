"""An auxiliary output for a face's five landmarks, in training alone: the head that the paper of B2 proposes (VII.B).

The face detector's points of each training image move with its augmentation. They take the place of the votes, whose
outputs the trained network does not keep.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from edgefer.data.dataset import Split
from edgefer.faces.detector import open_detector
from edgefer.learning import augmentation
from edgefer.preprocessing import Preprocessing
from edgefer.recipes import Recipe
from edgefer.training import precision, setup
from edgefer.training.targets import Batch, Targets

WEIGHT = 1.0  # of the landmarks' loss; coordinates run from -1 to 1
_SIDE = 96  # pixels of the picture that the detector sees
_MIRRORED = [1, 0, 2, 4, 3]  # eyes and corners of the mouth by their place in the picture


class LandmarkTargets(Targets):
    """Labels, and landmarks instead of votes: (N, 10), x and y of each, NaN where no face was found."""

    def __init__(self, recipe: Recipe, training: Split, classes: int, teachers: Any, votes: Any, device: str) -> None:
        """Load the images and find their landmarks. `votes` only made the network wider."""
        super().__init__(recipe, training, classes, teachers, None, device)
        self._points = torch.from_numpy(found(training))

    def take(self, rows: NDArray[np.int64], step_precision: precision.Precision) -> Batch:
        """Return a batch whose votes are the landmarks in its augmented images."""
        batch, draws = super().take(rows, step_precision), self._draws
        assert draws is not None
        points = moved(self._points[rows], self.pixels.shape[-1], self._recipe, draws[rows])
        return dataclasses.replace(batch, votes=points.flatten(1))

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the labels' loss and, of the landmarks that were found, the smooth L1 distance."""
        assert batch.votes is not None
        known = ~batch.votes.isnan()
        beside = F.smooth_l1_loss(logits[:, self._classes :][known], batch.votes[known], beta=0.1)
        return super().loss(logits[:, : self._classes], dataclasses.replace(batch, votes=None)) + WEIGHT * beside


@contextmanager
def landmarks_for_votes() -> Iterator[None]:
    """Train with landmarks where the recipe has votes."""
    with mock.patch.object(setup, "Targets", LandmarkTargets):
        yield


def found(split: Split) -> NDArray[np.float32]:
    """Return the landmarks of a split's images, -1 to 1: float32, (n, 5, 2); NaN where no face is found."""
    detector = open_detector()
    points = np.full((len(split), 5, 2), np.nan, np.float32)
    for start in range(len(split)):
        (image,) = split.take(slice(start, start + 1))
        picture = np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
        faces = [face for face in detector.find(picture) if face.landmarks]
        if faces:
            points[start] = (2 * np.array(faces[0].landmarks) + 1) / _SIDE - 1
    return points


def moved(points: Tensor, side: int, recipe: Recipe, draws: Tensor) -> Tensor:
    """Return where points of whole images lie in the augmented ones, (N, 5, 2).

    What augmentation does is read off pictures of the coordinates themselves, at three pixels near the centre.

    Args:
        points: (N, 5, 2), in -1 to 1.
        side: of the whole images, pixels.
        recipe: its augmentation and preprocessing.
        draws: the random numbers of the images' augmentation.
    """
    size = recipe.preprocessing.size
    plain = recipe.augment.model_copy(update={"contrast": 0.0, "brightness": 0.0, "erase": 0.0})
    spec = Preprocessing(size=size, crop=recipe.preprocessing.crop, mean=(0.0,), std=(1.0,))
    ramp = 255 * ((torch.arange(side) + 0.5) / side).expand(len(points), 1, side, side)
    ramps = [augmentation.augment(each, plain, spec, draws)[:, 0] for each in (ramp, ramp.transpose(2, 3))]
    source = 2 * torch.stack(ramps, 1) - 1  # (N, 2, size, size): the place in the whole image
    middle, step = size // 2, size // 8
    here, right, down = (source[:, :, middle + y, middle + x].double() for y, x in ((0, 0), (0, step), (step, 0)))
    matrix = torch.stack([right - here, down - here], 2) * size / (2 * step)
    back = torch.linalg.solve(matrix, (points.double() - here[:, None]).transpose(1, 2)).transpose(1, 2)
    out = (back + (2 * middle + 1) / size - 1).float()
    mirrored = torch.linalg.det(matrix) < 0
    return torch.where(mirrored[:, None, None], out[:, _MIRRORED], out)
