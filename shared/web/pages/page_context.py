"""The objects that every page needs."""

from __future__ import annotations

import msgspec

from shared.services.clock import Clock
from shared.services.sign_in.ports import Vault
from shared.services.sign_in.registration import Registration
from shared.web.auth.session import Sessions
from shared.web.auth.signing import Keys
from shared.web.pages.rendering import Site


class PageContext(msgspec.Struct, frozen=True):
    """The site, its signing keys and its sessions."""

    site: Site
    keys: Keys
    sessions: Sessions

    @classmethod
    def of(
        cls,
        registration: Registration,
        vault: Vault,
        clock: Clock,
        *,
        session_seconds: int,
        development: bool,
    ) -> PageContext:
        """The context of one process."""
        keys = Keys(vault, clock)
        return cls(Site(registration, development), keys, Sessions(keys, clock, session_seconds))
