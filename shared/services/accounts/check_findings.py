"""What a grant and Microsoft's answers mean for a check."""

from __future__ import annotations

from collections.abc import Iterator

from shared.mail import known_errors
from shared.mail.account import Account, AccountKind, AccountState
from shared.mail.findings import Finding, Result, Topic
from shared.mail.known_errors import Actor
from shared.mail.outcome import Outcome, Verdict
from shared.mail.permissions import DRAFTS, DRAFTS_SHARED, SEND, SEND_SHARED
from shared.services.sign_in.ports import Grant


def scopes_of(account: Account, grant: Grant) -> Iterator[Finding]:
    if account.kind is AccountKind.APP:
        yield Finding(
            Topic.SCOPE,
            Result.NOTE,
            "Microsoft does not say which application permissions a token holds; only sending "
            "shows it. Mail.Send is what it takes, and for this mailbox.",
            subject=SEND,
        )
        return
    wanted = account.scopes | {account.needed(SEND)}
    held = sorted(grant.scopes & (wanted | {SEND_SHARED, DRAFTS_SHARED}))
    if held:
        yield Finding(Topic.SCOPE, Result.OK, f"Granted: {', '.join(held)}.")
    for scope in sorted(wanted - grant.scopes):
        yield Finding(
            Topic.SCOPE,
            Result.NOT_OK,
            f"The permission {scope} is missing.",
            subject=scope,
            code="scope_missing",
            who=known_errors.find("scope_missing").who,
            step=known_errors.find("scope_missing").step,
        )


def may_write(account: Account, grant: Grant) -> bool:
    if not account.can_write_drafts:
        return False
    return account.kind is AccountKind.APP or account.needed(DRAFTS) in grant.scopes


def senders(account: Account, grant: Grant) -> Iterator[Finding]:
    """What each From address needs. Graph cannot list who may send as whom; only a real mail shows
    it.

    https://learn.microsoft.com/graph/outlook-send-mail-from-other-user
    """
    own = account.address.lower()
    wanted = [own] if account.kind is AccountKind.SHARED else []
    wanted += [address for address in account.allowed_from if address != own]
    has = "granted" if SEND_SHARED in grant.scopes else "not granted"
    for address in wanted:
        if account.kind is AccountKind.APP:
            needs = "the app's right to send as it (application permission Mail.Send)"
        else:
            needs = (
                f"the permission {SEND_SHARED} ({has}) and 'Send as' or 'Send on behalf' of it "
                "in Exchange"
            )
        yield Finding(
            Topic.SENDER,
            Result.NOTE,
            f"It takes {needs}; an alias of the mailbox itself takes neither. Graph cannot list "
            "such rights: only a real send shows whether they are there.",
            subject=address,
            step="In the Exchange admin centre, open the mailbox of that address and add the "
            "account's user under Delegation; then send one mail from it.",
        )


def refused_draft(outcome: Outcome) -> Finding:
    if outcome.verdict in (Verdict.FAILED, Verdict.NEEDS_SIGN_IN, Verdict.HOLD_ACCOUNT):
        return Finding(
            Topic.DRAFT,
            Result.NOT_OK,
            "Microsoft does not let Postroom make a draft in the mailbox.",
            code=outcome.reason,
            who=Actor.DIRECTORY_ADMIN,
            step=outcome.help,
        )
    return Finding(
        Topic.DRAFT,
        Result.UNSURE,
        "Whether a draft can be made could not be found out just now.",
        code=outcome.reason,
    )


def stopped(row: Account) -> Finding:
    reason = row.reason or "unknown"
    if row.state is AccountState.HELD:
        return Finding(
            Topic.STATE,
            Result.NOTE,
            "The account is held all the same; its mail goes by itself when that ends.",
            code=reason,
        )
    return Finding(
        Topic.STATE,
        Result.NOT_OK,
        "The account needs a sign-in all the same: sending was denied, and a check cannot show "
        "whether it would be now.",
        code=reason,
        who=Actor.MAILBOX_OWNER,
        step="Have the cause mended, then sign the mailbox in again on the accounts page.",
    )


def passing(topic: Topic, system: str) -> Finding:
    names = {
        "graph": "Microsoft Graph",
        "entra": "Microsoft's sign-in service",
        "identity": "The app's managed identity",
    }
    return Finding(
        topic,
        Result.UNSURE,
        f"{names.get(system, 'Key Vault')} did not answer just now: that says nothing about the "
        "account.",
        code=f"{system}_unreachable",
        who=Actor.NOBODY,
        step="Check again in some minutes.",
    )
