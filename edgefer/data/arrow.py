"""Hugging Face's exports: Parquet and Arrow files with a column of pictures and one of labels.

huggingface.co/docs/hub/datasets-image: a picture is a struct of ``bytes`` and ``path``; label names are in
the schema's metadata under ``huggingface``, and for `save_to_disk` in ``dataset_info.json``.

pyarrow is in the extra ``arrow``.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgefer import limits
from edgefer.data.contents import reading
from edgefer.data.listed import Listed, ListedPicture, number, split_named
from edgefer.data.reading import Reading as Options
from edgefer.data.trees import File
from edgefer.errors import InputError, MissingExtra
from edgefer.lines import one_line, printable

ENDINGS = (".parquet", ".arrow")
_IMAGES = ("image", "img", "picture", "face", "pixel_values")
_LABELS = ("label", "labels", "emotion", "expression", "class", "fine_label")
_NAMED = 5  # in one line


class ArrowTree:
    """The pictures in tables; ``file.parquet#17`` is row 17 of one."""

    def __init__(self, tables: list[Path], top: Path, options: Options) -> None:
        self.top = top
        self.rows: list[ListedPicture] = []
        self._options = options
        self._tables = {(path.relative_to(top).as_posix() if path != top else path.name): path for path in tables}
        self._starts: dict[str, list[int]] = {}
        self._files: list[File] = []
        self._held: tuple[str, int, list[Any]] | None = None
        self._columns: dict[str, str] = {}
        self._unlabelled: list[str] = []
        for name, path in self._tables.items():
            self._add(name, path)
        if self._unlabelled:
            shown = ", ".join(map(self.label, self._unlabelled[:_NAMED]))
            raise InputError(
                f"{len(self._unlabelled):,} of {len(self.rows):,} rows have no label, such as {shown}; remove "
                "them, or give another column with --label-column"
            )

    def label(self, path: str) -> str:  # noqa: D102
        return printable(f"{self.top}: {path}" if path else str(self.top))

    def listing(self, folder: str) -> tuple[list[str], list[File]]:  # noqa: D102
        prefix = f"{folder}/" if folder else ""
        below = [file for file in self._files if file.path.startswith(prefix)]
        folders = {file.path[len(prefix) :].partition("/")[0] for file in below if "/" in file.path[len(prefix) :]}
        return sorted(folders), [file for file in below if "/" not in file.path[len(prefix) :]]

    def read(self, path: str) -> bytes:  # noqa: D102
        name, _, place = path.rpartition("#")
        row = int(place)
        starts = self._starts[name]
        group = max(index for index, start in enumerate(starts) if start <= row)
        if self._held is None or self._held[:2] != (name, group):
            with _arrow(self.label(name)):
                column = self._columns[name]
                self._held = (name, group, _group(self._tables[name], group, column).to_pylist())
        value = self._held[2][row - starts[group]]
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes) or len(content) > limits.PICTURE_IN_DATA:
            raise InputError(f"{self.label(path)} holds no picture; export the data set with its pictures embedded")
        return content

    def _add(self, name: str, path: Path) -> None:
        status = path.stat()
        limits.check_file(path, limits.ARCHIVE)
        with _arrow(str(path)):
            schema = _schema(path)
            image, label = self._named(schema, path)
            self._columns[name] = image
            words = _words(schema, path, label)
            split = next((each for part in reversed(_parts(name)) if (each := split_named(part))), None)
            row = 0
            starts = self._starts[name] = []
            for values in _groups(path, label):
                starts.append(row)
                for value in values:
                    said = _label(value, words)
                    if said is None:
                        self._unlabelled.append(f"{name}#{row}")
                    self.rows.append(ListedPicture(f"{name}#{row}", said or "", split))
                    self._files.append(File(f"{name}#{row}", 0, (status.st_mtime_ns, status.st_ctime_ns)))
                    row += 1

    def _named(self, schema: Any, path: Path) -> tuple[str, str]:
        def one(said: str | None, usual: tuple[str, ...], option: str) -> str:
            names = list(schema.names)
            if said is not None:
                usual = (said,)
            found = next((name for name in usual if name in names), None)
            if found is None:
                shown = one_line(", ".join(names), 80)
                raise InputError(f"{path}: which column is which? It has: {shown}; name it with {option}")
            return found

        asked = self._options
        return one(asked.path_column, _IMAGES, "--path-column"), one(asked.label_column, _LABELS, "--label-column")


