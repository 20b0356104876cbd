"""`edgefer recipes`: lists recipes, or prints one as TOML."""

from __future__ import annotations

from typing import Annotated

import typer

from edgefer.cli.options import Json


def command(
    name: Annotated[str | None, typer.Argument(help="Recipe to show.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """List the recipes, or print one as TOML."""
    from edgefer import recipes as known
    from edgefer.cli import output

    if name is not None:
        recipe = known.load(name)
        if as_json:
            output.print_json(recipe.model_dump(mode="json"))
        else:
            output.print_text(known.text(name))
        return
    loaded = [known.load(each) for each in known.names()]
    if as_json:
        output.print_json({"recipes": [{"name": r.name, "description": r.description} for r in loaded]})
        return
    output.print_rows("recipes (edgefer train NAME, edgefer recipes NAME)", {r.name: r.description for r in loaded})
