"""Every code that Entra may answer a refresh with, through MSAL over TLS: who is told to do what.

First each code as the token endpoint would say it, then those whose cause the simulator has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.credentials import TokenCredential
from azure.identity import ManagedIdentityCredential
from msgspec.structs import replace

from local.simulator.entra import catalogue as simulated
from local.simulator.server import Simulator
from shared.adapters.entra.app_credential import EXCHANGE_AUDIENCE, ManagedIdentity
from shared.adapters.entra.identity_platform import Entra
from shared.adapters.graph.mail_service import Graph
from shared.adapters.key_vault.credential import CLIENT_SECRET, ClientSecret
from shared.adapters.key_vault.secrets import KeyVault
from shared.errors import ConsentRequired, CredentialRefused, NotSent, PostroomError
from shared.mail import known_errors
from shared.mail.account import Account, AccountState
from shared.mail.known_errors import Actor, entra
from shared.mail.known_errors.account import why
from shared.mail.outcome import Outcome, Verdict
from shared.services.accounts.access_tokens import SECOND_CHANCE_AFTER, SPREADING, TokenSource
from shared.services.accounts.health import AccountHealth
from shared.services.delivery.sending import Acting
from tests.contract.conftest import Stand
from tests.contract.person import Person
from tests.contract.test_entra_adapter import BILLING, Desk, adapter_of, desk_of
from tests.unit.mail.test_refusals import AADSTS

PASSING = ["50196", "50033", "90006", "90024", "90033", "90055", "90090"]
THE_APPS = [
    "7000215",
    "7000222",
    "7000218",
    "700025",
    "700027",
    "50012",
    "50013",
    "700229",
    "700016",
    "70001",
    "7000112",
    "90002",
    "900023",
    "900439",
    "50011",
    "500113",
    "900971",
    "500208",
    "50194",
    "9001023",
    "650052",
    "650056",
    "650057",
    "70011",
    "28002",
    "28003",
    "700022",
    "9002313",
    "900144",
]
SPREADING_CODES = ["70021", "700213"]
DOUBTED = ["70000"]
ENDED = sorted(set(AADSTS) - {*PASSING, *THE_APPS, *SPREADING_CODES, *DOUBTED})


@dataclass
class Office:
    """One linked mailbox, and a clock that can be put forward."""

    stand: Stand
    desk: Desk
    identity: Entra
    vault: KeyVault
    later: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    @property
    def account(self) -> Account:
        return self.desk.accounts.rows["box"]

    def again(self) -> None:
        """No fault, the account ready, nothing in memory."""
        self.stand.control("faults", None, "DELETE")
        row = replace(self.account, state=AccountState.READY, reason=None, held_until=None)
        self.desk.accounts.rows["box"] = row
        self.tokens = TokenSource(self.identity, self.vault, self.desk.accounts, self.now)

    def token(self) -> str:
        return self.tokens.access_token(self.account)

    def sent(self) -> Outcome:
        """What becomes of a mail of the account, and with it of the account."""

        def send(token: str) -> Outcome:
            raise AssertionError("there was a token")

        outcome = Acting(self.tokens).act(self.account, send)
        if outcome.verdict in (Verdict.HOLD_ACCOUNT, Verdict.NEEDS_SIGN_IN):
            AccountHealth(self.desk.accounts, self.now).apply(self.account, outcome)
        return outcome


@pytest.fixture(scope="module")
def office(stand_running: Simulator) -> Iterator[Office]:
    """Signed in once: a refusal takes nothing away that the next one would need."""
    stand_running.state.reset()
    stand = Stand(stand_running)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDENTITY_ENDPOINT", stand.stack["identity_endpoint"])
        patch.setenv("IDENTITY_HEADER", stand.stack["identity_header"])
        with ManagedIdentityCredential() as credential:
            vault = KeyVault(
                stand.stack["vault_url"],
                credential,
                ca_file=stand.ca_file,
                development=True,
                sleep=lambda seconds: None,
            )
            vault.set(CLIENT_SECRET, stand.stack["client_secret"])
            made = _office(stand, vault, adapter_of(stand, ClientSecret(vault)))
            yield made
            made.identity.close()
            vault.close()


def _office(stand: Stand, vault: KeyVault, identity: Entra) -> Office:
    graph = Graph(
        stand.stack["graph_url"],
        ca_file=stand.ca_file,
        send_seconds=10,
        clock=lambda: datetime.now(UTC),
    )
    person = Person(stand.ca_file)
    desk = desk_of(stand, identity, vault, graph, person, str(stand.stack["tenant_id"]))
    desk.link(BILLING)
    office = Office(stand, desk, identity, vault)
    office.again()
    return office


@pytest.fixture
def fresh(stand: Stand, vault: KeyVault) -> Iterator[Office]:
    """A simulator and a mailbox of one's own, for causes that last."""
    vault.set(CLIENT_SECRET, stand.stack["client_secret"])
    made = _office(stand, vault, adapter_of(stand, ClientSecret(vault)))
    yield made
    made.identity.close()


