"""Write the tables of README and docs from the JSON files in benchmarks/results, so that no figure is typed by hand.

python benchmarks/readme.py
"""

from __future__ import annotations

import csv
import json
import math
import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import SIBLINGS
from edgefer import bundle, console, recipes
from edgefer.bench import submission
from edgefer.claims import findings
from edgefer.claims import ledger as ledger_of_claims
from edgefer.evaluation import timing

HERE = Path(__file__).parent
TRAINING = HERE / "training"
PAGES = (HERE.parent / "README.md", *sorted((HERE.parent / "docs").glob("*.md")), TRAINING / "README.md")
RESULTS = HERE / "results"
WEB = RESULTS / "web.json"
BROWSER = (
    "Browsers: wall time of another run; first answer from opening the page, faces found first; downloads as brotli, "
    "with the detector; other labels against Python with the same network. "
)
NAMES = {"fp32": "FP32, BN fused", "int8-cpu": "INT8"}
_VALIDATION = 3589  # images of PublicTest, which a log's accuracy is a share of
PRETRAINED = ("edgefer-nano", "edgefer-small", "edgefer-base")
# Folders of results/fer2013: the network's title, and what `edgefer compress --int8` was given.
OTHERS = {
    "resnet18": ("ResNet-18", ""),
    "repvgg-a0": ("RepVGG-A0", "--qat-epochs 6 --qat-lr 1e-4"),
    "mobilenetv4-small": ("MobileNetV4-Conv-Small", "--qat-epochs 2"),
    "efficientnet-b0": ("EfficientNet-B0", "--ptq --max-drop 100 --allow-float"),
    "efficientnet-b0-relu": ("EfficientNet-B0", "--activation relu --max-drop 3"),
}
EXPORTERS = {
    "nncf": "NNCF, default export",
    "ort-default": "ONNX Runtime `quantize_static`, defaults",
    "ort-best": "ONNX Runtime `quantize_static`, best settings",
    "edgefer-ptq": "edgefer `--ptq`",
    "edgefer": "edgefer, fine-tuned",
    "openvino-int8": "edgefer's file, run by OpenVINO",
}


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return content


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def fer2013() -> str:
    """FER2013: what `train`, `compress` and `bench` measured on the default recipe's network."""
    trained, compressed, bench = (read(f"fer2013/compact/{name}.json") for name in ("train", "compress", "bench"))
    entry = bench["bundles"][0]
    against = bench["comparisons"][0]
    rows = [
        [
            NAMES[network["network"]],
            f"**{percent(network['quality']['accuracy'])}**",
            percent(network["leak_free"]["accuracy"]),
            f"{network['quality']['macro_f1']:.3f}",
            f"{network['latency']['p50']:.2f} / {network['latency']['p90']:.2f} ms",
            f"{network['file_bytes'] / 1e6:.2f} MB",
            f"{network['memory']['peak'] / 1e6:.0f} MB" if network["memory"] else "",
        ]
        for network in bench["networks"]
    ]
    latency = against["latency"]
    machine = bench["machine"]
    vnni = ", VNNI" if "avx512_vnni" in machine["flags"] or "avx_vnni" in machine["flags"] else ""
    data = bench["data"]
    return "\n".join(
        [
            table(
                ["`compact`", "PrivateTest", "deduplicated", "macro F1", "latency p50 / p90", "file", "peak memory"],
                rows,
            ),
            "",
            f"INT8 over FP32: {latency['estimate']:.2f}x latency (95 % interval {latency['low']:.2f} to "
            f"{latency['high']:.2f}), {against['file_bytes']:.2f}x file, {100 * against['accuracy']:+.2f} points of "
            f"accuracy, {percent(against['agreement'])} of the predictions alike. "
            f"{entry['parameters']:,} parameters, {entry['macs'] / 1e6:.0f} M multiply-accumulates, "
            f"{entry['preprocessing']['size']} px grey.",
            "",
            f"Protocol: {trained['epochs']} epochs from scratch, checkpoint of epoch {trained['best_epoch']} chosen on "
            f"PublicTest ({percent(trained['val_accuracy'])}), {console.duration(trained['seconds'])} on the CPU; "
            f"INT8 calibrated and fine-tuned on training images, checked on PublicTest, "
            f"{console.duration(compressed['seconds'])}; one crop, no TTA, "
            f"one seed; {data['images']:,} PrivateTest images, of which {data['leak_free_images']:,} have no copy in "
            f"Training. Latency: batch 1, {bench['protocol']['threads']} thread, networks timed in turn, preprocessing "
            f"left out, {bench['networks'][0]['runtime']}, {machine['cpu']} ({machine['cores']} cores{vnni}, "
            f"virtual machine, load {bench['conditions']['load_before']:.1f}).",
            "",
            "From [train.json](benchmarks/results/fer2013/compact/train.json), "
            "[compress.json](benchmarks/results/fer2013/compact/compress.json) and "
            "[bench.json](benchmarks/results/fer2013/compact/bench.json), which these commands wrote:",
            "",
            "    edgefer train --data fer2013.zip --threads 1 --json > train.json",
            "    edgefer compress --int8 --data fer2013.zip --json > compress.json",
            "    edgefer bench --device cpu --data fer2013.zip --json > bench.json",
        ]
    )


def networks() -> str:
    """FER2013: networks that are not our own, each by the same three commands; one without results has no row."""
    measured = {name: titles for name, titles in OTHERS.items() if (RESULTS / f"fer2013/{name}/bench.json").exists()}
    rows = []
    for name, (title, options) in measured.items():
        bench = read(f"fer2013/{name}/bench.json")
        # Where a training went on from another one (`edgefer train --from`), that one stands beside it.
        trainings = [f"fer2013/{name.removesuffix('-relu')}/{file}.json" for file in ("train-first", "train")]
        epochs = [str(read(file)["epochs"]) for file in trainings if (RESULTS / file).exists()]
        full, small = (one(bench["networks"], network) for network in ("fp32", "int8-cpu"))
        against = one(bench["comparisons"], "int8-cpu")
        latency = against["latency"]
        rows.append(
            [
                f"{title}{f' `{options}`' if options else ''}",
                f"{bench['bundles'][0]['parameters'] / 1e6:.2f} M",
                f"{bench['bundles'][0]['preprocessing']['size']} px, {' + '.join(epochs)} epochs",
                f"{percent(full['quality']['accuracy'])} -> {percent(small['quality']['accuracy'])}{rejected(name)}",
                f"{against['file_bytes']:.2f}x",
                f"{full['latency']['p50']:.2f} -> {small['latency']['p50']:.2f} ms",
                f"**{latency['estimate']:.2f}x** ({latency['low']:.2f} to {latency['high']:.2f})",
            ]
        )
    head = ["timm's", "parameters", "input, training", "PrivateTest, FP32 -> INT8", "file", "latency", "INT8 over FP32"]
    relu = [silu_and_relu()] if {"efficientnet-b0", "efficientnet-b0-relu"} <= set(measured) else []
    end = (
        "From scratch, few epochs, one seed: these show what INT8 does to them, not what they can reach. Protocol as "
        "for `compact` in README; each network's train.json, compress.json and bench.json stand in "
        "[benchmarks/results/fer2013](benchmarks/results/fer2013)."
    )
    benches = [read(f"fer2013/{name}/bench.json") for name in measured]
    if len({bench["machine"]["cpu"] for bench in benches}) > 1:
        raise SystemExit("results/fer2013: networks were measured on other CPUs, so the table must say which")
    return "\n\n".join([table(head, rows), circumstances(benches, benches[0]["machine"]), *relu, extra_epochs(), end])


