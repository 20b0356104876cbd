"""Small ledgers for tests."""

from __future__ import annotations

from pathlib import Path

HEAD = '[[document]]\nkey = "a"\ntitle = "A paper"\nfile = "a.txt"\n'


def claim(name: str, value: str, *lines: str) -> str:
    """Return a claim ``a.<name>`` as TOML; without a `checks`, `needs` or `incomparable` it gets a `needs`."""
    if not any(line.startswith(("checks", "needs", "incomparable")) for line in lines):
        lines = (*lines, 'needs = "weights"')
    fields = [f'id = "a.{name}"', 'document = "a"', 'place = "Table I"', f'quote = "{value}"', f'value = "{value}"']
    return "\n".join(["[[claim]]", *fields, 'metric = "a figure"', 'command = "edgefer bench"', *lines, ""])


def write(folder: Path, *claims: str, head: str = HEAD) -> Path:
    """Write a ledger and return its path."""
    path = folder / "claims.toml"
    path.write_text("\n".join((head, *claims)), encoding="utf-8")
    return path