@pytest.fixture
def answered(office: Office, code: str) -> Iterator[Office]:
    """An office whose every refresh is answered with a code."""
    office.again()
    office.stand.fault("entra.token", action="aadsts", code=int(code), times=-1)
    yield office
    office.again()
    assert office.token()  # nothing was thrown away


def test_every_code_of_the_fact_sheet_is_in_one_of_the_lists() -> None:
    listed = [*PASSING, *THE_APPS, *SPREADING_CODES, *DOUBTED, *ENDED]

    assert sorted(listed) == sorted(AADSTS)


def test_the_simulator_answers_no_code_that_the_catalogue_does_not_know() -> None:
    """Those of the device code's own polls are read by name. Postroom's library writes no malformed
    assertion, and Postroom makes no request of the other kinds."""
    polls = {70016, 70018, 70019}
    malformed_assertions = {50027, 50048, 700021, 700023, 5002727, 5002730}
    other_clients = {
        *(50049, 50050, 500501, 500502),  # discovery
        *(75005, 90027, 90082, 901002, 500011),  # other protocols, v1 and other resources
        *(700051, 700054, 900561, 9000411, 9002325, 90100),  # other parameters and methods
    }
    answered = simulated.CATALOGUE.keys() - polls - malformed_assertions - other_clients

    unknown = {f"AADSTS{code}" for code in answered} - entra.ROWS.keys()

    assert unknown == set()


@pytest.mark.parametrize("code", ENDED)
def test_a_grant_that_ended_asks_for_a_person_and_says_which(answered: Office, code: str) -> None:
    row = known_errors.find(code)
    outcome = answered.sent()

    assert (outcome.verdict, outcome.reason) == (Verdict.NEEDS_SIGN_IN, row.code)
    assert row.meaning in (outcome.help or "")
    assert row.step in (outcome.help or "")
    assert row.who in (Actor.MAILBOX_OWNER, Actor.DIRECTORY_ADMIN) or row.sign_in_after
    assert (answered.account.state, answered.account.reason) == (
        AccountState.NEEDS_SIGN_IN,
        row.code,
    )
    assert why(answered.account) == row
    with pytest.raises(ConsentRequired) as refused:
        answered.token()
    assert refused.value.code == row.code


@pytest.mark.parametrize("code", THE_APPS)
def test_the_apps_own_trouble_holds_the_account_and_is_the_operators(
    answered: Office, code: str
) -> None:
    row = known_errors.find(code)
    outcome = answered.sent()

    assert (outcome.verdict, outcome.reason) == (Verdict.HOLD_ACCOUNT, row.code)
    assert outcome.help == row.words
    assert row.who is Actor.OPERATOR
    assert (answered.account.state, answered.account.reason) == (AccountState.HELD, row.code)
    assert why(answered.account) == row
    with pytest.raises(CredentialRefused) as refused:
        answered.token()
    assert refused.value.code == row.code


@pytest.mark.parametrize("code", SPREADING_CODES)
def test_a_federated_credential_gets_its_minutes_to_spread_and_is_then_the_operators(
    answered: Office, code: str
) -> None:
    first = answered.sent()
    answered.later += SPREADING + timedelta(seconds=1)
    then = answered.sent()

    assert (first.verdict, then.verdict) == (Verdict.AGAIN, Verdict.HOLD_ACCOUNT)
    assert then.help == known_errors.find(code).words
    assert why(answered.account) == known_errors.find(code)


@pytest.mark.parametrize("code", PASSING)
def test_passing_trouble_is_tried_again_and_marks_nothing(answered: Office, code: str) -> None:
    outcome = answered.sent()

    assert known_errors.find(code).retryable
    assert (outcome.verdict, outcome.reason) == (Verdict.AGAIN, "entra_unreachable")
    assert why(answered.account) is None
    with pytest.raises(NotSent):
        answered.token()


@pytest.mark.parametrize("code", DOUBTED)
def test_a_code_that_has_been_seen_to_pass_gets_a_second_chance(
    answered: Office, code: str
) -> None:
    with pytest.raises(NotSent):
        answered.token()
    first = answered.account.state
    answered.later += SECOND_CHANCE_AFTER + timedelta(seconds=1)
    with pytest.raises(ConsentRequired):
        answered.token()

    row = why(answered.account)

    assert first is AccountState.READY
    assert row is not None
    assert (row.code, row.retryable) == (f"AADSTS{code}", False)


# Real causes, at the refresh of a grant that was well.


def _mailbox(**changes: object) -> Callable[[Office], object]:
    document = {"address": BILLING, **changes}
    return lambda office: office.stand.control("mailboxes", document)


def _options(**changes: object) -> Callable[[Office], object]:
    return lambda office: office.stand.control("options", changes)


