"""Says why an account cannot send, in the catalogue's words."""

from __future__ import annotations

from msgspec.structs import replace

from shared.mail import rights
from shared.mail.account import HOLDER_GONE, NOT_GRANTED_SHARED, Account, AccountState
from shared.mail.known_errors import Actor, KnownError, Retry, find


def why(account: Account) -> KnownError | None:
    """The entry for an account that is held or needs a sign-in; None if it is ready."""
    if account.state is AccountState.READY:
        return None
    if account.reason is None:
        return _unexplained(account)
    row = find(account.reason)
    right = rights.remedy(account)
    if right is not None:
        return replace(row, step=right, who=Actor.DIRECTORY_ADMIN)
    signs_in = account.state is AccountState.NEEDS_SIGN_IN
    if account.through and signs_in and account.reason not in (HOLDER_GONE, NOT_GRANTED_SHARED):
        row = replace(row, step=f"About the account that it is reached through: {row.step}")
    if signs_in and row.retryable:
        # An error that can end by itself has not ended: otherwise the account would not be in this
        # state.
        return replace(row, retry=Retry.NO)
    return row


def why_held(account: Account | None) -> str:
    """What is said of a held mail whose account cannot send; None for one that is gone."""
    if account is None:
        return find("account_gone").words
    row = why(account)
    after = "The mail goes by itself when its account can send again."
    return f"{row.words} {after}" if row else after


def _unexplained(account: Account) -> KnownError:
    if account.state is AccountState.HELD:
        return KnownError(
            "held",
            "Sending from this mailbox is paused.",
            Actor.NOBODY,
            "Its mails go by themselves when that ends.",
            Retry.LATER,
        )
    return KnownError(
        "needs_sign_in",
        "The mailbox has to be signed in again.",
        Actor.MAILBOX_OWNER,
        "Sign the mailbox in again on /accounts.",
    )
