"""A mail with its account's defaults: what the caller gave comes first, as far as the account
allows.

Nothing of this is stored with the mail. It is applied each time the mail is looked at, so that a
signature which is corrected while mails wait is right in those too
(docs/decisions/0018-defaults-are-applied-at-sending.md).
"""

from __future__ import annotations

from msgspec.structs import replace

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.account import Account
from shared.mail.address import Address
from shared.mail.defaults import Overridable
from shared.mail.message import Message, needs_mime


def refuse_overrides(message: Message, account: Account, *, saves_copy: bool | None) -> None:
    """Raise RequestRejected (422) for what the mail gives otherwise than its account allows, by
    field.

    `saves_copy` is what the caller said of Sent Items, None for nothing. What equals the default
    overrides nothing.
    """
    defaults = account.defaults
    found: list[FieldProblem] = []

    def refuse(what: Overridable, field: str, differs: bool, remedy: str) -> None:
        if differs and not defaults.may_override(what):
            found.append(
                FieldProblem(
                    field,
                    f"may not be given otherwise for the account '{account.alias}': {remedy}, or "
                    "have an administrator allow it on the account's page",
                )
            )

    name = message.sender.name if message.sender is not None else ""
    usual_name = defaults.display_name or account.display_name
    refuse(
        Overridable.DISPLAY_NAME,
        "from",
        name not in ("", usual_name),
        "leave the display name out",
    )
    refuse(
        Overridable.REPLY_TO,
        "reply_to",
        bool(message.reply_to) and message.reply_to != defaults.reply_to,
        "leave it out",
    )
    refuse(
        Overridable.SIGNATURE,
        "signature",
        not message.signature and defaults.has_signature,
        "leave it out",
    )
    refuse(
        Overridable.SENT_ITEMS,
        "save_to_sent_items",
        saves_copy is not None and saves_copy is not defaults.save_to_sent_items,
        "leave it out",
    )
    if found:
        raise RequestRejected(
            problems.OVERRIDE_NOT_ALLOWED,
            f"The account '{account.alias}' does not let a mail override this.",
            found,
        )


def with_sent_items(message: Message, account: Account, *, saves_copy: bool | None) -> Message:
    """The message with the account's word on Sent Items where the caller has none.

    A mail that Microsoft always saves is saved: the default refuses no mail.
    """
    if saves_copy is not None:
        return message
    wanted = account.defaults.save_to_sent_items or needs_mime(message)
    return replace(message, save_to_sent_items=wanted)


def compose(message: Message, sender: Address, account: Account) -> tuple[Message, Address]:
    """The message and its From as they go out. Raw MIME has no signature put under it."""
    sender = sender_of(message, sender, account)
    text, html = signatures(message, account)
    if text is None and html is None and reply_to_of(message, account) == message.reply_to:
        return message, sender
    from shared.mail import signature

    composed = replace(
        message,
        reply_to=reply_to_of(message, account),
        text=message.text if text is None else signature.after_text(message.text or "", text),
        html=message.html if html is None else signature.after_html(message.html or "", html),
    )
    return composed, sender


def reply_to_of(message: Message, account: Account) -> tuple[Address, ...]:
    """The addresses for replies as they go out."""
    return message.reply_to or account.defaults.reply_to


def sender_of(message: Message, sender: Address, account: Account) -> Address:
    """The From as it goes out."""
    given = message.sender is not None and message.sender.name
    if account.defaults.display_name and not given:
        return Address(sender.email, account.defaults.display_name)
    return sender


def signatures(message: Message, account: Account) -> tuple[str | None, str | None]:
    """What is put under the text and under the html of a mail; None for nothing.

    Where the account has one form only, the other is made from it.
    """
    defaults = account.defaults
    if message.mime is not None or not message.signature or not defaults.has_signature:
        return None, None
    from shared.mail import signature

    text = html = None
    if message.text is not None:
        text = defaults.signature_text or signature.text_of(defaults.signature_html)
    if message.html is not None:
        html = defaults.signature_html or signature.html_of(defaults.signature_text)
    return text or None, html or None
