"""A fake room behind the app's own functions."""

from __future__ import annotations

import pytest

from tests.fakes import Room


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    found = Room()
    use(found, monkeypatch)
    return found


def use(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a room behind the functions."""
    monkeypatch.setattr("shared.bootstrap.postroom", lambda: room)
