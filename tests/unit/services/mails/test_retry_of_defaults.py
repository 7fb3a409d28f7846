"""A retried mail is held to its account's defaults and locks as if it came now."""

from __future__ import annotations

import json

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from shared.errors import RequestRejected
from shared.mail.account import Account, AccountState
from shared.mail.defaults import Defaults
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.mail import Mail
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.mails.change_rules import Recipients
from shared.services.mails.packing import pack, unpack
from tests.fakes import FakeServices, account_of, document_of, order_of

READ_WRITE = frozenset({"Mail.Send", "Mail.ReadWrite", "User.Read"})


def account(alias: str, *, saves: bool, locked: bool = False, name: str = "") -> Account:
    defaults = Defaults(save_to_sent_items=saves, display_name=name)
    if locked:
        defaults = replace(defaults, overridable=frozenset())
    return account_of(alias, defaults=defaults, scopes=READ_WRITE, is_default=alias == "billing")


def room_of(*accounts: Account) -> FakeServices:
    services = FakeServices(*accounts)
    services.graph.answers = [GraphAnswer(400, "ErrorInvalidRecipients")]
    return services


def failed(services: FakeServices, said: bool | None) -> str:
    """A mail of `billing` that failed, with what its caller said of Sent Items."""
    order = order_of(account="billing", save_to_sent_items=said)
    mail_id = services.submission.accept(order).mail.mail_id
    services.drafts.answers["create"] = [GraphAnswer(400, "ErrorInvalidRecipients")]
    services.handle(mail_id)
    services.graph.answers.clear()
    services.drafts.answers.clear()
    assert services.status(mail_id) is Status.FAILED
    return mail_id


def refused_fields(services: FakeServices, mail_id: str, alias: str | None) -> list[str]:
    with pytest.raises(RequestRejected) as caught:
        services.changes.retry(mail_id, account=alias)
    assert caught.value.kind.code == "override_not_allowed"
    assert all("send the mail anew without it" in one.message for one in caught.value.errors)
    assert services.status(mail_id) is Status.FAILED
    return [one.field for one in caught.value.errors]


def outcome(services: FakeServices, mail: Mail) -> tuple[bool, DeliveryMode]:
    services.handle(mail.mail_id)
    assert services.status(mail.mail_id) is Status.SENT
    if mail.delivery is DeliveryMode.DIRECT:
        assert json.loads(services.graph.posts[-1].body)["saveToSentItems"] is mail.saves_copy
    assert len(services.drafts.sent) == (mail.delivery is DeliveryMode.VERIFIED)
    return mail.saves_copy, mail.delivery


@pytest.mark.parametrize("said", [False, True])
def test_what_the_caller_said_of_sent_items_does_not_pass_the_lock_of_the_other_account(
    said: bool,
) -> None:
    services = room_of(account("billing", saves=True), account("ceo", saves=not said, locked=True))

    assert refused_fields(services, failed(services, said), "ceo") == ["save_to_sent_items"]


def test_it_does_not_pass_a_lock_that_was_set_since() -> None:
    services = room_of(account("billing", saves=True))
    mail_id = failed(services, False)
    services.accounts.change("billing", defaults=Defaults(overridable=frozenset()))

    assert refused_fields(services, mail_id, None) == ["save_to_sent_items"]


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("saves", [False, True])
def test_a_mail_that_said_nothing_takes_the_default_of_the_account_it_goes_from(
    saves: bool, locked: bool
) -> None:
    services = room_of(
        account("billing", saves=not saves), account("sales", saves=saves, locked=locked)
    )

    mail = services.changes.retry(failed(services, None), account="sales")

    delivery_mode = DeliveryMode.VERIFIED if saves else DeliveryMode.DIRECT
    assert outcome(services, mail) == (saves, delivery_mode)


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("said", [False, True])
def test_a_word_that_the_other_account_allows_or_has_as_its_default_is_kept(
    said: bool, locked: bool
) -> None:
    saves = said if locked else not said
    services = room_of(account("billing", saves=True), account("sales", saves=saves, locked=locked))

    mail = services.changes.retry(failed(services, said), account="sales")

    assert outcome(services, mail)[0] is said


def test_a_second_retry_knows_what_the_caller_said() -> None:
    services = room_of(
        account("billing", saves=True),
        account("sales", saves=True),
        account("ceo", saves=True, locked=True),
    )
    mail_id = failed(services, False)
    services.changes.retry(mail_id, Recipients(to=order_of(to="b@example.com").message.to), "sales")
    services.graph.answers = [GraphAnswer(400, "ErrorInvalidRecipients")]
    services.handle(mail_id)

    assert refused_fields(services, mail_id, "ceo") == ["save_to_sent_items"]


@pytest.mark.parametrize(("locked", "saves"), [(True, True), (False, False)])
def test_a_mail_of_an_earlier_version_keeps_its_copy_left_out_only_where_that_is_allowed(
    locked: bool, saves: bool
) -> None:
    """What its caller said was not kept."""
    services = room_of(account("billing", saves=True), account("sales", saves=True, locked=locked))
    mail_id = failed(services, False)
    mail = services.ledger.mail(mail_id)
    packed = replace(unpack(mail.payload.inline or b""), saves_copy=UNSET)
    services.ledger.overwrite(replace(mail, payload=replace(mail.payload, inline=pack(packed))))

    assert services.changes.retry(mail_id, account="sales").saves_copy is saves


def test_a_held_mail_goes_as_it_was_accepted_though_its_account_locks_it_by_then() -> None:
    """docs/decisions/0018: only a retry is looked at anew."""
    services = FakeServices(account("billing", saves=True))
    mail_id = services.submission.accept(order_of(save_to_sent_items=False)).mail.mail_id
    held = services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
    services.accounts.remember(held)
    services.handle(mail_id)
    ready = services.accounts.change(
        "billing", state=AccountState.READY, defaults=Defaults(overridable=frozenset())
    )
    services.accounts.remember(ready)

    mail = services.changes.release(mail_id)

    assert outcome(services, mail) == (False, DeliveryMode.DIRECT)


def test_a_queued_mails_word_on_sent_items_is_kept_as_well() -> None:
    services = FakeServices(account("billing", saves=True), account("ceo", saves=True, locked=True))
    services.graph.answers = [GraphAnswer(400, "ErrorInvalidRecipients")]
    document = document_of(account="billing", save_to_sent_items=False)
    services.outbox.handle(services.message(json.dumps(document).encode()))
    (mail,) = services.ledger.mails

    assert refused_fields(services, mail.mail_id, "ceo") == ["save_to_sent_items"]


@pytest.mark.parametrize("alias", [None, "sales"])
def test_the_ledger_shows_the_from_that_leaves_after_a_retry(alias: str | None) -> None:
    services = room_of(
        account("billing", saves=False, name="Contoso Billing"),
        account("sales", saves=False, name="Contoso Sales"),
    )

    mail = services.changes.retry(failed(services, None), account=alias)
    services.handle(mail.mail_id)

    left = json.loads(services.graph.posts[-1].body)["message"]["from"]["emailAddress"]
    assert mail.sender == f"{left['name']} <{left['address']}>"
    assert left["name"] == ("Contoso Sales" if alias else "Contoso Billing")
