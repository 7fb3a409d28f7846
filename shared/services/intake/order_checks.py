"""The checks of an order before it becomes a mail: its account, its files, the mail that it
answers, its size."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from shared.errors import FieldProblem, RequestRejected
from shared.mail import invitation, limits, problems
from shared.mail.account import Account, AccountState
from shared.mail.account_list import AccountList
from shared.mail.address import Address
from shared.mail.choice import choose
from shared.mail.composing import compose, refuse_overrides, with_sent_items
from shared.mail.defaults import Overridable
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.known_errors.account import why
from shared.mail.message import Message
from shared.services.accounts.ports import Accounts
from shared.services.clock import Clock
from shared.services.intake.mail_document import Order
from shared.services.mails.content_store import ContentStore
from shared.services.mails.ports import Ledger, Versioned

_NO_MAIL = "is the id of no mail that is still in the ledger: give the Message-ID instead"
_NO_MESSAGE_ID = (
    "is the id of a mail whose Message-ID is not known yet: wait until GET /api/mails/{id} has a "
    "message_id, or give the Message-ID itself"
)
_NEVER_A_MESSAGE_ID = (
    "is the id of a mail whose Message-ID Postroom does not learn, because its account does not verify "
    "what it sends: give the Message-ID itself, from the copy in Sent Items"
)


class CheckedOrder(msgspec.Struct, frozen=True):
    """An order that can be accepted, with what the checks found."""

    order: Order
    """Its files were found, and the decisions of its account at acceptance are filled in."""
    account: Account
    """The account that will send the mail."""
    sender: Address
    """The From address of the mail."""


class OrderChecks:
    """Checks orders. Stores nothing."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        ledger: Ledger,
        content: ContentStore,
        clock: Clock,
        max_mail_bytes: int,
    ) -> None:
        self._accounts = accounts
        self._ledger = ledger
        self._content = content
        self._clock = clock
        self._max_mail_bytes = max_mail_bytes

    def check(self, order: Order, *, refuses_signed_out: bool) -> CheckedOrder:
        """The order as it can be accepted. Raises RequestRejected if it cannot be.
        `refuses_signed_out`: a caller waits who can be told that the account needs a sign-in; a
        mail from the queue is held instead."""
        account, sender = self._account_for(order)
        if refuses_signed_out:
            refuse_signed_out(account)
        order = self._in_thread(_settled(order, account))
        order = replace(order, message=self._content.look_at_files(order.message))
        self.check_size(order.message, account, sender)
        return CheckedOrder(order, account, sender)

    def check_size(self, message: Message, account: Account, sender: Address) -> None:
        """Raise RequestRejected for a mail that this account cannot send with its defaults: 413 for
        its size, 422 for an invitation whose organizer or attendees do not fit the mail."""
        given = (message, sender)
        is_checked = limits.may_be_above(message, self._max_mail_bytes)
        if is_checked:
            # This comes before any work on the text, whose time grows with its size.
            limits.check(message, sender, account, self._max_mail_bytes, self._clock())
        limits.check_markup(message, account)
        message, sender = compose(message, sender, account)
        invitation.refuse_wrong(
            message, sender, any_name=account.defaults.may_override(Overridable.DISPLAY_NAME)
        )
        if not is_checked or message is not given[0] or sender != given[1]:
            limits.check(message, sender, account, self._max_mail_bytes, self._clock())

    def _account_for(self, order: Order) -> tuple[Account, Address]:
        """Choose by the accounts in memory. Before a rejection the table is read, so that a new
        sign-in or a change counts at once in every instance."""
        try:
            found = _chosen(order, self._accounts.all())
            if found[0].state is not AccountState.NEEDS_SIGN_IN:
                return found
        except RequestRejected:
            pass
        return _chosen(order, self._accounts.all(fresh=True))

    def _in_thread(self, order: Order) -> Order:
        """The order with the Message-ID of the mail that it answers, if it names that mail by its
        id. Raises RequestRejected if that mail or its Message-ID is not known."""
        if order.answers is None:
            return order
        found = self._ledger.get(order.answers)
        message_id = found.mail.message_id if found is not None else None
        if message_id is None:
            raise RequestRejected(
                problems.INVALID_MAIL,
                "The mail that this one answers cannot be named in it.",
                [FieldProblem("in_reply_to", _why_not_answered(found))],
            )
        message = replace(
            order.message,
            in_reply_to=message_id,
            references=order.message.references or (message_id,),
        )
        return replace(order, message=message)


def refuse_signed_out(account: Account) -> None:
    """Raise RequestRejected (409) for an account that needs a sign-in, because over HTTP the caller
    can be told."""
    if account.state is AccountState.NEEDS_SIGN_IN:
        row = why(account)
        raise RequestRejected(
            problems.ACCOUNT_NEEDS_SIGN_IN,
            f"The account '{account.alias}' cannot send until its mailbox is signed in again"
            f"{f' ({account.reason})' if account.reason else ''}.",
            [FieldProblem("account", "needs to be signed in again on the page /accounts")],
            help=row.words if row else None,
        )


def _chosen(order: Order, accounts: AccountList) -> tuple[Account, Address]:
    account, sender = choose(accounts, order.account, order.message.sender)
    refuse_overrides(order.message, account, saves_copy=order.saves_copy)
    return account, sender


def _settled(order: Order, account: Account) -> Order:
    """The order with the decisions of its account at acceptance."""
    message = with_sent_items(order.message, account, saves_copy=order.saves_copy)
    return replace(order, message=message)


def _why_not_answered(found: Versioned | None) -> str:
    """Why a mail of Postroom, named by its id, cannot be answered."""
    if found is None:
        return _NO_MAIL
    return _NEVER_A_MESSAGE_ID if found.mail.delivery is DeliveryMode.DIRECT else _NO_MESSAGE_ID
