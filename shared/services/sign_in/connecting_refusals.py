"""Why a mailbox cannot be connected, in words for the person who signs in."""

from __future__ import annotations

from shared.mail.account import (
    Account,
    AccountKind,
)
from shared.mail.known_errors import SignInRejected
from shared.services.sign_in.identity_claims import Person


def linked_already(row: Account, chosen: str) -> SignInRejected:
    remedy = f"Use the account '{row.alias}', or choose another mailbox."
    if not row.kind.is_signed_in:
        remedy = (
            f"It sends as '{row.alias}' without a sign-in of its own. Go on using that, or disconnect "
            f"it at /accounts/{row.alias}/disconnect first, then sign the mailbox in."
        )
    return SignInRejected(
        f"{chosen} is connected already, as '{row.alias}'.", remedy, chosen=chosen
    )


def added_already(existing: Account, chosen: str) -> SignInRejected:
    how = "a shared mailbox" if existing.kind is AccountKind.SHARED else "an app-only mailbox"
    return SignInRejected(
        f"'{existing.alias}' is {how}, {existing.address}, which nobody signs in.",
        "Sign in under another alias; or, to have it signed in from now on, start again and tick 'Put "
        "another mailbox under this alias'.",
        chosen=chosen,
    )


def overtaken(existing: Account | None, account: Account, person: Person) -> SignInRejected:
    """Another sign-in for the alias was finished during this one."""
    if existing and person.owns(existing):
        return linked_already(existing, account.address)
    return SignInRejected(
        f"Somebody else changed '{account.alias}' while this sign-in was under way.",
        "Open /accounts to see what it is now; start again if that is not what you want.",
        chosen=account.address,
    )


def not_written(account: Account) -> SignInRejected:
    return SignInRejected(
        "Microsoft accepted the sign-in, but Postroom could not write the account down.",
        "Nothing was connected. Check that the app can reach its storage, then start again.",
        chosen=account.address,
    )
