"""Finds which right is missing when Microsoft denies a send, and says who has to give it.

Microsoft uses one code for several causes. The kind of the account and the From of the mail tell
which one it is; Graph cannot be asked for a user's rights in Exchange.
https://learn.microsoft.com/graph/outlook-send-mail-from-other-user
"""

from __future__ import annotations

from msgspec.structs import replace

from shared.mail.account import Account, AccountKind, AccountState
from shared.mail.address import Address
from shared.mail.outcome import ACCESS_DENIED, DENIED, Outcome, Verdict

SEND_AS_DENIED = "ErrorSendAsDenied"
RIGHT_SECONDS = 900.0
"""The wait until a mailbox that lacks a right is tried again: Exchange takes minutes to an hour to
apply a new right."""

NO_SHARED_SCOPE = (
    "The account was signed in without Mail.Send.Shared: sign it in again on /accounts with the box "
    "'Shared mailboxes and other From addresses' ticked."
)
NO_SEND_RIGHT = (
    "The account has neither 'Send as' nor 'Send on behalf' for this address: in the Exchange admin "
    "centre, open the mailbox that the address belongs to, then Delegation. It takes up to an hour."
)
NO_FULL_ACCESS = (
    "The account that this shared mailbox is reached through may not open it: in the Exchange admin centre, "
    "open the shared mailbox, then Delegation, and give that account 'Read and manage (Full Access)' "
    "beside 'Send as'. It takes up to an hour."
)
NO_SEND_RIGHT_SHARED = (
    "The account that this shared mailbox is reached through has neither 'Send as' nor 'Send on behalf' for "
    "it: in the Exchange admin centre, open the shared mailbox, then Delegation. It takes up to an hour."
)
NO_APP_RIGHT = (
    "The app may not send from this mailbox: an administrator grants it the application permission "
    "Mail.Send in Entra or, for this mailbox alone, the role 'Application Mail.Send' in Exchange (RBAC "
    "for Applications). Where a policy limits the app to some mailboxes, it has to name this one. It "
    "takes up to two hours."
)
NO_APP_DRAFTS = (
    "The app may not make drafts in this mailbox: an administrator grants it the application permission "
    "Mail.ReadWrite in Entra or, for this mailbox alone, the role 'Application Mail.ReadWrite' in Exchange "
    "(RBAC for Applications). It takes up to two hours. Without verified sending it is not needed."
)
APP_REFUSED = (
    "Microsoft gives the app no token of its own for this directory: an administrator of it opens the "
    "app in Entra under Enterprise applications: it has to be there with consent, be enabled, and no "
    "Conditional Access policy may block it."
)
ANOTHERS_ADDRESS = (
    "This mailbox may not send from that address: connect the mailbox that owns it as an account of its "
    "own, or give 'Send as' for it in the Exchange admin centre."
)


def of_the_kind(outcome: Outcome, account: Account) -> Outcome:
    """What an outcome means for a mailbox that nobody signs in.

    If a right is missing, the mailbox is held and tried again after a while. A sign-in would not
    repair it, and only another attempt shows that the right was given.
    """
    if outcome.verdict is not Verdict.NEEDS_SIGN_IN or account.kind.is_signed_in:
        return outcome
    if account.kind is AccountKind.SHARED:
        # A grant that ended is the fault of the holder, and the holder's sign-in repairs it.
        return _held(outcome, NO_FULL_ACCESS) if outcome.reason in DENIED else outcome
    return _held(outcome, NO_APP_RIGHT if outcome.reason in DENIED else APP_REFUSED)


def of_the_sender(outcome: Outcome, account: Account, sender: Address) -> Outcome:
    """What a denial means for a mail with this From. If From is not the mailbox's own address, the
    mail is at fault, not the account."""
    outcome = of_the_kind(outcome, account)
    denied_sender = outcome.verdict is Verdict.FAILED and outcome.reason == SEND_AS_DENIED
    if account.owns(sender.email):
        shared = account.kind is AccountKind.SHARED
        return _held(outcome, NO_SEND_RIGHT_SHARED) if denied_sender and shared else outcome
    if denied_sender:
        return replace(outcome, help=_anothers(account))
    # A grant that ended, or a token that is refused, is the account's fault with any From.
    if outcome.verdict is Verdict.NEEDS_SIGN_IN and outcome.reason == ACCESS_DENIED:
        return replace(outcome, verdict=Verdict.FAILED, help=_anothers(account))
    return outcome


def remedy(account: Account) -> str | None:
    """Who has to give which right, if a missing right is why the mailbox is held; else None."""
    if account.state is not AccountState.HELD or account.kind.is_signed_in:
        return None
    if account.kind is AccountKind.SHARED:
        texts = dict.fromkeys(DENIED, NO_FULL_ACCESS) | {SEND_AS_DENIED: NO_SEND_RIGHT_SHARED}
        return texts.get(account.reason or "")
    if account.reason in DENIED:
        return NO_APP_RIGHT
    return APP_REFUSED if (account.reason or "").startswith("AADSTS") else None


def _anothers(account: Account) -> str:
    if not account.kind.is_signed_in:
        return ANOTHERS_ADDRESS
    return NO_SEND_RIGHT if account.may_send_shared else NO_SHARED_SCOPE


def _held(outcome: Outcome, help_text: str) -> Outcome:
    return replace(
        outcome,
        verdict=Verdict.HOLD_ACCOUNT,
        help=help_text,
        retry_after=outcome.retry_after or RIGHT_SECONDS,
    )
