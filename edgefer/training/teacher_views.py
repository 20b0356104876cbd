"""Caches teacher probabilities of augmented training images on disk, so a student's step runs no teacher.

A view is defined by its random numbers (`edgefer.learning.images.draws`), so each teacher sees it in its own size and
colour, and students of any size share the cache.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgefer import console, paths
from edgefer.data.dataset import Split
from edgefer.errors import Interrupted
from edgefer.learning import augmentation, distributed, images, interrupt
from edgefer.preprocessing import Preprocessing
from edgefer.recipes import Recipe
from edgefer.training import precision
from edgefer.training.teachers import Teachers

_FORMAT = 1
_BATCH = 256


class TeacherViews:
    """A cache file of probabilities per view.

    Attributes:
        folder: of the files. Its name is a digest of everything that the probabilities depend on.
    """

    def __init__(self, recipe: Recipe, training: Split, teachers: Teachers, device: str) -> None:
        self._recipe, self._training, self._teachers, self._device = recipe, training, teachers, device
        self._shape = (len(training), len(teachers.classes))
        depends_on = {
            "format": _FORMAT,
            "teachers": teachers.digests,
            "mirrored": teachers.mirrored,
            "temperature": recipe.teaching.temperature,
            "images": sha256(training.indices.tobytes()).hexdigest(),
            "data": teachers.data_digest,
            "classes": teachers.classes,
            "augment": recipe.augment.model_dump(exclude={"mixup"}),
            "seed": recipe.train.seed,
        }
        digest = sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()
        self.folder = paths.cache_dir() / "teaching" / digest[:32]

    def fill(self, step_precision: precision.Precision) -> None:
        """Run the teachers on each view that has no file.

        Raises:
            Interrupted: Ctrl-C; finished views are kept.
        """
        wanted = range(min(self._recipe.teaching.views, self._recipe.epochs))
        missing = [view for view in wanted if self._read(view) is None]
        if not missing:
            return
        pixels: dict[Preprocessing, Tensor] = {}  # shared, since most teachers use the same preprocessing
        for each in self._teachers.networks:
            source = images.source_preprocessing(self._training, each.spec)
            if source not in pixels:
                pixels[source] = images.load(self._training, each.spec)
        count = len(self._training)
        done = (len(wanted) - len(missing)) * count
        with (
            interrupt.wish_to_stop() as stop_asked,
            console.progress(f"asking the teachers about {len(wanted)} views", len(wanted) * count, done) as advance,
        ):
            for view in distributed.share_on_machine(missing):
                answers = np.empty(self._shape, np.float16)
                for rows, said in self._probabilities(view, pixels, step_precision):
                    answers[rows] = said.float().cpu().numpy()
                    advance(rows.stop - rows.start)
                    if stop_asked():
                        kept = sum(self._read(each) is not None for each in wanted)
                        raise Interrupted(
                            f"interrupted; {kept} of {len(wanted)} views are kept: the same command goes on with the "
                            "others"
                        )
                with paths.write_atomically(self._file(view)) as part, part.open("wb") as file:
                    np.save(file, answers)

    def _probabilities(
        self, view: int, pixels: dict[Preprocessing, Tensor], step_precision: precision.Precision
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield rows of the training images with the teachers' probabilities of a view: (N, classes)."""
        count, augment = len(self._training), self._recipe.augment
        draws = images.draws(count, self._recipe.train.seed, view)
        for start in range(0, count, _BATCH):
            rows = slice(start, min(start + _BATCH, count))

            def seen(spec: Preprocessing, rows: slice = rows) -> Tensor:
                given = pixels[images.source_preprocessing(self._training, spec)][rows].to(self._device)
                x = augmentation.augment(given, augment, spec, draws[rows])
                return x.contiguous(memory_format=torch.channels_last)

            with precision.autocast(self._device, step_precision):
                said = self._teachers.probabilities_of(seen, self._recipe.teaching.temperature)
            yield rows, said

    def answers(self, view: int) -> Tensor:
        """Return the teachers' probabilities of a cached view: float16, (n, classes)."""
        found = self._read(view)
        if found is None:
            raise FileNotFoundError(self._file(view))
        return torch.from_numpy(found)

    def _file(self, view: int) -> Path:
        return self.folder / f"view-{view:03d}.npy"

    def _read(self, view: int) -> NDArray[np.float16] | None:
        """Return a file's probabilities; None if it is missing or incomplete."""
        try:
            found = np.load(self._file(view), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return (
            found if isinstance(found, np.ndarray) and (found.shape, found.dtype) == (self._shape, np.float16) else None
        )
