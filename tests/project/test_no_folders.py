"""No local folder name in published files, neither in our own nor in those that edgefer writes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from edgefer import console, public, recipes
from edgefer.cli.main import app
from tests.helpers.stripes import stripes

ROOT = Path(__file__).parents[2]
HOMES = re.compile(rb"/(?:home|root|work|Users)/[\w.-]+|/tmp/[\w.-]+")
# The same on every board: the path of the board's name in jetson-containers and docs/docker.md.
ON_EVERY_MACHINE = {"/tmp/nv_jetson_model"}
OWNER = "ottilie-vandermeer"
SMALL = (
    "model.args.widths=[8, 16]",
    "model.args.blocks=[1, 1]",
    "model.args.stem_stride=2",
    "train.batch_size=32",
    "train.precision=fp32",
)


def committed() -> list[Path]:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def test_no_committed_file_names_a_folder_of_the_machine_that_wrote_it() -> None:
    found = {}
    for file in committed():
        if file.suffix in (".py", ".j2") or not file.is_file():  # written by people, so names may be examples
            continue
        places = {place.decode() for place in HOMES.findall(file.read_bytes())} - ON_EVERY_MACHINE
        if places:
            found[str(file.relative_to(ROOT))] = sorted(places)
    assert found == {}


def type_in(*arguments: str | Path) -> Result:
    try:
        return CliRunner().invoke(app, list(map(str, arguments)))
    finally:
        console.enable(False)


def written(*arguments: str | Path, code: int = 0) -> None:
    done = type_in(*arguments)
    assert done.exit_code == code, done.output


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home folder with a recognizable name, and a data set, votes and a picture in it."""
    home = tmp_path_factory.mktemp("homes") / OWNER
    data = stripes(train=224, others=70)
    usages = ("Training", "PublicTest", "PrivateTest")
    seen = {"angry": 4, "disgust": 5, "fear": 6, "happy": 1, "sad": 3, "surprise": 2, "neutral": 0}
    table = ["emotion,pixels,Usage"]
    votes = ["Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"]
    for pixels, label, split in zip(data.images, data.labels, data.splits, strict=True):
        table.append(f"{label},{' '.join(map(str, pixels.ravel()))},{usages[split]}")
        kinds = ["10" if kind == seen[data.classes[label]] else "0" for kind in range(10)]
        votes.append(f"{usages[split]},x.png,{','.join(kinds)}")
    (home / "lab").mkdir(parents=True)
    (home / "lab" / "fer2013.csv").write_text("\n".join(table) + "\n")
    (home / "lab" / "fer2013new.csv").write_text("\n".join(votes) + "\n")
    Image.fromarray(data.images[0]).save(home / "lab" / "face.png")
    (home / "thesis").mkdir()
    return home


