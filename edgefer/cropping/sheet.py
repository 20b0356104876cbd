"""A page with the cropped faces by folder, to check before training. Written without jinja2: no extra is needed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from edgefer import pages
from edgefer.cropping.journal import Cut
from edgefer.lines import counted, printable

_DOUBTFUL, _OTHERS = 60, 140  # faces shown per folder
_LISTED = 500  # pictures without a face, or damaged


def html(faces: Sequence[tuple[Cut, str]], without_face: Sequence[str], damaged: Sequence[str], detector: str) -> str:
    """Return the page, which refers to the files by relative path.

    Args:
        faces: with the name of each one's picture.
        without_face: names of pictures.
        damaged: messages on unreadable pictures.
        detector: its name.
    """
    folders: dict[str, list[tuple[Cut, str]]] = {}
    for face, name in faces:
        folders.setdefault(face.file.rpartition("/")[0], []).append((face, name))
    parts = [_folder(name, folders[name]) for name in sorted(folders)]
    parts += _list("Pictures without a face", without_face)
    parts += _list("Pictures that cannot be read", damaged)
    said = (
        f"{counted(len(faces), 'face')}, found by {detector}. The least certain come first. Delete "
        "non-faces and wrong labels from their folders: edgefer does not crop them again."
    )
    style = Path(pages.__file__).with_name("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' file: data:; "
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Cropped faces</title><style>{style}</style></head>\n"
        f"<body><main><h1>Cropped faces</h1>\n<p>{_text(said)}</p>\n{''.join(parts)}</main></body></html>\n"
    )


def _folder(folder: str, faces: list[tuple[Cut, str]]) -> str:
    ordered = sorted(faces, key=lambda each: (each[0].score is None, each[0].score or 0.0))
    rest = ordered[_DOUBTFUL:]
    step = max(1, -(-len(rest) // _OTHERS))
    shown = ordered[:_DOUBTFUL] + rest[::step]
    count = counted(len(faces), "face")
    said = count if len(shown) == len(faces) else f"{count}, {len(shown):,} of them shown"
    items = "".join(_item(face, name) for face, name in shown)
    title = f"<h2>{_text(folder or 'faces')} ({said})</h2>"
    return f'<section>{title}\n<ul class="faces">\n{items}</ul></section>\n'


def _item(face: Cut, name: str) -> str:
    score = "whole picture" if face.score is None else f"score {face.score:.2f}"
    address = "../" + quote(face.file, errors="surrogateescape")
    return (
        f'<li title="{_text(name)}"><img src="{escape(address)}" alt="{_text(face.file)}" loading="lazy">'
        f"<ul><li>{_text(face.file.rpartition('/')[2])}</li><li>{face.side} px, {score}</li></ul></li>\n"
    )


def _list(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = f"<li>and {len(lines) - _LISTED:,} more</li>" if len(lines) > _LISTED else ""
    items = "".join(f"<li>{_text(line)}</li>\n" for line in lines[:_LISTED])
    return [f'<section class="notes"><h2>{title} ({len(lines):,})</h2>\n<ul>{items}{more}</ul></section>\n']


def _text(text: str) -> str:
    return escape(printable(text))
