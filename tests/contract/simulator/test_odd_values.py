"""No value of any parameter makes Entra, the managed identity or Key Vault fail: each gets a refusal of
the service, or an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import requests

from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from tests.contract.simulator.person import (
    CALLBACK,
    SEND,
    VERIFIER,
    Person,
    authorize_url,
)
from tests.contract.simulator.vault_client import vault_token

ODD = (
    "",
    "-1",
    "²",
    "٣",
    "1e400",
    "[]",
    '{"access_token": {"xms_cc": null}}',
    "[" * 5000,
    "9" * 5000,
    "\x00",
    "é\ud7ff\U0001f600",
    "http://[",
    "https://graph.microsoft.com/",
    "/",
    "a.b.c",
    "SIMAT.x",
    "%ff%00",
)

FORM = {
    "grant_type": "authorization_code",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "redirect_uri": CALLBACK,
    "code_verifier": VERIFIER,
    "scope": SEND,
}
PARAMETERS = [
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "grant_type",
    "code",
    "code_verifier",
    "redirect_uri",
    "refresh_token",
    "device_code",
    "scope",
    "resource",
    "claims",
    "client_info",
    "username",
    "password",
    "assertion",
    "requested_token_use",
]
AUTHORIZE = [
    "client_id",
    "response_type",
    "redirect_uri",
    "scope",
    "resource",
    "state",
    "nonce",
    "response_mode",
    "prompt",
    "login_hint",
    "domain_hint",
    "code_challenge",
    "code_challenge_method",
    "max_age",
    "claims",
    "client_info",
    "sid",
    "request",
]
GRANTS = ("authorization_code", "refresh_token", "client_credentials", "device_code", "password")


def never_fails(answer: requests.Response, what: object) -> None:
    assert answer.status_code < 500, (what, answer.text)
    assert "simulator failed" not in answer.text, what


@pytest.mark.parametrize(
    ("path", "grant_type"),
    [
        *(("oauth2/v2.0/token", grant_type) for grant_type in GRANTS),
        ("oauth2/token", "authorization_code"),
        ("oauth2/v2.0/devicecode", "device_code"),
    ],
)
def test_no_parameter_of_a_token_request_makes_entra_fail(
    simulator: Simulator, http: requests.Session, path: str, grant_type: str
) -> None:
    url, stack = f"{simulator.urls.https}/contoso.com/{path}", simulator.stack()
    good = {
        **FORM,
        "client_id": stack["client_id"],
        "client_secret": stack["client_secret"],
        "grant_type": grant_type,
    }
    for name in PARAMETERS:
        for value in ODD:
            form: dict[str, str] = {**good, name: value}
            if name == "client_assertion":
                del form["client_secret"]
            never_fails(http.post(url, form), (name, value[:20]))


@pytest.mark.parametrize("path", ["oauth2/v2.0/authorize", "oauth2/authorize"])
def test_no_parameter_of_a_link_makes_entra_fail(
    simulator: Simulator, http: requests.Session, path: str
) -> None:
    good = dict(parse_qsl(urlsplit(authorize_url(simulator)).query))
    url = f"{simulator.urls.http}/contoso.com/{path}"
    for name in AUTHORIZE:
        for value in ODD:
            answer = http.get(url, params={**good, name: value}, allow_redirects=False)
            never_fails(answer, (name, value[:20]))


@pytest.mark.parametrize("value", ODD)
def test_no_tenant_and_no_page_makes_entra_fail(
    simulator: Simulator, http: requests.Session, value: str
) -> None:
    base = simulator.urls.https
    quoted = quote(value[:200], safe="")
    for path in (
        f"/{quoted}/v2.0/.well-known/openid-configuration",
        f"/{quoted}/oauth2/v2.0/authorize?client_id=x",
        f"/common/userrealm/{quoted}?api-version=1.0",
        f"/common/discovery/instance?api-version=1.1&authorization_endpoint={quoted}",
        f"/common/discovery/instance?api-version={quoted}",
        f"/common/oauth2/v2.0/logout?post_logout_redirect_uri={quoted}",
        f"/contoso.com/v2.0/adminconsent?client_id={quoted}&redirect_uri={quoted}&scope={quoted}",
    ):
        never_fails(http.get(base + path, allow_redirects=False), path)
    for path in ("/entra/sign-in", "/entra/second-factor", "/entra/consent", "/devicelogin"):
        names = ("ctx", "answer", "username", "code", "otc")
        never_fails(http.post(base + path, dict.fromkeys(names, value)), path)
    answer = http.get(
        f"{base}/oidc/userinfo", headers={"Authorization": b"Bearer " + value[:9].encode()}
    )
    never_fails(answer, "userinfo")


@pytest.mark.parametrize("step", ["/entra/sign-in", "/entra/second-factor", "/entra/consent"])
def test_no_value_typed_into_a_sign_in_makes_entra_fail(
    simulator: Simulator, http: requests.Session, person: Person, step: str
) -> None:
    for value in ODD:
        person.open(authorize_url(simulator, prompt="login"))
        form = {"ctx": person.page.forms[0].fields["ctx"]}
        if step != "/entra/sign-in":
            person.press("billing@contoso.com")
        for name in ("username", "code", "answer", "organization"):
            answer = http.post(
                simulator.urls.http + step, {**form, name: value}, allow_redirects=False
            )
            never_fails(answer, (name, value[:20]))


@pytest.mark.parametrize("name", ["api-version", "resource", "client_id", "object_id", "mi_res_id"])
def test_no_parameter_makes_the_managed_identity_fail(
    simulator: Simulator, http: requests.Session, name: str
) -> None:
    stack = simulator.stack()
    good = {"api-version": "2019-08-01", "resource": "https://vault.azure.net"}
    for value in ODD:
        answer = http.get(
            stack["identity_endpoint"],
            params={**good, name: value},
            headers={"X-IDENTITY-HEADER": stack["identity_header"]},
        )
        never_fails(answer, value[:20])


JSON_ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    "x",
    "9" * 600,
    [],
    ["x"],
    {},
    {"a": 1},
    {"a": None},
)
PROPERTIES = ("value", "contentType", "tags", "attributes", "kid", "managed")


def bodies() -> Iterator[str]:
    """Documents with one odd property, and texts that are no documents."""
    good: Mapping[str, Any] = {"value": "v"}
    for odd in JSON_ODD:
        yield json.dumps(odd)
        for name in PROPERTIES:
            yield json.dumps({**good, name: odd})
        for name in ("enabled", "nbf", "exp", "recoverableDays"):
            yield json.dumps({**good, "attributes": {name: odd}})
        yield json.dumps({**good, "tags": {"a": odd}})
    yield from ("", "{", "[" * 5000, '{"value": "\\ud800"}', '{"attributes": {"exp": 1e999}}')
    yield '{"value": "v", "attributes": {"exp": ' + "9" * 5000 + "}}"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/secrets/a"),
        ("PATCH", "/secrets/a"),
        ("POST", "/secrets/restore"),
        ("POST", "/secrets/a/backup"),
        ("POST", "/deletedsecrets/a/recover"),
    ],
)
def test_no_body_makes_the_vault_fail(
    simulator: Simulator, state: SimulatorState, http: requests.Session, method: str, path: str
) -> None:
    headers = {**vault_token(state), "Content-Type": "application/json"}
    url = f"{simulator.urls.vault}{path}"
    http.put(
        f"{simulator.urls.vault}/secrets/a?api-version=7.4", b'{"value": "v"}', headers=headers
    )
    for body in bodies():
        answer = http.request(
            method, url, data=body.encode(), params={"api-version": "7.4"}, headers=headers
        )
        never_fails(answer, body[:80])
        if answer.status_code >= 400:
            assert answer.json()["error"].keys() >= {"code", "message"}, body[:80]


@pytest.mark.parametrize("name", ["api-version", "maxresults", "$skiptoken", "outContentType"])
def test_no_parameter_makes_the_vault_fail(
    simulator: Simulator, state: SimulatorState, http: requests.Session, name: str
) -> None:
    headers = vault_token(state)
    for path in ("/secrets", "/secrets/a", "/secrets/a/versions", "/deletedsecrets"):
        for value in ODD:
            answer = http.get(
                simulator.urls.vault + path,
                params={"api-version": "7.4", name: value},
                headers=headers,
            )
            never_fails(answer, (path, value[:20]))
