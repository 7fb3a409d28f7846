"""Cookies with a sealed document, in the browser that the document belongs to.

There is one cookie for each flow, so that two tabs do not overwrite each other's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from shared.services.sign_in.authorization_code import state_hash
from shared.web.auth import cookies, signing
from shared.web.auth.signing import Keys, Purpose


class SealedCookie(NamedTuple):
    """One kind of sealed cookie."""

    kind: str
    """The prefix of its names."""
    purpose: Purpose
    path: str
    same_site: Literal["Strict", "None"]

    def build(
        self, keys: Keys, handle: str, document: Mapping[str, object], *, max_age: int
    ) -> str:
        """The Set-Cookie header for the flow with this handle."""
        sealed = signing.seal(keys, self.purpose, json.dumps(document).encode(), handle)
        return cookies.build(
            self.name_for(handle),
            sealed,
            max_age=max_age,
            path=self.path,
            same_site=self.same_site,
        )

    def read(self, keys: Keys, cookie_header: str, handle: str) -> dict[str, Any] | None:
        """The document of the flow with this handle, if this browser began it."""
        sealed = cookies.read(cookie_header, self.name_for(handle))
        content = signing.unseal(keys, self.purpose, sealed, handle) if sealed else None
        if content is None:
            return None
        document: dict[str, Any] = json.loads(content)
        return document

    def clear(self, handle: str) -> str:
        """The Set-Cookie header that removes it."""
        return cookies.clear(self.name_for(handle), path=self.path, same_site=self.same_site)

    def name_for(self, handle: str) -> str:
        """The cookie name of a flow. It does not reveal the handle."""
        return f"{self.kind}-{state_hash(handle)[:8]}"
