"""Text files in UTF-8 or UTF-16, with or without a byte order mark, with any line ends."""

from __future__ import annotations

import codecs

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def encoding_of(start: bytes) -> str:
    """Return the encoding from a file's first bytes; spreadsheets write UTF-16, also without a mark."""
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    head = start[:64]
    if len(head) >= 4 and head[1::2].count(0) > len(head) // 3 and not head[0::2].count(0):
        return "utf-16-le"
    if len(head) >= 4 and head[0::2].count(0) > len(head) // 3 and not head[1::2].count(0):
        return "utf-16-be"
    return "utf-8"


def decoded(content: bytes) -> str:
    """Return the text of a file; invalid bytes become question marks."""
    return content.decode(encoding_of(content), "replace")
