"""A page as one HTML file that needs nothing else: a template, style, a script and a policy that runs no other one.

A template stands next to the module that fills it, as ``NAME.html.j2``, with what of its style no other page has as
``NAME.css``. It begins with ``head`` of ``parts.html.j2``, which has what pages share, and ends with ``foot``.
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
        more_style: rules for what the page takes from elsewhere.
        values: what it shows. Whatever is not `Markup` is escaped.
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
    """Return what a page shows of a value: a name's control characters as escapes, bidi controls among them."""
    return printable_lines(value) if type(value) is str else value


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
