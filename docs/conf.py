"""Sphinx's settings: the site is built with `sphinx-build -W --keep-going docs build/site`.

Three pages are written while it is built: the commands, from edgefer's command line, the file formats, from the JSON
Schemas in this folder, and what FER papers claim, from the ledger. Links that lead out of docs/ name files of the
repository. They go to its pages if EDGEFER_REPOSITORY has its address, as https://github.com/NAME/edgefer, and are
downloads otherwise.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))  # a checkout that is not installed

project = "edgefer"
author = "the edgefer developers"
copyright = author
html_title = "edgefer"
html_theme = "furo"
html_extra_path = sorted(path.name for path in HERE.glob("*.schema.json"))
html_copy_source = False
html_show_sphinx = False

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib.mermaid"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4  # a link to a heading that is not there fails the build
default_role = "code"
nitpicky = False

autodoc_mock_imports = ["captum", "nncf", "onnx", "safetensors", "scipy", "timm", "torch", "torchao", "torchvision"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"

linkcheck_anchors = False  # pages that a script makes have them late
linkcheck_timeout = 20

REPOSITORY = os.environ.get("EDGEFER_REPOSITORY", "").rstrip("/")
# The link of Markdown and the path in it, none of a page: [text](../benchmarks/x.json)
OUT = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")


def commands() -> str:
    """Return every command's help as Markdown, written by Typer itself."""
    import typer.main
    from typer.cli import get_docs_for_click

    from edgefer.cli.main import app

    command = typer.main.get_command(app)
    text: str = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="edgefer"), name="edgefer")
    _, _, parts = text.partition("\n## ")  # the title and the list of commands stand in the page
    return "## " + parts


def formats() -> str:
    """Return what stands in each file that edgefer writes, as Markdown, from its JSON Schema."""
    parts = []
    for path in sorted(HERE.glob("*.schema.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        name = path.name.removesuffix(".schema.json")
        parts.append(f"## {name}.json\n\n{schema['description']} Schema: <a href='{path.name}'>{path.name}</a>.\n")
        parts.append(_fields(schema, name))
        for title, part in schema.get("$defs", {}).items():
            if part.get("properties"):
                said = part.get("description", "").partition("\n\n")[0]
                parts.append(f"({name}-{title.lower()})=\n### {title}\n\n{_cell(said)}\n\n{_fields(part, name)}")
    return "\n".join(parts)


def _fields(part: dict[str, Any], file: str) -> str:
    required = set(part.get("required", ()))
    rows = ["| field | type | |", "|---|---|---|"]
    for name, field in part["properties"].items():
        optional = "" if name in required else " *Optional.*"
        rows.append(f"| `{name}` | {_type(field, file)} | {_cell(field.get('description', ''))}{optional} |")
    return "\n".join(rows) + "\n"


def _type(field: dict[str, Any], file: str) -> str:
    if "$ref" in field:
        title = field["$ref"].rpartition("/")[2]
        return f"[{title}](#{file}-{title.lower()})"
    if "anyOf" in field:
        return " or ".join(_type(each, file) for each in field["anyOf"])
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    if field.get("type") == "array":
        inside = [_type(field["items"], file)] if "items" in field else []
        inside = inside or sorted({_type(each, file) for each in field.get("prefixItems", [])})
        return f"list of {' or '.join(inside)}" if inside else "list"
    if isinstance(field.get("additionalProperties"), dict):
        return f"object of {_type(field['additionalProperties'], file)}"
    return str(field.get("type", "any"))


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").replace("<", "&lt;").split())


def _complete(app: Sphinx, name: str, source: list[str]) -> None:
    if name == "commands":
        source[0] += "\n" + commands()
    elif name == "formats":
        source[0] += "\n" + formats()
    source[0] = OUT.sub(lambda match: _out(app, name, match), source[0])


def _out(app: Sphinx, name: str, match: re.Match[str]) -> str:
    """Return a link that leaves docs/, with an address that it has on the site."""
    from sphinx.util import logging

    text, path, anchor = match[1], match[2], match[3] or ""
    there = (Path(app.env.doc2path(name)).parent / path).resolve()
    if not there.is_relative_to(ROOT) or not there.exists():
        logging.getLogger(__name__).warning("no such file in the repository: %s", path, location=name)
        return text
    if there.is_relative_to(HERE):
        return match[0]
    if REPOSITORY:
        kind = "tree" if there.is_dir() else "blob"
        return f"[{text}]({REPOSITORY}/{kind}/main/{there.relative_to(ROOT).as_posix()}{anchor})"
    return text if there.is_dir() or there.suffix == ".md" else f"[{text}]({path})"  # MyST takes .md for a page


def _field_page(app: Sphinx, error: Exception | None) -> None:
    """Write the page "What FER papers claim" beside the others, with its JSON and CSV, from the ledger as committed."""
    decided = ROOT / "benchmarks" / "results" / "claims.json"
    if error is not None or app.builder.format != "html" or not decided.exists():
        return
    from edgefer.claims import field_page
    from edgefer.claims.result import ClaimsResult

    folder = Path(app.outdir) / "what-fer-papers-claim"
    folder.mkdir(exist_ok=True)
    result = ClaimsResult.model_validate_json(decided.read_text(encoding="utf-8"))
    for name, content in field_page.write(result).items():
        (folder / name).write_text(content, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Have the generated pages completed while they are read."""
    app.connect("source-read", _complete)
    app.connect("build-finished", _field_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
