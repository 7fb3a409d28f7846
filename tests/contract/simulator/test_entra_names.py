"""Entra under other names than localhost (`--also-called`): all that it says has the name by which the
request came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msal  # type: ignore[import-untyped]
import pytest
import requests
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient

from local.simulator.server import Simulator
from local.simulator.urls import Urls
from tests.contract.simulator.called import NAMES, SIGN_IN, VAULT, address, resolve_here
from tests.contract.simulator.person import CALLBACK, SEND, Person
from tests.contract.simulator.signer import Signer, claims_for


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("called"), also_called=NAMES) as simulator:
        yield simulator


@pytest.fixture
def called(running: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """A simulator that this process finds by Microsoft's names."""
    running.state.reset()
    resolve_here(monkeypatch)
    return running


@pytest.fixture
def web(called: Simulator) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(called.ca_file)
        yield session


def addresses(document: Any) -> list[str]:
    """Every address in a JSON document."""
    if isinstance(document, dict):
        return [one for value in document.values() for one in addresses(value)]
    if isinstance(document, list):
        return [one for value in document for one in addresses(value)]
    return [document] if isinstance(document, str) and "://" in document else []


PATHS = (
    "contoso.com/v2.0/.well-known/openid-configuration",
    "common/v2.0/.well-known/openid-configuration",
    "contoso.com/discovery/v2.0/keys",
    "common/discovery/instance?api-version=1.1&authorization_endpoint="
    "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
)


@pytest.mark.parametrize("path", PATHS)
def test_every_address_in_an_answer_has_the_name_of_the_request(
    called: Simulator, web: requests.Session, path: str
) -> None:
    base = address(called, SIGN_IN)

    found = addresses(web.get(f"{base}/{path}").json())

    assert found
    assert all(one.startswith(f"{base}/") for one in found), found


def test_v1_metadata_have_the_name_of_the_request_and_the_issuer_of_v1(
    called: Simulator, web: requests.Session
) -> None:
    base = address(called, SIGN_IN)
    document = web.get(f"{base}/contoso.com/.well-known/openid-configuration").json()

    issuer = document.pop("issuer")

    assert issuer == f"https://sts.windows.net/{called.stack()['tenant_id']}/"
    assert all(one.startswith(f"{base}/") for one in addresses(document))


def test_the_loopback_address_is_a_name_too(simulator: Simulator, http: requests.Session) -> None:
    base = address(simulator, "127.0.0.1")
    pages = simulator.urls.http.replace("localhost", "127.0.0.1")

    found = http.get(f"{base}/contoso.com/v2.0/.well-known/openid-configuration").json()

    assert found["token_endpoint"].startswith(f"{base}/")
    assert found["authorization_endpoint"].startswith(f"{pages}/")


@pytest.mark.parametrize(
    ("came_by", "secure", "pages"),
    [
        pytest.param("https://a.example", "https://a.example", "https://a.example", id="tls"),
        pytest.param("https://A.example:8443", "https://a.example:8443", None, id="case-and-port"),
        pytest.param("http://a.example", "https://a.example", None, id="behind-a-proxy"),
        pytest.param("http://a.example:1", "https://a.example:2", None, id="plain"),
        pytest.param("http://localhost:1", "https://localhost:2", "http://localhost:1", id="own"),
        pytest.param("https://localhost:9", "https://localhost:2", "http://localhost:1", id="port"),
    ],
)
def test_each_name_has_an_address_for_programs_and_one_for_pages(
    came_by: str, secure: str, pages: str | None
) -> None:
    found = Urls("http://localhost:1", "https://localhost:2").called(came_by)

    assert (found.https, found.http) == (secure, pages or secure)


