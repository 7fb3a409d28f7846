"""Puts the account's defaults into a mail. The caller's own values come first, if the account
allows them.

The result is not stored with the mail. The defaults are applied each time the mail is read, so that
a correction of a signature also applies to waiting mails
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


def refuse_overrides(
    message: Message, account: Account, *, saves_copy: bool | None, is_retry: bool = False
) -> None:
    """Raise RequestRejected (422) if the mail overrides a default that the account does not let it
    override; the error names each field.

    `saves_copy` is the caller's value for Sent Items, or None. A value that equals the default
    overrides nothing. `is_retry`: the mail was accepted before, so nobody can leave anything out.
    """
    defaults = account.defaults
    found: list[FieldProblem] = []

    def refuse(what: Overridable, field: str, differs: bool, remedy: str) -> None:
        if differs and not defaults.may_override(what):
            found.append(
                FieldProblem(
                    field,
                    f"may not be overridden for the account '{account.alias}': "
                    f"{'send the mail anew without it' if is_retry else remedy}, or "
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
        Overridable.REPLY_TO,
        "List-Post",
        not defaults.may_override(Overridable.REPLY_TO) and _has_list_post(message),
        "leave it out, because mail programs answer to it",
    )
    if not defaults.may_override(Overridable.REPLY_TO):
        from shared.mail.answering_parts import calendars_of

        for field in calendars_of(message):
            refuse(
                Overridable.REPLY_TO,
                field,
                True,
                "give an invitation as JSON with 'method' in its content_type, where its organizer is "
                "checked, because mail programs answer to the organizer of a calendar",
            )
    for locked in (Overridable.REPLY_TO, Overridable.DISPLAY_NAME):
        if not defaults.may_override(locked):
            from shared.mail.answering_parts import sealed_in

            for field in sealed_in(message):
                refuse(
                    locked,
                    field,
                    True,
                    "sign it as multipart/signed: what is inside signed or encrypted content, and may "
                    "name another sender, cannot be checked",
                )
            break
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


def _has_list_post(message: Message) -> bool:
    names = [name for name, _ in message.headers]
    if message.mime is not None:
        from shared.mail.mime import header_section

        names = header_section.names(message.mime)
    return any(name.lower() == "list-post" for name in names)


def with_sent_items(message: Message, account: Account, *, saves_copy: bool | None) -> Message:
    """The message with the account's default for Sent Items if the caller gave no value.

    A mail that Microsoft always saves is saved: the default never refuses a mail.
    """
    if saves_copy is not None:
        return message
    wanted = account.defaults.save_to_sent_items or needs_mime(message)
    return replace(message, save_to_sent_items=wanted)


def compose(message: Message, sender: Address, account: Account) -> tuple[Message, Address]:
    """The message and its From as they are sent. Raw MIME gets no signature."""
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
    """The Reply-To addresses as they are sent."""
    return message.reply_to or account.defaults.reply_to


def sender_of(message: Message, sender: Address, account: Account) -> Address:
    """The From address as it is sent."""
    given = message.sender is not None and message.sender.name
    if account.defaults.display_name and not given:
        return Address(sender.email, account.defaults.display_name)
    return sender


def signatures(message: Message, account: Account) -> tuple[str | None, str | None]:
    """The signature for the text and the one for the html of a mail; None if there is none.

    If the account has only one form, the other is made from it.
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
