"""The type of the catalogue's entries."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Actor(StrEnum):
    """Who can repair it, in words that fit into a sentence."""

    MAILBOX_OWNER = "the person whose mailbox it is"
    DIRECTORY_ADMIN = "an administrator of the mailbox's directory"
    OPERATOR = "whoever runs Postroom"
    SENDER = "whoever wrote the mail"
    NOBODY = "nobody: it passes by itself"


class Retry(StrEnum):
    """Whether the same request, repeated without a change, can succeed."""

    NO = "no"
    ONCE = "once"
    """The same request has succeeded a minute after this answer."""
    LATER = "later"
    LOOK = "look"
    """The request may have been carried out: repeat it only after a search."""


class KnownError(msgspec.Struct, frozen=True):
    """A code, its meaning, who acts, the step that repairs it, and whether to repeat the request.

    The texts contain no text of a remote and no address, because they go into answers and logs.
    """

    code: str
    """`AADSTS65004`, `ErrorSendAsDenied`, or one of Postroom's own codes such as `no_grant`."""
    meaning: str
    who: Actor
    step: str
    retry: Retry = Retry.NO
    admin_consent: bool = False
    """An administrator's consent for the whole directory repairs it: pages offer the link that asks
    for it."""
    sign_in_after: bool = False
    """After the step the mailbox has to be signed in again, because its grant has ended for
    good."""

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later though nobody acts."""
        return self.retry in (Retry.ONCE, Retry.LATER)

    @property
    def blames_the_app(self) -> bool:
        """Whether the app's credential or registration is at fault, not the mailbox."""
        return self.who is Actor.OPERATOR and not self.sign_in_after

    @property
    def help(self) -> str:
        """The step, and who takes it."""
        return self.step if self.who is Actor.NOBODY else f"{self.step} (Who: {self.who}.)"

    @property
    def words(self) -> str:
        """Meaning, step and person in one text."""
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
    """Entries for codes with the same meaning. `codes` are separated by spaces; each gets the
    prefix."""
    return {
        code: KnownError(code, meaning, who, step, retry, admin_consent, sign_in_after)
        for code in (prefix + name for name in codes.split())
    }