def find(tables: list[Path], top: Path, options: Options) -> tuple[ArrowTree, Listed]:
    """Return the pictures of Parquet and Arrow files.

    Args:
        tables: the files, in order.
        top: the folder that they are in, or the one file.
        options: which columns, if given.

    Raises:
        InputError: one is damaged, or its columns are ambiguous.
        MissingExtra: pyarrow is not installed.
    """
    tree = ArrowTree(tables, top, options)
    kind = "Parquet" if _is_parquet(tables[0]) else "Arrow"
    return tree, Listed(f"{kind}, {len(tables)} files" if len(tables) > 1 else f"{kind} file", tree.rows)


def _label(value: Any, words: list[str]) -> str | None:
    """Return a row's label, or None: empty, or a number without a name, such as -1 in a hidden test."""
    if isinstance(value, int) and not isinstance(value, bool) and words:
        return number(words[value]) if 0 <= value < len(words) else None
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return number(str(value)) or None


def _parts(name: str) -> list[str]:
    return [word for part in name.split("/") for word in part.replace(".", "-").replace("_", "-").split("-")]


@contextmanager
def _arrow(name: str) -> Iterator[None]:
    """Convert pyarrow's errors on a damaged file to an InputError that names it."""
    try:
        from pyarrow.lib import ArrowException
    except ModuleNotFoundError:
        raise MissingExtra("pyarrow, which reads Parquet and Arrow,", "arrow") from None
    try:
        with reading(name):
            yield
    except (ArrowException, ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise InputError(f"{name} is damaged or not a table of pictures ({one_line(error, 120)})") from None


def _schema(path: Path) -> Any:
    from pyarrow import parquet

    return parquet.read_schema(path) if _is_parquet(path) else _batches(path).schema


def _batches(path: Path) -> Any:
    """Return a reader of an Arrow file's batches: `datasets` writes streams, others write files."""
    import pyarrow

    source = pyarrow.memory_map(str(path))
    if source.read(6) == b"ARROW1":
        return pyarrow.ipc.open_file(source)
    source.seek(0)
    return pyarrow.ipc.open_stream(source)


def _all_batches(path: Path) -> Iterator[Any]:
    reader = _batches(path)
    if hasattr(reader, "num_record_batches"):
        yield from (reader.get_batch(place) for place in range(reader.num_record_batches))
    else:
        yield from reader


def _groups(path: Path, label: str) -> Iterator[list[Any]]:
    """Yield the labels of each group of rows."""
    rows = 0
    if not _is_parquet(path):
        for batch in _all_batches(path):
            rows += batch.num_rows
            _check_rows(path, rows)
            yield batch.column(label).to_pylist()
        return
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        _check_rows(path, file.metadata.num_rows)
        for place in range(file.num_row_groups):
            yield file.read_row_group(place, columns=[label]).column(label).to_pylist()


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _check_rows(path: Path, rows: int) -> None:
    """Refuse more rows than a table of this size can have: equal labels need no space in a file, but memory."""
    most = limits.entries(path.stat().st_size)
    if rows > most:
        raise InputError(f"{path} has {rows:,} rows, but at most {most:,} are possible; do not trust this file")


def _group(path: Path, place: int, column: str) -> Any:
    """Return a column of a group of rows."""
    if not _is_parquet(path):
        return next(itertools.islice(_all_batches(path), place, None)).column(column)
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        return file.read_row_group(place, columns=[column]).column(column)


def _words(schema: Any, path: Path, label: str) -> list[str]:
    """Return the names of a column's labels, or nothing if neither the schema nor a file next to it has them."""
    noted = (schema.metadata or {}).get(b"huggingface")
    beside = path.parent / "dataset_info.json"
    try:
        if noted is not None:
            features = json.loads(noted)["info"]["features"]
        elif beside.is_file():
            features = limits.read_json(beside, limits.NOTE)["features"]
        else:
            return []
        names = features[label]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []
