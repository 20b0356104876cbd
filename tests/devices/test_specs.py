"""NVIDIA's figures in the specs file: each with its source, and none contradicts another."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgefer.devices.specs import DeviceSpec, devices

ALL = (*devices("jetson"), *devices("rtx"))


def test_the_devices_that_the_issue_names_are_there() -> None:
    names = {device.name for device in devices("jetson")}
    assert {"Jetson Nano", "Jetson Xavier NX"} <= names
    assert all(any(part in name for name in names) for part in ("Orin Nano", "Orin NX", "AGX Orin", "Thor"))
    assert len(devices("rtx")) >= 5


def test_no_device_stands_there_twice() -> None:
    assert len({device.name for device in ALL}) == len(ALL)


@pytest.mark.parametrize("device", ALL, ids=lambda device: device.name)
def test_int8_is_twice_as_fast_as_fp16_where_it_is_there(device: DeviceSpec) -> None:
    assert device.int8 is None or device.int8 == pytest.approx(2 * device.fp16, rel=0.01)


@pytest.mark.parametrize("device", [each for each in ALL if "Orin" in each.name], ids=lambda device: device.name)
def test_an_orin_s_rate_is_that_of_its_multiprocessors(device: DeviceSpec) -> None:
    """The same figure in two ways: NVIDIA's headline halved, and 2,048 INT8 multiply-accumulates per clock and SM."""
    multiprocessors, gigahertz = {"Nano": (8, 1.02), "NX": (8, 1.173), "AGX": (16, 1.3)}[
        next(part for part in ("Nano", "NX", "AGX") if part in device.name)
    ]
    assert device.int8 == pytest.approx(2 * 2048 * multiprocessors * gigahertz / 1000, rel=0.01)


def test_a_device_without_int8_says_why() -> None:
    nano = next(device for device in ALL if device.name == "Jetson Nano")
    assert nano.int8 is None
    assert nano.no_int8
    fields = nano.model_dump()
    with pytest.raises(ValidationError, match="either int8 or no_int8"):
        DeviceSpec(**{**fields, "no_int8": None})
    with pytest.raises(ValidationError, match="either int8 or no_int8"):
        DeviceSpec(**{**fields, "int8": 1.0})


def test_a_source_is_nvidia_s() -> None:
    with pytest.raises(ValidationError, match="url"):
        DeviceSpec(**{**ALL[0].model_dump(), "url": "https://example.org/specs"})
