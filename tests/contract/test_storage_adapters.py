"""The storage adapters against Azurite: conditional writes, keys, listing, the bell."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient
from msgspec.structs import replace

from local.azurite import Azurite
from shared.adapters.storage.accounts_table import AccountsTable
from shared.adapters.storage.clients import Storage
from shared.adapters.storage.flows_table import FlowsTable
from shared.adapters.storage.keys_table import KeysTable
from shared.adapters.storage.mails_table import MailsTable
from shared.adapters.storage.outbox_queue import OutboxQueue
from shared.adapters.storage.payload_blobs import PayloadBlobs
from shared.adapters.storage.timetable_rows import TimetableRows
from shared.errors import AlreadyExists, LostRace, NotSent, RemoteRefused
from shared.mail import ids
from shared.mail.account import Account, AccountKind, AccountState
from shared.mail.account_list import with_holders
from shared.mail.address import Address
from shared.mail.defaults import Defaults, Overridable
from shared.mail.mail import FINDING_OUT, GRACE, Caller, Event, Mail, MailFilter, Payload
from shared.mail.pace import Pace, Timetable
from shared.mail.status import Status
from shared.services.accounts.changes import AccountChange, AccountChanges
from shared.services.accounts.ports import DisconnectedMailbox
from shared.services.delivery.pacing import Pacing
from shared.services.intake.outbox_message import mail_id_in
from shared.services.intake.ports import KeyClaim
from shared.services.mails.ports import MailSummary, Span
from shared.settings import StorageSettings

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)


@pytest.fixture(scope="module")
def connection_string(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Azurite for this module, in memory, on free ports."""
    with Azurite(log=tmp_path_factory.mktemp("azurite") / "azurite.log") as azurite:
        yield azurite.connection_string


@pytest.fixture
def storage(connection_string: str) -> Iterator[Storage]:
    found = Storage(StorageSettings(connection_string=connection_string), None)
    yield found
    found.close()


@pytest.fixture
def new_table(connection_string: str, storage: Storage) -> Iterator[Callable[[], str]]:
    """Makes tables of new names."""
    with TableServiceClient.from_connection_string(connection_string) as service:

        def make() -> str:
            name = f"t{uuid4().hex}"
            service.create_table(name)
            return name

        yield make


@pytest.fixture
def ledger(storage: Storage, new_table: Callable[[], str]) -> MailsTable:
    client = storage.table(new_table())
    return MailsTable(lambda: client)


@pytest.fixture
def accounts(storage: Storage, new_table: Callable[[], str]) -> AccountsTable:
    client = storage.table(new_table())
    return AccountsTable(lambda: client)


@pytest.fixture
def timetables(storage: Storage, new_table: Callable[[], str]) -> TimetableRows:
    client = storage.table(new_table())
    return TimetableRows(lambda: client)


def a_mail(at: datetime = NOW, status: Status = Status.QUEUED, **changes: object) -> Mail:
    mail = Mail(
        mail_id=ids.new_id(at, os.urandom),
        status=status,
        accepted_at=at,
        updated_at=at,
        due_at=at,
        caller=Caller.HTTP,
        account="billing",
        sender="Billing <billing@contoso.com>",
        recipients=("Ada <ada@example.com>", "böb@example.com"),
        recipient_count=2,
        subject="Rechnung für Müller ✓",
        tags=("invoice", "müller"),
        metadata=(("order", "7"),),
        size=11,
        idempotency_key="order-7",
        document_hash="ab" * 32,
        payload=Payload(inline=b"\x00\xffpayload"),
        events=(Event(at, status, None),),
    )
    return replace(mail, **changes)


