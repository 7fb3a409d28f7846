"""Browser sessions: which accounts have signed in with which browser, and when."""

from __future__ import annotations

import secrets
import threading

from local.simulator.entra.policy import Strength


def new_session() -> str:
    """A browser session's id, for its cookie."""
    return secrets.token_urlsafe(24)


class Sessions:
    """Accounts by their object id at home, with how they signed in, for each browser."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._signed_in: dict[str, dict[str, Strength]] = {}

    def reset(self) -> None:
        """Nobody is signed in."""
        with self._lock:
            self._signed_in.clear()

    def sign_in(self, session: str, user_id: str, strength: Strength) -> None:
        """An account signed in with this browser."""
        with self._lock:
            self._signed_in.setdefault(session, {})[user_id] = strength

    def of(self, session: str) -> dict[str, Strength]:
        """Who is signed in with this browser."""
        with self._lock:
            return dict(self._signed_in.get(session, {}))

    def end(self, session: str) -> None:
        """Sign a browser out. Refresh tokens stay valid."""
        with self._lock:
            self._signed_in.pop(session, None)

    def forget_user(self, user_id: str) -> None:
        """Remove a user from every browser session."""
        with self._lock:
            for signed_in in self._signed_in.values():
                signed_in.pop(user_id, None)
