"""`edgefer.train`: train from the names or paths of recipe and data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgefer import paths, recipes
from edgefer.data.dataset import Dataset
from edgefer.data.default import given
from edgefer.errors import InputError, MissingExtra
from edgefer.recipes import Recipe

if TYPE_CHECKING:
    from edgefer.training.trainer import TrainResult


def train(
    recipe: Recipe | Path | str = "compact",
    data: Dataset | Path | str | None = None,
    out: Path | str | None = None,
    *,
    settings: Sequence[str] = (),
    epochs: int | None = None,
    seed: int | None = None,
    device: str | None = None,
) -> TrainResult:
    """Train a network and keep the checkpoint with the best validation accuracy.

    >>> import edgefer
    >>> faces = edgefer.data.builtin(train=64, val=21, test=21)
    >>> trained = edgefer.train("quickstart", faces, "my-run", settings=["train.batch_size=32"], epochs=1)
    >>> trained.epochs
    1
    >>> trained.run.name
    'my-run'

    Args:
        recipe: a recipe's name (see ``edgefer recipes``), a TOML file, or an `edgefer.recipes.Recipe`.
        data: a data set or its path; by default the one that `edgefer.data.find` finds.
        out: folder for the run; by default a new one in ``runs/train``. An interrupted run of the
            same recipe is resumed.
        settings: changes to the recipe: ``train.batch_size=64``.
        epochs: total, instead of the recipe's.
        seed: instead of the recipe's.
        device: ``cpu`` or ``cuda``; by default cuda if available.

    Raises:
        InputError: settings don't fit each other or the data, or `out` holds something else.
        MissingExtra: the extra ``train`` is not installed.
        Diverged: the loss is not finite.
        Interrupted: Ctrl-C; call again with the run's folder as `out` to resume.
    """
    try:
        from edgefer.learning import distributed
        from edgefer.training import trainer, unfinished
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error, "train") from None
    if isinstance(recipe, Recipe) and (settings or epochs or seed is not None):
        raise InputError("settings, epochs and seed apply to a named recipe; pass them to recipes.load")
    settled = recipe if isinstance(recipe, Recipe) else recipes.load(str(recipe), list(settings), epochs, seed)
    distributed.join(device)
    dataset = distributed.first_then_others(lambda: given(data))
    run = None if out is None else Path(out)
    resumes = run is not None and distributed.from_first(lambda: unfinished.goes_on(run, settled))
    with distributed.run_folder(run, "train", settled.name) as folder:
        trained = trainer.train(settled, dataset, folder, resumes, device=device)
    if run is None and distributed.is_first():
        paths.mark_latest(folder)
    return trained
