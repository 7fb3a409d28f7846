"""The app registration: its platform, redirects and credentials, with MSAL and azure-identity."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.identity import ManagedIdentityCredential
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import (
    CALLBACK,
    SEND,
    Control,
    Person,
    TokenEndpoint,
    application,
    authorize_url,
    refused_with,
    signed_in,
)

GRAPH_DEFAULT = "https://graph.microsoft.com/.default"
EXCHANGE = "api://AzureADTokenExchange/.default"
HOUR = 3600


def app_only(simulator: Simulator, credential: Any) -> dict[str, Any]:
    """MSAL's answer to client credentials."""
    app = application(simulator, client_credential=credential)
    result: dict[str, Any] = app.acquire_token_for_client([GRAPH_DEFAULT])
    return result


# The platform


@pytest.mark.parametrize("platform", ["public", "spa"])
def test_a_public_client_may_send_no_credential(
    simulator: Simulator,
    control: Control,
    person: Person,
    token_endpoint: TokenEndpoint,
    platform: str,
) -> None:
    control("POST", "options", {"platform": platform})
    code = person.open(authorize_url(simulator)).sign_in()["code"]

    assert refused_with(token_endpoint.code(code)) == (401, "invalid_client", 700025)
    tokens = token_endpoint.code(code, client_secret=None).json()
    renewed = token_endpoint.refresh(tokens["refresh_token"], client_secret=None)
    assert "access_token" in renewed.json()


def test_a_confidential_client_must_send_one(
    simulator: Simulator, person: Person, token_endpoint: TokenEndpoint
) -> None:
    code = person.open(authorize_url(simulator)).sign_in()["code"]

    answer = token_endpoint.code(code, client_secret=None)

    assert refused_with(answer) == (401, "invalid_client", 7000218)


def test_the_refresh_token_of_a_single_page_app_ends_after_a_day_however_often_it_is_used(
    simulator: Simulator,
    state: SimulatorState,
    control: Control,
    person: Person,
) -> None:
    control("POST", "options", {"platform": "spa", "spa_accepts_secret": True})
    app = application(simulator)
    flow = app.initiate_auth_code_flow([SEND], CALLBACK, response_mode="form_post")
    first = app.acquire_token_by_auth_code_flow(flow, person.open(flow["auth_uri"]).sign_in())

    state.clock.advance(23 * HOUR)
    second = app.acquire_token_by_refresh_token(first["refresh_token"], [SEND])
    state.clock.advance(2 * HOUR)
    third = app.acquire_token_by_refresh_token(second["refresh_token"], [SEND])

    assert third["error_codes"] == [700084]


# Redirects


def test_a_redirect_that_is_not_registered_ends_on_a_page_that_names_it(
    simulator: Simulator, person: Person
) -> None:
    elsewhere = "https://postroom.example.org/api/auth/callback"

    person.open(authorize_url(simulator, redirect_uri=elsewhere))

    assert person.page.texts["error-code"] == "AADSTS50011"
    assert elsewhere in person.page.texts["error"]
    assert person.answer == {}


def test_a_registration_without_redirects_ends_on_a_page(
    simulator: Simulator, control: Control, person: Person
) -> None:
    control("POST", "options", {"redirect_uris": []})

    person.open(authorize_url(simulator))

    assert person.page.texts["error-code"] == "AADSTS500113"


# Secrets


def test_the_secrets_id_in_place_of_its_value_is_refused(
    simulator: Simulator, control: Control
) -> None:
    (listed,) = control("GET", "client-secrets")["client_secrets"]

    assert app_only(simulator, listed["id"])["error_codes"] == [7000215]


@pytest.mark.parametrize("name", ["value", "hint", "id"])
@pytest.mark.parametrize(("change", "number"), [("expire", 7000222), ("remove", 7000215)])
def test_a_secret_is_ended_by_what_the_list_shows_of_it(
    simulator: Simulator, control: Control, name: str, change: str, number: int
) -> None:
    old = simulator.stack()["client_secret"]
    listed = control("GET", "client-secrets")["client_secrets"][0]
    control("POST", "client-secrets", {"add": "another-secret-0"})

    control("POST", "client-secrets", {change: {"value": old, **listed}[name]})

    assert app_only(simulator, old)["error_codes"] == [number]
    assert "access_token" in app_only(simulator, "another-secret-0")


def test_a_hint_that_two_secrets_share_ends_neither(simulator: Simulator, control: Control) -> None:
    for each in ("1", "2"):
        control("POST", "client-secrets", {"add": f"same-beginning-{each}"})

    refusal = control.refusal("client-secrets", {"expire": "same-beginnin"})

    assert "by its id" in refusal
    assert "access_token" in app_only(simulator, "same-beginning-1")


# Certificates


