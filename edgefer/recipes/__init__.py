"""Recipes: every setting of a training in one TOML file.

`names` lists them, `text` returns one as written, `load` reads one and applies settings from the command line. `named`
and `setting` return the versions for shared files.
"""

from __future__ import annotations

from edgefer.recipes.public import named, setting
from edgefer.recipes.read import going_on, load, names, parse, text, value
from edgefer.recipes.schema import Recipe

__all__ = ["Recipe", "going_on", "load", "named", "names", "parse", "setting", "text", "value"]
