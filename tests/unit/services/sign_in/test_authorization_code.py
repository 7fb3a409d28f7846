"""Signing a mailbox in: what links it, and everything that must not."""

from __future__ import annotations

import base64
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.errors import (
    AnswerLost,
    ConsentRequired,
    CredentialRefused,
    NotSent,
    PostroomError,
    RemoteRefused,
    RequestRejected,
)
from shared.mail.account import PERSONAL_TENANT, Account, AccountKind, AccountState
from shared.mail.known_errors import SignInRejected
from shared.services.accounts.access_tokens import grant_secret
from shared.services.accounts.ports import Profile
from shared.services.sign_in.authorization_code import Consent, state_hash
from shared.services.sign_in.connecting import Connecting, ConsentRules
from shared.services.sign_in.ports import SignInFlow
from shared.services.sign_in.sign_in_request import read_request
from tests.unit.sign_in_fakes import (
    CLIENT,
    CLIENT_INFO,
    HOST,
    NOW,
    OBJECT,
    TENANT,
    FakeAccounts,
    FakeClock,
    FakeFlows,
    FakeIdentity,
    FakeMailService,
    FakeVault,
    account_of,
    claims_of,
    events_in,
    grant_of,
)

OTHER = "44444444-4444-4444-8444-444444444444"
PERSONAL_OBJECT = "00000000-0000-0000-a1b2-c3d4e5f60718"


@dataclass
class Office:
    """A Consent with everything around it."""

    tenant: str = TENANT
    allowed: tuple[str, ...] = ()
    clock: FakeClock = field(default_factory=FakeClock)
    identity: FakeIdentity = field(default_factory=FakeIdentity)
    mail_service: FakeMailService = field(default_factory=FakeMailService)
    accounts: FakeAccounts = field(default_factory=FakeAccounts)
    flows: FakeFlows = field(default_factory=FakeFlows)
    released: list[Account] = field(default_factory=list)
    connected: list[tuple[Account, str, int]] = field(default_factory=list)
    """Each account that was connected, its token, and how many were released before."""
    ids: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.vault = FakeVault(self.clock)

    @property
    def consent(self) -> Consent:
        return Consent(
            rules=self.rules,
            identity=self.identity,
            accounts=self.accounts,
            flows=self.flows,
            clock=self.clock,
            connecting=self.connecting,
        )

    @property
    def rules(self) -> ConsentRules:
        return ConsentRules(CLIENT, self.tenant, HOST, self.allowed)

    @property
    def connecting(self) -> Connecting:
        return Connecting(
            rules=self.rules,
            identity=self.identity,
            mail_service=self.mail_service,
            vault=self.vault,
            accounts=self.accounts,
            clock=self.clock,
            released=self._release,
            connected=self._tell_linked,
            new_account_id=lambda: f"new-{next(self.ids)}",
        )

    def _tell_linked(self, account: Account, access_token: str) -> None:
        self.connected.append((account, access_token, len(self.released)))

    def _release(self, account: Account) -> int:
        self.released.append(account)
        return 2

    def begin(
        self,
        alias: str = "billing",
        expected: str = "",
        *,
        choose_account: bool = False,
        **wishes: Any,
    ) -> SignInFlow:
        sign_in_request = read_request(self.tenant, alias, expected_address=expected, **wishes)
        return self.consent.begin(sign_in_request, choose_account=choose_account)

    def finish(self, flow: SignInFlow | None = None, **changes: str) -> Account:
        flow = flow or self.begin()
        return self.consent.finish(flow, answer_to(flow, **changes))

    def refuse(self, flow: SignInFlow | None = None, **changes: str) -> PostroomError:
        """Finish a sign-in that must be refused, leaving everything as it was."""
        before = (dict(self.accounts.rows), self.vault.grants())
        with pytest.raises(PostroomError) as refused:
            self.finish(flow, **changes)
        assert (self.accounts.rows, self.vault.grants()) == before
        assert self.released == []
        return refused.value


