"""The ledger as HTML (extra `report`): a page without JavaScript, or a section of a benchmark report."""

from __future__ import annotations

from pathlib import Path

from edgefer.claims import table
from edgefer.claims.result import VERDICTS, ClaimsResult, Entry
from edgefer.errors import MissingExtra
from edgefer.pages.page import shown

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
except ModuleNotFoundError as missing:
    raise MissingExtra.of(missing, "report") from None

_FOLDER = Path(__file__).parent


def html(result: ClaimsResult) -> str:
    """Return the page. Each claim's id is an anchor to link to."""
    return _environment().get_template("page.html.j2").render(result=result, style=Markup(style()))


def section(result: ClaimsResult) -> str:
    """Return the ledger as a section of another page, with the important claims first and the rest folded."""
    return _environment().get_template("section.html.j2").render(result=result, groups=_groups(result))


def style() -> str:
    """Return the style sheet of page and section; it inherits the colours of text and lines."""
    return (_FOLDER / "ledger.css").read_text(encoding="utf-8")


def _groups(result: ClaimsResult) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """Return the measured claims (decided ones first), the other contradicted ones, and the rest."""
    order = ("contradicted", "holds", "other protocol", "not run", "not comparable")
    measured = sorted(
        (entry for entry in result.entries if entry.measured or entry.costs),
        key=lambda entry: (not any(each.as_written for each in entry.measured), order.index(entry.verdict)),
    )
    others = [entry for entry in result.entries if not (entry.measured or entry.costs)]
    contradicted = [entry for entry in others if entry.verdict == "contradicted"]
    return measured, contradicted, [entry for entry in others if entry.verdict != "contradicted"]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(table=table, verdicts=VERDICTS)
    environment.tests["training"] = table.is_training
    return environment
