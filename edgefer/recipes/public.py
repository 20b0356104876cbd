"""Recipes for shared files: names instead of paths."""

from __future__ import annotations

import json

from edgefer import public
from edgefer.recipes.read import value
from edgefer.recipes.schema import Recipe


def named(recipe: Recipe) -> Recipe:
    """Return `recipe` with the names of files and folders instead of their paths."""
    model, teaching = recipe.model, recipe.teaching
    changed = {
        "model": {
            "args": public.value(model.args),
            "weights": model.weights and public.name(model.weights),
            "initial_weights": model.initial_weights and public.name(model.initial_weights),
        },
        "teaching": {
            "teachers": tuple(map(public.name, teaching.teachers)),
            "votes": teaching.votes and public.name(teaching.votes),
        },
    }
    return recipe.model_copy(
        update={
            "model": model.model_copy(update=changed["model"]),
            "teaching": teaching.model_copy(update=changed["teaching"]),
            "ablations": tuple(
                each.model_copy(update={"set": tuple(map(setting, each.set))}) for each in recipe.ablations
            ),
        }
    )


def setting(text: str) -> str:
    """Return a ``key=value`` of --set with a name instead of a path."""
    key, equals, given = text.partition("=")
    tree = value(given)
    changed = public.value(tree)
    return text if changed == tree else f"{key}{equals}{json.dumps(changed, ensure_ascii=False)}"
