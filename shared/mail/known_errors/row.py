"""What one row of the catalogue says."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Actor(StrEnum):
    """Who can mend it, in words for a sentence."""

    MAILBOX_OWNER = "the person whose mailbox it is"
    DIRECTORY_ADMIN = "an administrator of the mailbox's directory"
    OPERATOR = "whoever runs Postroom"
    SENDER = "whoever wrote the mail"
    NOBODY = "nobody: it passes by itself"


class Retry(StrEnum):
    """Whether asking again, with nothing changed, can help."""

    NO = "no"
    ONCE = "once"
    """The same answer has been seen where the same request worked a minute later."""
    LATER = "later"
    LOOK = "look"
    """It may have been done: asking again is right only after a look."""


class KnownError(msgspec.Struct, frozen=True):
    """A code, its meaning, who acts, the step that mends it, and whether to ask again.

    The texts hold nothing that a remote wrote, and no address: they go into answers and logs.
    """

    code: str
    """`AADSTS65004`, `ErrorSendAsDenied`, or one of our own words such as `no_grant`."""
    meaning: str
    who: Actor
    step: str
    retry: Retry = Retry.NO
    admin_consent: bool = False
    """An administrator's consent for the whole directory mends it: offer the link that asks for it."""
    sign_in_after: bool = False
    """Once the step is done the mailbox has to be signed in again: its grant is gone for good."""

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later without anybody acting."""
        return self.retry in (Retry.ONCE, Retry.LATER)

    @property
    def blames_the_app(self) -> bool:
        """Whether the application's credential or registration is at fault, not the mailbox."""
        return self.who is Actor.OPERATOR and not self.sign_in_after

    @property
    def help(self) -> str:
        """The step and whose it is."""
        return self.step if self.who is Actor.NOBODY else f"{self.step} (Who: {self.who}.)"

    @property
    def words(self) -> str:
        """All of it, for where there is room for one text."""
        return f"{self.meaning} {self.help}"


def alike(
    codes: str,
    meaning: str,
    who: Actor,
    step: str,
    retry: Retry = Retry.NO,
    *,
    prefix: str = "",
    admin_consent: bool = False,
    sign_in_after: bool = False,
) -> dict[str, KnownError]:
    """Rows for codes that mean the same: parted by spaces, and each to be led by the prefix."""
    return {
        code: KnownError(code, meaning, who, step, retry, admin_consent, sign_in_after)
        for code in (prefix + name for name in codes.split())
    }
