"""Text from anywhere becomes one line that a terminal can take."""

import pytest

from edgefer.lines import one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("face.png", "face.png"),
        ("Überraschung 驚き", "Überraschung 驚き"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("\udc80", "\\udc80"),
    ],
)
def test_control_characters_are_written_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_an_error_of_several_lines_is_told_in_one() -> None:
    assert one_line(ValueError("no such key:\n\t 'a'\r\n")) == "no such key: 'a'"


def test_what_is_too_long_ends_in_dots_and_stays_within_the_bound() -> None:
    assert one_line("x" * 301, most=300) == "x" * 297 + "..."
    assert one_line("x" * 300, most=300) == "x" * 300
    assert one_line("x" * 3000) == "x" * 3000
    assert len(one_line("\n\0" * 50, most=40)) == 40