def _tenant(**changes: object) -> Callable[[Office], object]:
    document = {"tenant": "contoso.com", **changes}
    return lambda office: office.stand.control("tenants", document)


def _clock(days: float) -> Callable[[Office], object]:
    return lambda office: office.stand.control("clock", {"advance_seconds": days * 86400})


def _remove(office: Office) -> None:
    office.stand.control("mailboxes", {"address": BILLING}, "DELETE")


def _revoke(**changes: object) -> Callable[[Office], object]:
    return lambda office: office.stand.control("revoke", {"mailbox": BILLING, **changes})


def _both(*causes: Callable[[Office], object]) -> Callable[[Office], object]:
    def cause(office: Office) -> None:
        for one in causes:
            one(office)

    return cause


def _secret(change: str) -> Callable[[Office], object]:
    return lambda office: office.stand.control(
        "client-secrets", {change: office.stand.stack["client_secret"]}
    )


CAUSES = {
    "sessions revoked": ("50173", _revoke()),
    "consent withdrawn": ("65001", _revoke(withdraw_consent=True)),
    "user disabled": ("50057", _mailbox(enabled=False)),
    "user deleted": ("50034", _remove),
    "assignment required": ("50105", _options(assignment_required=True)),
    "blocked by a policy": ("53003", _mailbox(conditional_access="block")),
    "second factor now asked for": (
        "50076",
        _both(_mailbox(mfa_registered=True), _mailbox(mfa=True)),
    ),
    "second factor not registered": (
        "50079",
        _both(_mailbox(mfa_registered=False), _mailbox(mfa=True)),
    ),
    "sign-in frequency": ("70043", _both(_tenant(sign_in_frequency_hours=12), _clock(1))),
    "unused for 90 days": ("700082", _clock(91)),
    "secret expired": ("7000222", _secret("expire")),
    "secret deleted": ("7000215", _secret("remove")),
    "app disabled": ("7000112", _options(application_disabled=True)),
    "app made a public client": ("700025", _options(platform="public")),
}


@pytest.mark.parametrize(("code", "cause"), CAUSES.values(), ids=CAUSES)
def test_a_real_cause_is_named_with_its_code(
    fresh: Office, code: str, cause: Callable[[Office], object]
) -> None:
    cause(fresh)
    row = known_errors.find(code)
    wanted = CredentialRefused if row.blames_the_app else ConsentRequired
    with pytest.raises(PostroomError) as caught:
        fresh.token()
    assert isinstance(caught.value, wanted), caught.value
    assert caught.value.code == row.code

    outcome = fresh.sent()

    assert row.step in (outcome.help or "")
    assert why(fresh.account) == row


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("ForbiddenByRbac", "ForbiddenByRbac"),
        ("ForbiddenByPolicy", "ForbiddenByPolicy"),
        ("ForbiddenByFirewall", "ForbiddenByFirewall"),
        ("ForbiddenForReasonsOfItsOwn", "vault_refused"),
    ],
)
def test_why_key_vault_refuses_is_the_reason_of_the_account(
    fresh: Office, inner: str, code: str
) -> None:
    fresh.stand.fault("key_vault.get_secret", status=403, code=f"Forbidden/{inner}", times=-1)
    outcome = fresh.sent()

    assert (outcome.verdict, outcome.reason) == (Verdict.HOLD_ACCOUNT, code)
    assert outcome.help == known_errors.find(code).words
    assert (fresh.account.state, fresh.account.reason) == (AccountState.HELD, code)
    assert why(fresh.account) == known_errors.find(code)


def test_a_grant_that_somebody_disabled_in_the_vault_asks_for_a_sign_in(fresh: Office) -> None:
    fresh.stand.fault("key_vault.get_secret", status=403, code="Forbidden/SecretDisabled", times=-1)

    assert fresh.sent().reason == "no_grant"
    assert fresh.account.state is AccountState.NEEDS_SIGN_IN


@pytest.mark.parametrize(
    ("code", "subjects"),
    [("700213", ["11111111-2222-3333-4444-555555555555"]), ("70021", None)],
    ids=["another identity's", "none at all"],
)
def test_an_identity_that_the_app_does_not_know_is_named(
    fresh: Office, credential: TokenCredential, code: str, subjects: list[str] | None
) -> None:
    if subjects is None:
        fresh.stand.control("federated-credentials", {"remove": "managed-identity"})
    else:
        fresh.stand.control("options", {"federated_subjects": subjects})
    identity = adapter_of(fresh.stand, ManagedIdentity(credential, EXCHANGE_AUDIENCE))
    fresh.tokens = TokenSource(identity, fresh.vault, fresh.desk.accounts, fresh.now)
    fresh.sent()
    fresh.later += SPREADING + timedelta(seconds=1)

    assert fresh.sent().reason == f"AADSTS{code}"
    identity.close()
