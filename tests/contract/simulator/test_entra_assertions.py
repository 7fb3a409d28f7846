"""Client assertions: what a client may write in one, and which number says what is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import requests

from local.simulator.entra.assertion import LONGEST, read_assertion
from local.simulator.entra.errors import EntraError
from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import TokenEndpoint, refused_with
from tests.contract.simulator.signer import Signer, b64url, claims_for, new_signer
from tests.growth import assert_linear

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MALFORMED = (400, "invalid_request", 50027)

Send = Callable[[str], requests.Response]


@pytest.fixture
def send(state: SimulatorState, signer: Signer, token_endpoint: TokenEndpoint) -> Send:
    """Ask for a token with an assertion; the certificate is registered."""
    state.entra.application.add_certificate(signer.pem)

    def ask(assertion: str) -> requests.Response:
        return token_endpoint.post(
            client_secret=None,
            grant_type="client_credentials",
            scope="https://graph.microsoft.com/.default",
            client_assertion_type=JWT_BEARER,
            client_assertion=assertion,
        )

    return ask


@pytest.fixture
def claims(simulator: Simulator, state: SimulatorState) -> dict[str, Any]:
    """Those of a good assertion."""
    stack = simulator.stack()
    audience = f"{simulator.urls.https}/contoso.com/oauth2/v2.0/token"
    return claims_for(stack["client_id"], audience, state.clock.time())


def test_a_good_assertion_is_taken(send: Send, signer: Signer, claims: dict[str, Any]) -> None:
    assert send(signer.sign(claims)).status_code == 200


def test_times_may_be_strings_as_msal_for_dotnet_writes_them(
    send: Send, signer: Signer, claims: dict[str, Any]
) -> None:
    """MSAL.NET's dictionary of claims has strings alone."""
    times = {name: str(claims[name]) for name in ("nbf", "exp", "iat")}

    assert send(signer.sign({**claims, **times})).status_code == 200


@pytest.mark.parametrize("moved", [-1000, 1000], ids=["too-late", "too-early"])
@pytest.mark.parametrize("kind", [int, str, float])
def test_times_count_whatever_their_type(
    send: Send, signer: Signer, claims: dict[str, Any], moved: int, kind: type
) -> None:
    times = {name: kind(claims[name] + moved) for name in ("nbf", "exp")}

    answer = send(signer.sign({**claims, **times}))

    assert refused_with(answer) == (401, "invalid_client", 700024)


WRONG_TIMES: list[Any] = [
    None,
    True,
    "",
    "soon",
    "1e9",
    "-1",
    -1,
    [],
    {},
    ["1"],
    "٣",
    1e400,
    math.nan,
]


@pytest.mark.parametrize("value", WRONG_TIMES, ids=repr)
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_a_time_of_another_type_is_malformed(
    send: Send, signer: Signer, claims: dict[str, Any], name: str, value: Any
) -> None:
    assert refused_with(send(signer.sign({**claims, name: value}))) == MALFORMED


@pytest.mark.parametrize("value", [None, True, 1, [], ["x"], {}, ""], ids=repr)
@pytest.mark.parametrize("name", ["iss", "sub", "aud", "jti"])
def test_a_name_of_another_type_is_malformed(
    send: Send, signer: Signer, claims: dict[str, Any], name: str, value: Any
) -> None:
    """Entra refuses a list of audiences too (panva/openid-client#348)."""
    assert refused_with(send(signer.sign({**claims, name: value}))) == MALFORMED


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp"])
def test_a_claim_that_is_needed_is_missing(
    send: Send, signer: Signer, claims: dict[str, Any], name: str
) -> None:
    del claims[name]

    assert refused_with(send(signer.sign(claims))) == MALFORMED


@pytest.mark.parametrize("name", ["nbf", "iat", "jti"])
def test_a_claim_that_is_not_needed_may_be_missing(
    send: Send, signer: Signer, claims: dict[str, Any], name: str
) -> None:
    del claims[name]

    assert send(signer.sign(claims)).status_code == 200


