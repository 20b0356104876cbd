"""Damages valid inputs in thousands of ways and gives them to every reader, each in a process of its own with bounds.

    python benchmarks/reliability/fuzz.py                  3,000 inputs, into benchmarks/results/fuzz.json
    python benchmarks/reliability/fuzz.py --inputs 300 --out /tmp/fuzz.json

Each input is a valid sample of one of the readers' formats, with its bytes changed, or its structure: a value of its
JSON or TOML, an attribute or shape of its protobuf (with the manifest's hashes made to fit), an entry's header, or the
file itself a pipe, a link or a hole. The same seed makes the same inputs. A reader may accept it or refuse it with one
line; 20 s of CPU, 60 s on the clock or 1 GB over what the process had are a failure, and so is any other exception.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from PIL import Image

import edgefer
from benchmarks.common import command, protocol
from edgefer import data, paths, recipes, versions
from edgefer.bench import result_file
from edgefer.claims import ledger
from edgefer.cli import ending
from edgefer.compression import calibrate
from edgefer.data import packed, votes
from edgefer.data.dataset import Dataset
from edgefer.devices import machine
from edgefer.errors import EdgeferError
from edgefer.graph import linter, reading
from edgefer.inputs import read as read_picture
from edgefer.labels import LABELS
from edgefer.learning import checkpoint, state
from edgefer.models import weight_files
from edgefer.review import run as runs
from edgefer.training import trainer, unfinished

OUT = Path(__file__).parents[1] / "results" / "fuzz.json"
SEED, INPUTS = 27, 3000
CPU_SECONDS, WALL_SECONDS, MEMORY = 20, 60, 1 << 30
NANO = paths.shipped("edgefer/pretrained/edgefer-nano")
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1 << 62, 10**30, 1e308, float("nan"), "", "x" * 5000, "\x1b[31m", "../../x", "\0"),
    *([], {}, [[]], {"x": 1}, [None] * 3, "1e9"),
)
FINE = ("accepted", "refused")
Change = Callable[[Path, random.Random], None]


# Samples


def _images(count: int) -> tuple[np.ndarray[Any, Any], list[int]]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 48, 48), dtype=np.uint8), [number % 7 for number in range(count)]


def _table() -> str:
    images, labels = _images(42)
    usages = ["Training"] * 28 + ["PublicTest"] * 7 + ["PrivateTest"] * 7
    rows = [
        f"{label},{' '.join(map(str, image.ravel()))},{usage}"
        for image, label, usage in zip(images, labels, usages, strict=True)
    ]
    return "\n".join(["emotion,pixels,Usage", *rows]) + "\n"


def _png(image: np.ndarray[Any, Any], kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def dataset() -> Dataset:
    images, labels = _images(42)
    splits = np.repeat(np.arange(3, dtype=np.uint8), [28, 7, 7])
    return Dataset(
        *("noise", "made", images, np.array(labels), splits, np.arange(42)), LABELS, digest="d" * 64, synthetic=True
    )


def make(folder: Path) -> None:
    """Write a valid sample of each format."""
    text = _table()
    (folder / "table.csv").write_text(text)
    with tarfile.open(folder / "table.tar.gz", "w:gz") as archive:
        archive.add(folder / "table.csv", "fer2013/fer2013.csv")
    with tarfile.open(folder / "table.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(folder / "table.csv", "n" * 150 + "/fer2013.csv")
    images, labels = _images(42)
    with zipfile.ZipFile(folder / "pictures.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            archive.writestr(f"{'train' if number < 28 else 'test'}/{LABELS[label]}/{number}.png", _png(image))
    colour = np.random.default_rng(1).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, content in {
        "a.png": _png(images[0]),
        "b.jpg": _png(colour, "JPEG", exif=exif),
        "c.jpg": _png(colour, "JPEG", progressive=True),
        "d.tif": _png(colour, "TIFF", compression="tiff_lzw"),
        "e.gif": _png(images[1], "GIF"),
        "f.webp": _png(colour, "WEBP"),
        "g.bmp": _png(colour, "BMP"),
        "h.ppm": _png(colour, "PPM"),
        "i.png": _png(images[0].astype(np.uint16) * 200),
    }.items():
        (folder / f"picture-{name}").write_bytes(content)
    (folder / "packed").mkdir()
    packed.write(dataset(), "val", folder / "packed")
    shutil.copytree(NANO, folder / "bundle", ignore=shutil.ignore_patterns("checkpoint", "*.md"))
    shutil.copytree(NANO / "checkpoint", folder / "checkpoint")
    shutil.copyfile(NANO / "int8.cpu.onnx", folder / "network.onnx")
    shutil.copyfile(paths.shipped("edgefer/recipes/edgefer-nano.toml"), folder / "recipe.toml")
    shutil.copyfile(next(paths.shipped("calibration").glob("*.toml")), folder / "scheme.toml")
    shutil.copyfile(paths.shipped("benchmarks/claims.toml"), folder / "claims.toml")
    lines = [",".join(["Usage", "Image name", *votes.KINDS])]
    words = dict(zip(LABELS, ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"), strict=True))
    for number, label in enumerate(labels):
        usage = ("Training", "PublicTest", "PrivateTest")[(number >= 28) + (number >= 35)]
        given = ["9" if kind == words[LABELS[label]] else "0" for kind in votes.KINDS]
        lines.append(",".join([usage, f"fer{number:07}.png", *given]))
    (folder / "votes.csv").write_text("\n".join(lines) + "\n")
    _train(folder / "run")
    bench = ["bench", str(NANO), "--data", str(folder / "table.csv"), "--split", "test", "--seconds", "0.1"]
    subprocess.run(
        [sys.executable, "-m", "edgefer", *bench, "--out", str(folder / "b")], check=True, capture_output=True
    )
    shutil.copyfile(folder / "b" / "result.json", folder / "result.json")


def _train(run: Path) -> None:
    settings = ("model.args.widths=[8, 16]", "model.args.blocks=[1, 1]", "train.batch_size=14", "train.precision=fp32")
    trainer.train(recipes.load("quickstart", settings, epochs=1), dataset(), run)


# Readers: the samples of each, and the call that reads them.


def _lint(path: Path) -> None:
    model = reading.read(path)
    for target in ("cpu", "tensorrt"):
        linter.lint(model, target)


def _predict(path: Path) -> None:
    with edgefer.load(path) as predictor:
        predictor.predict(np.zeros((44, 44), np.uint8))


def _take_up(run: Path) -> None:
    runs.read(run)
    trainer.train(unfinished.resumed_recipe(run), dataset(), run, resume=True)


def _take(folder: Path) -> None:
    file = folder / next((NANO / "checkpoint").glob("*.safetensors")).name
    weight_files.load(torch.nn.Linear(2, 2), file, str(file))


PICTURES = ("a.png", "b.jpg", "c.jpg", "d.tif", "e.gif", "f.webp", "g.bmp", "h.ppm", "i.png")
READERS: dict[str, tuple[tuple[str, ...], Callable[[Path], object]]] = {
    "data set": (("table.csv", "table.tar.gz", "table.tar", "pictures.zip", "packed"), data.load),
    "picture": (tuple(f"picture-{name}" for name in PICTURES), read_picture),
    "bundle": (("bundle",), _predict),
    "onnx": (("network.onnx",), _lint),
    "checkpoint": (("checkpoint",), lambda path: checkpoint.build(checkpoint.read(path))),
    "saved state": (("run",), _take_up),
    "result": (("result.json",), result_file.read),
    "recipe": (("recipe.toml",), lambda path: recipes.load(str(path))),
    "votes": (("votes.csv",), lambda path: votes.read(path, dataset())),
    "scheme": (("scheme.toml",), lambda path: calibrate.load(str(path))),
    "claims": (("claims.toml",), ledger.read),
    "weights": (("checkpoint",), _take),
}


# Changes


def _bytes(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    if not content:
        return
    for _ in range(rng.choice((1, 1, 2, 5, 40))):
        place = rng.randrange(len(content))
        kind = rng.randrange(6)
        if kind == 0:
            content[place] = rng.randrange(256)
        elif kind == 1:
            content[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            content[place : place + 4] = struct.pack(rng.choice("<>") + "I", rng.choice((0, 0x7FFFFFFF, 0xFFFFFFFF)))
        elif kind == 3:
            content[place:place] = content[place : place + rng.randrange(1, 200)]
        elif kind == 4:
            del content[place : place + rng.choice((1, 8, 300))]
        else:
            content[place:place] = rng.choice((b"\n" * 50, b"9" * 4301, b"[" * 2000, b'"', b"\0", b"a." * 3000))
        if not content:
            break
    if rng.random() < 0.15:
        del content[rng.randrange(len(content) + 1) :]
    file.write_bytes(content)


def _file(file: Path, rng: random.Random) -> None:
    size = file.stat().st_size
    kind = rng.choice(("pipe", "zero", "loop", "empty", "folder", "hole", "gone", "unreadable", "long"))
    if kind == "hole":
        os.truncate(file, rng.choice((size + 1, 1 << 26, 20 << 30)))
        return
    if kind == "long":
        with file.open("ab") as out:
            out.write(rng.choice((b"\n", b"0,", b"{},", b"\0")) * (8 << 20))
        return
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "zero":
        file.symlink_to("/dev/zero")
    elif kind == "loop":
        file.symlink_to(file.name)
    elif kind == "empty":
        file.touch()
    elif kind == "folder":
        file.mkdir()
    elif kind == "unreadable":
        file.symlink_to("/proc/self/mem")


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found, nodes = [], [tree]
    while nodes:
        node = nodes.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
        for key in keys:
            found.append((node, key))
            nodes.append(node[key])
    return found


def _json(file: Path, rng: random.Random) -> None:
    tree = json.loads(file.read_text())
    for _ in range(rng.choice((1, 1, 1, 3))):
        places = _places(tree)
        if not places:
            break
        node, key = rng.choice(places)
        kind = rng.randrange(5)
        if kind == 0:
            del node[key]
        elif kind == 1:
            node[key] = [node[key]] * rng.choice((2, 50))
        elif kind == 2:
            node[key] = copy.deepcopy(rng.choice(places)[0])
        else:
            node[key] = rng.choice(ODD)
    if isinstance(tree, dict) and "digest" in tree and "tensors" in tree:  # who writes a state also writes its digest
        tree.pop("digest")
        tree["digest"] = state._digest(tree)
    file.write_text(json.dumps(tree))


def _lines(file: Path, rng: random.Random) -> None:
    """Change a line of a TOML or CSV file: change its value, move it or delete it."""
    lines = file.read_text().splitlines()
    for _ in range(rng.choice((1, 1, 2, 4))):
        number = rng.randrange(len(lines))
        key, mark, _ = lines[number].partition("=" if "=" in lines[number] else ",")
        kind = rng.randrange(6)
        if kind == 0:
            lines[number] = lines[rng.randrange(len(lines))]
        elif kind == 1:
            del lines[number]
        elif kind == 2:
            lines[number:number] = [""] * rng.choice((1, 5000))
        elif kind == 3:
            lines[number] = key + mark + rng.choice(("1" * 4301, "inf", "nan", "-1", '"x"', "[]", "{}", "1979-05-27"))
        elif kind == 4:
            lines[number] = "[" + ".".join("a" * rng.choice((2, 500, 5000))) + "]"
        else:
            lines[number] = lines[number].replace(rng.choice(" ,.0"), rng.choice(("\x1b", "é", "99999999999", '"')))
        if not lines:
            lines = [""]
    file.write_text("\n".join(lines) + "\n")


def _network(file: Path, rng: random.Random) -> None:
    """Change meaningful parts of an ONNX file."""
    model = onnx.load_from_string(file.read_bytes())
    graph = model.graph
    for _ in range(rng.choice((1, 1, 2))):
        node, tensor = rng.choice(graph.node), rng.choice(graph.initializer)
        kind = rng.randrange(10)
        if kind == 0:
            node.op_type = rng.choice(("Loop", "If", "Scan", "Expand", "Tile", "Nothing", "Constant", "Identity"))
        elif kind == 1:
            tensor.dims[:] = [rng.choice((0, 1, -1, 1 << 20, 1 << 62)) for _ in range(rng.randrange(5))]
        elif kind == 2:
            tensor.data_type = rng.randrange(25)
        elif kind == 3:
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=rng.choice(("/etc/passwd", "../x", "", "x" * 5000)))
        elif kind == 4 and node.attribute:
            attribute = rng.choice(node.attribute)
            attribute.ints[:] = [rng.choice((0, -1, 1 << 40, 1 << 62)) for _ in attribute.ints]
        elif kind == 5 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice((node.output[0], "", tensor.name))
        elif kind == 6:
            graph.sparse_initializer.add().dims.append(1 << 33)
        elif kind == 7:
            del node.attribute[:]
        elif kind == 8:
            model.opset_import[0].version = rng.choice((0, 1, 13, 99, 1 << 40))
        else:
            node.CopyFrom(rng.choice(graph.node))
    file.write_bytes(model.SerializeToString())


def _entries(file: Path, rng: random.Random) -> None:
    """Rewrite a zip or tar with odd names and sizes."""
    odd = ("a/" * 200 + "x.png", "../x.png", "train/happy/\x1b.png", "x" * 5000, "train/happy", "/x", "a\\..\\b")
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
        entries[rng.randrange(len(entries))] = (
            rng.choice(odd),
            rng.choice((b"", bytes(1 << 22), entries[0][1])),
        )
        kind = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        with zipfile.ZipFile(file, "w", kind) as archive:
            for name, content in entries:
                archive.writestr(name, content)
        return
    member = tarfile.TarInfo("x")
    member.type, member.size = bytes([rng.choice(b"LKxgS0123456")]), rng.choice((0, 1, 600, 1 << 16, 1 << 40))
    opening = gzip.open if file.suffix == ".gz" else open
    with opening(file, "rb") as inside:
        content = inside.read()
    with opening(file, "wb") as out:
        out.write(member.tobuf(tarfile.GNU_FORMAT) * rng.choice((1, 3, 2000)))
        out.write(bytes(rng.choice((0, 512, 1 << 20))) + content)


def change(sample: Path, rng: random.Random) -> str:
    """Change a sample in place; return a description of the change."""
    files = sorted(file for file in sample.rglob("*") if file.is_file()) if sample.is_dir() else [sample]
    file = rng.choice([each for each in files if each.suffix == ".json"] * 2 + files)
    fitting: list[Change] = [_bytes, _bytes]
    if file.suffix == ".json":
        fitting += [_json] * 6
    if file.suffix in (".toml", ".csv"):
        fitting += [_lines] * 4
    if file.suffix == ".onnx":
        fitting += [_network] * 5
    if file.suffix in (".zip", ".gz", ".tar"):
        fitting += [_entries] * 2
    how = rng.choice([*fitting, _file] if rng.random() < 0.4 else fitting)
    how(file, rng)
    manifest = sample / "manifest.json"
    if file.suffix == ".onnx" and manifest.is_file() and file.is_file() and file.stat().st_size < 1 << 28:
        said = json.loads(manifest.read_text())  # whoever forges a network also writes its hash
        for entry in said["networks"].values():
            if entry["file"] == file.name:
                content = file.read_bytes() if not file.is_symlink() else b""
                entry |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": max(1, len(content))}
        manifest.write_text(json.dumps(said))
    return how.__name__.strip("_")


# Workers


def attempt(number: int, seed: int, samples: Path, work: Path) -> dict[str, Any]:
    """Make one input, read it in a separate process and return the outcome."""
    rng = random.Random(f"{seed} {number}")
    reader = list(READERS)[number % len(READERS)]
    names, read = READERS[reader]
    source = samples / rng.choice(names)
    place = work / str(number)
    place.mkdir()
    sample = place / source.name
    shutil.copytree(source, sample) if source.is_dir() else shutil.copyfile(source, sample)
    for file in [sample, *sample.rglob("*")] if sample.is_dir() else [sample]:
        file.chmod(0o755)
    how = change(sample, rng)
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        _child(read, sample, place, send)
    os.close(send)
    try:
        ending_of, seconds, memory = _wait(child)
        said = b""
        while part := os.read(receive, 1 << 16):
            said += part
    finally:
        os.close(receive)
        shutil.rmtree(place, ignore_errors=True)
    found = json.loads(said) if said else {"end": ending_of or "died", "said": ""}
    if ending_of == "hang":
        found = {"end": "hang", "said": found["said"]}
    ended = {"number": number, "reader": reader, "how": how, "seconds": seconds, "memory": memory, **found}
    if ended["end"] not in FINE:
        print(ended, flush=True)
    return ended


def _child(read: Callable[[Path], object], sample: Path, place: Path, send: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    os.environ["EDGEFER_CACHE"] = str(place / "cache")
    os.chdir(place)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + 3 * MEMORY, held + 3 * MEMORY))  # touched memory counts, below
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    torch.set_num_threads(1)
    end, said = "accepted", ""
    try:
        read(sample)
    except Exception as error:
        said = str(error)[:300]
        understood = error if isinstance(error, EdgeferError) else ending.explain(error)
        if isinstance(error, MemoryError):
            end = "memory"
        elif understood is None or understood.exit_code == 70:
            where = traceback.extract_tb(error.__traceback__)
            ours = [f"{Path(line.filename).name}:{line.lineno}" for line in where if "/edgefer/" in line.filename]
            end, said = "bug", f"{type(error).__name__} at {ours[-1:]}: {said}"
        else:
            end = "refused" if "\n" not in str(understood) else "more than a line"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    if grown > MEMORY:
        end = "memory"
    os.write(send, json.dumps({"end": end, "said": said, "grown": grown}).encode())
    os._exit(0)


def _wait(child: int) -> tuple[str, float, int]:
    """Return a process's exit status, unless it ended by itself, its CPU seconds and its peak memory."""
    deadline = time.monotonic() + WALL_SECONDS
    killed = False
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline and not killed:
            os.kill(child, signal.SIGKILL)
            killed = True
        time.sleep(0.01)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    how = "hang" if killed or number == signal.SIGXCPU else f"signal {number}" if number else ""
    return how, round(usage.ru_utime + usage.ru_stime, 2), usage.ru_maxrss << 10


