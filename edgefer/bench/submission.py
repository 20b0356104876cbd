"""A contributed measurement: a bench's result without names of people or folders, and the submitter's words.

`edgefer bench --submit` writes one. benchmarks/submissions/ has those received; CI accepts what `read` accepts.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgefer import public
from edgefer.bench import result_file
from edgefer.bench.result import BenchResult
from edgefer.errors import InputError
from edgefer.lines import complaint, one_line, printable, typed

FILE = "submission.json"
FORMAT: Literal[1] = 1
MIN_WORDS, MAX_WORDS = 10, 300  # characters

# A folder inside a longer text: /home/..., C:\\...; a single slash occurs in units and image rates.
_FOLDER = re.compile(r"""(?<![\w/.])(?:~?(?:/[\w.+@-]+){2,}/?|[A-Za-z]:\\[^\s"']+)""")
_OF_HOST = ("--host",)


class Submission(BaseModel):
    """A contributed measurement."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["edgefer submission"] = "edgefer submission"
    format: Literal[1] = FORMAT
    conditions: str = Field(
        min_length=MIN_WORDS, max_length=MAX_WORDS, description="cooling and power, in the submitter's words"
    )
    digest: str = Field(description="SHA-256 of `conditions` and `result`, to detect edits")
    result: BenchResult = Field(description="of the bench, without paths, host, mistakes, groups and training records")

    @property
    def device(self) -> str:
        """Name of what was measured: a card, a board, a CPU."""
        board = self.result.conditions.jetson_before
        if self.result.gpu is not None and board is None:
            return self.result.gpu.name
        return board.model if board is not None else self.result.machine.cpu

    @property
    def name(self) -> str:
        """Its file name in benchmarks/submissions."""
        return f"{_slug(self.device)}-{self.result.device}-{_slug(self.result.created[:16])}.json"


def check_words(words: str) -> str:
    """Return the words on cooling and power, stripped.

    Raises:
        InputError: they are too short, too long, or not one printable line.
    """
    words = words.strip()
    if not _are_words(words):
        raise InputError(
            f"--submit takes a line on cooling and power, {MIN_WORDS} to {MAX_WORDS} "
            "characters without paths: --submit 'heat sink and fan; 15 W supply, mode MAXN'"
        )
    return words


def _are_words(words: str) -> bool:
    fitting = MIN_WORDS <= len(words) <= MAX_WORDS and words == words.strip()
    return fitting and words.isprintable() and not _FOLDER.search(words)


def make(result: BenchResult, words: str) -> Submission:
    """Return the part of a result to send.

    Args:
        result: of a bench.
        words: on cooling and power; see `check_words`.

    Raises:
        InputError: the words are not accepted.
    """
    words = check_words(words)
    bundles = [entry.model_copy(update={"training": None}) for entry in result.bundles]
    networks = [entry.model_copy(update={"groups": []}) for entry in result.networks]  # they may be of few people
    changes = {
        **{"host": None, "mistakes": [], "bundles": bundles, "repeat": _here(result.repeat)},
        **{"networks": networks, "groups": None},
    }
    tree = _without_folders(result.model_copy(update=changes).model_dump(mode="json"))
    return Submission(conditions=words, digest=_digest(words, tree), result=BenchResult.model_validate(tree))


def read(path: Path) -> Submission:
    """Read an untrusted submission.

    Raises:
        InputError: it is not a submission, was changed by hand, or names a folder or a host.
    """
    raw = result_file.values(path)
    if not isinstance(raw, dict) or raw.get("kind") != "edgefer submission":
        raise InputError(f"{path} is not a submission; write one with edgefer bench --submit")
    result = result_file.checked(raw.get("result"), path)
    try:
        found = Submission.model_validate({**raw, "result": result})
    except ValidationError as error:
        raise InputError(
            f"{path} is not a submission of edgefer bench --submit: {one_line(complaint(error), 200)}"
        ) from None
    if found.digest != _digest(found.conditions, raw["result"]):
        raise InputError(f"{path} was changed after the bench: its digest differs; send the file as written")
    if not _are_words(found.conditions) or result.host is not None or result.mistakes:
        raise InputError(
            f"{path} is not a submission of edgefer bench --submit: it has a host, mistakes or forbidden words"
        )
    named = next((text for text in _texts(raw) if _FOLDER.search(text)), None)
    if named is not None:
        raise InputError(f"{path} contains a path of a machine: {one_line(printable(named), 100)}")
    return found


def _digest(words: str, result: Any) -> str:
    """Return the SHA-256 of words and result as canonical JSON."""
    return hashlib.sha256(json.dumps([words, result], sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _here(repeat: str) -> str:
    """Return the command that repeats a bench on the machine itself: without the host's name."""
    words = shlex.split(repeat)
    return typed(
        [word for place, word in enumerate(words) if not {word, *words[max(place - 1, 0) : place]} & {*_OF_HOST}]
    )


def _without_folders(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _without_folders(each) for name, each in tree.items()}
    if isinstance(tree, list):
        return [_without_folders(each) for each in tree]
    if not isinstance(tree, str):
        return tree
    text = public.name(tree) if public.is_absolute(tree) else tree
    return _FOLDER.sub(lambda found: re.split(r"[/\\]", found[0].rstrip("/\\"))[-1], text)


def _texts(tree: Any) -> list[str]:
    if isinstance(tree, dict):
        return [text for name, each in tree.items() for text in (name, *_texts(each))]
    if isinstance(tree, list):
        return [text for each in tree for text in _texts(each)]
    return [tree] if isinstance(tree, str) else []


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("(r)", "").replace("(tm)", "")).strip("-")[:60]
