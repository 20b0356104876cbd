"""Any text becomes one line that is safe for a terminal."""

import os
import subprocess

import pytest

from edgefer.lines import cell, one_line, printable, printable_lines, shell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("face.png", "face.png"),
        ("Überraschung 驚き", "Überraschung 驚き"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("\udc80", "\\udc80"),
        ("a\x7f\x9bb\n", "a\\x7f\\x9bb\\n"),
        ("gnp.\u202eexe\u2069", "gnp.\\u202eexe\\u2069"),  # bidi controls
        ("a\u200bb\ufeff\u2028", "a\\u200bb\\ufeff\\u2028"),  # invisible characters
    ],
)
def test_control_characters_are_written_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_stay_lines() -> None:
    assert printable_lines("a\x1b\n\nb\r\n") == "a\\x1b\n\nb\\r\n"


def test_an_error_of_several_lines_is_told_in_one() -> None:
    assert one_line(ValueError("no such key:\n\t 'a'\r\n")) == "no such key: 'a'"


def test_what_is_too_long_ends_in_dots_and_stays_within_the_bound() -> None:
    assert one_line("x" * 301, most=300) == "x" * 297 + "..."
    assert one_line("x" * 300, most=300) == "x" * 300
    assert one_line("x" * 3000) == "x" * 3000
    assert len(one_line("\n\0" * 50, most=40)) == 40


@pytest.mark.parametrize("name", ["a b", "it's", "a\x1b]0;x\a\n\\'", "\x9b\u202e驚", "\udc80\udcff", "[red]", "-x", ""])
def test_a_word_is_what_a_shell_makes_of_it(name: str) -> None:
    typed = shell(name)
    assert typed.isprintable()
    said = subprocess.run(["bash", "-c", f"printf %s {typed}"], stdout=subprocess.PIPE, check=True).stdout
    assert os.fsdecode(said) == name


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("＝1+1", "'＝1+1"),  # noqa: RUF001
        ("--csv.png", "'--csv.png"),
        ("-inf", "'-inf"),
        ("-1", "-1"),
        ("+0.25", "+0.25"),
        ("-1e-05", "-1e-05"),
        (-1, -1),
        (-0.5, -0.5),
        (None, None),
        ("happy", "happy"),
        ("a=b", "a=b"),
        ("'", "'"),
        ("", ""),
    ],
)
def test_a_formula_becomes_text_in_a_table_and_a_number_stays_one(value: object, written: object) -> None:
    assert cell(value) == written