NOT_JWTS = {
    "a-word": "not-a-token",
    "dots": "..",
    "no-json": f"{b64url(b'{')}.{b64url(b'{}')}.{b64url(b'x')}",
    "no-base64": "%%%.%%%.%%%",
    "not-ascii": "é.é.é",
    "deep-header": f"{b64url(b'[' * 20_000)}.{b64url(b'{}')}.{b64url(b'x')}",
    "too-long": "a" * (LONGEST + 1),
}


@pytest.mark.parametrize("assertion", NOT_JWTS.values(), ids=NOT_JWTS.keys())
def test_what_is_no_jwt_is_malformed(send: Send, assertion: str) -> None:
    assert refused_with(send(assertion)) == MALFORMED


PAYLOADS = {
    "list": "[]",
    "text": '"x"',
    "null": "null",
    "number": "1",
    "no-json": "{",
    "empty": "",
    "deep": "[" * 20_000,
    "digits": '{"exp": ' + "9" * 5000 + "}",
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_claims_that_are_no_object_are_malformed(send: Send, signer: Signer, payload: str) -> None:
    assert refused_with(send(signer.sign(payload))) == MALFORMED


def test_a_claim_that_is_there_twice_is_malformed(
    send: Send, signer: Signer, claims: dict[str, Any]
) -> None:
    twice = json.dumps(claims)[:-1] + f', "sub": "{claims["sub"]}"}}'

    assert refused_with(send(signer.sign(twice))) == MALFORMED


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        pytest.param({"sub": "another"}, (401, "invalid_client", 50048), id="subject"),
        pytest.param(
            {"iss": "another", "sub": "another"}, (401, "invalid_client", 700021), id="client"
        ),
        pytest.param(
            {"aud": "https://localhost/elsewhere"}, (401, "invalid_client", 700023), id="audience"
        ),
    ],
)
def test_what_an_assertion_says_must_fit(
    send: Send,
    signer: Signer,
    claims: dict[str, Any],
    changes: dict[str, str],
    refusal: tuple[int, str, int],
) -> None:
    assert refused_with(send(signer.sign({**claims, **changes}))) == refusal


@pytest.mark.parametrize(
    ("header", "refusal"),
    [
        pytest.param({"typ": "at+jwt"}, (400, "invalid_request", 5002727), id="type"),
        pytest.param({"typ": 1}, (400, "invalid_request", 5002727), id="type-number"),
        pytest.param({"alg": "none"}, (400, "invalid_request", 5002730), id="none"),
        pytest.param({"alg": "HS256"}, (400, "invalid_request", 5002730), id="symmetric"),
        pytest.param({"alg": []}, (400, "invalid_request", 5002730), id="algorithm-list"),
        pytest.param({"kid": 1}, MALFORMED, id="key-id-number"),
        pytest.param({"crit": ["exp"]}, MALFORMED, id="critical"),
        pytest.param({"x5t": 1}, (401, "invalid_client", 700027), id="thumbprint-number"),
        pytest.param({"x5t": None}, (401, "invalid_client", 700027), id="no-thumbprint"),
    ],
)
def test_the_header_must_fit(
    send: Send,
    signer: Signer,
    claims: dict[str, Any],
    header: dict[str, Any],
    refusal: tuple[int, str, int],
) -> None:
    assert refused_with(send(signer.sign(claims, **header))) == refusal


def test_a_key_that_is_not_the_certificates_is_refused_with_the_reason(
    send: Send, signer: Signer, claims: dict[str, Any]
) -> None:
    answer = send(new_signer().sign(claims, x5t=signer.thumbprint))

    assert refused_with(answer) == (401, "invalid_client", 700027)
    assert "did not match" in answer.json()["error_description"]


def test_reading_an_assertion_takes_time_in_proportion_to_its_length(signer: Signer) -> None:
    def read(assertion: str) -> None:
        with pytest.raises(EntraError):
            read_assertion(assertion)

    def made(size: int) -> str:
        return signer.sign({"exp": [0] * size})

    assert len(made(14_000)) < LONGEST
    assert_linear(read, made, 14_000)
