"""Render a page as one self-contained HTML file, with a policy that allows no script but its own.

A template is stored next to the module that fills it, as ``NAME.html.j2``; its own style is in ``NAME.css``. It starts
with ``head`` of ``parts.html.j2``, which holds the parts shared by all pages, and ends with ``foot``.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from edgefer.errors import MissingExtra
from edgefer.lines import printable_lines, shell

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
except ModuleNotFoundError as missing:
    raise MissingExtra.of(missing, "report") from None

_FOLDER = Path(__file__).parent


def html(template: Path, more_style: str = "", **values: object) -> str:
    """Return the page.

    Args:
        template: ``NAME.html.j2``.
        more_style: CSS for content from other modules.
        values: template variables, escaped unless they are `Markup`.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, _FOLDER]),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shell"] = shell
    script = _read(_FOLDER / "page.js")
    shared: dict[str, Any] = {
        "style": Markup(
            _read(_FOLDER / "page.css")
            + _read(template.with_name(template.name.replace(".html.j2", ".css")))
            + more_style
        ),
        "script": Markup(script),
        "script_digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return environment.get_template(template.name).render(**shared, **values)


def shown(value: object) -> object:
    """Return a value as text, with control characters in names (including bidi controls) escaped."""
    return printable_lines(value) if type(value) is str else value


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