@pytest.fixture(scope="module")
def thesis(home: Path) -> Iterator[Path]:
    """Return a folder after every command has run once, with absolute paths."""
    lab, here = home / "lab", home / "thesis"
    settings = [word for setting in SMALL for word in ("--set", setting)]
    data: list[str | Path] = ["--data", lab / "fer2013.csv"]
    ablations = here / "mine.toml"
    teacher: list[str | Path] = [
        "--teacher",
        here / "teacher",
        "--votes",
        lab / "fer2013new.csv",
        "--from",
        here / "teacher",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # NNCF's extension takes a minute to compile
        patch.setenv("EDGEFER_CACHE", str(here / "cache"))
        patch.setenv("HOME", str(home))
        patch.chdir(here)
        written("train", *data, *settings, "--epochs", "2", "--threads", "1", "--no-page", "--out", here / "teacher")
        text = recipes.text("quickstart").replace('"quickstart"', '"mine"')
        setting = f"model.initial_weights={here / 'teacher'}"
        ablations.write_text(f'{text}\n[[ablations]]\nname = "on"\ncites = "section 1"\nset = [{setting!r}]\n')
        written("train", "compact", *data, *settings, *teacher, "--epochs", "1", "--tensorboard", "--out", here / "run")
        written("ablate", ablations, *data, *settings, "--epochs", "2", "--out", here / "ablated")
        ablations.unlink()
        bundle = here / "bundle"
        written(
            *("compress", here / "run", *data, "--qat-epochs", "1", "--threads", "1", "--diagnose", "--out", bundle),
            *("--max-drop", "-101"),
            code=1,
        )
        written("compress", here / "run", *data, "--ptq", "--max-drop", "100", "--out", here / "ptq")
        bench = ["bench", here / "ptq", *data, "--seconds", "0.1", "--device", "cpu"]
        written(*bench, "--out", here / "bench")
        page = ["--html", here / "page.html", "--with-faces", *data]
        written("report", here / "bench", "--csv", here / "figures.csv", *page)
        written("project", here / "ptq", *data, "--device", "jetson", "--out", here / "projected")
        written("claims", "--results", here / "bench", *data, "--out", here / "claims")
        written("review", here / "run", *data, "--with-faces", "--out", here / "review")
        shutil.copy(lab / "face.png", here)
        written("predict", "face.png", "--bundle", here / "ptq", "--csv", here / "faces.csv", "--annotate", "copies")
        yield here


@pytest.mark.slow
def test_no_file_that_edgefer_writes_names_the_home_folder(thesis: Path) -> None:
    files = [file for file in thesis.rglob("*") if file.is_file()]
    kinds = {file.suffix for file in files}
    assert {".json", ".safetensors", ".onnx", ".html", ".csv", ".png", ".npy"} <= kinds
    assert any(file.name.startswith("events.out") for file in files)
    telling = {str(file.relative_to(thesis)) for file in files if OWNER.encode() in file.read_bytes()}
    private = {f"{run}/private.json" for run in ("teacher", "run", "ablated/whole", "ablated/on", "bundle.unfinished")}
    assert telling == private


@pytest.mark.slow
def test_names_and_digests_say_what_a_run_learned_from(thesis: Path) -> None:
    manifest = json.loads((thesis / "ptq" / "manifest.json").read_text())
    teaching, checkpoint = manifest["recipe"]["teaching"], manifest["compression"]["checkpoint"]
    assert (teaching["teachers"], teaching["votes"]) == (["teacher"], "fer2013new.csv")
    assert checkpoint["initial_weights"]["name"] == "teacher"
    [teacher], votes = checkpoint["sources"]["teachers"], checkpoint["sources"]["votes"]
    assert teacher == {"name": "teacher", "sha256": checkpoint["initial_weights"]["sha256"]}
    assert votes["name"] == "fer2013new.csv"
    assert re.fullmatch("[0-9a-f]{64}", votes["sha256"])


@pytest.mark.slow
def test_a_run_goes_on_without_naming_again_what_still_lies_where_it_lay(thesis: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        written("train", "--resume", thesis / "run", "--no-page")
        written("compress", "--resume", thesis / "bundle.unfinished", "--max-drop", "100")
    assert (thesis / "bundle" / "manifest.json").is_file()
    assert not (thesis / "bundle.unfinished").exists()


@pytest.mark.slow
def test_without_its_private_file_a_run_asks_for_what_it_began_with(thesis: Path, tmp_path: Path) -> None:
    run = shutil.copytree(thesis / "run", tmp_path / "run", ignore=shutil.ignore_patterns("private.json"))
    lab = thesis.parent / "lab"
    named: list[str | Path] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        refused = type_in("train", "--resume", run, "--no-page")
        assert refused.exit_code == 2
        assert "give that with --data" in refused.stderr
        named += ["--data", lab / "fer2013.csv"]
        refused = type_in("train", "--resume", run, "--no-page", *named)
        assert "the teacher: teacher contains no checkpoint" in refused.stderr
        assert "give it with --teacher" in refused.stderr
        named += ["--teacher", thesis / "teacher"]
        refused = type_in("train", "--resume", run, "--no-page", *named)
        assert "give fer2013new.csv with --votes" in refused.stderr
        written("train", "--resume", run, "--no-page", *named, "--votes", lab / "fer2013new.csv")


def test_what_lies_below_the_current_folder_keeps_its_path_and_all_else_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "home" / OWNER / "thesis"
    here.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(here.parent))
    monkeypatch.chdir(here)
    assert public.place("runs/a") == public.place(here / "runs" / "a") == "runs/a"
    assert public.place(here.parent / "fer2013.zip") == public.place("../fer2013.zip") == "fer2013.zip"
    assert public.place(here.parent / "run" / "best.json") == "run/best.json"
    assert public.place(here) == public.place(".") == "thesis"
    monkeypatch.chdir(here.parents[1])  # from here, a path below would contain the home folder
    assert public.place(f"{OWNER}/fer2013.zip") == "fer2013.zip"


def test_a_setting_is_shown_with_the_names_of_files() -> None:
    assert recipes.setting("train.batch_size=64") == "train.batch_size=64"
    assert recipes.setting("model.weights=/home/me/w.pt") == 'model.weights="w.pt"'
    assert recipes.setting('teaching.teachers=["/home/me/a", "edgefer-base"]') == (
        'teaching.teachers=["a", "edgefer-base"]'
    )
