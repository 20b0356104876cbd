"""The ledger as one HTML file that needs nothing else, not even JavaScript (extra `report`)."""

from __future__ import annotations

from pathlib import Path

from edgefer.claims import table
from edgefer.claims.result import VERDICTS, Result
from edgefer.errors import MissingExtra

try:
    from jinja2 import Environment, StrictUndefined
except ModuleNotFoundError as missing:
    raise MissingExtra((missing.name or "a package").partition(".")[0], "report") from None

_TEMPLATE = Path(__file__).with_name("page.html.j2")


def html(result: Result) -> str:
    """Return the page. Each claim has an anchor of its id, so that a link can lead to it."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(result=result, table=table, verdicts=VERDICTS)
