"""For every test: nothing secret is ever logged."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.canary import Canary


@pytest.fixture(scope="session", autouse=True)
def nothing_secret_is_logged() -> Iterator[None]:
    """Looks at every log record of this process; the run fails if one holds a secret."""
    canary = Canary()
    root, ours = logging.getLogger(), logging.getLogger("postroom")
    before = ours.level
    root.addHandler(canary)
    ours.setLevel(logging.DEBUG)
    yield
    root.removeHandler(canary)
    ours.setLevel(before)
    assert canary.found == []
