"""A retried mail is held to its account's defaults and locks as if it came now."""

from __future__ import annotations

import json

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from shared.errors import Refused
from shared.mail.account import Account, AccountState
from shared.mail.defaults import Defaults
from shared.mail.mail import Mail
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.mail.way import Way
from shared.services.mails.changes import Recipients
from shared.services.mails.packing import pack, unpack
from tests.fakes import Room, account_of, document_of, order_of

READ_WRITE = frozenset({"Mail.Send", "Mail.ReadWrite", "User.Read"})


def account(alias: str, *, saves: bool, locked: bool = False, name: str = "") -> Account:
    defaults = Defaults(save_to_sent_items=saves, display_name=name)
    if locked:
        defaults = replace(defaults, overridable=frozenset())
    return account_of(alias, defaults=defaults, scopes=READ_WRITE, is_default=alias == "billing")


def room_of(*accounts: Account) -> Room:
    room = Room(*accounts)
    room.graph.answers = [GraphAnswer(400, "ErrorInvalidRecipients")]
    return room


def failed(room: Room, said: bool | None) -> str:
    """A mail of `billing` that failed, with what its caller said of Sent Items."""
    order = order_of(account="billing", save_to_sent_items=said)
    mail_id = room.submission.accept(order).mail.mail_id
    room.drafts.answers["create"] = [GraphAnswer(400, "ErrorInvalidRecipients")]
    room.hear(mail_id)
    room.graph.answers.clear()
    room.drafts.answers.clear()
    assert room.status(mail_id) is Status.FAILED
    return mail_id


def refused_fields(room: Room, mail_id: str, alias: str | None) -> list[str]:
    with pytest.raises(Refused) as caught:
        room.changes.retry(mail_id, account=alias)
    assert caught.value.kind.code == "override_not_allowed"
    assert room.status(mail_id) is Status.FAILED
    return [one.field for one in caught.value.errors]


def outcome(room: Room, mail: Mail) -> tuple[bool, Way]:
    room.hear(mail.mail_id)
    assert room.status(mail.mail_id) is Status.SENT
    if mail.delivery is Way.DIRECT:
        assert json.loads(room.graph.posts[-1].body)["saveToSentItems"] is mail.saves_copy
    assert len(room.drafts.sent) == (mail.delivery is Way.VERIFIED)
    return mail.saves_copy, mail.delivery


@pytest.mark.parametrize("said", [False, True])
def test_what_the_caller_said_of_sent_items_does_not_pass_the_lock_of_the_other_account(
    said: bool,
) -> None:
    room = room_of(account("billing", saves=True), account("ceo", saves=not said, locked=True))

    assert refused_fields(room, failed(room, said), "ceo") == ["save_to_sent_items"]


def test_it_does_not_pass_a_lock_that_was_set_since() -> None:
    room = room_of(account("billing", saves=True))
    mail_id = failed(room, False)
    room.accounts.change("billing", defaults=Defaults(overridable=frozenset()))

    assert refused_fields(room, mail_id, None) == ["save_to_sent_items"]


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("saves", [False, True])
def test_a_mail_that_said_nothing_takes_the_default_of_the_account_it_goes_from(
    saves: bool, locked: bool
) -> None:
    room = room_of(
        account("billing", saves=not saves), account("sales", saves=saves, locked=locked)
    )

    mail = room.changes.retry(failed(room, None), account="sales")

    way = Way.VERIFIED if saves else Way.DIRECT
    assert outcome(room, mail) == (saves, way)


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("said", [False, True])
def test_a_word_that_the_other_account_allows_or_has_as_its_default_is_kept(
    said: bool, locked: bool
) -> None:
    saves = said if locked else not said
    room = room_of(account("billing", saves=True), account("sales", saves=saves, locked=locked))

    mail = room.changes.retry(failed(room, said), account="sales")

    assert outcome(room, mail)[0] is said


def test_a_second_retry_knows_what_the_caller_said() -> None:
    room = room_of(
        account("billing", saves=True),
        account("sales", saves=True),
        account("ceo", saves=True, locked=True),
    )
    mail_id = failed(room, False)
    room.changes.retry(mail_id, Recipients(to=order_of(to="b@example.com").message.to), "sales")
    room.graph.answers = [GraphAnswer(400, "ErrorInvalidRecipients")]
    room.hear(mail_id)

    assert refused_fields(room, mail_id, "ceo") == ["save_to_sent_items"]


@pytest.mark.parametrize(("locked", "saves"), [(True, True), (False, False)])
def test_a_mail_of_an_earlier_version_keeps_its_copy_left_out_only_where_that_is_allowed(
    locked: bool, saves: bool
) -> None:
    """What its caller said was not kept."""
    room = room_of(account("billing", saves=True), account("sales", saves=True, locked=locked))
    mail_id = failed(room, False)
    mail = room.ledger.mail(mail_id)
    packed = replace(unpack(mail.payload.inline or b""), saves_copy=UNSET)
    room.ledger.overwrite(replace(mail, payload=replace(mail.payload, inline=pack(packed))))

    assert room.changes.retry(mail_id, account="sales").saves_copy is saves


def test_a_held_mail_goes_as_it_was_accepted_though_its_account_locks_it_by_then() -> None:
    """docs/decisions/0018: only a retry is looked at anew."""
    room = Room(account("billing", saves=True))
    mail_id = room.submission.accept(order_of(save_to_sent_items=False)).mail.mail_id
    held = room.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
    room.accounts.remember(held)
    room.hear(mail_id)
    ready = room.accounts.change(
        "billing", state=AccountState.READY, defaults=Defaults(overridable=frozenset())
    )
    room.accounts.remember(ready)

    mail = room.changes.release(mail_id)

    assert outcome(room, mail) == (False, Way.DIRECT)


def test_a_queued_mails_word_on_sent_items_is_kept_as_well() -> None:
    room = Room(account("billing", saves=True), account("ceo", saves=True, locked=True))
    room.graph.answers = [GraphAnswer(400, "ErrorInvalidRecipients")]
    document = document_of(account="billing", save_to_sent_items=False)
    room.outbox.hear(room.message(json.dumps(document).encode()))
    (mail,) = room.ledger.mails

    assert refused_fields(room, mail.mail_id, "ceo") == ["save_to_sent_items"]


@pytest.mark.parametrize("alias", [None, "sales"])
def test_the_ledger_shows_the_from_that_leaves_after_a_retry(alias: str | None) -> None:
    room = room_of(
        account("billing", saves=False, name="Contoso Billing"),
        account("sales", saves=False, name="Contoso Sales"),
    )

    mail = room.changes.retry(failed(room, None), account=alias)
    room.hear(mail.mail_id)

    left = json.loads(room.graph.posts[-1].body)["message"]["from"]["emailAddress"]
    assert mail.sender == f"{left['name']} <{left['address']}>"
    assert left["name"] == ("Contoso Sales" if alias else "Contoso Billing")
