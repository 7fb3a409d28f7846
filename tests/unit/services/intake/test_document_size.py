"""How much a document may hold is found out before it is read."""

from __future__ import annotations

import json

import pytest

from shared.errors import RequestRejected
from shared.services.intake.document_size import (
    LONGEST_NAME,
    MAX_WIDE,
    refuse_crumbs,
    refuse_wide,
)
from tests.growth import assert_linear

EMOJI = "\N{GRINNING FACE}"


def is_refused(document: str | dict[str, object]) -> bool:
    raw = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    try:
        refuse_wide(raw.encode())
    except RequestRejected:
        return True
    return False


@pytest.mark.parametrize(
    ("document", "refused"),
    [
        pytest.param({"text": "a" * MAX_WIDE}, False, id="ASCII alone"),
        pytest.param({"text": "a" * MAX_WIDE + EMOJI}, True, id="too long"),
        pytest.param({"text": "a" * 4_000_000 + EMOJI}, False, id="as long as a mail can be"),
        pytest.param('{"text":"' + "\\ud83d\\ude00" * 1_000_000 + '"}', False, id="escapes"),
        pytest.param(
            '{"text":"' + r"\\u00e9" * (MAX_WIDE // 5) + EMOJI + '"}', True, id="backslashes"
        ),
        pytest.param(
            {"text": EMOJI, "content": "YWFh" * (MAX_WIDE // 4)}, False, id="an attachment"
        ),
        pytest.param(
            '{"text":"' + EMOJI + '\\"' + "a" * MAX_WIDE + '"}',
            True,
            id="an escaped quotation mark",
        ),
        pytest.param({"a" * 300_000 + EMOJI: 1}, True, id="a name"),
        pytest.param(
            {"metadata": {"b" * LONGEST_NAME + EMOJI: "a" * 300_000}}, True, id="an entry"
        ),
    ],
)
def test_text_beyond_ascii_has_a_limit(document: str | dict[str, object], refused: bool) -> None:
    assert is_refused(document) is refused


@pytest.mark.parametrize("marks", [10, 1_000])
def test_quotation_marks_that_are_escaped_are_no_names(marks: int) -> None:
    refuse_crumbs(b'{"a":"' + b'\\"' * marks + b'"}', 2)

    with pytest.raises(RequestRejected):
        refuse_crumbs(b'"a"' * marks, 2)


@pytest.mark.parametrize(
    "piece", ['"' + "A" * 2000 + '"', '"A', ' "A', "\\u0041", "\\", '\\"', EMOJI, ':"', '"a":']
)
def test_the_size_is_found_in_a_time_in_proportion_to_it(piece: str) -> None:
    assert_linear(is_refused, lambda size: EMOJI + '"' + piece * (size // len(piece)), MAX_WIDE)
