"""Raw messages whose headers two readers may read differently."""

from __future__ import annotations

import pytest

from shared.mail import mime


@pytest.mark.parametrize(
    ("line", "field"),
    [
        pytest.param(b"From : x@y.example", "body", id="space-before-colon"),
        pytest.param(b"Fr\xc3\xb6m: x@y.example", "body", id="not-ascii"),
        pytest.param(b"X-Postroom-Key: 1", "X-Postroom-Key", id="our-key"),
    ],
)
def test_a_raw_message_with_a_header_that_readers_may_disagree_on_is_refused(
    line: bytes, field: str
) -> None:
    _, problems = mime.read(b"To: a@b.example\r\n" + line + b"\r\n\r\nx")

    assert field in [problem.field for problem in problems]