def answer_to(flow: SignInFlow, **changes: str) -> Mapping[str, str]:
    answer = {"code": "code-1", "state": str(flow.msal["state"]), "client_info": CLIENT_INFO}
    return {key: value for key, value in {**answer, **changes}.items() if value}


@pytest.fixture
def office() -> Office:
    return Office()


class TestBegin:
    def test_the_least_scopes_are_asked_for_at_the_configured_authority(
        self, office: Office
    ) -> None:
        office.begin()

        assert office.identity.begun[0]["scopes"] == ("Mail.Send", "User.Read", "email")
        assert office.identity.begun[0]["authority"] == TENANT

    def test_drafts_are_asked_for_where_that_was_chosen_and_kept_where_they_are_granted(
        self, office: Office
    ) -> None:
        flow = office.begin("billing", verified=True)
        drafts = ["Mail.Send", "User.Read", "Mail.ReadWrite"]
        office.identity.redeemed = [grant_of(claims_of(), scopes=drafts)]
        office.identity.refreshed = [grant_of(claims_of(), scopes=drafts)]

        account = office.finish(flow)

        assert office.identity.begun[0]["scopes"] == (*drafts, "email")
        assert account.can_write_drafts

    @pytest.mark.parametrize(
        ("tenant", "kind", "expected", "hint"),
        [
            ("contoso.com", "", "billing@contoso.com", "contoso.com"),
            ("contoso.com", "", "billing@Contoso.COM", "contoso.com"),
            ("contoso.com", "", "billing@fabrikam.com", None),
            ("contoso.com", "", "", None),
            ("consumers", "", "", "consumers"),
            ("common", "personal", "me@outlook.com", "consumers"),
            ("common", "work", "billing@contoso.com", None),
            (TENANT, "", "billing@contoso.com", None),
        ],
    )
    def test_the_domain_is_hinted_where_it_is_certain(
        self, tenant: str, kind: str, expected: str, hint: str | None
    ) -> None:
        office = Office(tenant=tenant)
        office.begin(expected=expected, kind=kind)

        assert office.identity.begun[0]["domain"] == hint

    @pytest.mark.parametrize(
        ("kind", "authority"), [("work", "organizations"), ("personal", "consumers")]
    )
    def test_the_kind_of_account_that_was_chosen_decides_where_it_signs_in(
        self, kind: str, authority: str
    ) -> None:
        office = Office(tenant="common")
        office.begin(kind=kind)

        assert office.identity.begun[0]["authority"] == authority

    def test_a_known_address_is_hinted_and_no_account_picker_is_asked_for(
        self, office: Office
    ) -> None:
        office.begin(expected="billing@contoso.com")

        assert (office.identity.begun[0]["hint"], office.identity.begun[0]["prompt"]) == (
            "billing@contoso.com",
            None,
        )

    def test_without_an_address_the_person_picks_the_account(self, office: Office) -> None:
        office.begin()

        assert (office.identity.begun[0]["hint"], office.identity.begun[0]["prompt"]) == (
            None,
            "select_account",
        )

    def test_after_a_mismatch_the_person_picks_again(self, office: Office) -> None:
        office.begin("billing", "billing@contoso.com", choose_account=True)

        assert (office.identity.begun[0]["hint"], office.identity.begun[0]["prompt"]) == (
            None,
            "select_account",
        )

    def test_signing_in_again_hints_at_the_accounts_mailbox(self, office: Office) -> None:
        office.accounts.rows["billing"] = account_of()
        flow = office.begin()

        assert office.identity.begun[0]["hint"] == "billing@contoso.com"
        assert flow.sign_in_request.expected_address is None

    def test_the_flow_is_written_down_by_the_hash_of_its_state(self, office: Office) -> None:
        flow = office.begin()

        assert office.flows.rows == {
            state_hash(str(flow.msal["state"])): NOW + timedelta(minutes=10)
        }

    @pytest.mark.parametrize(
        "alias", ["", "-a", "a b", "a" * 41, "ä", "../x", "<script>", "a\r\nSet-Cookie:x"]
    )
    def test_an_alias_of_another_shape_is_refused(self, office: Office, alias: str) -> None:
        with pytest.raises(RequestRejected) as refused:
            office.begin(alias)

        assert [problem.field for problem in refused.value.errors] == ["alias"]
        assert not office.flows.rows

    @pytest.mark.parametrize("address", ["nobody", "a@b c", "a@b\r\nx", "Ada <a@b.com>", "@b.com"])
    def test_an_expected_address_of_another_shape_is_refused(
        self, office: Office, address: str
    ) -> None:
        with pytest.raises(RequestRejected) as refused:
            office.begin(expected=address)

        assert [problem.field for problem in refused.value.errors] == ["expected_address"]


