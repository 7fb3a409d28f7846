"""20,000 address headers made at random: each is refused, or sent as it was recorded."""

from __future__ import annotations

import pytest

from tests.address_headers import HEADERS, is_sent_as_recorded, values


@pytest.mark.parametrize("seed", range(100, 110))
def test_what_is_generated_is_refused_or_sent_as_it_was_recorded(seed: int) -> None:
    count = 2000
    taken = sum(
        is_sent_as_recorded(HEADERS[index % len(HEADERS)], value)
        for index, value in enumerate(values(count, seed=seed))
    )

    assert count / 10 < taken < count * 9 / 10