@pytest.fixture(scope="module")
def certificate() -> tuple[str, str, str]:
    """Private key, certificate and SHA-1 thumbprint."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postroom")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    return private.decode(), pem.decode(), made.fingerprint(hashes.SHA1()).hex()  # noqa: S303


@pytest.mark.parametrize("form", ["sha256", "sha1"])
def test_a_certificate_proves_the_application(
    simulator: Simulator,
    state: SimulatorState,
    certificate: tuple[str, str, str],
    form: str,
) -> None:
    private, pem, thumbprint = certificate
    state.entra.application.add_certificate(pem)
    credential = {"private_key": private} | (
        {"public_certificate": pem} if form == "sha256" else {"thumbprint": thumbprint}
    )

    result = application(simulator, client_credential=credential).acquire_token_for_client(
        [GRAPH_DEFAULT]
    )

    assert "access_token" in result


def test_an_unknown_certificate_is_refused(
    simulator: Simulator, certificate: tuple[str, str, str]
) -> None:
    private, pem, _ = certificate
    credential = {"private_key": private, "public_certificate": pem}

    result = application(simulator, client_credential=credential).acquire_token_for_client(
        [GRAPH_DEFAULT]
    )

    assert result["error_codes"] == [700027]


@pytest.fixture
def identity(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ManagedIdentityCredential]:
    stack = simulator.stack()
    monkeypatch.setenv("IDENTITY_ENDPOINT", stack["identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", stack["identity_header"])
    with ManagedIdentityCredential(client_id=stack["identity_client_id"]) as credential:
        yield credential


def test_a_managed_identity_stands_in_for_a_secret(
    simulator: Simulator, person: Person, identity: ManagedIdentityCredential
) -> None:
    def assertion() -> str:
        token = identity.get_token("api://AzureADTokenExchange/.default")
        return str(token.token)

    app = application(simulator, client_credential={"client_assertion": assertion})

    assert "refresh_token" in signed_in(app, person)


def test_an_identity_that_is_not_federated_is_refused(
    simulator: Simulator, state: SimulatorState, identity: ManagedIdentityCredential
) -> None:
    state.entra.options = state.entra.options.changed({"federated_subjects": ["another"]})
    token = identity.get_token("api://AzureADTokenExchange/.default").token

    app = application(simulator, client_credential={"client_assertion": lambda: token})

    assert app.acquire_token_for_client([GRAPH_DEFAULT])["error_codes"] == [700213]


def test_a_users_token_is_no_federated_credential(simulator: Simulator, person: Person) -> None:
    token = signed_in(application(simulator), person)["access_token"]

    app = application(simulator, client_credential={"client_assertion": lambda: token})

    assert app.acquire_token_for_client([GRAPH_DEFAULT])["error_codes"] == [700229]


def test_an_expired_certificate_is_refused_with_the_reason(
    simulator: Simulator, state: SimulatorState, certificate: tuple[str, str, str]
) -> None:
    private, pem, _ = certificate
    state.entra.application.add_certificate(pem)
    state.clock.advance(25 * HOUR)

    refused = app_only(simulator, {"private_key": private, "public_certificate": pem})

    assert refused["error_codes"] == [700027]
    assert "expired" in refused["error_description"]


def test_a_certificate_is_listed_and_removed_by_its_thumbprint(
    simulator: Simulator, control: Control, certificate: tuple[str, str, str]
) -> None:
    private, pem, thumbprint = certificate
    (listed,) = control("POST", "certificates", {"add": pem})["certificates"]

    control("POST", "certificates", {"remove": listed["thumbprint"].lower()})

    assert listed["thumbprint"] == thumbprint.upper()
    credential = {"private_key": private, "public_certificate": pem}
    assert app_only(simulator, credential)["error_codes"] == [700027]


# Federated credentials


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"subject": "00000000-0000-0000-0000-000000000001"}, 700213),
        ({"issuer": "https://login.microsoftonline.com/other/v2.0"}, 70021),
        ({"audience": "api://other"}, 70021),
    ],
)
def test_subject_issuer_and_audience_must_match(
    simulator: Simulator,
    control: Control,
    identity: ManagedIdentityCredential,
    changed: dict[str, str],
    number: int,
) -> None:
    subject = simulator.stack()["identity_principal_id"]
    added = {"name": "managed-identity", "subject": subject, **changed}
    control("POST", "federated-credentials", {"add": added})

    token = identity.get_token(EXCHANGE).token

    assert app_only(simulator, {"client_assertion": lambda: token})["error_codes"] == [number]


def test_without_any_federated_credential_the_identity_is_refused(
    simulator: Simulator, control: Control, identity: ManagedIdentityCredential
) -> None:
    control("POST", "federated-credentials", {"remove": "managed-identity"})

    token = identity.get_token(EXCHANGE).token

    assert app_only(simulator, {"client_assertion": lambda: token})["error_codes"] == [70021]


def test_a_new_federated_credential_takes_its_time(
    simulator: Simulator,
    state: SimulatorState,
    control: Control,
    identity: ManagedIdentityCredential,
) -> None:
    subject = simulator.stack()["identity_principal_id"]
    added = {"name": "managed-identity", "subject": subject, "works_after_seconds": 120}
    control("POST", "federated-credentials", {"add": added})
    token = identity.get_token(EXCHANGE).token

    early = app_only(simulator, {"client_assertion": lambda: token})
    state.clock.advance(120)
    late = app_only(simulator, {"client_assertion": lambda: token})

    assert early["error_codes"] == [70021]
    assert "access_token" in late


def test_the_identitys_token_lives_by_the_clock_of_whoever_keeps_it(
    simulator: Simulator,
    state: SimulatorState,
    control: Control,
    identity: ManagedIdentityCredential,
) -> None:
    """azure-identity goes on sending it, however far simulated time has moved."""
    before = identity.get_token(EXCHANGE).token

    state.clock.advance(91 * 24 * HOUR)
    control("POST", "expire-access-tokens", {})

    assert identity.get_token(EXCHANGE).token == before
    assert "access_token" in app_only(simulator, {"client_assertion": lambda: before})
