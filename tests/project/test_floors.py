"""The oldest versions that pyproject.toml allows, and those in constraints.txt, have no known vulnerability."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# The first version without the vulnerabilities known in November 2026, and what they are.
FIRST_SOUND = {
    "h11": ("0.16.0", "CVE-2025-43859"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "onnx": ("1.21.0", "CVE-2026-27489, CVE-2026-28500, CVE-2026-34445"),
    "opencv-python-headless": ("4.8.1.78", "CVE-2023-4863 in its libwebp"),
    "pillow": ("12.3.0", "CVE-2026-25990, CVE-2026-40192 and what 12.3 mends"),
    "pydantic": ("2.4.0", "CVE-2024-3772"),
    "pytest": ("9.0.3", "CVE-2025-71176"),
    "python-multipart": ("0.0.22", "CVE-2024-53981, CVE-2026-24486"),
    "ray": ("2.52.0", "CVE-2025-62593"),
    "scikit-learn": ("1.5.0", "CVE-2024-5206"),
    "starlette": ("0.49.1", "CVE-2025-54121, CVE-2025-62727"),
    "torch": ("2.11.0", "CVE-2025-32434, CVE-2026-24747 (weights_only), CVE-2026-4538"),
}


def version(text: str) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in re.findall(r"\d+", text))
    return numbers + (0,) * (4 - len(numbers))


def bounds() -> dict[str, str]:
    """Return the lowest allowed version of each required package."""
    extras = [bound for extra in PROJECT["optional-dependencies"].values() for bound in extra]
    found = [re.match(r"([\w.-]+)(?:\[\w+\])?>=([\d.]+)", bound) for bound in (*PROJECT["dependencies"], *extras)]
    return {match[1]: match[2] for match in found if match}


def pins() -> list[tuple[str, str, str]]:
    """Return name, version and marker of each line of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [re.fullmatch(r"([\w.-]+)==(\S+)(?: ; (.*))?", line) for line in lines if not line.startswith("#")]
    assert all(found)
    return [(match[1], match[2], match[3] or "") for match in found if match]


@pytest.mark.parametrize("name", FIRST_SOUND)
def test_no_bound_lets_in_a_version_with_a_known_vulnerability(name: str) -> None:
    first, known = FIRST_SOUND[name]
    assert version(bounds()[name]) >= version(first), f"{name} before {first}: {known}"
    for pinned in (pin for each, pin, _ in pins() if each == name):
        assert version(pinned) >= version(first), f"{name}=={pinned}: {known}"


def test_what_is_tested_is_what_the_bounds_let_in_on_each_python_that_is_named() -> None:
    pythons = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    newest = f"3.{int(pythons[-1].partition('.')[2]) + 1}"
    assert PROJECT["requires-python"] == f">={pythons[0]},<{newest}"
    pinned = pins()
    for name, least in bounds().items():
        if name in ("pycuda", "tensorrt"):  # compiled on installation, or from NVIDIA's index
            continue
        for python in pythons:
            chosen = [pin for each, pin, marker in pinned if each == name and holds(marker, python)]
            assert len(chosen) == 1 or (name == "tomli" and not chosen), f"{name} on {python}: {chosen}"
            assert all(version(pin) >= version(least) for pin in chosen)


def holds(marker: str, python: str) -> bool:
    """Return whether a line of constraints.txt applies to this Python."""
    if not marker:
        return True
    compared = [re.fullmatch(r'python_version (==|>=) "([\d.]+)"', part) for part in marker.split(" or ")]
    assert all(compared), marker
    return any(
        version(python) == version(each[2]) if each[1] == "==" else version(python) >= version(each[2])
        for each in compared
        if each
    )


def test_the_page_on_installing_lists_each_extra_and_those_that_all_omits() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", page, re.MULTILINE))
    extras = {extra: " ".join(needs) for extra, needs in PROJECT["optional-dependencies"].items()}
    assert rows.keys() == extras.keys() - {"docs", "dev"}

    inside, waiting = set[str](), ["all"]
    while waiting:
        found = re.findall(r"edgefer\[([\w,]+)\]", extras[waiting.pop()])
        waiting += (new := {name for names in found for name in names.split(",")} - inside)
        inside |= new
    omitted = re.search(r"all but (.*?);", rows["all"])
    assert omitted
    assert sorted(re.findall(r"\w+", omitted[1].replace("and", ""))) == sorted(rows.keys() - inside - {"all"})