class TestFinish:
    def test_the_account_is_linked_with_what_microsoft_said(self, office: Office) -> None:
        account = office.finish()

        assert office.accounts.rows == {"billing": account}
        assert (account.tenant_id, account.object_id) == (TENANT, OBJECT)
        assert (account.address, account.display_name) == ("billing@contoso.com", "Billing")
        assert (account.kind, account.authority) == (AccountKind.WORK, TENANT)
        assert account.scopes == {"Mail.Send", "User.Read"}
        assert (account.state, account.signed_in_at) == (AccountState.READY, NOW)

    def test_the_grant_of_the_test_refresh_is_stored_under_an_opaque_name(
        self, office: Office
    ) -> None:
        account = office.finish()

        assert office.vault.grants() == [grant_secret(account)]
        assert office.vault.secrets[office.vault.grants()[0]][0].value == "refresh-2"
        assert "@" not in office.vault.grants()[0]

    def test_a_refresh_that_rotates_nothing_keeps_the_first_grant(self, office: Office) -> None:
        office.identity.refreshed = [grant_of(refresh_token=None)]
        account = office.finish()

        assert office.vault.secrets[grant_secret(account)][0].value == "refresh-1"

    def test_the_first_account_is_the_default_and_the_second_is_not(self, office: Office) -> None:
        office.accounts.rows["other"] = account_of("other", object_id=OTHER)

        assert office.finish().is_default is False
        office.accounts.rows.clear()
        assert office.finish().is_default is True

    def test_the_mailbox_is_prepared_with_its_newest_token_before_its_mails_go(
        self, office: Office
    ) -> None:
        office.identity.refreshed = [grant_of(access_token="access-2")]
        account = office.finish()

        assert office.connected == [(account, "access-2", 0)]

    def test_held_mails_are_released(
        self, office: Office, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        account = office.finish()

        assert office.released == [account]
        assert events_in(caplog.messages) == [
            {"event": "account_signed_in", "account": "billing", "kind": "work", "released": 2}
        ]

    def test_a_new_sign_in_releases_the_mails_of_shared_mailboxes_as_well(
        self, office: Office
    ) -> None:
        scopes = ["Mail.Send", "Mail.Send.Shared", "User.Read"]
        office.accounts.rows["billing"] = account_of(state=AccountState.NEEDS_SIGN_IN)
        office.accounts.rows["info"] = account_of(
            "info",
            address="info@contoso.com",
            kind=AccountKind.SHARED,
            object_id="",
            through="id-billing",
        )
        office.accounts.rows["other"] = account_of("other", object_id=OTHER)
        office.identity.redeemed = [grant_of(claims_of(), scopes=scopes)]
        office.identity.refreshed = [grant_of(claims_of(), scopes=scopes)]
        flow = office.begin()
        office.finish(flow)

        assert [account.alias for account in office.released] == ["billing", "info"]
        assert [row.state for row in office.accounts.all()] == [AccountState.READY] * 3

    def test_mails_that_cannot_be_released_now_do_not_unlink_the_account(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(account: Account) -> int:
            raise NotSent("storage", "x")

        monkeypatch.setattr(office, "_release", fail)

        assert office.finish().alias == "billing"

    def test_a_personal_account_that_was_chosen_signs_in_and_is_refreshed_at_consumers(
        self,
    ) -> None:
        office = personal_office("common")
        account = office.finish(office.begin(kind="personal"))

        assert account.authority == "consumers"
        assert office.identity.redemptions[0][0] == "consumers"
        assert office.identity.refreshes == [("consumers", "refresh-1")]

    def test_what_microsoft_granted_at_the_refresh_is_what_the_account_can_do(
        self, office: Office
    ) -> None:
        granted = ["Mail.Send", "User.Read", "Mail.ReadWrite", "openid"]
        office.identity.redeemed = [grant_of(claims_of(), scopes=granted)]
        office.identity.refreshed = [grant_of(claims_of(), scopes=granted[:2])]

        account = office.finish(office.begin(verified=True, shared=True))

        assert account.scopes == {"Mail.Send", "User.Read"}
        assert not account.can_write_drafts

    def test_a_personal_account_is_refreshed_at_consumers_from_the_start(self) -> None:
        office = personal_office("common")
        account = office.finish()

        assert (account.kind, account.authority) == (AccountKind.PERSONAL, "consumers")
        assert office.identity.redemptions[0][0] == "common"
        assert office.identity.refreshes == [("consumers", "refresh-1")]

    @pytest.mark.parametrize(
        ("tenant", "authority"),
        [("organizations", "organizations"), ("contoso.com", TENANT), ("common", TENANT)],
    )
    def test_a_work_account_is_refreshed_where_it_was_signed_in_or_at_its_own_directory(
        self, tenant: str, authority: str
    ) -> None:
        office = Office(tenant=tenant)

        assert office.finish().authority == authority
        assert office.identity.refreshes[0][0] == authority

    def test_signing_in_again_keeps_what_was_set_up(self, office: Office) -> None:
        office.accounts.rows["billing"] = account_of(
            state=AccountState.NEEDS_SIGN_IN,
            reason="AADSTS50173",
            allowed_from=("sales@contoso.com",),
            is_default=True,
        )
        account = office.finish()

        assert (account.state, account.reason) == (AccountState.READY, None)
        assert (account.account_id, account.is_default) == ("id-billing", True)
        assert account.allowed_from == ("sales@contoso.com",)

    def test_a_renamed_mailbox_can_be_signed_in_again(self, office: Office) -> None:
        office.accounts.rows["billing"] = account_of(address="old@contoso.com")

        assert office.finish().address == "billing@contoso.com"

    def test_the_expected_address_is_compared_without_regard_to_case(self, office: Office) -> None:
        assert office.finish(office.begin(expected="Billing@Contoso.com")).alias == "billing"

    def test_a_change_that_came_first_is_written_over(self, office: Office) -> None:
        office.accounts.losing = 2

        assert office.finish().alias == "billing"


class TestAttacks:
    def test_flow_replay_is_refused_before_the_code_goes_anywhere(self, office: Office) -> None:
        flow = office.begin()
        office.finish(flow)
        office.released.clear()
        office.refuse(flow)

        assert len(office.identity.redemptions) == 1

    def test_concurrent_replay_succeeds_once(self, office: Office) -> None:
        flow = office.begin()

        def attempt(_: int) -> bool:
            try:
                office.finish(flow)
            except SignInRejected:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(attempt, range(8)))

        assert outcomes.count(True) == 1
        assert len(office.identity.redemptions) == 1

    def test_a_stale_flow_is_refused_by_our_clock_before_any_request(self, office: Office) -> None:
        flow = office.begin()
        office.clock.forward(minutes=10)
        office.refuse(flow)

        assert not office.identity.redemptions

    @pytest.mark.parametrize("state", ["", "state-2", "state-1 ", "\u00e9"])
    def test_another_state_is_refused(self, office: Office, state: str) -> None:
        office.refuse(state=state)

        assert not office.identity.redemptions

    @pytest.mark.parametrize(
        "client_info",
        [
            pytest.param("!!!", id="not base64"),
            pytest.param("a", id="bad padding"),
            pytest.param("e30", id="empty object"),
            pytest.param("W10", id="a list"),
            pytest.param("_____w", id="not utf-8"),
            pytest.param(base64.b64encode(b"[" * 9000).decode(), id="deeply nested"),
            pytest.param("eyJ1aWQiOjEsInV0aWQiOjJ9", id="numbers"),
        ],
    )
    def test_crafted_client_info_is_refused(self, office: Office, client_info: str) -> None:
        assert isinstance(office.refuse(client_info=client_info), SignInRejected)
        assert not office.identity.redemptions

    @pytest.mark.parametrize(
        "issuer",
        [
            "https://evil.example/x/v2.0",
            f"{HOST}.evil.example/{TENANT}/v2.0",
            f"{HOST}/a/b/v2.0",
            f"https://evil.example/{HOST}/{TENANT}/v2.0",
        ],
    )
    def test_mix_up_another_issuer_is_refused_before_redeeming(
        self, office: Office, issuer: str
    ) -> None:
        office.refuse(iss=issuer)

        assert not office.identity.redemptions

    def test_our_own_issuer_is_accepted_where_it_is_sent(self, office: Office) -> None:
        assert office.finish(iss=f"{HOST}/{TENANT}/v2.0").alias == "billing"

    def test_a_missing_id_token_is_refused(self, office: Office) -> None:
        office.identity.redeemed = [grant_of(None)]
        office.refuse()

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"aud": OTHER}, id="audience"),
            pytest.param({"aud": [CLIENT]}, id="audience list"),
            pytest.param({"iss": f"{HOST}/{OTHER}/v2.0"}, id="issuer of another tenant"),
            pytest.param({"iss": f"https://sts.windows.net/{TENANT}/"}, id="v1 issuer"),
            pytest.param({"iss": None}, id="no issuer"),
            pytest.param({"tid": OTHER}, id="another tenant"),
            pytest.param({"tid": None}, id="no tenant"),
            pytest.param({"oid": None}, id="no object id"),
            pytest.param({"oid": "../x"}, id="crafted object id"),
            pytest.param({"exp": None}, id="no expiry"),
            pytest.param({"exp": "never"}, id="expiry in words"),
            pytest.param({"exp": int(NOW.timestamp()) - 301}, id="expired"),
            pytest.param({"nbf": int(NOW.timestamp()) + 301}, id="not yet"),
        ],
    )
    def test_a_foreign_id_token_is_refused(
        self, office: Office, change: Mapping[str, object]
    ) -> None:
        office.identity.redeemed = [grant_of(claims_of(**change))]
        office.refuse()

    def test_a_personal_account_is_refused_where_only_work_accounts_are_asked_for(self) -> None:
        office = personal_office("organizations")
        office.refuse()

    def test_a_work_account_is_refused_where_only_personal_ones_are_asked_for(self) -> None:
        Office(tenant="consumers").refuse()


