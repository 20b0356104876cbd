"""A search space: settings of a recipe and the values to try. TOML with the keys of ``--set``.

A list enumerates values of a setting; a table with ``low`` and ``high`` bounds a number::

    model.args.widths = [[8, 16, 24], [16, 32, 48]]
    train.batch_size = [32, 64, 128]
    phases.0.lr = { low = 0.01, high = 0.2, log = true }
    augment.rotate = { low = 0, high = 20, step = 5 }
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, model_validator

from edgefer import limits, recipes
from edgefer.errors import InputError
from edgefer.frozen import Frozen
from edgefer.lines import complaint
from edgefer.recipes import Recipe

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

_DIGITS = 4  # significant digits of a sampled number, to keep commands readable


class Bounds(Frozen):
    """A number within bounds; an integer if the bounds are integers."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @model_validator(mode="after")
    def _from_low_to_high(self) -> Bounds:
        if self.low >= self.high:
            raise ValueError("low must be less than high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log takes a low over 0, and no step")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError("step must be over 0, and no more than high - low")
        return self

    @property
    def whole(self) -> bool:
        """Whether only integers are sampled."""
        return all(isinstance(each, int) for each in (self.low, self.high, self.step or 1))


@dataclass(frozen=True)
class SearchSpace:
    """The search space.

    Attributes:
        settings: bounds or values in the syntax of ``--set``, by key.
    """

    settings: dict[str, Bounds | tuple[str, ...]]

    def draw(self, trial: BaseTrial) -> list[str]:
        """Return the settings that Optuna samples for a trial, in the syntax of ``--set``."""
        drawn = []
        for key, values in self.settings.items():
            if isinstance(values, tuple):
                drawn.append(f"{key}={trial.suggest_categorical(key, values)}")
            elif values.whole:
                step = int(values.step or 1)
                number = trial.suggest_int(key, int(values.low), int(values.high), log=values.log, step=step)
                drawn.append(f"{key}={number}")
            else:
                value = trial.suggest_float(key, values.low, values.high, log=values.log, step=values.step)
                drawn.append(f"{key}={float(f'{value:.{_DIGITS}g}')}")
        return drawn

    def of(self, recipe: Recipe) -> dict[str, Any] | None:
        """Return Optuna's parameters for the unchanged recipe, or None if they are outside the space."""
        found: dict[str, Any] = {}
        for key, values in self.settings.items():
            value = _at(recipe.model_dump(mode="json"), key)
            if isinstance(values, tuple):
                same = [each for each in values if recipes.value(each) == value]
                if not same:
                    return None
                found[key] = same[0]
            elif isinstance(value, int | float) and values.low <= value <= values.high:
                found[key] = int(value) if values.whole else float(value)
            else:
                return None
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the space as plain JSON values."""
        return {
            key: list(values) if isinstance(values, tuple) else values.model_dump(exclude_defaults=True)
            for key, values in self.settings.items()
        }


def read(path: Path, recipe: str, settings: Sequence[str] = (), epochs: int | None = None) -> SearchSpace:
    """Read a search space and check it against a recipe.

    Args:
        path: TOML.
        recipe: name or file; this and the rest as for `recipes.load`.
        settings: fixed in all trials.
        epochs: per trial.

    Raises:
        InputError: the file cannot be read, or a key or value does not fit the recipe.
    """
    found = dict(_settings(limits.read_toml(path, limits.RECIPE), (), path))
    if not found:
        raise InputError(f"{path} names no setting; try: train.batch_size = [32, 64]")
    ends = {key: values if isinstance(values, tuple) else (values.low, values.high) for key, values in found.items()}
    first = [f"{key}={values[0]}" for key, values in ends.items()]
    others = ([f"{key}={value}"] for key, values in ends.items() for value in values[1:])
    for changed in chain([[]], others):
        try:
            recipes.load(recipe, [*settings, *first, *changed], epochs)
        except InputError as error:
            raise InputError(f"{path}: {str(error).removeprefix('--set ')}") from None
    return SearchSpace(found)


def _settings(
    node: dict[str, Any], above: tuple[str, ...], path: Path
) -> Iterator[tuple[str, Bounds | tuple[str, ...]]]:
    for name, value in node.items():
        key = ".".join((*above, name))
        if isinstance(value, list):
            if len(value) < 2:
                raise InputError(f"{path}: {key} has fewer than two values; set it with --set instead")
            typed = tuple(map(_typed, value))
            twice = next((each for place, each in enumerate(typed) if each in typed[:place]), None)
            if twice is not None:
                raise InputError(f"{path}: {key} lists {twice} twice")
            yield key, typed
        elif isinstance(value, dict) and not {"low", "high"} & value.keys():
            yield from _settings(value, (*above, name), path)
        elif isinstance(value, dict):
            try:
                yield key, Bounds.model_validate(value)
            except ValidationError as error:
                raise InputError(f"{path}: {key}: {complaint(error)}") from None
        else:
            raise InputError(f"{path}: {key} takes a list of values, or {{ low = ..., high = ... }}")


def _typed(value: object) -> str:
    """Return a value in the syntax of ``--set``: TOML on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(_typed, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)} = {_typed(each)}' for key, each in value.items())}}}"
    return json.dumps(value, ensure_ascii=False, default=str)


def _at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        try:
            tree = tree[int(part)] if isinstance(tree, list) else tree[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return tree