def circumstances(benches: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    """Return on which processor latencies were measured, and of how many a bench said that they are disturbed."""
    signs = ("is noisy", "the machine became")
    disturbed = sum(any(sign in warning for warning in bench["warnings"] for sign in signs) for bench in benches)
    busy = (
        f"; of {disturbed} of {len(benches)} the bench warned of noise or drift: ratios suffer less than milliseconds"
    )
    return f"Latencies: one thread of {machine['cpu']}{busy if disturbed else ''}."


def rejected(name: str) -> str:
    """What the gate had against a network, if it had."""
    compressed = read(f"fer2013/{name}/compress.json")
    return "" if compressed["passed"] else f" (rejected: {compressed['drop']:.2f} points lost on PublicTest)"


def one(entries: list[dict[str, Any]], network: str) -> dict[str, Any]:
    return next(each for each in entries if each["network"] == network)


def silu_and_relu() -> str:
    """EfficientNet-B0 as it is, and with ReLU."""
    reason = read("fer2013/efficientnet-b0/compress.json")["speed"]["slow"][0]
    relu = read("fer2013/efficientnet-b0-relu/bench.json")["networks"]
    full, small = one(relu, "fp32-relu"), one(relu, "int8-cpu")
    return (
        "EfficientNet-B0 as it is loses by INT8 on this CPU, and `edgefer compress` says why: "
        f"{reason['reason']} ({100 * reason['macs']:.0f} % of the arithmetic). With ReLU in the place of SiLU its FP32 "
        f"network has {percent(full['quality']['accuracy'])} at {full['latency']['p50']:.2f} ms, and INT8 takes "
        f"{small['latency']['p50'] / full['latency']['p50']:.2f}x of that."
    )


def pretrained() -> str:
    """The networks that come with edgefer."""
    shipped = {
        name: one(read(f"pretrained/{name}.json")["networks"], "int8-cpu")
        for name in PRETRAINED
        if name in bundle.pretrained()
    }
    beside = read("peers.json")  # latencies of all in one run, on one machine
    rows = [
        [
            f"[{name}](edgefer/pretrained/{name}/MODEL_CARD.md)",
            f"{small['file_bytes'] / 1e6:.3f} MB",
            f"**{percent(small['quality']['accuracy'])}**",
            read(f"pretrained/{name}-seeds.json")["says"]
            if (RESULTS / f"pretrained/{name}-seeds.json").exists()
            else "one seed",
            percent(small["leak_free"]["accuracy"]),
            f"{small['quality']['calibration_error']:.3f}",
            f"{beside['peers'][f'{name}, INT8']['latency']['p50']:.2f} ms",
        ]
        for name, small in shipped.items()
    ]
    reached = {name: small["quality"]["accuracy"] for name, small in shipped.items()}
    head = ["network (INT8)", "file", "PrivateTest", "mean (range) of trainings"]
    head += ["deduplicated", "calibration error", "median latency"]
    where = f"Latencies on one core of {beside['machine']['cpu']}, one thread: [how it was measured](docs/latency.md)."
    return "\n\n".join(part for part in (table(head, rows), where, open_ends(reached)) if part)


def open_ends(reached: Mapping[str, float]) -> str:
    """Return what the family is still to have, given the accuracies of those that are there; nothing if it has all."""
    goals = {name: read(f"pretrained/{name}-candidates.json")["goal"] for name in reached}
    below = [f"{name} is to have {percent(goals[name])} at least" for name in reached if reached[name] < goals[name]]
    missing = [name for name in PRETRAINED if name not in reached]
    if missing:
        below.append(f"no network has been trained yet for {' and '.join(missing)}")
    return f"Not done yet: {'; '.join(below)} ([benchmarks/training](benchmarks/training))." if below else ""


def extra_epochs() -> str:
    """INT8 beside FP32 that was trained as long."""
    extra = read("fer2013/compact/extra_epochs.json")
    change = extra["int8_over_chosen"]
    accuracy, low, high = (f"{100 * change[name]:+.2f}" for name in ("accuracy", "low", "high"))
    tuned = extra["int8"]["best_epoch"]
    no = "" if tuned else ", where no epoch was better than calibration alone"
    return (
        f"`compact`, fine-tuned in INT8 with `--qat-epochs {extra['epochs']}`{no}, beside an FP32 network that "
        f"was given as many extra epochs, its rate chosen on PublicTest ({percent(extra['chosen']['test'])}): INT8 has "
        f"{percent(extra['int8_test'])}, {accuracy} points (95 %: {low} to {high}), from "
        "[extra_epochs.json](benchmarks/results/fer2013/compact/extra_epochs.json), "
        "`python benchmarks/training/extra_epochs.py CHECKPOINT BUNDLE --data fer2013.zip`."
    )


def aarch64() -> str:
    """What ONNX Runtime's aarch64 wheel makes of the CPU file, emulated."""
    result = read("aarch64.json")
    graph = result["bundles"][0]["graphs"]["int8-cpu"]
    cores = {core: graph[core] for core in result["cores"]}
    if any(each["nodes"] != graph["x86"]["nodes"] for each in cores.values()):
        raise SystemExit("aarch64.json: the cores differ from x86, so README must say how")
    largest = max(each["on"]["largest_logit_difference"] for each in cores.values())
    changed = sum(each["on"]["changed_predictions"] for each in cores.values())
    return (
        "On aarch64 (Raspberry Pi 4 and 5 and a newer core, all emulated by qemu) the CPU file fuses as on x86, "
        f"{graph['x86']['nodes']['QLinearConv']} convolutions in INT8, with logits at most {largest:.1g} apart and "
        f"{changed} changed predictions on {result['data']['images']} images; its speed on real cores is not measured. "
        "From [aarch64.json](benchmarks/results/aarch64.json), "
        "`python benchmarks/runtimes/aarch64.py BUNDLE --data fer2013.zip`."
    )


def without_vnni() -> str:
    """What saturates on x86 without VNNI, emulated."""
    result = read("without_vnni.json")
    rows = []
    for each in result["bundles"]:
        fast, exact = (each["beside_this_machine"][kind] for kind in ("fast", "exact"))
        if exact["largest_logit_difference"] or each["exact_here"]["largest_logit_difference"]:
            raise SystemExit("without_vnni.json: exact kernels give other logits, so this must say how")
        rows.append(
            [
                each["bundle"],
                str(fast["changed_predictions"]),
                f"{fast['largest_logit_difference']:.1f}",
                f"{each['right']['here']} -> {each['right']['fast']}",
                "0",
                f"{each['exact_over_fast']['estimate']:.1f}x",
            ]
        )
    head = ["", "fast: other predictions", "logits apart", "right", "exact: other predictions", "exact over fast, here"]
    return (
        f"On x86 without VNNI ({result['core']}, emulated by qemu) ONNX Runtime's fast kernels saturate. edgefer "
        f"asks it for exact ones there, with which no logit differs from this machine's, which has VNNI. Of "
        f"{result['data']['images']} images of PublicTest:\n\n{table(head, rows)}\n\n"
        "Weights at half range (`edgefer compress --cpu no-vnni`) need no exact kernels. "
        "From [without_vnni.json](benchmarks/results/without_vnni.json), "
        "`python benchmarks/timing/without_vnni.py --data fer2013.zip`."
    )


def exporters() -> str:
    """One network through three exporters, and OpenVINO as a bound."""
    result = read("exporters-compact.json")
    rows = []
    for name, title in EXPORTERS.items():
        column = result["columns"][name]
        if "error" in column:
            rows.append([title, column["error"], "", ""])
            continue
        against = column["against_fp32"]
        rows.append(
            [
                title,
                f"{percent(column['accuracy'])} ({100 * against['accuracy']['estimate']:+.2f})",
                f"{column['file_bytes'] / 1e6:.2f} MB ({against['file_bytes']:.2f}x)",
                f"{column['latency']['p50']:.2f} ms ({against['latency']['estimate']:.2f}x)",
            ]
        )
    bound = result["comparisons"]["edgefer"]["openvino-int8"]["latency"]  # a run without it is not for README
    return "\n".join(
        [
            table(["`compact` in INT8, by", "PrivateTest (over FP32)", "file", "latency p50"], rows),
            "",
            f"OpenVINO is the bound for this CPU: ONNX Runtime takes {bound['estimate']:.2f}x of its time on the same "
            "file. Same 300 calibration images for all, settings chosen on PublicTest, all timed in turn; from "
            "[exporters-compact.json](benchmarks/results/exporters-compact.json), "
            "`python benchmarks/runtimes/exporters.py CHECKPOINT BUNDLE --data fer2013.zip`.",
            "",
            aarch64(),
            "",
            without_vnni(),
        ]
    )


def script(name: str) -> str:
    """Return where a script of benchmarks/ is, below the repository."""
    (path,) = HERE.rglob(f"{name}.py")
    return path.relative_to(HERE.parent).as_posix()


def others() -> str:
    """What the benchmarks beside this file measured of edgefer itself."""
    loading, augmentation = read("data_loading.json"), read("augmentation.json")
    help_time, harness = read("help_time.json"), read("harness_overhead.json")
    quickstart, near = read("quickstart.json"), read("near_duplicates.json")
    chosen = next(each for each in near["thresholds"] if each["threshold"] == near["chosen"])
    layouts = loading["layouts"].values()
    files = {
        "All 35,887 images of FER2013 ready, from the second time on": (
            f"{max(layout['warm']['median'] for layout in layouts):.2f} s (slowest layout)",
            "data_loading",
        ),
        "Near-duplicates found: a picture of FER2013 resized, compressed, lit otherwise or cut by a pixel or two": (
            f"{100 * min(chosen['found'].values()):.1f} % of the worst of {len(chosen['found'])} changes; "
            f"{100 * chosen['pictures_taken_for_a_mirrored_other']:.2f} % of the pictures are taken for another's "
            "mirror image",
            "near_duplicates",
        ),
        "PrivateTest images with a near-duplicate in Training": (
            f"{near['across_official_splits']['test_in_train']:,}",
            "near_duplicates",
        ),
        "Augmentation's share of a training step": (f"{100 * augmentation['share']:.1f} %", "augmentation"),
        "`edgefer --help`, process start to end": (
            f"{help_time['edgefer']['p50']:.2f} s (a bare typer program: {help_time['bare_typer']['p50']:.2f} s)",
            "help_time",
        ),
        "What the timing loop adds to a latency": (f"{harness['p50']:.2f} us", "harness_overhead"),
    }
    rows = [
        [what, figure, f"[{name}.json](benchmarks/results/{name}.json), `python {script(name)}`"]
        for what, (figure, name) in files.items()
    ]
    int8 = next(network for network in quickstart["bench"]["networks"] if network["network"] == "int8-cpu")
    accuracy = percent(int8["quality"]["accuracy"])
    took = f"{console.duration(quickstart['seconds'])}, INT8 right on {accuracy} (synthetic faces)"
    rows.append(
        [
            "`edgefer quickstart`, all caches cold",
            took,
            "[quickstart.json](benchmarks/results/quickstart.json), `edgefer quickstart --json`",
        ]
    )
    return table(["of edgefer itself", "measured", "from"], rows)


def cached_teaching() -> str:
    """Images a second of a student without a teacher, with its answers on disk, and with it in every step."""
    result = read("cached_teaching.json")
    titles = {"bare": "no teacher", "cached": "`teaching.views`, once asked", "live": "asked in every step"}
    rows = [
        [title, f"{result['images_a_second'][kind]:.0f}", f"{result['share_of_bare'][kind]:.2f}"]
        for kind, title in titles.items()
    ]
    return "\n".join(
        [
            table([f"{result['recipe']} taught by {result['teacher']}", "images a second", "of no teacher's"], rows),
            "",
            f"One thread of {result['machine']['cpu']}, FP32, medians of {result['rounds']} rounds in turn. Asking "
            f"about a view of {result['images']:,} images took {result['seconds_to_ask_about_a_view']:.0f} s. From "
            "[cached_teaching.json](benchmarks/results/cached_teaching.json), "
            "`python benchmarks/training/cached_teaching.py fer2013.zip`.",
        ]
    )


def training_steps() -> str:
    """What each change of nano's recipe gave, on PublicTest."""
    result = read("training_steps.json")
    rows = [
        [
            each["run"],
            "; ".join(f"`{key}={value}`" for key, value in each["changes"].items()) or "the recipe",
            str(each["epochs"]),
            percent(each["accuracy"]),
            f"{each['macro_f1']:.3f}",
            f"{each['fitted_loss']:.4f}",
            f"{each['hours']:.1f}",
        ]
        for each in result["steps"]
    ]
    error = 100 * math.sqrt(0.68 * 0.32 / result["images"])
    return "\n".join(
        [
            table(["run", "changes", "epochs", "PublicTest", "macro F1", "loss at its temperature", "hours"], rows),
            "",
            f"FP32, one crop, one seed each; {error:.1f} points are one standard error of the accuracy. Hours are of "
            "one CPU core beside other work. From [training_steps.json](benchmarks/results/training_steps.json), "
            "`python benchmarks/training/steps.py RUN ...`.",
        ]
    )


def shapes() -> str:
    """Shapes that the family's networks could have, by size, latency and what they learn in few epochs."""
    result = read("architectures.json")
    images = bundle.load("edgefer-nano").manifest.scores[0].images
    trained = sorted({entry["size"] for entry in result["candidates"] if entry["learned"]})
    best = max(entry["learned"]["val_accuracy"] for entry in result["candidates"] if entry["learned"])
    error = 100 * math.sqrt(best * (1 - best) / images)
    rows = []
    for entry in result["candidates"]:
        learned = entry["learned"]
        rows.append(
            [
                f"edgefer-{entry['size']}",
                entry["title"],
                f"{entry['file_bytes'] / 1e6:.3f} MB",
                f"{entry['latency']:.2f} ms",
                f"{percent(learned['val_accuracy'])} ({learned['epochs']} epochs)" if learned else "not trained",
            ]
        )
    return "\n".join(
        [
            table(["for", "channels, blocks of the stages", "INT8", "latency p50, 1 thread", "PublicTest"], rows),
            "",
            "44 px where no other size stands. edgefer-nano is its fifth shape since, with a first kernel of 4 x 4; of "
            "the others the first is the one that is shipped. One seed, few epochs, and "
            f"{error:.1f} points are one standard error of an accuracy on PublicTest: enough to leave a shape out, "
            f"not to prefer one by a point. Latencies: {result['machine']['cpu']}. "
            "From [architectures.json](benchmarks/results/architectures.json), "
            f"`python benchmarks/training/architectures.py --train fer2013.zip --only {' '.join(trained)}`.",
        ]
    )


def runtimes() -> str:
    """The family on ONNX Runtime and OpenVINO."""
    result = read("runtimes.json")
    rows: dict[tuple[str, str, str], list[str]] = {}
    for line in result["networks"]:
        kind = (
            line["network"] if line["computed_in"] in (None, "fp32") else f"{line['network']} in {line['computed_in']}"
        )
        row = rows.setdefault((line["bundle"], kind, line["runtime"]), [])
        ratio = line["over_onnxruntime_int8"]["estimate"]
        row.append(f"{line['latency']['p50']:.2f} ms ({ratio:.2f}x)")
        if line["other_labels"] is not None:
            row.append(str(line["other_labels"]))
    header = ["network", "as", "runtime", "1 thread", "other labels", "2 threads"]
    return (
        f"{table(header, [[*key, *row] for key, row in rows.items()])}\n\n"
        f"Median latency at batch 1, and its ratio to ONNX Runtime's INT8, timed in turn. Other labels: of "
        f"{result['images']:,} PrivateTest images, against ONNX Runtime's INT8. {result['machine']['cpu']}. "
        "From [runtimes.json](benchmarks/results/runtimes.json), `python benchmarks/runtimes/runtimes.py`."
    )


def export() -> str:
    """What `edgefer export onnx` answers otherwise than Python."""
    result = read("export.json")
    rows = [
        [
            f"`{each['network']}`",
            each["device"],
            f"{each['private_test_differ']} of {result['protocol']['images']['private_test']:,}",
            f"{each['crops_differ']} of {result['protocol']['images']['crops']}",
            f"{each['bytes']:,}",
        ]
        for each in result["networks"]
    ]
    return (
        f"{table(['network', 'device', 'other labels, PrivateTest', 'other labels, other sizes', 'bytes'], rows)}\n\n"
        "Against `edgefer.load(...).predict` on the same device. From "
        "[export.json](benchmarks/results/export.json), `python benchmarks/runtimes/export.py`."
    )


def web() -> str:
    """`edgefer export web` beside what web developers install."""
    result = read("web.json")
    about = result["protocol"]
    busy = ": a busy machine, whose times are not to be relied on" if about["load_before"] > 1 else ""
    rows = [
        [
            f"**{each['name']}**" if each["name"].startswith("edgefer") else each["name"],
            f"{each['other_labels_than_python']} of {about['faces']:,}" if "other_labels_than_python" in each else "",
            percent(each["accuracy"]),
            f"{each['bytes'] / 1e6:.2f} / {each['bytes_brotli'] / 1e6:.2f} MB",
            f"{each['first_answer_ms']['p50']:.0f} ms",
            f"{each['judge']['p50']:.1f} ms ({each['judge']['ratio']:.2f}x)",
            f"{each['faces']['p50']:.0f} ms ({each['faces']['ratio']:.2f}x)",
            f"{percent(each['recall'])}, {each['false_boxes']}",
        ]
        for each in result["systems"]
    ]
    head = ["", "other labels than Python", "PrivateTest", "download, raw / brotli", "first answer", "a face"]
    versions = result["versions"]
    return (
        f"{table([*head, 'a picture', 'faces found, false boxes'], rows)}\n\n"
        f"edgefer-nano; face-api {versions['@vladmandic/face-api']}, human {versions['@vladmandic/human']}. Medians; "
        f"in parentheses to face-api, timed in turn. {about['composites']} composites. {result['browser']}, "
        f"{result['machine']['cpu']}, load {about['load_before']:.1f} when it began{busy}. "
        "From [web.json](benchmarks/results/web.json), `python benchmarks/web/web.py`."
    )


def litert() -> str:
    """The LiteRT files: gate, time (of the run that has every runtime, on a quieter machine), bytes."""
    result, timed = read("litert.json"), read("runtimes.json")["networks"]
    p50 = {
        (each["bundle"], each["network"]): each["latency"]["p50"]
        for each in timed
        if each["runtime"] == "LiteRT" and each["threads"] == 1
    }
    rows = [
        [
            f"`{name}`",
            f"{each['change']['points']:+.2f} ({each['change']['low']:+.2f} to {each['change']['high']:+.2f})",
            f"{p50[name, 'fp32']:.2f} ms",
            f"{p50[name, 'int8-cpu']:.2f} ms ({p50[name, 'int8-cpu'] / p50[name, 'fp32']:.2f}x)",
            f"{each['bytes']:,} ({each['over_onnx_bytes']:.2f}x of ONNX)",
            f"{each['convolutions']['int8']} of {each['convolutions']['all']}",
        ]
        for each in result["networks"]
        for name in [each["network"]]
    ]
    heads = ["network", "INT8 over FP32, points (95 %)", "FP32 p50", "INT8 p50", "bytes", "convolutions in INT8"]
    passed = all(each["passed"] for each in result["networks"])
    return (
        f"{table(heads, rows)}\n\n"
        f"All run by LiteRT. Points of accuracy on {result['images']:,} PublicTest images; the gate of "
        f"`edgefer compress` allows {result['max_drop']:g} lost: {'all pass' if passed else 'not all pass'}. Times: "
        f"{result['machine']['cpu']}, one thread, from [runtimes.json](benchmarks/results/runtimes.json), where ONNX "
        "Runtime's stand too ([results](docs/results.md)). The rest: [litert.json](benchmarks/results/litert.json), "
        "`python benchmarks/runtimes/litert.py`."
    )


def languages() -> str:
    """One network from each language: labels, time, first answer, download."""
    result = read("languages.json")
    python = {each["network"]: each["cpu_milliseconds"] for each in reversed(result["programs"])}  # the first one's

    def over(milliseconds: dict[str, float], network: str) -> float:
        ratio: float = milliseconds["median"] / python[network]["median"]
        return ratio

    rows = [
        [
            f"`{each['network']}`",
            each["program"],
            each["runtime"],
            f"{each['labels_differ_on_same_runtime']} / {each['labels_differ']}",
            f"{each['cpu_milliseconds']['median']:.2f} ms ({over(each['cpu_milliseconds'], each['network']):.2f}x)",
            f"{each['first_answer_seconds']['median']:.2f} s",
            f"{each['download_bytes'] / 1e6:.1f} MB",
        ]
        for each in result["programs"]
    ]
    rows += in_browser(result)
    order = [*(f"`{name}`" for name in PRETRAINED), ""]
    heads = [
        *("network", "program", "runtime", "other labels: same runtime / ONNX Runtime", "time a picture"),
        *("first answer", "download"),
    ]
    return (
        f"{table(heads, sorted(rows, key=lambda row: order.index(row[0])))}\n\n"
        f"Other labels: of {result['images']:,} PrivateTest images, against edgefer's Python on the same runtime and "
        "on ONNX Runtime. Time a picture: CPU time, preprocessing included, one thread, and its ratio to edgefer's "
        "Python, of medians. First answer: from the program's start to its end with one picture. Downloads: as pip or "
        f"npm fetches them, and the network. {result['machine']['cpu']}, noisy run. {BROWSER if WEB.exists() else ''}"
        "From [languages.json](benchmarks/results/languages.json), `python benchmarks/runtimes/languages.py`"
        f"{', and [web.json](benchmarks/results/web.json)' if WEB.exists() else ''}."
    )


def in_browser(result: dict[str, Any]) -> list[list[str]]:
    """Return rows for what ran in a browser, beside edgefer's Python; none where that was not measured."""
    if not WEB.exists():
        return []
    web = read(WEB.name)
    python = next(each for each in result["programs"] if each["network"] == web["network"])["cpu_milliseconds"]
    runtimes = {"edgefer large": "ONNX Runtime Web, wasm", "edgefer small": "edgefer's own wasm"}
    return [
        [
            f"`{web['network']}`" if name in runtimes else "",
            f"Browser, {name.removeprefix('edgefer ')}{' form' if name in runtimes else ''}",
            runtimes.get(name, "TensorFlow.js, wasm"),
            str(each.get("other_labels_than_python", "")),
            f"{each['judge']['p50']:.2f} ms ({each['judge']['p50'] / python['median']:.2f}x)",
            f"{each['first_answer_ms']['p50'] / 1000:.2f} s",
            f"{each['bytes_brotli'] / 1e6:.1f} MB",
        ]
        for each in web["systems"]
        for name in [each["name"]]
    ]


def robustness() -> str:
    """What is left of the default network under corruptions, FP32 beside INT8."""
    measured = read("fer2013/compact/report.json")
    worse = {NAMES[network["network"]]: network["robustness"] for network in measured["networks"]}
    kinds = list(next(iter(worse.values()))["accuracy"])
    rows = []
    for name, each in worse.items():
        means = [sum(each["accuracy"][kind]) / len(each["accuracy"][kind]) for kind in kinds]
        rows.append([name, *(f"{100 * share:.1f}" for share in (each["clean"], *means, sum(means) / len(means)))])
    images = next(iter(worse.values()))["images"]
    return (
        f"{table(['`compact`, %', 'as they are', *kinds, 'mean'], rows)}\n\n"
        f"{images:,} images of PrivateTest, each change at five strengths, their mean, from "
        "[report.json](benchmarks/results/fer2013/compact/report.json): "
        "`edgefer bench --measure robustness --measure throughput --data fer2013.zip --json`."
    )


def protocols() -> str:
    """edgefer-base by the protocols under which others publish, beside what they publish."""
    measured = read("protocols.json")
    small = one(measured["networks"], "int8-cpu")
    own = [("one-crop", small["quality"]), *((each["protocol"], each["quality"]) for each in small["evaluations"])]
    rows = [
        [
            f"{small['bundle']}, INT8",
            protocol,
            f"{percent(quality['accuracy'])} ({100 * quality['low']:.1f} to {100 * quality['high']:.1f})",
            "PublicTest",
            "measured",
        ]
        for protocol, quality in own
    ]
    published = json.loads((HERE / "published.json").read_text(encoding="utf-8"))["systems"]
    rows += [
        [
            each["system"],
            f"[{each['protocol']}]({each['protocol_source']})",
            percent(each["accuracy"]),
            each["checkpoint_chosen_on"],
            f"[published]({each['source']})",
        ]
        for each in published
    ]
    options = " ".join(f"--protocol {name}" for name in measured["protocol"]["further_views"])
    return "\n\n".join(
        [
            table(["network", "protocol", "PrivateTest (95 %)", "checkpoint chosen on", ""], rows),
            f"`edgefer bench {small['bundle']} {options} --data fer2013.zip` wrote "
            "[protocols.json](benchmarks/results/protocols.json), asked once of the network as it is shipped; nothing "
            "was chosen by it. Published figures: [published.json](benchmarks/published.json).",
        ]
    )


def smoothing() -> str:
    """Labels of `edgefer live` over time: how steady they are, and how soon a change shows."""
    result = read("live_smoothing.json")
    rows = [
        [
            name,
            {"raw": "each frame's own", "smoothed": "shown"}[way],
            f"{found['steady']['changes_a_minute']:.1f}",
            percent(found["steady"]["faces_with_at_most_one"]),
            percent(found["changing"]["within_500_ms"]),
            f"{found['changing']['p50_ms']} / {found['changing']['p95_ms']} ms",
        ]
        for name, ways in result["networks"].items()
        for way, found in ways.items()
    ]
    head = ["network", "label", "changes a minute, steady face", "faces with at most one"]
    head += ["true changes within 500 ms", "delay, p50 / p95"]
    changes = result["networks"]["edgefer-base"]["raw"]["changing"]["true_changes"]
    return (
        f"{table(head, rows)}\n\n{_goal(result['networks'])} "
        f"{result['steady_faces']} steady faces, a minute each, and {changes} true changes for "
        "edgefer-base, on videos made of PrivateTest. FER2013 does not name "
        "people, so a change is another picture at the same place. From "
        f"[live_smoothing.json](benchmarks/results/live_smoothing.json), `{result['command']}`."
    )


def _goal(networks: dict[str, Any]) -> str:
    """Say which networks reach the goal of steady and quick labels, and by how much the others miss it."""
    missed = []
    for name, ways in networks.items():
        steady, changing = ways["smoothed"]["steady"], ways["smoothed"]["changing"]
        if steady["changes_a_minute"] > 1:
            missed.append(f"{name} with {steady['changes_a_minute']:.2f} changes a minute")
        if changing["within_500_ms"] < 0.95:
            missed.append(f"{name} with {percent(changing['within_500_ms'])} within 500 ms")
    return f"The goal is missed by {', '.join(missed)}." if missed else "All networks reach the goal."


def live() -> str:
    """Frames a second of `edgefer live`, and the time from a frame's arrival to its answer."""
    if not (RESULTS / "live.json").exists():
        return "Not measured yet."
    result = read("live.json")
    rows = [
        [
            row["size"],
            row["network"],
            str(row["cores"]),
            f"{row['alone_frames_a_second']:.0f} a second",
            percent(row["live_dropped"] / row["live_frames"]),
            f"{row['arrival_to_answer_p50_ms']:.0f} / {row['arrival_to_answer_p99_ms']:.0f} ms",
        ]
        for row in result["rows"]
    ]
    head = ["frames", "network", "cores", "judged alone", "dropped at 30 a second", "arrival to answer, p50 / p99"]
    before, after = result["load_before_and_after"]
    return (
        f"{table(head, rows)}\n\nOne face in the picture. {result['machine']['cpu']}, load {before:.1f} before and "
        f"{after:.1f} after. From [live.json](benchmarks/results/live.json), `{result['command']}`."
    )


def framing() -> str:
    """What each step between a photograph and a network's input costs."""
    result = read("framing.json")
    networks = result["networks"]
    names = {"data set's own picture": "FER2013's own picture", "shipped": "**as shipped**"}
    cuts = ["data set's own picture", *(cut for cut in next(iter(networks.values()))["cuts"] if cut not in names)]
    rows = []
    for cut in [*cuts, "shipped"]:
        each = [network["cuts"][cut] for network in networks.values()]
        rows.append([names.get(cut, cut), *(f"{percent(one['right'])} / {one['loss']:.3f}" for one in each)])
    sides = result["longer_side_to_true"]
    head = ["cut", *(f"`{name}`" for name in networks)]
    return (
        f"{table(head, rows)}\n\nRight / cross-entropy. {result['found']} faces of PublicTest in photographs. The "
        f"longer side of a detected box is {sides['p10']:.2f} to {sides['p90']:.2f} of the true one (80 % of the "
        "faces). The square that is classified has a side of two thirds of the box's longer and one third of its "
        f"shorter side. From [framing.json](benchmarks/results/framing.json), `{result['command']}`."
    )


def faces() -> str:
    """Faces in pictures: YuNet beside the cascade, and what becomes of turned, small and covered ones."""
    result = read("faces.json")
    scenes, crops = result["scenes"], result["crops"]
    rows = [
        [
            {"yunet": "YuNet", "cascade": "OpenCV's cascade"}[name],
            percent(scene["recall"]),
            percent(scene["recall_by_side"]["60-100"]),
            f"{scene['false_boxes_per_100']:.1f}",
            f"{scene['cpu_ms']['mean']:.1f} / {scene['cpu_ms']['p50']:.1f} ms",
            percent(scene["right"][result["judge"]]),
            percent(crops[name]["answered"]),
            percent(crops[name]["faceless_answered"]),
        ]
        for name, scene in scenes.items()
    ]
    head = ["detector", "recall", "of 60 to 100 px", "false boxes in 100 pictures", "CPU, mean / p50", "right"]
    head += ["crops answered", "faceless crops answered"]
    turned = [
        [
            f"turned {band.replace('-', ' to ')} degrees",
            percent(each["recall"]),
            f"{percent(each['right'][result['judge']])}; not turned back: {percent(each['right_without_turning'])}",
        ]
        for band, each in result["turned"].items()
    ]
    small = [
        [
            f"{band.replace('-', ' to ')} px",
            f"{percent(each['default']['recall'])}; `--min-face 16`: {percent(each['min_face_16']['recall'])}",
            f"of those found with `--min-face 16`: {percent(each['min_face_16']['right_of_found'])}",
        ]
        for band, each in result["small"].items()
    ]
    large = [
        [
            f"{band.replace('-', ' to ')} px in 12 megapixels, {each['cpu_ms_finding']:.0f} ms",
            percent(each["recall"]),
            f"of those found: {percent(each['right_of_found'])}",
        ]
        for band, each in result["large_pictures"].items()
        if band != "size"
    ]
    covered = [
        [
            name if name == "as they are" else f"with a drawn {name}".replace("a drawn sun", "drawn sun"),
            percent(each["recall"]),
            f"of those found: {percent(each['right_of_found'])}; noted as `occluded`: {percent(each['noted'])}",
        ]
        for name, each in result["covered"].items()
    ]
    yunet = scenes["yunet"]
    as_it_is = result["right_as_they_are"][result["judge"]]
    also, of_found = [], ""
    if "right_as_they_are_of_found" in yunet:
        of_found = (
            f", of those found {percent(yunet['right_as_they_are_of_found'])} (here {percent(yunet['right_of_found'])})"
        )
    quickest = ", shared with other work"
    if "cpu_ms_of_the_quickest" in yunet:
        least = yunet["cpu_ms_of_the_quickest"]
        quickest = (
            f"; the least of {least['repeats']} times for each of {least['pictures']} pictures: "
            f"mean {least['mean']:.1f}, p50 {least['p50']:.1f} ms"
        )
    if "notes" in yunet:
        masked = result["covered"]["mask"]
        noted = [
            [
                f"`{name}`",
                f"{note['faces']:,}",
                *(percent(note[key]) for key in ("right", "right_of_others", "precision", "recall")),
            ]
            for name, note in yunet["notes"].items()
            if note["faces"]
        ]
        also += [
            table(
                ["note", "faces", "right", "right of others", "of those noted wrong", "of those wrong noted"],
                noted,
            ),
            "What the notes say of the same pictures. `occluded` goes by the detector's score alone, so that it is a "
            f"hint: of as many masked faces as open ones {percent(masked['precision_of_note'])} of those that it "
            f"stands on are masked, and it stands on {percent(masked['noted'])} of the masked ones.",
        ]
    if "runtimes" in result:
        whole = result["runtimes"]["640x480"]
        also.append(
            "YuNet runs with ONNX Runtime whatever the device: OpenVINO gives the same outputs "
            f"(to {whole['largest_difference']:.0e}), takes {whole['openvino']['least_cpu_ms']:.1f} ms where ONNX "
            f"Runtime takes {whole['onnxruntime']['least_cpu_ms']:.1f} ms, and {whole['openvino_compiles_s']:.1f} s "
            "more for each new size of picture. TensorRT was not measured."
        )
    return "\n\n".join(
        [
            table(head, rows),
            f"{yunet['pictures']:,} pictures of 640 x 480 with one face of PrivateTest each, 60 to 250 px, turned "
            "up to 15 degrees. "
            f"Right: found, listed first and told rightly by `{result['judge']}`; the same faces cut out by FER2013: "
            f"{percent(as_it_is)}{of_found}. Crops: 48 to 512 px. CPU: finding and judging, one thread, "
            f"{result['machine']['cpu']}{quickest}. Settings were chosen on PublicTest.",
            table(["YuNet, faces", "recall", "right"], [*turned, *small, *large, *covered]),
            *also,
            f"Of {result['without_a_face']['pictures']} photographs of 640 x 480 without a face "
            f"{percent(result['without_a_face']['answered'])} get a box. From "
            "[faces.json](benchmarks/results/faces.json), `python benchmarks/faces/faces.py --data fer2013.zip`; how "
            "it counts stands in its first lines.",
        ]
    )


def serving() -> str:
    """Return what `edgefer serve` does under load."""
    found = read("serve.json")
    rows = [
        [
            name,
            f"{row['answers_per_second']:,.0f}"
            if row["answers_per_second"] >= 10
            else f"{row['answers_per_second']:.1f}",
            f"{row['p50_ms']:.1f} / {row['p99_ms']:.1f} ms",
            f"{row['status'].get('200', 0):,}",
            f"{row['status'].get('429', 0):,}",
            f"{row['lost']:,}",
        ]
        for name, row in found["rows"].items()
    ]
    same, end, machine = found["equal"], found["sigterm"], found["machine"]
    return (
        table(["load", "answers a second", "p50 / p99", "200", "429", "failed"], rows)
        + f"\n\nOver HTTP {same['equal']} of {same['pictures']} faces have Python's probabilities to the last bit. "
        f"At SIGTERM, with {end['clients']} clients sending, the server answered {end['server_answered']:,} requests "
        f"and the clients received {end['answers_received']:,}; {end['answers_cut']} were cut. "
        f"The exit code was {end['exit_code']}, after "
        f"{end['seconds_to_end']:.1f} s.\n\n`{found['bundle']}`, {found['workers']} workers, {machine['cpu']}, load "
        f"{found['load'] or 0:.1f}{' (noisy run)' if (found['load'] or 0) > found['workers'] else ''}, client on the "
        "same machine. From "
        "[serve.json](benchmarks/results/serve.json), which `python benchmarks/live/serve.py` wrote."
    )


def trust() -> str:
    """What was measured of the measuring itself; what has no JSON yet is left out."""
    rows = {
        "harness_clock": ("Known times: fake networks that wait until a known time is over", known_times),
        "turns": ("Many networks in one bench, which take each other's caches", turns),
        "ort_profile": ("The same inferences in ONNX Runtime's own profile", own_profile),
        "streaming_memory": ("Memory for ten times the images", ten_times),
        "arena": ("ONNX Runtime's memory arena, which stays on", arenas),
    }
    found = [
        [what, figure(read(f"{name}.json")), f"[{name}.json](benchmarks/results/{name}.json)"]
        for name, (what, figure) in rows.items()
        if (RESULTS / f"{name}.json").exists()
    ]
    end = (
        "Each by `python benchmarks/timing/NAME.py`, `turns.py` with the bundles behind it, `streaming_memory.py` with "
        "`fer2013.zip`; what it does exactly stands in its first lines and in the JSON."
    )
    start = "What a bench's figures rest on is measured too; what the timing loop adds to a latency stands below."
    return f"{start}\n\n{table(['checked', 'found', 'from'], found)}\n\n{end}" if found else start


def known_times(result: dict[str, Any]) -> str:
    errors = [abs(each["error_median"]) / each["truth"] for each in result["p50"].values()]
    return (
        f"{result['inside']} of {result['intervals']} intervals of 95 % hold the truth; the median error of p50 is at "
        f"most {100 * max(errors):.2g} %"
    )


def turns(result: dict[str, Any]) -> str:
    networks, how = result["networks"], result["protocol"]["turns"]
    untimed, timed = how["bench"]
    bench, short = (
        (min(shares), max(shares))
        for shares in ([each["turns"][name] for each in networks] for name in ("bench", "1 + 4"))
    )
    return (
        f"turns of {untimed} untimed and {timed} timed inferences: {len(networks)} networks in one bench have "
        f"{bench[0]:.2f} to {bench[1]:.2f} times the latency that each has beside those of its bundle alone; "
        f"turns of 1 and 4 had {short[0]:.2f} to {short[1]:.2f}"
    )


def own_profile(result: dict[str, Any]) -> str:
    networks = result["networks"]
    ours = [f"{NAMES[name]} {each['ours_over_profile']['estimate']:.3f}x" for name, each in networks.items()]
    slower = " and ".join(f"{each['profiling_slows_down']['estimate']:.2f}x" for each in networks.values())
    return f"our p50 over the profile's: {', '.join(ours)}; writing a profile makes a latency {slower} as long"


def ten_times(result: dict[str, Any]) -> str:
    few, many = result["runs"]
    by_image = result["bytes_per_image"]
    return (
        f"{few['images']:,} -> {many['images']:,} images: {by_image['streaming']:.1f} bytes more for each, "
        f"{by_image['logits']} of them its logits, and {by_image['judging']:.1f} with the figures; "
        f"peak {few['peak'] / 1e6:.0f} -> {many['peak'] / 1e6:.0f} MB, mapped files included"
    )


def arenas(result: dict[str, Any]) -> str:
    ours, none = (result["arenas"][kind] for kind in (result["default"], "none"))
    batches = ", ".join(
        f"{none['memory'][batch]['own'] / 1e6:.0f} MB instead of {ours['memory'][batch]['own'] / 1e6:.0f} at {batch}"
        for batch in ours["memory"]
    )
    ratio = none["over_default"]
    return (
        f"without it INT8 takes {ratio['estimate']:.2f}x the latency ({ratio['low']:.2f} to {ratio['high']:.2f}) "
        f"and {batches}"
    )


def install_sizes() -> str:
    """How much each way to install takes."""
    result = read("install_sizes.json")
    rows = []
    for way, found in result["ways"].items():
        command = f"`pip install '.[{','.join(found['extras'])}]'`" if found["extras"] else "`pip install .`"
        cuda = found["of_cuda"]
        rows.append(
            [
                way,
                command,
                str(found["packages"]),
                f"{found['bytes'] / 1e6:,.0f} MB",
                f"{cuda / 1e6:,.0f} MB" * bool(cuda),
            ]
        )
    return table(["size", "command", "packages", "installed", "of that CUDA"], rows) + (
        f"\n\nPython {result['python']}, {result['machine']}, the versions of constraints.txt. "
        "From [install_sizes.json](benchmarks/results/install_sizes.json), `python benchmarks/install_sizes.py`."
    )


def pi() -> str:
    """The least times of the pretrained network on both boards, by the data sheets."""
    result = read("projection-pi.json")
    times = {(each["device"], each["precision"]): each["projected_milliseconds"] for each in result["projected"]}
    rows = [
        [each["name"], *(f"{times[each['name'], precision]:.1f} ms" for precision in ("fp32", "int8"))]
        for each in result["devices"]
    ]
    head = ["", "edgefer-base, FP32, **projected**", "INT8, **projected**"]
    source = "From [projection-pi.json](benchmarks/results/projection-pi.json). ONNX Runtime will take longer."
    return f"{table(head, rows)}\n\n{source}"


def projection() -> str:
    """What is projected for devices that edgefer has not run on. No time in it was measured."""
    parts = []
    for name, title in (("jetson", "Jetson"), ("rtx", "GPU"), ("pi", "Raspberry Pi, one core")):
        result = read(f"projection-{name}.json")
        (eight,) = (each for each in result["workloads"] if each["precision"] == "int8")
        times = {(each["device"], each["precision"]): each["projected_milliseconds"] for each in result["projected"]}
        rows = []
        floating, scale, rates = ("fp32", 1000, "GFLOP/s GOP/s") if name == "pi" else ("fp16", 1, "TFLOP/s TOP/s")
        units = rates.split()
        for device in result["devices"]:
            shown = [times[device["name"], precision] for precision in (floating, "int8")]
            rows.append(
                [
                    device["name"],
                    f"{device['bandwidth']:g} GB/s",
                    f"{scale * device[floating]:.3g} {units[0]}",
                    "" if device["int8"] is None else f"{scale * device['int8']:.3g} {units[1]}",
                    *(
                        "" if time is None else f"{time:.1f} ms" if name == "pi" else f"{1000 * time:.1f} us"
                        for time in shown
                    ),
                ]
            )
        kind = floating.upper()
        parts.append(table([title, "memory", kind, "INT8", f"**projected**, {kind}", "**projected**, INT8"], rows))
        parts.append(
            f"From [projection-{name}.json](benchmarks/results/projection-{name}.json), which has every source: "
            f"`edgefer project edgefer-base --device {name} --data fer2013.zip --json`. "
            f"{eight['kernels']} kernels, {eight['macs'] / 1e6:.0f} M multiply-accumulates and "
            f"{eight['moved_bytes'] / 1e6:.2f} MB for an image in INT8; PrivateTest, of that graph on ONNX Runtime: "
            f"{percent(one(result['networks'], eight['network'])['quality']['accuracy'])}."
        )
    return "\n\n".join(parts)


def submissions() -> str:
    """Measurements that people sent, by device: `edgefer bench --submit`."""
    found = [submission.read(path) for path in sorted((HERE / "submissions").glob("*.json"))]
    found.sort(key=lambda each: (each.device.lower(), each.result.device, each.result.created))
    rows = []
    for each in found:
        result = each.result
        board = result.conditions.jetson_before
        state = [board.power_mode or "", "clocks locked" * bool(board.clocks_locked)] if board else []
        for entry in result.networks:
            accuracy = "synthetic faces" if result.data.synthetic else percent(entry.quality.accuracy)
            rows.append(
                [
                    each.device,
                    f"{entry.bundle} {entry.network}",
                    f"{entry.latency.p50:.3g} ms",
                    "" if entry.latency.p99 is None else f"{entry.latency.p99:.3g} ms",
                    accuracy,
                    f"{entry.runtime}, {result.protocol.threads} thread{'s' * (result.protocol.threads > 1)}",
                    ", ".join(
                        filter(None, [*state, "noisy run" * (entry.latency.coefficient_of_variation > timing.NOISY)])
                    ),
                    each.conditions,
                ]
            )
    head = ["device", "network", "p50", "p99", "accuracy", "runtime", "state", "cooling and power, as sent"]
    files = ", ".join(f"[{each.name}](benchmarks/submissions/{each.name})" for each in found)
    return f"{table(head, rows)}\n\nFrom {files}." if found else "Nobody has sent one yet."


def papers() -> str:
    """What the papers' networks cost after compression; nothing of their accuracy."""
    result = read("papers.json")
    first = result["networks"][0]["machine"]["cpu"]
    most = [each for each in result["networks"] if each["machine"]["cpu"] == first]
    elsewhere = [each for each in result["networks"] if each not in most]
    devices = ("Jetson Orin Nano 8GB",)  # on RTX cards INT8 has no time yet
    rows = []
    for each in result["networks"]:
        # What comes with edgefer is INT8 alone.
        both = [found for found in each["cpu"] if found["network"] in NAMES]
        ratios = [f"{found['latency']['estimate']:.2f}x" for found in each["comparisons"]]
        least = {
            device: min(found["projected_milliseconds"] for found in each["projected"] if found["name"] == device)
            for device in devices
        }
        rows.append(
            [
                f"`{each['name']}`, {each['size']} px",
                f"{each['parameters'] / 1e6:.2f} M",
                f"{each['macs'] / 1e6:,.0f} M",
                " -> ".join(f"{found['file_bytes'] / 1e6:.1f}" for found in both) + " MB",
                " -> ".join(f"{found['latency']['p50']:.3g}" for found in both) + " ms",
                ", ".join(ratios),
                " -> ".join(megabytes(found["network_bytes"]) for found in both) + " MB",
                *(f"{1000 * time:,.0f} us" for time in least.values()),
            ]
        )
    head = ["recipe, input", "parameters", "multiply-adds", "file", "latency, 1 thread", "INT8 over FP32", "memory"]
    return "\n\n".join(
        [
            table([*head, *(f"**projected**, {device}" for device in devices)], rows),
            "FP32 -> INT8 at the documents' own input sizes, on ONNX Runtime; projected: the least time by roofline, "
            "not measured. Over 1x, INT8 is slower: SiLU stays FP32. The papers' networks have random weights; none of "
            "this depends on them, and it says nothing of accuracy. From "
            "[papers.json](benchmarks/results/papers.json), `python benchmarks/training/papers.py --data fer2013.zip`. "
            + circumstances(most, most[0]["machine"])
            + "".join(f" Those of `{each['name']}`: {each['machine']['cpu']}." for each in elsewhere),
        ]
    )


def peers() -> str:
    """Our networks beside what people install."""
    result = read("peers.json")
    protocol, machine = result["protocol"], result["machine"]
    first = protocol["first"]
    with_sensor = any(peer.get("joules") for peer in result["peers"].values())
    rows, how = [], []
    for title, peer in result["peers"].items():
        said = peer["protocol"]
        trained = said["training"] or "none: its speed alone is measured"
        how.append([title, trained, said["takes"], said["labels"]])
        if "error" in peer:
            rows.append([title, f"not measured: {peer['error']}", *[""] * (9 + with_sensor)])
            continue
        quality = [
            *(percent(peer[split]["accuracy"]) if split in peer else "" for split in ("test", "leak_free")),
            *((f"{peer['test'][key]:.3f}" if "test" in peer else "") for key in ("macro_f1", "calibration_error")),
        ]
        if published := peer.get("published"):
            quality[0] = f"{percent(published['accuracy'])} of {published['split']}, [published]({published['source']})"
        rows.append(
            [
                title,
                *quality,
                f"{peer['file_bytes'] / 1e6:.3f} MB",
                f"{peer['latency']['p50']:.3g} ms",
                "" if title == first else f"{peer['over_first']['estimate']:.2f}x",
                f"{peer['peak_memory'] / 1e6:.0f} MB",
                f"{peer['first_answer_seconds']:.2f} s",
                f"{peer['bytes_to_install'] / 1e6:,.0f} MB",
                *([f"{1e3 * peer['joules']:.1f} mJ" if peer["joules"] else ""] if with_sensor else []),
            ]
        )
    head = ["", "PrivateTest", "deduplicated", "macro F1", "calibration error", "file", "latency p50", f"over {first}"]
    head += ["memory", "first answer", "to install", *(["energy"] if with_sensor else [])]
    chosen = {
        title: peer["protocol"]["public_test_by_pixels"]
        for title, peer in result["peers"].items()
        if "public_test_by_pixels" in peer["protocol"]
    }
    cuts = "; ".join(
        f"{title}: " + ", ".join(f"{percent(share)} with {side}" for side, share in by_side.items())
        for title, by_side in chosen.items()
    )
    busy = max(protocol["load_before"], protocol["load_after"]) > 1.5
    return "\n\n".join(
        [
            "![Accuracy against latency and against file size: edgefer's three networks, what people install, and what "
            "papers claim](docs/peers.png)",
            table(head, rows),
            "One inference on one thread with its input ready, all networks in turn; ratios are of paired medians. "
            "Memory: peak of the process until its first answer. First answer: from the start of the process, the "
            "least of three. To install: unpacked wheels, or node_modules. "
            + ("" if with_sensor else "No energy: this machine has no sensor that can be read. ")
            + f"Load before and after the timing: {protocol['load_before']:.1f} and {protocol['load_after']:.1f}"
            + (" (busy machine: read the ratios). " if busy else ". ")
            + f"{machine['cpu']}, from [peers.json](benchmarks/results/peers.json), "
            "`python benchmarks/peers/measure.py --data fer2013.zip`.",
            table(["", "training data", "input", "labels"], how),
            f"Each peer gets the part of FER2013's 48 pixels with which it is right most often on 500 images of "
            f"PublicTest ({cuts}); ours take all 48.",
        ]
    )


def megabytes(count: int | None) -> str:
    """Return bytes as megabytes; nothing where they could not be measured."""
    return "" if count is None else f"{count / 1e6:.0f}"


def reduced() -> str:
    """A paper's recipe on all of FER2013, made smaller so that this machine can train it."""
    folder = "fer2013/b0-attention-64"
    trained, bench = (read(f"{folder}/{name}.json") for name in ("train", "bench"))
    whole, small = (one(bench["networks"], name) for name in ("fp32", "int8-cpu"))
    return (
        f"One ran on all of FER2013, reduced, which tests no claim: `b0-attention` at "
        f"{bench['bundles'][0]['preprocessing']['size']} px instead of 224, {trained['epochs']} epochs instead of 50, "
        f"random weights instead of ImageNet's, gets {percent(whole['quality']['accuracy'])} of the 7,178 images "
        f"right in FP32 and {percent(small['quality']['accuracy'])} in INT8 (`--ptq`), "
        f"{small['latency']['p50'] / whole['latency']['p50']:.1f} times as slow: SiLU. At the document's rate it "
        "learns next to nothing without those weights. From "
        f"[b0-attention-64](benchmarks/results/{folder})."
    )


def siblings() -> str:
    """The papers' recipes on networks for the edge: claim, FP32, INT8 and costs; what is not trained says so."""
    result = read("siblings.json") if (RESULTS / "siblings.json").exists() else {"siblings": []}
    done = {each["name"]: each for each in result["siblings"]}
    claimed = {
        claim.test.recipe: findings.written(claim)
        for claim in ledger_of_claims.read().claim
        if claim.test and claim.test.what == "accuracy"
    }
    rows, places = [], list[str]()
    for name, paper in SIBLINGS.items():
        if name not in done:
            rows.append([f"`{name}`", claimed[paper], "not trained", *[""] * 8])
            continue
        each = done[name]
        places += [each["machine"]["cpu"]]
        small, whole = (one(each["networks"], network) for network in ("int8-cpu", "fp32"))
        change, trained = each["int8_minus_fp32"], each["training"]
        low, high = (float(100 * change[key]) for key in ("low", "high"))
        time = min(
            part["projected_milliseconds"] for part in each["projected"] if part["device"] == "Jetson Orin Nano 8GB"
        )
        rows.append(
            [
                f"`{name}`, {'; '.join([each['reductions'][1], *each['differences']])}",
                claimed[paper],
                percent(whole["quality"]["accuracy"]),
                percent(small["quality"]["accuracy"]),
                f"{100 * change['accuracy']:+.2f} ({low:+.2f} to {high:+.2f})",
                " -> ".join(f"{network['quality']['macro_f1']:.3f}" for network in (whole, small)),
                " -> ".join(f"{network['file_bytes'] / 1e6:.1f}" for network in (whole, small)) + " MB",
                f"{whole['latency']['p50']:.3g} -> {small['latency']['p50']:.3g} ms, "
                f"{each['int8_over_fp32'][0]['latency']['estimate']:.2f}x",
                " -> ".join(megabytes(network["network_bytes"]) for network in (whole, small)) + " MB",
                f"{1000 * time:,.0f} us",
                f"{trained['hours']:.1f} h, {trained['epochs']} of {trained['of']} epochs",
            ]
        )
    head = ["sibling", "the paper claims", "FP32", "INT8", "INT8 minus FP32, points", "macro F1", "file"]
    head += ["latency, 1 thread", "memory", "**projected**, Jetson Orin Nano 8GB", "training, shared machine"]
    parts = [table(head, rows)]
    if done:
        images = ", ".join(f"{each['test']['images']:,}" for each in done.values())
        busy = sum(any("other programs" in said for said in each["warnings"]) for each in done.values())
        parts += [
            _class_table(list(done.values())),
            f"On the paper's own test images ({images}), which neither training nor fine-tuning saw; FP32 -> INT8, "
            "fine-tuned. INT8 minus FP32: Tango's 95 % interval on the same images. Projected: least time by roofline. "
            f"{' and '.join(dict.fromkeys(places))}"
            + (f", {busy} of {len(done)} on a busy machine" if busy else "")
            + ". "
            "From [siblings.json](benchmarks/results/siblings.json), `python benchmarks/training/siblings.py RUN`.",
        ]
    return "\n\n".join(parts)


def _class_table(done: list[dict[str, Any]]) -> str:
    """Return F1 by class: claimed, FP32, INT8; a column for each sibling."""
    columns = [
        {part["label"]: part for part in each["claims"] if part["what"] == "f1" and part["fp32"]} for each in done
    ]
    labels = dict.fromkeys(label for column in columns for label in column)

    def cell(part: dict[str, Any] | None) -> str:
        if part is None:
            return ""
        return f"{part['claimed']} / {part['fp32']['value']:.2f} / {part['int8-cpu']['value']:.2f}"

    head = ["F1: claimed / FP32 / INT8", *(f"`{each['name']}`" for each in done)]
    return table(head, [[label, *(cell(column.get(label)) for column in columns)] for label in labels])


def ablations() -> str:
    """What the papers' ingredients do in a short training, beside what the papers say."""
    place = RESULTS / "ablations_lite.json"
    result = read(place.name) if place.exists() else {"effects": [], "trainings": []}
    effects = {each["row"]: each for each in result["effects"]}
    errors = {each["row"]: each["error"] for each in result["trainings"] if "error" in each}
    reference = [each for each in result["trainings"] if each["row"] == "whole" and "error" not in each]

    def shown(row: str, figure: str) -> str:
        if row not in effects:
            return "diverged" if row in errors else "not trained"
        found = effects[row][figure]
        if found["low"] is None:
            return f"{found['points']:+.1f}"
        return f"{found['points']:+.1f} ({found['low']:+.1f} to {found['high']:+.1f})"

    rows = [
        [
            "the reference",
            ", ".join(percent(each["accuracy"]) for each in reference) or "not trained",
            ", ".join(f"{each['macro_f1']:.3f}" for each in reference),
            "",
        ]
    ]
    for each in recipes.load(str(TRAINING / "paper_ablations.toml")).ablations:
        against = effects.get(each.name, {}).get("against", "whole")
        beside = "" if against == "whole" else f", over `{against}`"
        rows.append([f"`{each.name}`{beside}", shown(each.name, "accuracy"), shown(each.name, "macro_f1"), each.cites])
    parts = [table(["change", "accuracy, points", "macro F1, points", "the paper"], rows)]
    if reference:
        hours = sum(each.get("seconds", 0) for each in result["trainings"]) / 3600
        counts = result["images"]
        several = any(each["accuracy"]["low"] is not None for each in effects.values())
        if several:
            parts.append(_beyond_chance(result["effects"]))
        parts.append(
            f"{len(result['trainings'])} trainings of {counts['training']:,} images, {hours:.1f} hours on a "
            f"shared machine, tested on the {counts['tested']:,} images of PublicTest. "
            + ("95 % intervals over images and seeds. " if several else "No interval: that needs a second seed. ")
            + f"From [{place.name}](benchmarks/results/{place.name}), "
            "`python benchmarks/training/paper_ablations.py --votes fer2013new.csv`."
        )
    return "\n\n".join(parts)


def _beyond_chance(effects: list[dict[str, Any]]) -> str:
    """Return in a sentence which changes of accuracy have intervals without 0."""
    accuracy = {f"`{each['row']}`": each["accuracy"] for each in effects}
    more = ", ".join(row for row, found in accuracy.items() if (found["low"] or 0) > 0) or "none"
    less = ", ".join(row for row, found in accuracy.items() if (found["high"] or 0) < 0) or "none"
    return (
        f"More accurate beyond chance: {more}; less: {less}. All other intervals contain 0: whether those changes "
        f"help, such short trainings do not show. The intervals are not corrected for being {len(effects)}."
    )


def own_classes() -> str:
    """Return what a training from edgefer-base comes to with 300 pictures, beside one from random weights."""
    result = read("own_classes.json")
    names = {"from": "`edgefer train --from edgefer-base`", "scratch": "edgefer-base's recipe from random weights"}
    rows = []
    for way, runs in result["runs"].items():
        shares = [run["accuracy"] for run in runs]
        rows.append([names[way], percent(statistics.mean(shares)), ", ".join(map(percent, shares))])
    first = result["runs"]["from"][0]["images"]
    return (
        table(["300 pictures, three labels", "accuracy", "each seed"], rows)
        + f"\n\nNegative, neutral and positive from FER2013's PublicTest, {first['trained']} pictures, tested on "
        f"{first['tested']:,} of PrivateTest. edgefer-base learned from pictures of the same kind; on others the start "
        "is worth less. From random weights it had 30 epochs, which is 480 steps; from edgefer-base 10. "
        "Written by [own_classes.py](benchmarks/training/own_classes.py)."
    )


def layouts() -> str:
    """Return which layouts went all the way."""
    found = read("layouts.json")["layouts"]
    rows = [
        [
            name.replace("_", " "),
            each["layout"],
            f"{each['pictures']:,}",
            str(len(each["classes"])),
            each["divided_by"] or "its own splits",
            "all five" if not each["failed"] else f"{next(iter(each['failed']))} fails",
        ]
        for name, each in found.items()
    ]
    later = [name.replace("_", " ") for name, each in found.items() if each["later"]]
    return (
        table(["imitation", "`data info` says", "pictures", "labels", "divided by", "commands that end well"], rows)
        + "\n\nThe five are `data info`, `train` (one step), `compress --ptq`, `bench` and `predict`. "
        f"The last {len(later)} came later, by trying what else people have. "
        "Written by [layouts.py](benchmarks/reliability/layouts.py)."
    )


def search() -> str:
    """What a search on edgefer-nano's shape found."""
    result = read("search.json")
    trials = result["trials"]
    shown = [each for each in trials if each["on_front"] or each["as_it_is"]]
    rows = [
        [
            f"{each['number']}{', edgefer-nano as it is' * each['as_it_is']}",
            ", ".join(re.sub(r"^[^=]*[.]", "", setting) for setting in each["settings"]),
            percent(each["accuracy"]),
            f"{each['latency']:.3f} ms",
            f"{each['bytes'] / 1e3:.0f} kB",
            "yes" if each["on_front"] else "no",
        ]
        for each in sorted(shown, key=lambda each: each["latency"])
    ]
    stopped = sum(each["kind"] == "stopped early" for each in trials)
    return (
        table(["trial", "settings", "INT8 accuracy", "INT8 latency", "file", "on the front"], rows)
        + f"\n\n{len(trials)} trials of 5 epochs on FER2013, {stopped} of them stopped early. Accuracy on the "
        f"{result['images']:,} images of PublicTest, INT8 calibrated, one seed. Latency: batch 1, one thread, "
        f"{result['machine']['cpu']}, a busy machine. From [search.json](benchmarks/results/search.json), "
        "`python benchmarks/training/search.py`."
    )


def ferplus() -> str:
    """Return edgefer-small's recipe on FER+, by the protocol of its paper."""
    trained, bench = read("ferplus/train.json"), read("ferplus/bench.json")
    rows = [
        [
            NAMES[network["network"]],
            f"**{percent(network['quality']['accuracy'])}**",
            f"{percent(network['quality']['low'])} to {percent(network['quality']['high'])}",
            percent(network["leak_free"]["accuracy"]) if network["leak_free"] else "",
            f"{network['quality']['macro_f1']:.3f}",
            f"{network['file_bytes'] / 1e6:.2f} MB",
        ]
        for network in bench["networks"]
    ]
    data = bench["data"]
    return (
        table(["FER+, 8 classes", "accuracy", "95 %", "deduplicated", "macro F1", "file"], rows)
        + "\n\nThe label is what more than half of the counted votes are for: 25,060 training, 3,199 validation and "
        f"{data['images']:,} test images. {trained['epochs']} epochs of edgefer-small's recipe, begun with "
        "edgefer-small's weights, which FER2013's labels and its teachers taught; all votes as a second target; the "
        f"checkpoint of epoch {trained['best_epoch']} chosen on the validation images "
        f"({percent(trained['val_accuracy'])}). One crop, one seed. Deduplicated: {data['leak_free_images']:,} test "
        "images without a copy in training. Barsoum et al. (2016) report 83.85 % for a VGG13 trained on such labels, "
        "84.99 % on distributions of votes. Written by [ferplus.sh](benchmarks/training/ferplus.sh): "
        "[train.json](benchmarks/results/ferplus/train.json), "
        "[compress.json](benchmarks/results/ferplus/compress.json), "
        "[bench.json](benchmarks/results/ferplus/bench.json)."
    )


def field() -> str:
    """Accuracies of the field's systems with their protocols, and edgefer-base by each."""
    result = read("claims.json")
    titles = {each["document"]: each for each in result["documents"]}

    def shown(found: list[dict[str, Any]]) -> str:
        each = found[0] if found else None
        return f"{percent(each['accuracy'])} ({100 * each['low']:.1f} to {100 * each['high']:.1f})" if each else ""

    rows = []
    for entry in result["entries"]:
        how = entry["protocol"]
        if how:
            document = titles[entry["document"]]
            views = how["crops"] + (f", {how['networks']} networks" if how["networks"] > 1 else "")
            name = f"[{document['title']}]({document['source']})"
            cells = (entry["claimed"], views, how["chosen_on"], how["tested_on"], shown(entry["here"]))
            rows.append([name, *cells, entry["verdict"]])
    for each in result["ours"]:
        rows.append([each["network"], "", each["crops"], "PublicTest", each["tested_on"], shown([each]), ""])
    silent = " ".join(f"{each['title']}: {each['silent']}" for each in titles.values() if each["silent"])
    head = ["system", "claimed", "views at test", "checkpoint chosen on", "tested on", "here, PrivateTest", "verdict"]
    return f"{table(head, rows)}\n\n{silent}"


def keras() -> str:
    """Whether networks answer as Keras' do once their files are read."""
    result = read("keras_weights.json")
    rows = result["networks"]
    names = ", ".join(f"{each['keras']}" for each in rows[::3])
    largest = max(each["largest_difference"] for each in rows)
    least = min(each["spread_over_pictures"] for each in rows)
    return (
        f"Checked against Keras {result['versions']['keras']}: {names} with random weights and statistics, saved in "
        f"{len(rows) // 3} layouts each. Their logits of {result['pictures']} pictures differ from timm's by "
        f"{largest:.0e} at most, and from picture to picture by {least:.2f} at least. From "
        "[keras_weights.json](benchmarks/results/keras_weights.json), "
        "`python benchmarks/training/keras_weights.py`."
    )


def claims() -> str:
    """The ledger of the papers' claims: how many have which verdict."""
    result = read("claims.json")
    verdicts = list(result["verdicts"])
    rows = [
        [each["title"], str(each["claims"]), *(str(each["verdicts"][verdict]) for verdict in verdicts)]
        for each in result["documents"]
    ]
    rows.append(["all", f"**{result['claims']}**", *(f"**{result['verdicts'][verdict]}**" for verdict in verdicts)])
    alone = sum(each["holds_by_arithmetic"] for each in result["documents"])
    return (
        f"{table(['document', 'claims', *verdicts], rows)}\n\nOf those that hold, {alone} are internally "
        "consistent but not independently measured."
    )


def ledger() -> str:
    """The same, with those that most people will meet and do not hold."""
    result = read("claims.json")
    titles = {each["document"]: each["title"] for each in result["documents"]}
    named = [
        f"- **{each['verdict']}**: {each['metric']}, “{each['quote']}” ({titles[each['document']]}, {each['place']}). "
        f"{each['reason']}"
        for each in result["entries"]
        if each["headline"] and each["verdict"] in ("contradicted", "not comparable")
    ]
    readings = [f"{titles[each['document']]}: {each['says']}" for each in result["readings"]]
    return "\n".join(
        [
            claims(),
            "",
            "Some that do not hold:",
            "",
            *named,
            "",
            *readings,
            "",
            "From [claims.json](benchmarks/results/claims.json), which this command wrote:",
            "",
            "    edgefer claims --data fer2013.zip",
        ]
    )


def logs() -> str:
    """How far each of the long trainings got, from its log."""
    rows = []
    for file in sorted(TRAINING.glob("*-log.csv")):
        with file.open(encoding="utf-8", newline="") as lines:
            epochs = list(csv.DictReader(lines))
        best = max(epochs, key=lambda epoch: float(epoch["val_accuracy"]))
        seconds = statistics.median(float(epoch["seconds"]) for epoch in epochs)
        name = file.name.removesuffix("-log.csv")
        link = f"[{name}]({file.relative_to(HERE.parent).as_posix()})"
        accuracy = percent(round(float(best["val_accuracy"]) * _VALIDATION) / _VALIDATION)  # the log rounds
        rows.append([link, str(len(epochs)), f"{accuracy} at epoch {best['epoch']}", console.duration(seconds)])
    return table(["log", "epochs", "best on PublicTest", "median epoch"], rows)


def any_network() -> str:
    """Which of timm's networks go through, one from each of 60 modules."""
    result = read("any_network.json")
    found = result["networks"]
    listed = len(json.loads((HERE / "runtimes" / "any_network.json").read_text(encoding="utf-8"))["networks"])
    rows = []
    for each in found:
        start = [f"`{each['network']}`, {each['size']} px", each["result"]]
        if each["result"] == "passed":
            ratio = each["latency"]
            rows.append(
                [
                    *start,
                    f"{each['file']:.2f}x",
                    f"{ratio['estimate']:.2f}x ({ratio['low']:.2f} to {ratio['high']:.2f})",
                    "-" if each["macs"] is None else f"{each['macs'] / 1e6:,.0f} M",
                    f"{100 * each['integer_share']:.0f} %{'' if each['by_default'] == 'accepted' else ': rejected'}",
                ]
            )
        else:
            rows.append([*start, each["reason"].replace("|", "\\|"), "", "", ""])
    counts = {name: sum(each["result"] == name for each in found) for name in ("passed", "refused", "failed")}
    rejected = sum(each.get("by_default") == "rejected" for each in found)
    missing = f" {listed - len(found)} of the list have not been measured yet." if len(found) < listed else ""
    return "\n\n".join(
        [
            f"Of {len(found)} networks {counts['passed']} go through, {counts['refused']} are refused before they are "
            f"trained, and {counts['failed']} fail later.{missing} Of those that go through, `edgefer compress` "
            f"rejects {rejected} unless `--allow-float` is given: INT8 is not smaller, or runs mostly in FP32.",
            table(["network", "result", "INT8 over FP32: file", "latency (95 %)", "multiply-adds", "in 8 bits"], rows),
            f"Latency: batch 1, one thread, {result['machine']['cpu']}, a busy machine, untrained weights: a "
            "trained network's may differ. "
            "From [any_network.json](benchmarks/results/any_network.json), "
            "`python benchmarks/runtimes/any_network.py`. "
            "The list and its rule: [benchmarks/runtimes/any_network.json](benchmarks/runtimes/any_network.json).",
        ]
    )


def several_processes() -> str:
    """Training in one and two processes, and eight GPUs on paper."""
    if not (RESULTS / "distributed.json").exists():
        return "Not measured yet."
    result = read("distributed.json")
    runs, paper, machine = result["runs"], result["paper"], result["machine"]
    rows = [
        [
            processes,
            f"{run['images_per_second']:.0f}",
            percent(result["mean_accuracies"][processes]),
            ", ".join(map(percent, run["accuracies"])),
        ]
        for processes, run in runs.items()
    ]
    estimates = [
        [
            each["network"],
            f"{each['gradient_bytes'] / 1e6:.1f} MB",
            *(f"{link['exchange_ms']:.1f} ms, {link['speedup']:.1f}x" for link in each["links"].values()),
        ]
        for each in paper["networks"]
    ]
    most_often = max(epoch["most_often"] for run in runs.values() for epoch in run["rows"])
    return "\n".join(
        [
            table(
                ["processes", "images a second, `compact`", "accuracy, `quickstart` for 24 epochs", "each seed"], rows
            ),
            "",
            "Losses of 20 steps of a network without BatchNorm differ by at most "
            f"{result['largest_relative_difference_of_losses']:.0e} of their size. No epoch took an image more often "
            f"than {'once' if most_often == 1 else most_often}. {machine['cpu']}, {machine['cores']} cores, one thread "
            f"a process{', a busy machine' if result['busy'] else ''}. "
            f"From [distributed.json](benchmarks/results/distributed.json), `{result['command']}`.",
            "",
            table(["on paper", "gradients", *(f"{paper['gpus']} GPUs, {link}" for link in paper["links"])], estimates),
            "",
            f"How long a step's gradients travel, and how many times as fast as one GPU {paper['gpus']} are, with "
            f"{paper['images_each']} images on each. Computed, not measured: A100s at a tenth of their peak, "
            "10 ms of Python a step, a ring, nothing overlapped. The JSON has all assumptions.",
        ]
    )


def arithmetic() -> str:
    """What a million images and a billion frames cost."""
    if not (RESULTS / "distributed.json").exists():
        return "Not measured yet."
    training, images, frames = read("distributed.json"), 1_000_000, 1_000_000_000
    speeds = {f"{processes} on this CPU": run["images_per_second"] for processes, run in training["runs"].items()}
    compact = next(each for each in training["paper"]["networks"] if each["network"] == "compact")
    for link, estimate in compact["links"].items():
        speeds[f"{training['paper']['gpus']} GPUs on paper, {link}"] = estimate["images_per_second"]
    rows = [
        [name, f"{speed:,.0f}", console.duration(images / speed), console.duration(30 * images / speed)]
        for name, speed in speeds.items()
    ]
    wanted = ("640x480", "edgefer-base", 1)
    one_core = next(row for row in read("live.json")["rows"] if (row["size"], row["network"], row["cores"]) == wanted)
    speed = one_core["alone_frames_a_second"]
    counts = [[str(cores), f"{frames / speed / cores / 86400:,.1f} days"] for cores in (1, 16, 256)]
    return "\n".join(
        [
            table(["a million images, `compact`: processes", "images a second", "an epoch", "30 epochs"], rows),
            "",
            "Each process holds all training images in memory: a million of 48 x 48 grey pixels are "
            f"{images * 48 * 48 / 1e9:.1f} GB.",
            "",
            table(["a billion frames, edgefer-base: cores", "time"], counts),
            "",
            f"One core decodes and judges {speed:.0f} frames a second, 640 x 480 with one face "
            f"([live.json](benchmarks/results/live.json)); the rest is division. At 30 frames a second a billion are "
            f"{frames / 30 / 86400:.0f} days of video.",
        ]
    )


def many_pictures() -> str:
    """Pictures a second of `edgefer predict --out` in one process and on Ray, and rows after kills."""
    if not (RESULTS / "many_pictures.json").exists():
        return "Not measured yet."
    result = read("many_pictures.json")
    checks, kills = result["checks"], result["kills"]

    def over_time(memory: dict[str, Any]) -> str:
        return f"{memory['peak']:,} MB ({memory['second_quarter']:,.0f}, {memory['last_quarter']:,.0f})"

    rows = [
        [
            "Ray, 1 driver and " + str(run["workers"]) + " workers" if run["engine"] == "ray" else run["engine"],
            f"{run['pictures']:,}",
            f"{run['seconds']:.0f} s",
            f"{run['pictures_a_second']:,}",
            f"{run['pictures_a_cpu_second']:,}",
            over_time(run["memory_mb"]["driver"]),
            over_time(run["memory_mb"]["worker"]) if "worker" in run["memory_mb"] else "-",
        ]
        for run in result["runs"]
    ]
    head = ["in this order", "pictures", "time", "a second", "a CPU second", "memory of the driver", "of a worker"]
    before, after = result["load_before_and_after"]
    busy = ": a busy machine, whose times are not to be relied on" if result["busy_machine"] else ""
    return (
        f"{table(head, rows)}\n\nMemory: peak, and in parentheses the medians of the second and of the last quarter. "
        f"Times begin with the command. edgefer-nano, one face a picture; {result['archives']} archives. "
        f"{result['machine']['cpu']}, {result['machine']['cores']} cores, load {before:.1f} before and {after:.1f} "
        f"after{busy}.\n\n"
        f"A worker got SIGKILL after {kills['files_when_a_worker_was_killed']} of {kills['files']} files, the driver "
        f"after {kills['files_when_the_driver_was_killed']}, and the command was typed again: {checks['rows']:,} "
        f"rows for {checks['pictures']:,} pictures, {checks['missing']} missing, {checks['twice']} twice. "
        "From [many_pictures.json](benchmarks/results/many_pictures.json), "
        "`python benchmarks/live/many_pictures.py`."
    )


PARTS = {
    "any_network": any_network,
    "logs": logs,
    "ledger": ledger,
    "field": field,
    "keras": keras,
    "fer2013": fer2013,
    "pretrained": pretrained,
    "peers": peers,
    "networks": networks,
    "exporters": exporters,
    "others": others,
    "shapes": shapes,
    "search": search,
    "cached_teaching": cached_teaching,
    "training_steps": training_steps,
    "runtimes": runtimes,
    "export": export,
    "web": web,
    "languages": languages,
    "litert": litert,
    "robustness": robustness,
    "protocols": protocols,
    "serving": serving,
    "trust": trust,
    "install_sizes": install_sizes,
    "pi": pi,
    "projection": projection,
    "submissions": submissions,
    "papers": papers,
    "siblings": siblings,
    "ablations": ablations,
    "reduced": reduced,
    "faces": faces,
    "framing": framing,
    "smoothing": smoothing,
    "own_classes": own_classes,
    "layouts": layouts,
    "ferplus": ferplus,
    "live": live,
    "several_processes": several_processes,
    "arithmetic": arithmetic,
    "many_pictures": many_pictures,
}


def fill(text: str, page: Path) -> str:
    """Return a page's text with the parts between its result markers made anew, links as from its folder."""
    up = "../" * len(page.parent.relative_to(HERE.parent).parts)

    def made(match: re.Match[str]) -> str:
        part = re.sub(r"\]\((?=benchmarks/|docs/|edgefer/)", f"]({up}", PARTS[match[2]]())
        return f"{match[1]}\n{part}\n\n{match[3]}"

    return re.sub(r"(<!-- (\w+): written by .*? -->\n).*?(<!-- end -->)", made, text, flags=re.DOTALL)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(fill(page.read_text(encoding="utf-8"), page), encoding="utf-8")
        print(page)