class TestWrongAccount:
    def test_an_account_with_another_object_id_than_expected_is_refused(
        self, office: Office
    ) -> None:
        error = office.refuse(office.begin(expected_object_id=OTHER))

        assert "another object id" in str(error)

    def test_the_account_with_the_expected_object_id_is_linked(self, office: Office) -> None:
        assert office.finish(office.begin(expected_object_id=OBJECT.upper())).object_id == OBJECT

    @pytest.mark.parametrize(("kind", "came"), [("personal", TENANT), ("work", PERSONAL_TENANT)])
    def test_an_account_of_the_kind_that_was_not_chosen_is_refused(
        self, kind: str, came: str
    ) -> None:
        office = Office(tenant="common")
        office.identity.redeemed = [grant_of(claims_of(tid=came))]

        error = office.refuse(office.begin(kind=kind))

        assert "another directory" in str(error)

    def test_an_address_that_unicode_folds_into_another_is_not_that_one(
        self, office: Office
    ) -> None:
        refused = office.refuse(office.begin(expected="billing@conto\u017fo.com"))

        assert isinstance(refused, SignInRejected)
        assert refused.chosen == "billing@contoso.com"

    def test_another_mailbox_than_expected_is_named_and_not_linked(self, office: Office) -> None:
        refused = office.refuse(office.begin(expected="ceo@contoso.com"))

        assert isinstance(refused, SignInRejected)
        assert refused.chosen == "billing@contoso.com"
        assert "ceo@contoso.com" in refused.detail

    def test_signing_in_as_b_while_renewing_a_leaves_a_intact(self, office: Office) -> None:
        office.accounts.rows["billing"] = account_of(object_id=OTHER, address="a@contoso.com")
        office.vault.set("postroom-grant-id-billing", "as token")
        refused = office.refuse()

        assert "a@contoso.com" in str(refused)
        assert office.vault.secrets["postroom-grant-id-billing"][-1].value == "as token"

    def test_another_mailbox_is_put_under_the_alias_when_asked_to(self, office: Office) -> None:
        """It gets another id, so that no cached token of the old one can send for it."""
        office.accounts.rows["billing"] = account_of(object_id=OTHER, is_default=True)
        office.vault.set("postroom-grant-id-billing", "as token")
        flow = office.begin("billing", replace=True)
        account = office.finish(flow)

        assert account.account_id != "id-billing"
        assert account.is_default
        assert office.vault.grants() == [grant_secret(account)]
        assert office.identity.begun[0]["hint"] is None

    def test_a_mailbox_linked_under_another_alias_is_refused_naming_it(
        self, office: Office
    ) -> None:
        office.accounts.rows["accounts"] = account_of("accounts")

        assert "'accounts'" in str(office.refuse())

    def test_a_mailbox_that_is_not_allowed_is_refused(self) -> None:
        refused = Office(allowed=("fabrikam.com",)).refuse()

        assert "POSTROOM_ALLOWED_MAILBOXES" in str(getattr(refused, "help", ""))

    def test_a_mailbox_that_is_allowed_is_linked(self) -> None:
        assert Office(allowed=("contoso.com",)).finish().alias == "billing"

    def test_graph_naming_somebody_else_is_refused(self, office: Office) -> None:
        office.mail_service.profile = Profile(OTHER, "billing@contoso.com", "")
        office.refuse()

    def test_a_short_personal_id_of_graph_matches_the_tokens_long_one(self) -> None:
        office = personal_office("consumers")
        office.mail_service.profile = Profile("a1b2c3d4e5f60718", "ada@outlook.com", "Ada")

        assert office.finish().object_id == PERSONAL_OBJECT

    def test_an_account_without_an_address_is_refused(self, office: Office) -> None:
        office.mail_service.profile = Profile(OBJECT, "", "")
        office.refuse()


