"""The header fields of a message that is sent."""

from __future__ import annotations


def fields_of(raw: bytes) -> list[tuple[str, str]]:
    """Names and unfolded values, as they stand there. Fails for a line that is no header's."""
    head, separator, _ = raw.partition(b"\r\n\r\n")
    assert separator
    found: list[tuple[str, str]] = []
    for line in head.decode("ascii").split("\r\n"):
        if line[0] in " \t":
            name, value = found.pop()
            found.append((name, value + line))
        else:
            name, colon, value = line.partition(":")
            assert colon, line
            found.append((name, value.strip()))
    return found