def test_msal_signs_in_by_that_name_and_the_issuer_has_it(
    called: Simulator, web: requests.Session
) -> None:
    """The authority is one of those that MSAL knows, so it looks for its aliases here as well."""
    base, stack = address(called, SIGN_IN), called.stack()
    app = msal.ConfidentialClientApplication(
        stack["client_id"],
        client_credential=stack["client_secret"],
        authority=f"{base}/contoso.com",
        verify=stack["ca_file"],
    )
    flow = app.initiate_auth_code_flow([SEND], CALLBACK, response_mode="form_post")
    person = Person(called, web)

    result = app.acquire_token_by_auth_code_flow(flow, person.open(flow["auth_uri"]).sign_in())
    (account,) = app.get_accounts()
    again = app.acquire_token_silent([SEND], account)

    assert flow["auth_uri"].startswith(f"{base}/")
    assert result["id_token_claims"]["iss"] == f"{base}/{stack['tenant_id']}/v2.0"
    assert again["token_source"] == "cache"


@pytest.mark.parametrize("made_for", ["contoso.com/oauth2/v2.0/token", "contoso.com/oauth2/token"])
def test_an_assertion_is_good_for_the_name_by_which_it_comes(
    called: Simulator,
    web: requests.Session,
    signer: Signer,
    made_for: str,
) -> None:
    called.state.entra.application.add_certificate(signer.pem)
    client_id, now = called.stack()["client_id"], called.state.clock.time()
    base = address(called, SIGN_IN)

    def redeem(audience: str) -> requests.Response:
        form = {
            "client_id": client_id,
            "grant_type": "client_credentials",
            "scope": "https://graph.microsoft.com/.default",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": signer.sign(claims_for(client_id, audience, now)),
        }
        return web.post(f"{base}/contoso.com/oauth2/v2.0/token", form)

    assert "access_token" in redeem(f"{base}/{made_for}").json()
    other = redeem(f"https://login.microsoftonline.us/{made_for}")
    assert (other.status_code, other.json()["error_codes"]) == (401, [700023])


def test_a_device_is_sent_to_a_page_of_that_name(called: Simulator, web: requests.Session) -> None:
    base = address(called, SIGN_IN)
    form = {"client_id": called.stack()["client_id"], "scope": SEND}

    answer = web.post(f"{base}/contoso.com/oauth2/v2.0/devicecode", form).json()

    assert answer["verification_uri"] == f"{base}/devicelogin"
    assert web.get(answer["verification_uri"]).status_code == 200


def test_the_managed_identity_is_trusted_under_that_name(
    called: Simulator, web: requests.Session
) -> None:
    """A federated credential without an issuer is of the application's own tenant, by any name."""
    stack = called.stack()
    identity = web.get(
        stack["identity_endpoint"],
        params={"api-version": "2019-08-01", "resource": "api://AzureADTokenExchange"},
        headers={"X-IDENTITY-HEADER": stack["identity_header"]},
    ).json()
    form = {
        "client_id": stack["client_id"],
        "grant_type": "client_credentials",
        "scope": "https://graph.microsoft.com/.default",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": identity["access_token"],
    }

    answer = web.post(f"{address(called, SIGN_IN)}/contoso.com/oauth2/v2.0/token", form)

    assert answer.status_code == 200, answer.text


def test_a_vault_with_its_real_name_says_so_and_names_microsofts_sign_in(
    called: Simulator, web: requests.Session
) -> None:
    base, stack = address(called, VAULT), called.stack()
    vault = SecretClient(
        base,
        ClientSecretCredential(
            stack["tenant_id"],
            stack["client_id"],
            stack["client_secret"],
            authority=address(called, SIGN_IN),
            connection_verify=stack["ca_file"],
        ),
        connection_verify=stack["ca_file"],
        # The SDK compares ports too, and the simulator's is not 443.
        verify_challenge_resource=False,
    )

    made = vault.set_secret("postroom-a", "v1")
    challenge = web.get(f"{base}/secrets/a?api-version=7.4").headers["WWW-Authenticate"]

    assert made.id is not None
    assert made.id.startswith(f"{base}/secrets/postroom-a/")
    assert challenge == (
        f'Bearer authorization="https://login.microsoftonline.com/{stack["tenant_id"]}", '
        'resource="https://vault.azure.net"'
    )