def run(inputs: int, seed: int, workers: int, first: int = 0) -> list[dict[str, Any]]:
    """Return the outcome of each input."""
    with tempfile.TemporaryDirectory(prefix="edgefer-fuzz-") as name:
        samples, work = Path(name) / "samples", Path(name) / "work"
        samples.mkdir()
        work.mkdir()
        maker = os.fork()  # threads started here would not exist in the workers
        if maker == 0:
            try:
                make(samples)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        if os.waitpid(maker, 0)[1]:
            raise SystemExit("the samples cannot be made")
        for worker in range(workers):
            if os.fork() == 0:
                try:
                    ended = [
                        attempt(number, seed, samples, work)
                        for number in range(first + worker, first + inputs, workers)
                    ]
                    (work / f"{worker}.json").write_text(json.dumps(ended))
                    os._exit(0)
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)
        failed = [os.wait()[1] for _ in range(workers)]  # wait for all of them
        if any(failed):
            raise SystemExit("a worker could not make its inputs")
        return [each for worker in range(workers) for each in json.loads((work / f"{worker}.json").read_text())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--first", type=int, default=0, help="number of the first input: to repeat one")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    started = time.monotonic()
    ended = run(arguments.inputs, arguments.seed, arguments.workers, arguments.first)
    failed = [each for each in ended if each["end"] not in FINE]
    by_reader = {
        reader: dict(sorted(Counter(each["end"] for each in ended if each["reader"] == reader).items()))
        for reader in READERS
    }
    result = {
        "what": protocol(__doc__),
        "command": command(),
        "seed": arguments.seed,
        "inputs": len(ended),
        "failures": len(failed),
        "by_reader": by_reader,
        "by_change": dict(sorted(Counter(each["how"] for each in ended).items())),
        "bounds": {"cpu_seconds": CPU_SECONDS, "wall_seconds": WALL_SECONDS, "added_memory": MEMORY},
        "max_cpu_seconds": max(each["seconds"] for each in ended),
        "max_added_memory": max(each.get("grown", 0) for each in ended),
        "seconds": round(time.monotonic() - started),
        "versions": versions.installed("numpy", "onnx", "onnxruntime", "pillow", "pydantic", "safetensors", "torch"),
        "load": machine.load_average(),
        "machine": machine.describe().model_dump(),
    }
    paths.write_json(arguments.out, result, indent=1)
    print(f"{len(ended):,} inputs, {len(failed)} failures: {by_reader}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
