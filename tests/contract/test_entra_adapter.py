"""Entra through MSAL, against the simulator: the wire, the errors, the memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.credentials import TokenCredential

from shared.adapters.entra.app_credential import EXCHANGE_AUDIENCE, AppCredential, ManagedIdentity
from shared.adapters.entra.client_certificate import CLIENT_CERTIFICATE, ClientCertificate
from shared.adapters.entra.identity_platform import Entra
from shared.adapters.entra.managed_identity import AppIdentity
from shared.adapters.graph.mail_service import Graph
from shared.adapters.key_vault.credential import CLIENT_SECRET, ClientSecret
from shared.adapters.key_vault.secrets import KeyVault
from shared.errors import ConsentRequired, CredentialRefused, NotSent, PostroomError
from shared.mail.account import AccountKind, AccountState, user_path
from shared.mail.known_errors import SignInRejected
from shared.services.accounts.access_tokens import TokenSource, grant_secret
from shared.services.sign_in.authorization_code import Consent
from shared.services.sign_in.connecting import Connecting, ConsentRules
from shared.services.sign_in.ports import Grant, IdentityPlatform
from shared.services.sign_in.sign_in_request import read_request
from tests.canary import SECRET
from tests.certificates import PKCS12, made
from tests.contract.conftest import Stand
from tests.contract.person import Person
from tests.unit.sign_in_fakes import FakeAccounts, FakeFlows

REDIRECT = "http://localhost:7071/api/auth/callback"
SCOPES = ("Mail.Send", "User.Read")
BILLING = "billing@contoso.com"
PERSONAL = "postroom.demo@outlook.com"


def adapter_of(stand: Stand, credential: AppCredential) -> Entra:
    return Entra(
        client_id=stand.stack["client_id"],
        authority_host=stand.stack["authority_host"],
        redirect_uri=REDIRECT,
        credential=credential,
        development=True,
        ca_file=stand.ca_file,
    )


@pytest.fixture
def entra(stand: Stand, vault: KeyVault) -> Iterator[Entra]:
    vault.set(CLIENT_SECRET, stand.stack["client_secret"])
    adapter = adapter_of(stand, ClientSecret(vault))
    yield adapter
    adapter.close()


@pytest.fixture
def person(stand: Stand) -> Iterator[Person]:
    somebody = Person(stand.ca_file)
    yield somebody
    somebody.close()


@pytest.fixture
def tenant(stand: Stand) -> str:
    return str(stand.stack["tenant_id"])


@pytest.fixture
def grant(entra: Entra, person: Person, tenant: str) -> Grant:
    flow = entra.begin(tenant, SCOPES)
    return entra.redeem(tenant, flow, person.sign_in(str(flow["auth_uri"]), BILLING))


class TestBegin:
    def test_the_request_has_everything_that_protects_it(self, entra: Entra, tenant: str) -> None:
        port: IdentityPlatform = entra
        flow = port.begin(tenant, SCOPES, login_hint=BILLING)
        query = parse_qs(urlsplit(str(flow["auth_uri"])).query)

        assert query["response_mode"] == ["form_post"]
        assert query["code_challenge_method"] == ["S256"]
        assert query["redirect_uri"] == [REDIRECT]
        assert query["login_hint"] == [BILLING]
        assert "prompt" not in query
        assert {"state", "nonce", "code_challenge"} <= query.keys()

    def test_scopes_go_out_in_long_form_with_what_keeps_a_grant(
        self, entra: Entra, tenant: str
    ) -> None:
        flow = entra.begin(tenant, SCOPES)
        scopes = parse_qs(urlsplit(str(flow["auth_uri"])).query)["scope"][0].split()

        assert set(scopes) == {
            "https://graph.microsoft.com/Mail.Send",
            "https://graph.microsoft.com/User.Read",
            "openid",
            "profile",
            "offline_access",
        }

    def test_an_unknown_tenant_is_the_operators_to_mend(self, entra: Entra) -> None:
        with pytest.raises(CredentialRefused) as refused:
            entra.begin("no-such-tenant.example", SCOPES)

        assert refused.value.code == "AADSTS90002"

    def test_a_missing_client_secret_says_where_it_belongs(
        self, stand: Stand, vault: KeyVault, tenant: str
    ) -> None:
        adapter = adapter_of(stand, ClientSecret(vault))

        with pytest.raises(CredentialRefused, match=CLIENT_SECRET):
            adapter.begin(tenant, SCOPES)


class TestRedeem:
    def test_a_code_becomes_a_grant(self, grant: Grant, stand: Stand, tenant: str) -> None:
        claims = grant.id_token_claims

        assert claims is not None
        assert (claims["tid"], claims["aud"]) == (tenant, stand.stack["client_id"])
        assert {"Mail.Send", "User.Read"} <= grant.scopes
        assert grant.refresh_token
        assert 3000 < grant.expires_in_seconds < 6000

    def test_code_injection_a_foreign_code_with_our_state_is_refused(
        self, entra: Entra, person: Person, tenant: str
    ) -> None:
        theirs = entra.begin(tenant, SCOPES)
        stolen = person.sign_in(str(theirs["auth_uri"]), BILLING)
        ours = entra.begin(tenant, SCOPES)

        with pytest.raises((SignInRejected, CredentialRefused)):
            entra.redeem(tenant, ours, {**stolen, "state": str(ours["state"])})

    def test_a_code_works_once(self, entra: Entra, person: Person, tenant: str) -> None:
        flow = entra.begin(tenant, SCOPES)
        answer = person.sign_in(str(flow["auth_uri"]), BILLING)
        entra.redeem(tenant, flow, answer)

        with pytest.raises(SignInRejected) as refused:
            entra.redeem(tenant, flow, answer)
        assert refused.value.code == "AADSTS54005"

    def test_a_wrong_nonce_is_refused(
        self, entra: Entra, person: Person, tenant: str, stand: Stand
    ) -> None:
        stand.control("options", {"wrong_nonce": True})
        flow = entra.begin(tenant, SCOPES)
        answer = person.sign_in(str(flow["auth_uri"]), BILLING)

        with pytest.raises(SignInRejected, match="nonce"):
            entra.redeem(tenant, flow, answer)

    def test_a_rotated_client_secret_is_read_again_without_losing_the_code(
        self, entra: Entra, person: Person, tenant: str, stand: Stand, vault: KeyVault
    ) -> None:
        flow = entra.begin(tenant, SCOPES)
        answer = person.sign_in(str(flow["auth_uri"]), BILLING)
        _rotate(stand, vault)

        assert entra.redeem(tenant, flow, answer).refresh_token


class TestRefresh:
    def test_a_refresh_gives_a_newer_grant(self, entra: Entra, tenant: str, grant: Grant) -> None:
        newer = entra.refresh(tenant, str(grant.refresh_token), SCOPES)

        assert newer.access_token != grant.access_token
        assert newer.refresh_token not in (None, grant.refresh_token)
        assert "Mail.Send" in newer.scopes

    @pytest.mark.parametrize("code", [50173, 700082, 70043, 50076, 53003, 65001])
    def test_a_dead_grant_asks_for_a_person(
        self, entra: Entra, tenant: str, grant: Grant, stand: Stand, code: int
    ) -> None:
        stand.fault("entra.token", action="aadsts", code=code)

        with pytest.raises(ConsentRequired) as refused:
            entra.refresh(tenant, str(grant.refresh_token), SCOPES)
        assert refused.value.code == f"AADSTS{code}"

    @pytest.mark.parametrize("code", [7000215, 7000222, 700016, 7000112])
    def test_the_apps_own_trouble_is_not_the_mailboxs(
        self, entra: Entra, tenant: str, grant: Grant, stand: Stand, code: int
    ) -> None:
        stand.fault("entra.token", action="aadsts", code=code, times=-1)

        with pytest.raises(CredentialRefused) as refused:
            entra.refresh(tenant, str(grant.refresh_token), SCOPES)
        assert refused.value.code == f"AADSTS{code}"

    @pytest.mark.parametrize(
        "rule",
        [
            pytest.param({"status": 503}, id="503"),
            pytest.param({"status": 500, "action": "html"}, id="html 500"),
            pytest.param({"status": 502, "action": "empty"}, id="empty 502"),
            pytest.param({"status": 400, "action": "html"}, id="html 400"),
            pytest.param({"status": 200, "action": "empty"}, id="empty 200"),
            pytest.param({"status": 429}, id="429"),
            pytest.param({"action": "reset"}, id="reset"),
            pytest.param({"action": "reset", "when": "after"}, id="answer lost"),
            pytest.param({"action": "aadsts", "code": 90033}, id="90033"),
            pytest.param({"action": "aadsts", "code": 50196}, id="loop"),
        ],
    )
    def test_passing_trouble_is_not_a_dead_grant_and_is_forgotten_at_once(
        self, entra: Entra, tenant: str, grant: Grant, stand: Stand, rule: Mapping[str, object]
    ) -> None:
        """MSAL would repeat a 400 for 60 s, and a 503 for 5, without asking again."""
        stand.fault("entra.token", times=1, **rule)

        with pytest.raises(NotSent):
            entra.refresh(tenant, str(grant.refresh_token), SCOPES)
        assert entra.refresh(tenant, str(grant.refresh_token), SCOPES).access_token

    @pytest.mark.parametrize("status", [429, 503])
    def test_retry_after_is_handed_on(
        self, entra: Entra, tenant: str, grant: Grant, stand: Stand, status: int
    ) -> None:
        stand.fault("entra.token", status=status, headers={"Retry-After": "17"})

        with pytest.raises(NotSent) as caught:
            entra.refresh(tenant, str(grant.refresh_token), SCOPES)
        assert caught.value.retry_after == 17

    def test_a_dead_answer_is_forgotten_too(
        self, entra: Entra, tenant: str, grant: Grant, stand: Stand
    ) -> None:
        stand.fault("entra.token", action="aadsts", code=50173)
        with pytest.raises(ConsentRequired):
            entra.refresh(tenant, str(grant.refresh_token), SCOPES)

        assert entra.refresh(tenant, str(grant.refresh_token), SCOPES).access_token

    def test_a_rotated_client_secret_is_read_again(
        self, entra: Entra, tenant: str, grant: Grant, stand: Stand, vault: KeyVault
    ) -> None:
        _rotate(stand, vault)

        assert entra.refresh(tenant, str(grant.refresh_token), SCOPES).access_token

    def test_a_newer_secret_that_entra_does_not_know_yields_to_the_one_before(
        self, entra: Entra, tenant: str, grant: Grant, stand: Stand, vault: KeyVault
    ) -> None:
        """As where the secret's id was stored in place of its value."""
        vault.set(CLIENT_SECRET, "SIMSECRET~not.a.secret-of-it")
        fresh = adapter_of(stand, ClientSecret(vault))

        assert fresh.refresh(tenant, str(grant.refresh_token), SCOPES).access_token
        fresh.close()

    @pytest.mark.parametrize("mended", ["in the vault", "in Entra"])
    def test_a_mended_secret_works_at_once(
        self,
        entra: Entra,
        tenant: str,
        grant: Grant,
        stand: Stand,
        vault: KeyVault,
        mended: str,
    ) -> None:
        """MSAL remembers refusals for up to a minute; nobody who has mended something waits for it."""
        right, wrong = stand.stack["client_secret"], "SIMSECRET~not.a.secret-of-it"
        stand.control("client-secrets", {"remove": right})
        for _ in range(2):
            with pytest.raises(CredentialRefused):
                entra.refresh(tenant, str(grant.refresh_token), SCOPES)
        if mended == "in the vault":
            stand.control("client-secrets", {"add": wrong})
            vault.set(CLIENT_SECRET, wrong)
        else:
            stand.control("client-secrets", {"add": right})

        assert entra.refresh(tenant, str(grant.refresh_token), SCOPES).access_token

    def test_an_expired_client_secret_without_a_successor_asks_once(
        self, entra: Entra, tenant: str, grant: Grant, stand: Stand
    ) -> None:
        stand.control("client-secrets", {"expire": stand.stack["client_secret"]})
        before = stand.count("entra.token")

        with pytest.raises(CredentialRefused) as refused:
            entra.refresh(tenant, str(grant.refresh_token), SCOPES)
        assert refused.value.code == "AADSTS7000222"
        assert stand.count("entra.token") == before + 1

    def test_metadata_is_fetched_once(
        self, entra: Entra, tenant: str, grant: Grant, stand: Stand
    ) -> None:
        for _ in range(3):
            entra.refresh(tenant, str(grant.refresh_token), SCOPES)

        assert stand.count("entra.metadata") == 1

    def test_the_probe_is_quiet_when_all_is_well(self, entra: Entra, tenant: str) -> None:
        entra.probe(tenant)

    def test_nothing_secret_reaches_a_log_at_debug_or_an_error(
        self,
        entra: Entra,
        tenant: str,
        grant: Grant,
        stand: Stand,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("DEBUG")
        errors: list[PostroomError] = []
        rules: list[dict[str, object]] = [
            {"action": "aadsts", "code": 50173, "message": "CANARY for ada@contoso.com"},
            {"action": "html", "status": 400, "body": "CANARY"},
            {"status": 503},
        ]
        for rule in rules:
            stand.fault("entra.token", times=1, **rule)
            with pytest.raises(PostroomError) as caught:
                entra.refresh(tenant, str(grant.refresh_token), SCOPES)
            errors.append(caught.value)
        newer = entra.refresh(tenant, str(grant.refresh_token), SCOPES)
        said = caplog.text + " ".join(str(error) for error in errors)

        for secret in (
            "CANARY",
            "ada@contoso.com",
            str(grant.refresh_token),
            newer.access_token,
            str(stand.stack["client_secret"]),
        ):
            assert secret not in said


def _rotate(stand: Stand, vault: KeyVault) -> None:
    stand.control("client-secrets", {"expire": stand.stack["client_secret"]})
    stand.control("client-secrets", {"add": "SIMSECRET~the.next-one"})
    vault.set(CLIENT_SECRET, "SIMSECRET~the.next-one")


@dataclass
class Desk:
    """Signing in with the real adapters; only the tables are in memory."""

    tenant: str
    consent: Consent
    tokens: TokenSource
    accounts: FakeAccounts
    person: Person

    def link(self, address: str, alias: str = "box") -> None:
        flow = self.consent.begin(read_request(self.tenant, alias))
        answer = self.person.sign_in(str(flow.msal["auth_uri"]), address)
        self.consent.finish(flow, answer)


def desk_of(
    stand: Stand, entra: Entra, vault: KeyVault, graph: Graph, person: Person, tenant: str
) -> Desk:
    accounts = FakeAccounts()
    rules = ConsentRules(stand.stack["client_id"], tenant, stand.stack["authority_host"])
    connecting = Connecting(
        rules=rules,
        identity=entra,
        mail_service=graph,
        vault=vault,
        accounts=accounts,
        clock=_now,
    )
    consent = Consent(
        rules=rules,
        identity=entra,
        accounts=accounts,
        flows=FakeFlows(),
        clock=_now,
        connecting=connecting,
    )
    return Desk(tenant, consent, TokenSource(entra, vault, accounts, _now), accounts, person)


def _now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def graph(stand: Stand) -> Graph:
    return Graph(stand.stack["graph_url"], ca_file=stand.ca_file, send_seconds=10, clock=_now)


@pytest.fixture(params=["common", "own"])
def desk(
    request: pytest.FixtureRequest,
    stand: Stand,
    entra: Entra,
    vault: KeyVault,
    graph: Graph,
    person: Person,
    tenant: str,
) -> Desk:
    authority = tenant if request.param == "own" else request.param
    return desk_of(stand, entra, vault, graph, person, authority)


class TestWholeSignIn:
    def test_a_work_mailbox_is_linked_and_gets_tokens(
        self, desk: Desk, vault: KeyVault, tenant: str
    ) -> None:
        desk.link(BILLING)
        account = desk.accounts.rows["box"]

        assert (account.address, account.kind, account.authority) == (
            BILLING,
            AccountKind.WORK,
            tenant,
        )
        assert vault.get(grant_secret(account))
        assert desk.tokens.access_token(account)

    def test_a_revoked_mailbox_asks_for_a_sign_in_which_mends_it(
        self, desk: Desk, stand: Stand
    ) -> None:
        desk.link(BILLING)
        stand.control("revoke", {"mailbox": BILLING})
        with pytest.raises(ConsentRequired):
            desk.tokens.access_token(desk.accounts.rows["box"])
        assert desk.accounts.rows["box"].state is AccountState.NEEDS_SIGN_IN

        desk.link(BILLING)
        mended = desk.accounts.rows["box"]

        assert mended.state is AccountState.READY
        assert desk.tokens.access_token(mended)

    @pytest.mark.parametrize(
        "option",
        [
            "omit_id_token",
            "wrong_nonce",
            "wrong_audience",
            "wrong_issuer",
            "expired_id_token",
            "malformed_client_info",
            "omit_refresh_token",
        ],
    )
    def test_a_foreign_or_missing_confirmation_links_nothing(
        self, desk: Desk, stand: Stand, option: str
    ) -> None:
        stand.control("options", {option: True})
        writes = stand.count("key_vault.set_secret")

        with pytest.raises((SignInRejected, NotSent)):
            desk.link(BILLING)
        assert not desk.accounts.rows
        assert stand.count("key_vault.set_secret") == writes

    def test_an_answer_without_client_info_is_enough(self, desk: Desk, stand: Stand) -> None:
        stand.control("options", {"omit_client_info": True})
        desk.link(BILLING)

        assert desk.accounts.rows["box"].address == BILLING

    def test_declined_permissions_are_told_with_their_code(self, desk: Desk) -> None:
        flow = desk.consent.begin(read_request(desk.tenant, "box"))
        answer = desk.person.sign_in(str(flow.msal["auth_uri"]), BILLING, accept=False)

        with pytest.raises(SignInRejected) as refused:
            desk.consent.finish(flow, answer)
        assert refused.value.code == "AADSTS65004"


@pytest.mark.parametrize("authority", ["common", "consumers"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_personal_mailbox_is_linked_or_found_out_at_once(
    authority: str,
    fails: bool,
    stand: Stand,
    entra: Entra,
    vault: KeyVault,
    graph: Graph,
    person: Person,
) -> None:
    """Grants through /common may die at the first refresh; then nothing is connected."""
    stand.control("options", {"personal_common_refresh_fails": fails})
    desk = desk_of(stand, entra, vault, graph, person, authority)
    if fails and authority == "common":
        with pytest.raises(SignInRejected) as refused:
            desk.link(PERSONAL)
        assert refused.value.code == "AADSTS70000"
        assert not desk.accounts.rows
        return

    desk.link(PERSONAL)

    assert desk.accounts.rows["box"].authority == "consumers"
    assert desk.tokens.access_token(desk.accounts.rows["box"])


class TestManagedIdentity:
    """No secret at all: the app's identity is a federated credential of the registration."""

    @pytest.fixture
    def secretless(self, stand: Stand, credential: TokenCredential) -> Iterator[Entra]:
        identity = AppIdentity(stand.stack["identity_client_id"], os.environ)
        adapter = adapter_of(stand, ManagedIdentity(identity, EXCHANGE_AUDIENCE))
        yield adapter
        adapter.close()

    def test_a_code_is_redeemed_and_refreshed_without_any_secret(
        self, secretless: Entra, person: Person, tenant: str, vault: KeyVault
    ) -> None:
        flow = secretless.begin(tenant, SCOPES)
        answer = person.sign_in(str(flow["auth_uri"]), BILLING)

        grant = secretless.redeem(tenant, flow, answer)
        newer = secretless.refresh(tenant, str(grant.refresh_token), SCOPES)

        assert "Mail.Send" in newer.scopes
        assert vault.get(CLIENT_SECRET) is None

    def test_an_identity_that_is_not_registered_is_refused_with_its_code(
        self, secretless: Entra, stand: Stand, person: Person, tenant: str
    ) -> None:
        stand.control("options", {"federated_subjects": ["somebody-else"]})
        flow = secretless.begin(tenant, SCOPES)
        answer = person.sign_in(str(flow["auth_uri"]), BILLING)

        with pytest.raises(CredentialRefused) as refused:
            secretless.redeem(tenant, flow, answer)

        assert refused.value.code == "AADSTS700213"

    def test_an_identity_that_is_not_the_apps_is_named(
        self, secretless: Entra, stand: Stand, person: Person, tenant: str
    ) -> None:
        flow = secretless.begin(tenant, SCOPES)
        answer = person.sign_in(str(flow["auth_uri"]), BILLING)
        stand.fault("identity.token", status=400, times=-1)

        with pytest.raises(CredentialRefused, match="POSTROOM_IDENTITY_CLIENT_ID") as refused:
            secretless.redeem(tenant, flow, answer)
        assert refused.value.code == "no_managed_identity"

    @pytest.mark.parametrize(
        "rule",
        [
            pytest.param({"status": 500}, id="500"),
            pytest.param({"status": 503}, id="503"),
            pytest.param({"status": 429}, id="429"),
            pytest.param({"action": "html", "status": 502}, id="a gateway's page"),
            pytest.param({"action": "reset"}, id="reset"),
        ],
    )
    def test_an_endpoint_that_is_not_well_passes(
        self,
        secretless: Entra,
        stand: Stand,
        person: Person,
        tenant: str,
        rule: Mapping[str, object],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        # How long others are told of the same trouble is a matter of tests/unit/adapters.
        monkeypatch.setattr("shared.adapters.entra.managed_identity.TROUBLE_SECONDS", 0.0)
        flow = secretless.begin(tenant, SCOPES)
        answer = person.sign_in(str(flow["auth_uri"]), BILLING)
        stand.fault("identity.token", times=-1, **rule)

        with pytest.raises(NotSent) as caught:
            secretless.redeem(tenant, flow, answer)
        assert caught.value.system == "identity"
        stand.control("faults", None, "DELETE")
        assert secretless.redeem(tenant, flow, answer).refresh_token


class TestCertificate:
    """A certificate of Key Vault, whose public part is registered with the app."""

    @pytest.fixture
    def keep(self, stand: Stand) -> Callable[[str], None]:
        """Put a value into the vault as a certificate's secret."""

        def put(value: str) -> None:
            document = {"value": value, "contentType": PKCS12}
            stand.simulator.state.vault.set(CLIENT_CERTIFICATE, document)

        return put

    @pytest.fixture
    def certified(self, stand: Stand, vault: KeyVault) -> Iterator[Entra]:
        adapter = adapter_of(stand, ClientCertificate(vault))
        yield adapter
        adapter.close()

    def test_a_code_is_redeemed_and_refreshed_with_it(
        self,
        certified: Entra,
        keep: Callable[[str], None],
        stand: Stand,
        person: Person,
        tenant: str,
    ) -> None:
        keep(made().pkcs12())
        stand.control("certificates", {"add": made().public})
        flow = certified.begin(tenant, SCOPES)

        grant = certified.redeem(tenant, flow, person.sign_in(str(flow["auth_uri"]), BILLING))

        assert certified.refresh(tenant, str(grant.refresh_token), SCOPES).access_token

    def test_a_newer_one_that_is_not_registered_yet_yields_to_the_one_before(
        self,
        certified: Entra,
        keep: Callable[[str], None],
        stand: Stand,
        grant: Grant,
        tenant: str,
    ) -> None:
        keep(made().pkcs12())
        stand.control("certificates", {"add": made().public})
        keep(made("renewed").pem)

        assert certified.refresh(tenant, str(grant.refresh_token), SCOPES).access_token

    def test_one_that_is_registered_at_last_works_at_once(
        self,
        certified: Entra,
        keep: Callable[[str], None],
        stand: Stand,
        grant: Grant,
        tenant: str,
    ) -> None:
        keep(made().pkcs12())
        with pytest.raises(CredentialRefused) as refused:
            certified.refresh(tenant, str(grant.refresh_token), SCOPES)
        assert refused.value.code == "AADSTS700027"
        stand.control("certificates", {"add": made().public})

        assert certified.refresh(tenant, str(grant.refresh_token), SCOPES).access_token

    def test_neither_key_nor_assertion_reaches_a_log_at_debug(
        self,
        certified: Entra,
        keep: Callable[[str], None],
        stand: Stand,
        grant: Grant,
        tenant: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("DEBUG")
        keep(made().pkcs12())
        with pytest.raises(CredentialRefused):
            certified.refresh(tenant, str(grant.refresh_token), SCOPES)
        stand.control("certificates", {"add": made().public})
        certified.refresh(tenant, str(grant.refresh_token), SCOPES)

        assert not SECRET.search(caplog.text)
        for secret in (*made().key_pem.splitlines()[1:4], made().pkcs12()[:60]):
            assert secret not in caplog.text


class TestAppOnly:
    def test_a_token_comes_in_the_apps_own_name(
        self, stand: Stand, entra: Entra, tenant: str
    ) -> None:
        grant = entra.app_grant(tenant)
        graph = Graph(
            stand.stack["graph_url"],
            ca_file=stand.ca_file,
            send_seconds=2.0,
            clock=lambda: datetime.now(UTC),
        )
        found = graph.user(grant.access_token, user_path(BILLING))
        graph.close()

        assert found.address == BILLING
        assert grant.expires_in_seconds >= 3000
        assert (grant.refresh_token, grant.tenant_id) == (None, tenant)

    def test_the_tenants_id_is_known_where_its_domain_was_given(
        self, entra: Entra, tenant: str
    ) -> None:
        assert entra.app_grant("contoso.com").tenant_id == tenant

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (CredentialRefused, "AADSTS7000215"),
            (CredentialRefused, "AADSTS7000222"),
            (CredentialRefused, "AADSTS700016"),
            (ConsentRequired, "AADSTS65001"),
            (ConsentRequired, "AADSTS53003"),
        ],
    )
    def test_a_refusal_has_the_catalogues_meaning(
        self,
        stand: Stand,
        entra: Entra,
        tenant: str,
        error: type[ConsentRequired] | type[CredentialRefused],
        code: str,
    ) -> None:
        stand.fault("entra.token", action="aadsts", code=int(code.removeprefix("AADSTS")), times=-1)

        with pytest.raises(error) as refused:
            entra.app_grant(tenant)

        assert getattr(refused.value, "code", None) == code

    def test_an_answer_that_does_not_come_is_no_refusal(
        self, stand: Stand, entra: Entra, tenant: str
    ) -> None:
        stand.fault("entra.token", status=503, times=-1)

        with pytest.raises(NotSent):
            entra.app_grant(tenant)