class TestAtOnce:
    """Sign-ins that are finished at the same moment."""

    def test_one_mailbox_under_six_aliases_is_linked_once(self, office: Office) -> None:
        flows = [office.begin(f"alias-{number}") for number in range(6)]
        consent = office.consent
        # All six have seen an empty table before the first one writes.
        office.accounts.before_enrol = threading.Barrier(6, timeout=10).wait

        def attempt(flow: SignInFlow) -> str:
            try:
                return consent.finish(flow, answer_to(flow)).alias
            except SignInRejected as refused:
                return refused.detail

        with ThreadPoolExecutor(6) as pool:
            outcomes = list(pool.map(attempt, flows))

        (connected,) = office.accounts.rows.values()
        assert outcomes.count(connected.alias) == 1
        assert (
            outcomes.count(f"{connected.address} is connected already, as '{connected.alias}'.")
            == 5
        )
        assert office.vault.grants() == [grant_secret(connected)]
        assert [account.alias for account in office.released] == [connected.alias]

    def test_of_two_first_accounts_one_is_the_default(self, office: Office) -> None:
        other = account_of("other", object_id=OTHER, is_default=True)
        meanwhile(office, lambda: registered(office, other))

        assert not office.finish().is_default

    def test_many_mailboxes_are_all_linked(self, office: Office) -> None:
        for number in range(9):
            other = account_of(f"other-{number}", object_id=f"{number}")
            meanwhile(office, lambda other=other: registered(office, other))  # type: ignore[misc]

        assert office.finish().alias == "billing"
        assert len(office.accounts.rows) == 10

    def test_one_mailbox_twice_under_one_alias_keeps_the_first_with_its_grant(
        self, office: Office
    ) -> None:
        first = account_of(account_id="first")
        meanwhile(office, lambda: registered(office, first))

        with pytest.raises(SignInRejected, match="is connected already, as 'billing'"):
            office.finish()
        assert office.accounts.rows["billing"].account_id == "first"
        assert office.vault.grants() == ["postroom-grant-first"]

    def test_a_row_that_was_not_seen_from_the_start_is_not_replaced(self, office: Office) -> None:
        office.accounts.rows["billing"] = account_of(object_id=OTHER)
        flow = office.begin("billing", replace=True)
        third = account_of(account_id="third", object_id="third")
        meanwhile(office, lambda: registered(office, third))

        with pytest.raises(SignInRejected, match="Somebody else changed 'billing'"):
            office.finish(flow)
        assert office.accounts.rows["billing"].account_id == "third"
        assert office.vault.grants() == ["postroom-grant-third"]

    def test_signing_in_again_while_another_mailbox_takes_the_alias_leaves_no_grant(
        self, office: Office
    ) -> None:
        office.accounts.rows["billing"] = account_of()
        third = account_of(account_id="third", object_id="third", address="c@contoso.com")
        meanwhile(office, lambda: registered(office, third))

        with pytest.raises(SignInRejected, match=r"is the mailbox c@contoso\.com"):
            office.finish()
        assert office.vault.grants() == ["postroom-grant-third"]

    def test_a_write_that_got_through_unnoticed_is_found_to_be_ones_own(
        self, office: Office
    ) -> None:
        """As when the SDK repeats a request whose answer it lost: the repetition is refused."""
        lost = []

        def write_first() -> None:
            (name,) = office.vault.grants()
            ours = account_of(
                account_id="new-0", grant=name.removeprefix("postroom-grant-"), is_default=True
            )
            lost.append(registered(office, ours))

        meanwhile(office, write_first)
        account = office.finish()

        assert (account.account_id, account.is_default) == (lost[0].account_id, True)
        assert office.vault.grants() == [grant_secret(account)]

    def test_changes_by_workers_meanwhile_are_kept(self, office: Office) -> None:
        office.accounts.rows["billing"] = account_of(is_default=False)

        def change() -> None:
            row = office.accounts.rows["billing"]
            office.accounts.save(replace(row, allowed_from=("sales@contoso.com",), is_default=True))

        meanwhile(office, change)
        account = office.finish()

        assert (account.allowed_from, account.is_default) == (("sales@contoso.com",), True)


