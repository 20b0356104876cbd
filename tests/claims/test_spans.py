"""The interval that a written number stands for."""

from __future__ import annotations

from decimal import ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefer.claims import spans
from edgefer.claims.spans import Reading, Unit

steady = settings(max_examples=100, deadline=None)  # no time limit in tests
exact = st.decimals(min_value=0, max_value=1000, places=6, allow_nan=False, allow_infinity=False)


@steady
@given(exact, st.integers(0, 4), st.sampled_from((ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_HALF_DOWN)))
def test_whatever_rounds_to_a_number_is_in_its_span(value: Decimal, places: int, way: str) -> None:
    written = value.quantize(Decimal(1).scaleb(-places), way)
    span = spans.read(f"{written:f}")
    assert span.low <= Fraction(value) <= span.high


@steady
@given(exact, exact, st.integers(0, 4))
def test_what_rounds_to_another_number_is_at_an_end_of_its_span(value: Decimal, other: Decimal, places: int) -> None:
    unit = Decimal(1).scaleb(-places)
    written = other.quantize(unit)
    span = spans.read(f"{written:f}")
    if value.quantize(unit) != written:
        assert not span.low < Fraction(value) < span.high


@pytest.mark.parametrize(
    ("value", "reading", "unit", "low", "high"),
    [
        ("0.590", "rounded", "", "0.5895", "0.5905"),
        ("68.78", "rounded", "%", "0.68775", "0.68785"),
        ("138", "rounded", "M", "137500000", "138500000"),
        ("35887", "exact", "", "35887", "35887"),
        ("35000", "about", "", "33250", "36750"),
        ("5", "about", "M", "4500000", "5500000"),  # values that round to it exceed 5 %
        ("24.73", "rounded", "MiB", "25926041.6", "25936527.36"),
    ],
)
def test_the_readings(value: str, reading: Reading, unit: Unit, low: str, high: str) -> None:
    span = spans.read(value, reading, unit)
    assert (span.low, span.high) == (Fraction(low), Fraction(high))


def test_over_has_no_end_and_a_magnitude_is_a_factor() -> None:
    assert spans.read("60", "over", "%").meets(spans.point(10**20))
    assert not spans.read("60", "over", "%").meets(spans.point(Fraction(599, 1000)))
    ten = spans.read("10", "magnitude")
    assert [ten.meets(spans.point(times)) for times in (3, 4, 15, 31, 32)] == [False, True, True, True, False]


def test_a_range_goes_from_one_end_to_the_other() -> None:
    span = spans.read("58", "range", "%", "65")
    assert (span.low, span.high) == (Fraction("0.575"), Fraction("0.655"))


def test_a_unit_is_no_difference() -> None:
    assert spans.read("0.42").meets(spans.read("41.7", unit="%"))
    assert not spans.read("0.42").meets(spans.read("41.4", unit="%"))