def an_account(alias: str = "billing") -> Account:
    return Account(
        alias=alias,
        account_id="0f" * 16,
        tenant_id="11111111-2222-3333-4444-555555555555",
        object_id="66666666-7777-8888-9999-000000000000",
        address="billing@contoso.com",
        display_name="Billing",
        kind=AccountKind.WORK,
        authority="11111111-2222-3333-4444-555555555555",
        scopes=frozenset({"Mail.Send", "User.Read"}),
        allowed_from=("invoices@contoso.com",),
        defaults=Defaults(
            display_name="Contoso Billing",
            reply_to=(Address("desk@contoso.com", "Desk"), Address("b@contoso.com")),
            signature_text='Contoso\n"Billing" ü 💌',
            signature_html="<b>Contoso</b>",
            save_to_sent_items=False,
            daily_cap=100,
            overridable=frozenset({Overridable.SIGNATURE}),
        ),
        is_default=True,
        signed_in_at=NOW,
    )


class TestLedger:
    def test_a_mail_comes_back_as_it_was_written(self, ledger: MailsTable) -> None:
        mail = a_mail(
            attempts=3,
            lease_until=NOW + timedelta(minutes=5),
            lease_id="cafe",
            reason="ErrorSendAsDenied",
            help="Grant it.",
            request_id="r-1",
        )
        etag = ledger.insert(mail)

        found = ledger.get(mail.mail_id)

        assert found is not None
        assert found.mail == mail
        assert found.etag == etag

    def test_a_payload_of_several_properties_comes_back_whole(self, ledger: MailsTable) -> None:
        payload = Payload(inline=os.urandom(480 * 1024))
        mail = a_mail(payload=payload)
        ledger.insert(mail)

        found = ledger.get(mail.mail_id)

        assert found is not None
        assert found.mail.payload == payload

    def test_an_id_can_be_inserted_once(self, ledger: MailsTable) -> None:
        mail = a_mail()
        ledger.insert(mail)

        with pytest.raises(AlreadyExists):
            ledger.insert(mail)

    def test_an_unknown_id_is_no_mail(self, ledger: MailsTable) -> None:
        assert ledger.get(ids.new_id(NOW, os.urandom)) is None

    def test_only_the_first_of_two_changes_wins(self, ledger: MailsTable) -> None:
        mail = a_mail()
        etag = ledger.insert(mail)
        sending = mail.moved(Status.SENDING, NOW, lease_until=NOW, lease_id="a")
        ledger.update(sending, etag)

        with pytest.raises(LostRace):
            ledger.update(replace(sending, lease_id="b"), etag)

    def test_a_change_keeps_the_payload_and_clears_what_has_ended(self, ledger: MailsTable) -> None:
        mail = a_mail(status=Status.SENDING, lease_until=NOW, lease_id="cafe")
        etag = ledger.insert(mail)
        again = mail.moved(Status.QUEUED, NOW, reason="throttled", help="Wait.")
        etag = ledger.update(again, etag)
        sending = again.moved(Status.SENDING, NOW, lease_until=NOW, lease_id="beef")
        ledger.update(sending, etag)

        found = ledger.get(mail.mail_id)

        assert found is not None
        assert found.mail == sending
        assert found.mail.reason is None

    def test_a_message_id_is_kept_with_its_draft_and_goes_with_it(self, ledger: MailsTable) -> None:
        mail = a_mail(
            status=Status.SENDING, lease_until=NOW, lease_id="cafe", message_id_given=True
        )
        etag = ledger.insert(mail)
        known = replace(mail, draft_id="draft-1", message_id="<it's.one@example.org>")
        etag = ledger.update(known, etag)

        found = ledger.get(mail.mail_id)
        assert found is not None
        assert found.mail == known
        assert ledger.page(MailFilter(), 10, None).mails[0].message_id == known.message_id

        ledger.update(replace(known, draft_id=None, message_id=None), etag)
        found = ledger.get(mail.mail_id)
        assert found is not None
        assert (found.mail.draft_id, found.mail.message_id) == (None, None)
        assert found.mail.message_id_given

    def test_of_many_workers_one_claims_a_mail(self, ledger: MailsTable) -> None:
        mail = a_mail()
        etag = ledger.insert(mail)
        won: list[int] = []
        ready = threading.Barrier(8)

        def claim(worker: int) -> None:
            ready.wait()
            try:
                ledger.update(mail.moved(Status.SENDING, NOW, lease_id=str(worker)), etag)
            except LostRace:
                return
            won.append(worker)

        threads = [threading.Thread(target=claim, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        found = ledger.get(mail.mail_id)
        assert len(won) == 1
        assert found is not None
        assert found.mail.lease_id == str(won[0])

    def test_a_mail_that_was_sent_keeps_no_payload_in_its_row(self, ledger: MailsTable) -> None:
        mail = a_mail(status=Status.SENDING)
        etag = ledger.insert(mail)

        ledger.update(mail.moved(Status.SENT, NOW), etag)

        found = ledger.get(mail.mail_id)
        assert found is not None
        assert found.mail.payload == Payload()

    def test_mails_are_listed_newest_first_across_days(self, ledger: MailsTable) -> None:
        moments = [NOW - timedelta(hours=hours) for hours in (50, 1, 26, 0, 25)]
        for moment in moments:
            ledger.insert(a_mail(moment))

        page = ledger.page(MailFilter(), 50, None)

        assert [mail.accepted_at for mail in page.mails] == sorted(moments, reverse=True)
        assert page.cursor is None

    def test_pages_follow_each_other_without_gap_or_repetition(self, ledger: MailsTable) -> None:
        inserted = {ledger_mail.mail_id for ledger_mail in _insert_many(ledger, 23)}
        seen: list[str] = []
        cursor = None
        for _ in range(10):
            page = ledger.page(MailFilter(), 5, cursor)
            seen += [mail.mail_id for mail in page.mails]
            cursor = page.cursor
            if cursor is None:
                break

        assert len(seen) == 23
        assert set(seen) == inserted

    def test_a_list_is_filtered_by_status_account_tag_and_time(self, ledger: MailsTable) -> None:
        wanted = a_mail(NOW, status=Status.HELD, account="ada", tags=("x",))
        for mail in (
            wanted,
            a_mail(NOW, account="ada", tags=("x",)),
            a_mail(NOW, status=Status.HELD, tags=("x",)),
            a_mail(NOW, status=Status.HELD, account="ada"),
            a_mail(NOW - timedelta(days=3), status=Status.HELD, account="ada", tags=("x",)),
        ):
            ledger.insert(mail)
        filters = MailFilter(
            (Status.HELD, Status.SENT),
            "ada",
            "x",
            NOW - timedelta(days=1),
            NOW + timedelta(seconds=1),
        )

        page = ledger.page(filters, 10, None)

        assert [mail.mail_id for mail in page.mails] == [wanted.mail_id]

    @pytest.mark.parametrize("cursor", ["x", "!!", "W10", "WzEsMl0", "bnVsbA"])
    def test_a_foreign_cursor_is_refused(self, ledger: MailsTable, cursor: str) -> None:
        with pytest.raises(ValueError, match="cursor"):
            ledger.page(MailFilter(), 5, cursor)

    def test_a_quote_in_a_filter_is_only_a_quote(self, ledger: MailsTable) -> None:
        ledger.insert(a_mail())

        page = ledger.page(MailFilter(account="x' or account ne 'x"), 5, None)

        assert list(page.mails) == []

    def test_a_glimpse_is_what_a_sweep_needs(self, ledger: MailsTable) -> None:
        mail = a_mail(status=Status.SENDING, lease_until=NOW)
        ledger.insert(mail)

        found = ledger.summary(mail.mail_id)

        assert found == MailSummary(mail.mail_id, Status.SENDING, "billing", NOW)
        assert ledger.summary(a_mail().mail_id) is None

    def test_of_old_mails_every_one_that_waits_is_found_and_of_new_ones_what_is_due(
        self, ledger: MailsTable
    ) -> None:
        old, new, due = NOW - timedelta(minutes=20), NOW - timedelta(minutes=5), NOW - GRACE
        wanted = [
            a_mail(old, status=Status.QUEUED, due_at=NOW + timedelta(days=1)),
            a_mail(old, status=Status.HELD),
            a_mail(old, Status.UNKNOWN, reason=FINDING_OUT),
            a_mail(new, status=Status.SENDING, lease_until=NOW),
            a_mail(new, status=Status.SCHEDULED, due_at=due, updated_at=due),
            a_mail(new, Status.UNKNOWN, reason=FINDING_OUT, due_at=due, updated_at=due),
            a_mail(new, status=Status.HELD, updated_at=NOW),
        ]
        others = [
            a_mail(NOW - timedelta(days=3), status=Status.QUEUED),
            a_mail(old, status=Status.SENT),
            a_mail(old, status=Status.UNKNOWN, reason="worker_lost"),
            a_mail(new, status=Status.SENDING, lease_until=NOW + timedelta(seconds=1)),
            a_mail(new, status=Status.SENDING, lease_until=new),
            a_mail(new, status=Status.QUEUED, due_at=NOW, updated_at=due),
            a_mail(new, status=Status.FAILED, due_at=due, updated_at=due),
        ]
        for mail in (*wanted, *others):
            ledger.insert(mail)
        span = Span(NOW - timedelta(days=2), new, new, NOW)

        found = _all_waiting(ledger, span)

        assert {mail.mail_id for mail in found} == {mail.mail_id for mail in wanted}

    def test_the_longest_recipients_come_back_and_are_found(self, ledger: MailsTable) -> None:
        domain = ".".join(["d" * 61] * 3 + ["com"])
        longest = tuple(f"{number:03d}{'x' * 57}@{domain}" for number in range(500))
        mail = a_mail(recipients=longest, recipient_count=500, former_recipients=longest)
        etag = ledger.insert(mail)

        found = ledger.get(mail.mail_id)
        listed = ledger.page(MailFilter(recipient=longest[499]), 10, None)
        ledger.update(replace(mail, recipients=("ada@contoso.com",), former_recipients=()), etag)
        shorter = ledger.get(mail.mail_id)

        assert found is not None
        assert found.mail.recipients == longest
        assert found.mail.former_recipients == longest
        assert [one.mail_id for one in listed.mails] == [mail.mail_id]
        assert shorter is not None
        assert shorter.mail.recipients == ("ada@contoso.com",)

    @pytest.mark.parametrize("hour", [0, 9])
    def test_a_span_begins_where_it_says_around_midnight_too(
        self, ledger: MailsTable, hour: int
    ) -> None:
        now = NOW.replace(hour=hour, minute=4)
        moments = [now - timedelta(minutes=minutes) for minutes in (1, 5, 9, 10)]
        mails = [a_mail(moment, status=Status.QUEUED) for moment in moments]
        for mail in (*mails, a_mail(now - timedelta(minutes=11), status=Status.QUEUED)):
            ledger.insert(mail)

        found = _all_waiting(ledger, Span(now - timedelta(minutes=10), now, now, now))

        assert {mail.mail_id for mail in found} == {mail.mail_id for mail in mails}

    def test_held_mails_of_one_account_are_found_alone(self, ledger: MailsTable) -> None:
        mail = a_mail(status=Status.HELD)
        for each in (mail, a_mail(status=Status.HELD, account="other"), a_mail()):
            ledger.insert(each)

        page = ledger.waiting(Span(NOW, NOW, NOW, NOW), 10, held_for="billing")

        assert [each.mail_id for each in page.mails] == [mail.mail_id]

    def test_a_mail_that_waits_no_more_is_not_found(self, ledger: MailsTable) -> None:
        mail = a_mail(status=Status.SENDING, lease_until=NOW, payload=Payload(inline=b"x"))
        held = replace(mail, status=Status.FAILED, lease_until=None)
        ledger.update(held, ledger.insert(mail))

        assert _all_waiting(ledger, Span(NOW, NOW, NOW - GRACE, NOW)) == []

    def test_settled_mails_of_some_time_are_found_and_removed(self, ledger: MailsTable) -> None:
        old = NOW - timedelta(days=100)
        payload = Payload(blob="b", files=("f", "g"))
        gone = [
            a_mail(old - timedelta(hours=hours), Status.SENT, payload=payload)
            for hours in range(0, 48, 8)
        ]
        kept = [
            a_mail(old, Status.SENT, updated_at=NOW),
            a_mail(old, Status.QUEUED),
            a_mail(NOW, Status.SENT),
        ]
        for mail in (*gone, *kept):
            ledger.insert(mail)
        statuses = frozenset({Status.SENT, Status.FAILED})

        page = ledger.settled(statuses, old - timedelta(days=9), NOW - timedelta(days=90), None)

        assert {mail.mail_id for mail in page.mails} == {mail.mail_id for mail in gone}
        assert page.mails[0].blobs == payload.blobs
        ledger.update(gone[0], next(m.etag for m in page.mails if m.mail_id == gone[0].mail_id))
        removed = ledger.remove(page.mails)
        assert {mail.mail_id for mail in removed} == {mail.mail_id for mail in gone[1:]}
        assert ledger.get(gone[0].mail_id)
        assert ledger.remove(page.mails) == []
        assert not any(ledger.get(mail.mail_id) for mail in gone[1:])

    def test_a_probe_asks_the_ledger(self, ledger: MailsTable) -> None:
        ledger.probe()


def _all_waiting(ledger: MailsTable, span: Span) -> list[MailSummary]:
    found: list[MailSummary] = []
    page = ledger.waiting(span, 2)
    while page.cursor is not None:
        found += page.mails
        page = ledger.waiting(span, 2, page.cursor)
    return [*found, *page.mails]


def _insert_many(ledger: MailsTable, count: int) -> list[Mail]:
    mails = [a_mail(NOW - timedelta(hours=3 * index)) for index in range(count)]
    for mail in mails:
        ledger.insert(mail)
    return mails


class TestKeys:
    def test_a_key_stands_for_the_first_mail_that_claims_it(
        self, storage: Storage, new_table: Callable[[], str]
    ) -> None:
        client = storage.table(new_table())
        keys = KeysTable(lambda: client)
        first = keys.claim("ordér/7?#", KeyClaim("mail-1", "hash-1", NOW))
        second = keys.claim("ordér/7?#", KeyClaim("mail-2", "hash-2", NOW))

        assert first.mail_id == "mail-1"
        assert second == first

    def test_expired_keys_are_forgotten(
        self, storage: Storage, new_table: Callable[[], str]
    ) -> None:
        client = storage.table(new_table())
        keys = KeysTable(lambda: client)
        for hours in (0, 24, 26, 50):
            keys.claim(f"key-{hours}", KeyClaim("1", "h", NOW - timedelta(hours=hours)))

        assert keys.forget_expired(NOW, 100) == 2
        assert [keys.find(f"key-{hours}") is None for hours in (0, 24, 26, 50)] == [
            False,
            False,
            True,
            True,
        ]

    def test_a_key_is_free_again_after_a_day(
        self, storage: Storage, new_table: Callable[[], str]
    ) -> None:
        later = NOW + timedelta(hours=24, seconds=1)
        client = storage.table(new_table())
        keys = KeysTable(lambda: client)
        keys.claim("k", KeyClaim("mail-1", "hash", NOW))
        renewed = keys.claim("k", KeyClaim("mail-2", "hash", later))
        holder = keys.claim("k", KeyClaim("mail-3", "hash", later))

        assert renewed.mail_id == "mail-2"
        assert holder.mail_id == "mail-2"


class TestFlows:
    def test_of_two_callbacks_one_takes_the_flow(
        self, storage: Storage, new_table: Callable[[], str]
    ) -> None:
        taken: list[datetime | None] = []
        ready = threading.Barrier(2)
        client = storage.table(new_table())
        flows = FlowsTable(lambda: client)
        flows.open("hash", NOW)

        def take() -> None:
            ready.wait()
            taken.append(flows.take("hash"))

        threads = [threading.Thread(target=take) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(taken, key=str) == [NOW, None]

    def test_a_sign_in_that_nobody_finished_is_forgotten(
        self, storage: Storage, new_table: Callable[[], str]
    ) -> None:
        client = storage.table(new_table())
        flows = FlowsTable(lambda: client)
        flows.open("old", NOW - timedelta(hours=2))
        flows.open("new", NOW)

        assert flows.forget_expired(NOW, 100) == 1
        assert flows.take("old") is None
        assert flows.take("new") == NOW

    def test_an_unknown_state_has_no_flow(
        self, storage: Storage, new_table: Callable[[], str]
    ) -> None:
        client = storage.table(new_table())
        assert FlowsTable(lambda: client).take("nothing") is None


class TestTimetables:
    def test_a_timetable_is_forgotten_and_again(self, timetables: TimetableRows) -> None:
        timetables.write("id", Timetable(next_at=NOW), None)
        timetables.forget("id")
        timetables.forget("id")

        assert timetables.read("id") == (Timetable(), None)

    def test_a_timetable_comes_back_as_it_was_written(self, timetables: TimetableRows) -> None:
        days = ((NOW.date(), 100), (NOW.date() + timedelta(days=1), 7))
        written = Timetable(NOW, NOW + timedelta(seconds=2.128), days)
        etag = timetables.write("a1", written, None)

        assert timetables.read("a1") == (written, etag)
        assert timetables.read("a2") == (Timetable(), None)

    def test_a_pause_that_is_over_for_good_can_be_left_out(self, timetables: TimetableRows) -> None:
        etag = timetables.write("a1", Timetable(NOW, NOW), None)

        timetables.write("a1", Timetable(NOW), etag)

        assert timetables.read("a1")[0] == Timetable(NOW)

    def test_instances_keep_a_daily_cap_together(self, timetables: TimetableRows) -> None:
        account = replace(an_account(), defaults=Defaults(daily_cap=60))
        found: list[datetime] = []

        def ask() -> None:
            pacing = Pacing(timetables, lambda: NOW, Pace(30))
            found.extend(pacing.slot(account) for _ in range(30))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        days = Counter(slot.date() for slot in found)
        assert max(days.values()) <= 60
        assert sum(days.values()) == 90
        assert days[NOW.date()] == 60

    def test_of_two_instances_one_is_first(self, timetables: TimetableRows) -> None:
        etag = timetables.write("a1", Timetable(NOW), None)
        timetables.write("a1", Timetable(NOW), etag)

        for late in (None, etag):
            with pytest.raises(LostRace):
                timetables.write("a1", Timetable(NOW), late)

    def test_a_pause_is_read_along_with_its_account(
        self, storage: Storage, new_table: Callable[[], str]
    ) -> None:
        client = storage.table(new_table())
        accounts, timetables = AccountsTable(lambda: client), TimetableRows(lambda: client)
        account = accounts.save(an_account())
        timetables.write(account.account_id, Timetable(NOW, NOW), None)

        found = accounts.all(fresh=True)

        assert list(found) == [replace(account, resting_until=NOW)]
        # The account's own row knows nothing of it, whoever saves it.
        accounts.save(found[0])
        assert accounts.all(fresh=True)[0].resting_until == NOW


class TestAccounts:
    def test_an_account_comes_back_as_it_was_saved(self, accounts: AccountsTable) -> None:
        saved = accounts.save(
            replace(an_account(), state=AccountState.HELD, reason="x", held_until=NOW)
        )

        assert list(accounts.all()) == [saved]

    @pytest.mark.parametrize("kind", AccountKind)
    def test_an_account_of_each_kind_comes_back(
        self, accounts: AccountsTable, kind: AccountKind
    ) -> None:
        through = "id-ada" if kind is AccountKind.SHARED else None
        saved = accounts.save(replace(an_account(), kind=kind, through=through))

        assert accounts.all(fresh=True) == with_holders([saved])

    def test_a_change_under_an_old_etag_is_refused(self, accounts: AccountsTable) -> None:
        first = accounts.save(an_account())
        accounts.save(replace(first, display_name="A"))

        with pytest.raises(LostRace):
            accounts.save(replace(first, display_name="B"))

    def test_two_new_accounts_of_one_alias_cannot_both_be_saved(
        self, accounts: AccountsTable
    ) -> None:
        accounts.save(an_account())

        with pytest.raises(LostRace):
            accounts.save(an_account())

    def test_an_account_is_enrolled_on_the_roll_as_it_stands(self, accounts: AccountsTable) -> None:
        first = accounts.register(an_account(), accounts.snapshot())
        snapshot = accounts.snapshot()
        second = accounts.register(an_account("second"), snapshot)
        changed = accounts.register(replace(first, display_name="A"), accounts.snapshot())

        assert snapshot.accounts == (first,)
        assert list(accounts.all()) == [changed, second]
        assert accounts.save(changed).etag != changed.etag

    def test_another_account_becomes_the_default_in_one_step(self, accounts: AccountsTable) -> None:
        first = accounts.register(an_account(), accounts.snapshot())
        second = accounts.register(
            replace(an_account("sales"), is_default=False), accounts.snapshot()
        )
        changes = AccountChanges(accounts)

        changes.change(second.alias, AccountChange(becomes_default=True))

        rows = {row.alias: row.is_default for row in accounts.snapshot().accounts}
        assert rows == {first.alias: False, second.alias: True}

    def test_an_account_departs_and_leaves_who_had_the_alias(self, accounts: AccountsTable) -> None:
        first = accounts.register(an_account(), accounts.snapshot())
        accounts.register(replace(an_account("second"), is_default=False), accounts.snapshot())
        accounts.remove_account(first, accounts.snapshot(), "second", NOW)
        snapshot = accounts.snapshot()
        gone = DisconnectedMailbox.of(first, NOW)

        assert [(one.alias, one.is_default) for one in snapshot.accounts] == [("second", True)]
        assert snapshot.disconnected == (gone,)
        back = accounts.register(an_account(), snapshot)
        accounts.remove_account(back, accounts.snapshot(), None, NOW)
        assert accounts.snapshot().disconnected == (gone,)

    def test_no_address_is_kept_of_an_account_that_departed(
        self, accounts: AccountsTable, connection_string: str
    ) -> None:
        first = accounts.register(an_account(), accounts.snapshot())
        accounts.remove_account(first, accounts.snapshot(), None, NOW)
        (row,) = [
            row
            for row in accounts._table().rows("looking", "")
            if row["RowKey"].startswith("!departed-")
        ]

        assert set(row) - {"PartitionKey", "RowKey"} == {
            "account_id",
            "tenant_id",
            "object_id",
            "departed_at",
            "kind",
            "address_hash",
        }
        assert not [value for value in row.values() if "@" in str(value)]

    def test_a_row_of_before_kind_and_hash_were_kept_is_read(self, accounts: AccountsTable) -> None:
        old = {"account_id": "i", "tenant_id": "t", "object_id": "", "departed_at": NOW.isoformat()}
        accounts._table().insert(
            "seeding", {"PartitionKey": "account", "RowKey": "!departed-info", **old}
        )

        assert accounts.snapshot().disconnected == (DisconnectedMailbox("info", "i", "t", "", NOW),)

    def test_nobody_departs_on_a_roll_or_a_row_that_moved_on(self, accounts: AccountsTable) -> None:
        first = accounts.register(an_account(), accounts.snapshot())
        old = accounts.snapshot()
        accounts.register(an_account("second"), old)
        changed = accounts.save(replace(first, display_name="A"))

        for row, snapshot in ((first, accounts.snapshot()), (changed, old)):
            with pytest.raises(LostRace):
                accounts.remove_account(row, snapshot, None, NOW)
        accounts.remove_account(changed, accounts.snapshot(), None, NOW)
        with pytest.raises(LostRace):
            accounts.remove_account(changed, accounts.snapshot(), None, NOW)

    def test_a_roll_that_moved_on_takes_nobody(self, accounts: AccountsTable) -> None:
        empty = accounts.snapshot()
        first = accounts.register(an_account(), empty)
        old = accounts.snapshot()
        second = accounts.register(an_account("second"), old)

        for late in (an_account("third"), replace(first, display_name="late")):
            for snapshot in (empty, old):
                with pytest.raises(LostRace):
                    accounts.register(late, snapshot)
        assert list(accounts.all(fresh=True)) == [first, second]

    def test_a_row_that_was_changed_is_not_enrolled_over(self, accounts: AccountsTable) -> None:
        first = accounts.register(an_account(), accounts.snapshot())
        changed = accounts.save(replace(first, display_name="A"))
        snapshot = accounts.snapshot()

        for row in (first, replace(first, etag=None)):
            with pytest.raises(LostRace):
                accounts.register(row, snapshot)
        assert accounts.snapshot() == replace(snapshot, accounts=(changed,))

    @pytest.mark.parametrize("existing", [0, 1])
    def test_of_many_that_enrol_at_once_on_one_roll_one_gets_through(
        self, accounts: AccountsTable, existing: int
    ) -> None:
        for number in range(existing):
            accounts.register(an_account(f"before-{number}"), accounts.snapshot())
        snapshot = accounts.snapshot()
        barrier = threading.Barrier(8)

        def attempt(number: int) -> bool:
            barrier.wait()
            try:
                accounts.register(an_account(f"at-once-{number}"), snapshot)
            except LostRace:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(attempt, range(8)))

        assert outcomes.count(True) == 1
        assert len(accounts.all(fresh=True)) == existing + 1

    def test_the_list_is_kept_for_a_while_and_read_anew_on_demand(
        self, storage: Storage, new_table: Callable[[], str]
    ) -> None:
        clock = [0.0]
        client = storage.table(new_table())
        here = AccountsTable(lambda: client, lambda: clock[0])
        elsewhere = AccountsTable(lambda: client)
        assert list(here.all()) == []
        clock[0] += 1
        elsewhere.save(an_account())

        kept = here.all()
        fresh = here.all(fresh=True)
        clock[0] += 60
        elsewhere.save(an_account("second"))
        late = here.all()

        assert list(kept) == []
        assert [row.alias for row in fresh] == ["billing"]
        assert {row.alias for row in late} == {"billing", "second"}


class TestBell:
    def test_a_ring_is_a_message_that_holds_the_id_alone(self, connection_string: str) -> None:
        name = f"q{uuid4().hex}"
        with QueueServiceClient.from_connection_string(connection_string) as service:
            queue = service.create_queue(name)
            OutboxQueue(lambda: queue).enqueue("0190-id")

            (message,) = queue.receive_messages(max_messages=32)

        assert mail_id_in(message.content.encode()) == "0190-id"

    def test_a_ring_for_later_is_not_heard_now(self, connection_string: str) -> None:
        name = f"q{uuid4().hex}"
        with QueueServiceClient.from_connection_string(connection_string) as service:
            queue = service.create_queue(name)
            OutboxQueue(lambda: queue).enqueue("0190-id", after_seconds=6.9 * 86400)

            result = list(queue.receive_messages(max_messages=32))

        assert result == []

    def test_a_missing_queue_is_an_error_of_ours(self, connection_string: str) -> None:
        with QueueServiceClient.from_connection_string(connection_string) as service:
            queue = service.get_queue_client("nowhere")

            with pytest.raises(RemoteRefused):
                OutboxQueue(lambda: queue).enqueue("0190-id")


class TestPayloads:
    def test_a_payload_is_written_once_read_and_removed(self, connection_string: str) -> None:
        name = f"c{uuid4().hex}"
        with BlobServiceClient.from_connection_string(connection_string) as service:
            container = service.create_container(name)
            payloads = PayloadBlobs(lambda: container)
            payloads.put("a/b", b"x" * 3_000_000)
            payloads.put("a/b", b"again")
            content = payloads.get("a/b")
            payloads.delete("a/b")
            payloads.delete("a/b")

            with pytest.raises(RemoteRefused):
                payloads.get("a/b")

        assert content == b"x" * 3_000_000


def test_storage_that_is_not_there_is_known_to_have_done_nothing() -> None:
    text = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=YQ==;"
        "TableEndpoint=http://127.0.0.1:9/devstoreaccount1;"
    )
    storage = Storage(StorageSettings(connection_string=text), None)

    with pytest.raises(NotSent):
        MailsTable(lambda: storage.table("mails")).insert(a_mail())
