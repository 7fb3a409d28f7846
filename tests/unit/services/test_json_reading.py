"""What is found in a JSON document without decoding its texts."""

from __future__ import annotations

import pytest

from shared.services.json_reading import longest_name, repeated_name, where
from tests.growth import assert_linear

WIDE = "a" * 300_000 + "\N{GRINNING FACE}"
"""A text for which a document is read for its names alone."""


@pytest.mark.parametrize("text", ["x", WIDE, WIDE + '\\"to\\":1,\\"to\\":2'])
@pytest.mark.parametrize(
    ("members", "twice"),
    [
        ('"to":1,"cc":2', None),
        ('"to":1,"cc":"to","text":"to"', None),
        ('"to":1,"to" :2', "to"),
        ('"to":1,"t\\u006f":2', "to"),
        ('"a":{"b":[{"c":1,"c":"x"}]}', "c"),
        ('"\\"":1,"\\\\":2', None),
        ('"":1,"" \n:2', ""),
    ],
)
def test_a_name_that_stands_twice_is_found_however_long_the_texts_are(
    members: str, twice: str | None, text: str
) -> None:
    assert repeated_name(f'{{"first":"{text}",{members}}}'.encode()) == twice


def test_long_names_are_told_apart() -> None:
    one, other = WIDE + "1", WIDE + "2"

    assert repeated_name(f'{{"{one}":1,"{other}":1}}'.encode()) is None
    assert repeated_name(f'{{"{one}":1,"{one}":1}}'.encode()) is not None


@pytest.mark.parametrize(
    ("document", "length"),
    [('{"to":"abcdef"}', 5), ('{"a\\"b" :1,"c":["longer"]}', 8), ('["a"]', 0), ("1", 0)],
)
def test_the_longest_name_is_no_text(document: str, length: int) -> None:
    assert longest_name(document.encode()) == length


@pytest.mark.parametrize(
    "piece", ['"a":"b",', '"\\\\', '\\"', "\\", '"', '" ', "\N{GRINNING FACE}"]
)
def test_names_are_found_in_a_time_in_proportion_to_the_document(piece: str) -> None:
    assert_linear(longest_name, lambda size: ('"' + piece * size).encode(), 400_000)


def test_a_column_is_counted_in_characters() -> None:
    raw = '\n{"a": "\N{GRINNING FACE}é"}'.encode()

    assert where(raw, len(raw)) == "line 2, column 12"
