"""The delegated permissions of Microsoft Graph that a sign-in asks for: as few as possible.

Ordinary users may consent to Mail.Send and Mail.Send.Shared under the consent policy that Microsoft
manages, which new tenants have; Mail.ReadWrite and its shared form need an administrator there.
https://learn.microsoft.com/entra/identity/enterprise-apps/manage-app-consent-policies
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

SEND = "Mail.Send"
KNOW = "User.Read"
DRAFTS = "Mail.ReadWrite"
SEND_SHARED = "Mail.Send.Shared"
DRAFTS_SHARED = "Mail.ReadWrite.Shared"

LEAST = (SEND, KNOW)
"""The permissions that sending and reading the mailbox's profile need."""
EMAIL = "email"
"""Asked for beside the others; MSAL adds `openid profile offline_access` by itself."""
ALL = frozenset({*LEAST, DRAFTS, SEND_SHARED, DRAFTS_SHARED})


class Choices(msgspec.Struct, frozen=True):
    """What an administrator ticked beyond the minimum."""

    verified: bool = False
    """Verified sending and large attachments."""
    shared: bool = False
    """Shared mailboxes and other From addresses."""

    @classmethod
    def of(cls, granted: Collection[str]) -> Choices:
        """The choices that match an account's permissions."""
        return cls(verified=DRAFTS in granted, shared=SEND_SHARED in granted)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The permissions to ask for."""
        return (
            *LEAST,
            *((DRAFTS,) if self.verified else ()),
            *((SEND_SHARED,) if self.shared else ()),
            *((DRAFTS_SHARED,) if self.verified and self.shared else ()),
        )

    def withheld(self, granted: Collection[str]) -> tuple[str, ...]:
        """The permissions that were asked for and not granted."""
        return tuple(scope for scope in self.scopes if scope not in granted)

    def unasked(self, granted: Collection[str]) -> tuple[str, ...]:
        """The permissions that were granted but not asked for: a consent stays until it is
        revoked."""
        return tuple(sorted((ALL & frozenset(granted)) - frozenset(self.scopes)))
