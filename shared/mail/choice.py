"""Chooses the account that sends a mail, and the address in From."""

from __future__ import annotations

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.account import Account
from shared.mail.account_list import AccountList
from shared.mail.address import Address


def choose(
    accounts: AccountList, alias: str | None, sender: Address | None
) -> tuple[Account, Address]:
    """The account for a mail, and the From of the mail.

    A named account is always used. If none is named: the account that owns the From address, then
    an account that may use that address, then the default account. Raises RequestRejected if there
    is none; the error names the right or permission that is missing.
    that is missing.
    """
    if alias is not None:
        account = _named(accounts, alias)
        if sender is not None and not account.may_send_as(sender.email):
            raise _not_allowed(f"the account '{account.alias}' may not send from this address")
        if sender is not None and not _is_permitted(account, sender.email):
            raise _not_granted(account)
    elif sender is not None:
        account = _for_sender(accounts, sender)
    else:
        account = _default(accounts)
    return account, sender or Address(account.address, account.display_name)


def _named(accounts: AccountList, alias: str) -> Account:
    account = accounts.by_alias(alias)
    if account is not None:
        return account
    raise RequestRejected(
        problems.UNKNOWN_ACCOUNT,
        "The account that the mail names does not exist.",
        [FieldProblem("account", "names no account: GET /api/accounts lists the accounts")],
    )


def _for_sender(accounts: AccountList, sender: Address) -> Account:
    wanted = sender.email.lower()
    owners = [account for account in accounts if account.owns(wanted)]
    users = [account for account in accounts if account.may_send_as(wanted)]
    permitted = [account for account in users if _is_permitted(account, wanted)]
    if owners or permitted:
        return (owners or permitted)[0]
    if users:
        raise _not_granted(users[0])
    if not accounts:
        raise _no_account()
    raise _not_allowed("no account owns this address or is allowed to send from it")


def _default(accounts: AccountList) -> Account:
    if not accounts:
        raise _no_account()
    for account in accounts:
        if account.is_default:
            return account
    if len(accounts) == 1:
        return accounts[0]
    raise RequestRejected(
        problems.UNKNOWN_ACCOUNT,
        "The mail names no account and no sender, and no account is the default.",
        [FieldProblem("account", "is needed: there are several accounts and no default")],
        help="Put an alias that GET /api/accounts lists into 'account', or make one account the "
        "default on its page.",
    )


def _is_permitted(account: Account, address: str) -> bool:
    """Whether the account has the permission that this From needs; its own address needs none."""
    return account.owns(address) or account.may_send_shared


def _no_account() -> RequestRejected:
    return RequestRejected(problems.NO_ACCOUNT, "No mailbox has been signed in yet.")


def _not_allowed(why: str) -> RequestRejected:
    return RequestRejected(
        problems.SENDER_NOT_ALLOWED,
        "The mail's From address may not be used.",
        [
            FieldProblem(
                "from",
                f"is refused: {why}. It needs 'Send as' or 'Send on behalf' in Exchange and a "
                "place on the account's list of From addresses",
            )
        ],
    )


def _not_granted(account: Account) -> RequestRejected:
    return RequestRejected(
        problems.SENDER_NOT_ALLOWED,
        "The mail's From address may not be used.",
        [
            FieldProblem(
                "from",
                f"is refused: the account '{account.alias}' was not granted Mail.Send.Shared, which "
                "another From address than its own needs. Sign it in again on /accounts with the "
                "box 'Shared mailboxes and other From addresses' ticked",
            )
        ],
    )