def meanwhile(office: Office, happens: Callable[[], object]) -> None:
    """Let something happen between what the next sign-in reads and what it writes."""
    later = office.accounts.before_enrol

    def once() -> None:
        office.accounts.before_enrol = later
        happens()

    office.accounts.before_enrol = once


def registered(office: Office, account: Account) -> Account:
    """Link an account as another instance would, with its grant; a row in its place goes."""
    row = office.accounts.rows.get(account.alias)
    if row:
        office.vault.remove(grant_secret(row))
    office.vault.set(grant_secret(account), "another's")
    hook, office.accounts.before_enrol = office.accounts.before_enrol, lambda: None
    try:
        changed = replace(account, etag=row.etag if row else None)
        return office.accounts.register(changed, office.accounts.snapshot())
    finally:
        office.accounts.before_enrol = hook


class TestRefusals:
    def test_declined_permissions_are_explained_with_their_code(self, office: Office) -> None:
        refused = office.refuse(
            code="",
            error="access_denied",
            error_description="AADSTS65004: <script>alert(1)</script>",
        )

        assert isinstance(refused, SignInRejected)
        assert refused.code == "AADSTS65004"
        assert "script" not in refused.detail + refused.help

    def test_an_answer_without_code_or_error_is_refused(self, office: Office) -> None:
        office.refuse(code="")

    def test_a_grant_without_refresh_token_is_refused_with_a_remedy(self, office: Office) -> None:
        office.identity.redeemed = [grant_of(claims_of(), refresh_token=None)]

        assert "offline_access" in str(getattr(office.refuse(), "help", ""))

    def test_a_grant_that_cannot_send_is_refused(self, office: Office) -> None:
        office.identity.redeemed = [grant_of(claims_of(), scopes=["User.Read"])]

        assert "Mail.Send" in str(office.refuse())

    def test_a_test_refresh_that_fails_is_found_out_now(self, office: Office) -> None:
        office.identity.refreshed = [ConsentRequired("AADSTS70000", "bad_token")]
        refused = office.refuse()

        assert isinstance(refused, SignInRejected)
        assert refused.code == "AADSTS70000"

    @pytest.mark.parametrize(
        "error", [NotSent("entra", "503"), CredentialRefused("AADSTS7000215", "wrong secret")]
    )
    def test_trouble_with_microsoft_or_our_secret_comes_out_as_it_is(
        self, office: Office, error: PostroomError
    ) -> None:
        office.identity.redeemed = [error]

        assert office.refuse() is error

    def test_graph_refusing_to_say_who_it_is_is_explained(self, office: Office) -> None:
        office.mail_service.profile = RemoteRefused("graph", "403")

        assert "User.Read" in str(getattr(office.refuse(), "help", ""))

    def test_a_vault_that_does_not_take_the_grant_links_nothing(self, office: Office) -> None:
        office.vault.trouble = RemoteRefused("vault", "no right")
        office.refuse()

    @pytest.mark.parametrize("error", [NotSent("storage", "x"), AnswerLost("storage", "x")])
    def test_an_account_that_cannot_be_written_down_is_not_linked(
        self, office: Office, error: Exception
    ) -> None:
        """The grant, which was in the vault by then, is taken out again."""
        office.accounts.trouble = error
        with pytest.raises(SignInRejected, match="could not write"):
            office.finish()

        assert not office.accounts.rows
        assert not office.vault.grants()
        assert not office.released

    def test_a_vault_whose_answer_was_lost_keeps_no_grant(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_secret = office.vault.set

        def lose_the_answer(name: str, value: str) -> None:
            set_secret(name, value)
            raise AnswerLost("vault", "x")

        monkeypatch.setattr(office.vault, "set", lose_the_answer)
        office.refuse()

    def test_storage_that_stops_answering_after_the_vault_has_the_grant_leaves_none(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> None:
            raise NotSent("storage", "x")

        set_secret = office.vault.set

        def set_then_fail(name: str, value: str) -> None:
            set_secret(name, value)
            monkeypatch.setattr(office.accounts, "snapshot", fail)

        monkeypatch.setattr(office.vault, "set", set_then_fail)
        office.refuse()

    def test_a_write_whose_answer_was_lost_counts_if_it_got_through(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save = office.accounts.save

        def lose_the_answer(account: Account) -> Account:
            save(account)
            raise AnswerLost("storage", "x")

        monkeypatch.setattr(office.accounts, "save", lose_the_answer)

        assert office.finish().etag == "e1"

    def test_nothing_secret_is_logged_and_repr_hides_it(
        self, office: Office, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        office.finish()

        assert not any(
            word in caplog.text for word in ("refresh-", "access-", "code-1", "contoso", "verifier")
        )


def personal_office(tenant: str) -> Office:
    office = Office(tenant=tenant)
    claims = claims_of(tid=PERSONAL_TENANT, oid=PERSONAL_OBJECT)
    office.identity.redeemed = [grant_of(claims)]
    office.mail_service.profile = Profile(PERSONAL_OBJECT, "ada@outlook.com", "Ada")
    return office


def test_a_flow_for_another_browser_has_another_state(office: Office) -> None:
    first, second = office.begin("a"), office.begin("b")

    with pytest.raises(SignInRejected):
        office.consent.finish(replace(first, msal=second.msal), answer_to(first))
