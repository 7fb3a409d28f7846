"""The host's keys, and which functions each key may call.

https://learn.microsoft.com/azure/azure-functions/function-keys-how-to: the master key gives access
to everything, a host function key to every function; a wrong key counts as no key.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, repr=False)
class Keys:
    master: str
    function: str

    def level_of(self, presented: str | None) -> str:
        """`admin`, `function` or `anonymous`."""
        given = (presented or "").encode()
        if hmac.compare_digest(given, self.master.encode()):
            return "admin"
        if hmac.compare_digest(given, self.function.encode()):
            return "function"
        return "anonymous"

    def may_call(self, level: str, presented: str | None) -> bool:
        """Whether a request with this key may call a function of this auth level."""
        granted = {"anonymous": 0, "function": 1, "admin": 2}
        return granted[self.level_of(presented)] >= granted[level]


def presented_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """The key in the header, even if it is empty; else the one in the query's `code`."""
    return headers.get("x-functions-key", query.get("code"))


def load_or_create(path: Path) -> Keys:
    """The keys are stored in the state directory, so that a restart does not change them."""
    if path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        return Keys(stored["master"], stored["function"])
    keys = Keys(secrets.token_urlsafe(40), secrets.token_urlsafe(40))
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"master": keys.master, "function": keys.function}, file)
    return keys
