"""Describe a result's machine and protocol, for readers who judge or repeat it."""

from __future__ import annotations

from edgefer.bench.result import BenchResult
from edgefer.evaluation import timing
from edgefer.lines import counted
from edgefer.report import table


def describe_protocol(result: BenchResult) -> list[tuple[str, str]]:
    """Return what ran and how it was measured, as name and text; fields that a device lacks are omitted."""
    machine, how, gpu = result.machine, result.protocol, result.gpu
    memory = f", {machine.memory_bytes / 1e9:.1f} GB" if machine.memory_bytes else ""
    virtual = ", virtual" if machine.virtual else ""
    flags = ", ".join(machine.flags) or "no flags known"
    found = [
        (
            "machine",
            f"{machine.cpu}, {machine.architecture}, {counted(machine.cores, 'core')}{virtual}{memory}; {flags}",
        ),
        ("system", f"{machine.os}, kernel {machine.kernel}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in machine.versions.items())),
    ]
    if result.host:
        found.append(("measured on", f"{result.host}, over ssh"))
    if gpu:
        kind = "shares the CPU's memory" if gpu.integrated else "with its own memory"
        found.append(
            (
                "GPU",
                f"{gpu.name}, compute capability {gpu.compute}, {gpu.memory / 1e9:.1f} GB, {kind}; "
                f"CUDA {gpu.cuda} by its driver, called by {gpu.layer}",
            )
        )
    runtimes = ", ".join(dict.fromkeys(entry.runtime for entry in result.networks))
    ways = []
    if how.graph_optimization:
        ways.append("all graph optimizations")
    if gpu is None:
        ways.append(counted(how.threads, "thread"))
    if how.dla is not None:
        ways.append(f"DLA {how.dla}")
    if how.cuda_graphs is not None:
        ways.append(f"CUDA graphs {'on' if how.cuda_graphs else 'off'}")
    if how.tf32 is not None:
        ways.append(f"TF32 {'allowed' if how.tf32 else 'not allowed'} in FP32")
    found.append(("runtime", ", ".join([runtimes, *ways])))
    transfers = {
        "none": "",
        "copied": "copies to and from the GPU are timed; ",
        "mapped": "memory that CPU and GPU share, so nothing is copied; ",
    }[how.transfers]
    found.append(
        (
            "latency",
            "single stream at batch 1, prepared inputs from real images of the split, preprocessing not timed; "
            f"{transfers}{how.warmup_seconds:g} s of warm-up; all networks in turn, {how.timed_per_turn} timed "
            f"inferences after {how.untimed_per_turn} untimed; at least {how.min_seconds:g} s and enough "
            f"samples for p{how.percentile:g}, at most {how.max_seconds:g} s for each; no sample dropped; "
            "percentiles with fewer than 10 samples beyond them are omitted",
        )
    )
    found.append(("ratios", "of medians; 95 % interval by bootstrap over rounds"))
    if how.with_preprocessing_seconds is not None:
        found.append(
            (
                "from pixels",
                "the same again with preprocessing: from a decoded, cropped image in memory to its logits; "
                f"at least {how.with_preprocessing_seconds:g} s for each",
            )
        )
    found.append(
        (
            "noise",
            f"noisy: the coefficient of variation (CV) is above {timing.NOISY:g}; host time, clocks "
            "and drift are below, and above if they affect the figures",
        )
    )
    found += _memory(result)
    found.append(("energy", _energy(result)))
    found += [(each.title, each.how) for each in result.probes]
    asked = {
        "accuracy under corruptions (--measure robustness)": any(entry.robustness for entry in result.networks),
        "images a second by batch and threads (--measure throughput)": any(
            entry.throughput for entry in result.networks
        ),
    }
    left = [name for name, measured in asked.items() if not measured]
    if left:
        found.append(("not requested", "; ".join(left)))
    found.append(
        (
            "accuracy",
            f"one view of each image; {table.data_line(result)}; SHA-256 {result.data.digest}; interval by Wilson; "
            "calibration error over 15 bins",
        )
    )
    return found


def _memory(result: BenchResult) -> list[tuple[str, str]]:
    how, found = result.protocol, []
    if how.memory and any(entry.memory for entry in result.networks):
        arena = f"; ONNX Runtime's memory arena is on: it grows to the {how.arena} and never shrinks" * bool(how.arena)
        said = "resident set of a fresh process that loads one network and infers at batch 1: steady after the last "
        found.append(("memory", f"{said}inference; peak: maximum; network: peak minus imports{arena}"))
    if any(entry.gpu_memory for entry in result.networks):
        found.append(
            (
                "GPU memory",
                "in that process, the drop in free memory since before the "
                "engine was loaded: engine, workspace, kernels, CUDA graph and buffers. Excludes the CUDA context, "
                "includes other programs. Steady: after the last inference; peak: maximum",
            )
        )
    starts = next((entry.cold_start.starts for entry in result.networks if entry.cold_start), None)
    if starts:
        built = "" if result.gpu is None else ", with the engine already built"
        said = f"from process start, with imports and loading, median of {starts}; files in the page cache"
        found.append(("cold start", f"{said}{built}"))
    return found


def _energy(result: BenchResult) -> str:
    """Describe how energy was read, or why it was not."""
    spent = next((entry.energy for entry in result.networks if entry.energy), None)
    if spent is None:
        for said in result.warnings:
            if said.startswith("energy "):
                return "not measured: see above"
        return "not measured: no supported sensor (RAPL, INA3221)"
    settling = "1.2 s" if spent.sensor == "nvidia-smi" else "half a second"
    alone = f"each network alone for {result.protocol.energy_seconds or spent.seconds:g} s after {settling}"
    if spent.sensor == "RAPL":
        return f"RAPL counters (Linux powercap) of the whole processor; {alone}; by domain"
    return f"{spent.sensor}, read {spent.readings:,} times; {alone}; by rail"


def conditions(result: BenchResult) -> list[tuple[str, str, str]]:
    """Return conditions before and after timing, in three columns; values not reported are omitted."""
    state = result.conditions
    found: list[tuple[str, object, object]] = [
        ("load, processes running", _figure(state.load_before, 1), _figure(state.load_after, 1)),
        ("processor clock, MHz", _figure(state.clock_before), _figure(state.clock_after)),
    ]
    if state.drift is not None:
        found.append(("latency, last quarter of the rounds over the first", "", f"{state.drift:.3f}"))
    if state.stolen is not None:
        found.append(("time taken by the host, %", "", _figure(100 * state.stolen, 1)))
    if state.waited is not None:
        found.append(("time taken by other programs, %", "", _figure(100 * state.waited, 1)))
    one, two = state.jetson_before, state.jetson_after
    if one or two:
        found += [
            ("power mode", one and one.power_mode, two and two.power_mode),
            ("clocks fixed at their maximum", _yes(one and one.clocks_locked), _yes(two and two.clocks_locked)),
            (
                "GPU clock, MHz",
                _figure(one.gpu_megahertz if one else None),
                _figure(two.gpu_megahertz if two else None),
            ),
            ("slowed down by", ", ".join(one.cooling if one else ()), ", ".join(two.cooling if two else ())),
            ("over-current events since boot", one and one.throttled, two and two.throttled),
        ]
        for title, field in (("temperature of {}, C", "temperatures"), ("power on {}, W", "watts")):
            first, second = getattr(one, field, {}), getattr(two, field, {})
            found += [
                (title.format(name), _figure(first.get(name), 1), _figure(second.get(name), 1))
                for name in dict.fromkeys([*first, *second])
            ]
    idle, busy = state.gpu_before, state.gpu_after
    if idle or busy:
        found.append(("driver", idle and idle.driver, busy and busy.driver))
        for title, field in (
            ("GPU temperature, C", "temperature"),
            ("GPU clock, MHz", "clock"),
            ("GPU clock at most, MHz", "max_clock"),
            ("GPU power, W", "watts"),
            ("GPU power limit, W", "max_watts"),
        ):
            found.append((title, _figure(getattr(idle, field, None)), _figure(getattr(busy, field, None))))
        found.append(("GPU held its clock down", _yes(idle and idle.throttled), _yes(busy and busy.throttled)))
    shown = [(name, *("" if each is None else str(each) for each in pair)) for name, *pair in found]
    return [(name, before, after) for name, before, after in shown if before or after]


def _figure(value: float | None, digits: int = 0) -> str | None:
    return None if value is None else f"{value:,.{digits}f}"


def _yes(value: object) -> str | None:
    return None if value is None else "yes" if value else "no"
