"""Trains a recipe and each of its ablations, for comparison.

Each training has its own folder in the output folder. An interrupted run resumes, and finished trainings are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgefer import console, limits, paths, public, recipes
from edgefer.data.dataset import Dataset
from edgefer.errors import Diverged, InputError, Interrupted
from edgefer.recipes import Recipe
from edgefer.recipes.schema import WHOLE
from edgefer.training import trainer, unfinished

RESULT = "ablations.json"
_TRAINED = "result.json"


@dataclass(frozen=True)
class AblationRow:
    """One training.

    Attributes:
        name: the ablation's, or `WHOLE`.
        cites: where the paper asks for it.
        set: the changed settings.
        run: its folder.
        val_accuracy: of its best epoch, 0 to 1; None if it diverged.
        difference: from the unchanged recipe, in points; None if either diverged.
        best_epoch: from 1.
        epochs: epochs done; fewer than planned with early stopping.
        parameters: of its network.
        seconds: training time.
        error: the error, if it diverged.
    """

    name: str
    cites: str
    set: tuple[str, ...]
    run: str
    val_accuracy: float | None
    difference: float | None
    best_epoch: int | None
    epochs: int | None
    parameters: int | None
    seconds: float | None
    error: str | None


@dataclass(frozen=True)
class Ablations:
    """Results of all ablations, as in ``ablations.json``.

    Attributes:
        recipe: its name.
        settings: changes that apply to all trainings.
        data: name of the data set.
        digest: its SHA-256.
        seed: shared by all; another seed changes each row too.
        initial_weights: those of the unchanged recipe.
        rows: the unchanged recipe, then its ablations in order.
    """

    recipe: str
    settings: tuple[str, ...]
    data: str
    digest: str
    seed: int
    initial_weights: dict[str, str] | None
    rows: tuple[AblationRow, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as plain JSON values."""
        return asdict(self)


def variants(
    name: str, settings: Sequence[str] = (), epochs: int | None = None, seed: int | None = None
) -> Iterator[tuple[str, str, tuple[str, ...], Recipe]]:
    """Yield name, citation, settings and recipe of the unchanged recipe and of each of its ablations.

    Args:
        name: the recipe's name or file.
        settings: changes that apply to all.
        epochs: total for each, also for ablations that set epochs.
        seed: for each.

    Raises:
        InputError: the recipe has no ablations, or one doesn't fit it.
    """
    whole = recipes.load(name, settings, epochs, seed)
    if not whole.ablations:
        raise InputError(f"recipe {whole.name} has no [[ablations]]; those that have: {', '.join(_with_ablations())}")
    changes = [(WHOLE, "the unchanged recipe", ()), *((each.name, each.cites, each.set) for each in whole.ablations)]
    for title, cites, change in changes:
        recipe = recipes.load(name, [*settings, *change], epochs, seed)
        called = f"{whole.name}-{title}"[:100]
        yield title, cites, change, recipe.model_copy(update={"name": called, "ablations": ()})


def ablate(
    name: str,
    dataset: Dataset,
    out: Path,
    settings: Sequence[str] = (),
    epochs: int | None = None,
    seed: int | None = None,
    device: str | None = None,
) -> Ablations:
    """Train a recipe and each of its ablations, and write ``ablations.json``.

    A diverged training is a valid row.

    Args:
        name: the recipe's name or file.
        dataset: see `edgefer.training.trainer.train`.
        out: folder for all trainings; finished ones are kept, an unfinished one is resumed.
        settings: see `variants`.
        epochs: see `variants`.
        seed: see `variants`.
        device: ``cpu`` or ``cuda``.

    Raises:
        InputError: no ablations, settings don't fit, or `out` holds trainings with other settings or data.
        Interrupted: Ctrl-C; run the same command to resume.
    """
    rows: list[AblationRow] = []
    results: list[dict[str, Any]] = []
    planned = list(variants(name, settings, epochs, seed))
    for number, (title, cites, change, recipe) in enumerate(planned, 1):
        console.say(f"{number} of {len(planned)}: {title} ({cites})")
        result = _done(out / title, recipe, dataset)
        if result is None:
            result = _trained(out, title, recipe, dataset, device)
        results.append(result)
        rows.append(_row(title, cites, change, out / title, result, rows[0] if rows else None))
    found = Ablations(
        recipe=recipes.load(name, settings).name,
        settings=tuple(map(recipes.setting, settings)),
        data=dataset.name,
        digest=dataset.digest,
        seed=planned[0][3].train.seed,
        initial_weights=results[0].get("initial_weights"),
        rows=tuple(rows),
    )
    paths.write_json(out / RESULT, found.as_dict(), indent=1)
    return found


def _done(run: Path, recipe: Recipe, dataset: Dataset) -> dict[str, Any] | None:
    """Return the result of this training from an earlier command, or None if it isn't finished."""
    file = run / _TRAINED
    if not file.is_file():
        return None
    try:
        result: dict[str, Any] = limits.read_json(file, limits.RESULT)
        same = (
            recipes.parse(result["recipe"], str(file)) == recipes.named(recipe) and result["digest"] == dataset.digest
        )
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{file} is damaged; delete {run} to train it again") from None
    if not same:
        raise InputError(f"{run} was trained with other settings or data; give another folder with --out")
    console.say(f"{run} is already done")
    return result


def _trained(out: Path, title: str, recipe: Recipe, dataset: Dataset, device: str | None) -> dict[str, Any]:
    run = out / title
    resume = unfinished.goes_on(run, recipe)
    try:
        result = trainer.train(recipe, dataset, run, resume, device=device).as_dict() | {"run": public.place(run)}
    except Interrupted:
        raise Interrupted(f"interrupted; to resume, run the same command with --out {out}") from None
    except Diverged as error:
        console.say(str(error))
        why = str(error).replace(str(run), public.place(run))
        result = {"recipe": recipes.named(recipe).model_dump(mode="json"), "digest": dataset.digest, "error": why}
    paths.write_json(run / _TRAINED, result, indent=1)
    return result


def _row(
    title: str, cites: str, change: tuple[str, ...], run: Path, result: dict[str, Any], whole: AblationRow | None
) -> AblationRow:
    accuracy = result.get("val_accuracy")
    base = whole.val_accuracy if whole else accuracy
    return AblationRow(
        name=title,
        cites=cites,
        set=tuple(map(recipes.setting, change)),
        run=public.place(run),
        val_accuracy=accuracy,
        difference=None if accuracy is None or base is None else round(100 * (accuracy - base), 3),
        best_epoch=result.get("best_epoch"),
        epochs=result.get("epochs"),
        parameters=result.get("parameters"),
        seconds=result.get("seconds"),
        error=result.get("error"),
    )


def _with_ablations() -> list[str]:
    return [name for name in recipes.names() if recipes.load(name).ablations]
