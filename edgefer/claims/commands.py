"""The commands that decide a claim by training: train, compress, bench."""

from __future__ import annotations

from edgefer import recipes
from edgefer.claims.ledger import Claim, Ledger

_DATA = "--data fer2013.zip"


def of(claim: Claim, ledger: Ledger) -> str:
    """Return the shell command that decides a claim."""
    if claim.command is not None:
        return claim.command
    assert claim.test is not None  # the ledger's schema sees to that
    recipe = claim.test.recipe
    return _all(recipe, f"edgefer train {recipe} {_DATA}", ledger.trainings[recipe].splits[0])


def cost(recipe: str) -> str:
    """Return the command that measures a recipe's network; its cost doesn't depend on the weights."""
    short = f"--no-pretrained --epochs {len(recipes.load(recipe).phases)}"
    return _all(f"{recipe}-short", f"edgefer train {recipe} {short} {_DATA}", "test")


def _all(name: str, train: str, split: str) -> str:
    run, bundle = f"{name}-run", f"{name}-bundle"
    steps = (
        f"{train} --out {run}",
        # The claims are about FP32: don't let the INT8 gate reject the bundle.
        f"edgefer compress {run} --int8 --ptq --max-drop 100 {_DATA} --out {bundle}",
        f"edgefer bench {bundle} --split {split} {_DATA} --out {name}-bench",
        f"edgefer claims --results {name}-bench {_DATA}",
    )
    return " && ".join(steps)
