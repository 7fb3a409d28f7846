"""The link by which an administrator consents."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from shared.mail.permissions import Choices
from shared.services.sign_in.registration import (
    Registration,
    wants_admin_consent,
)

TENANT = "11111111-1111-4111-8111-111111111111"
APP = Registration(
    "client", TENANT, "https://login.microsoftonline.com", "https://post.contoso.com/callback"
)


@pytest.mark.parametrize(
    ("tenant", "authority", "segment"),
    [
        (TENANT, None, TENANT),
        ("contoso.com", None, "contoso.com"),
        ("organizations", None, "organizations"),
        ("common", None, "organizations"),
        ("common", "organizations", "organizations"),
        ("organizations", TENANT, TENANT),
    ],
)
def test_the_link_names_the_directory_or_organizations_and_never_common(
    tenant: str, authority: str | None, segment: str
) -> None:
    url = replace(APP, tenant=tenant).admin_consent_url(Choices(), authority)

    assert url is not None
    assert url.startswith(f"https://login.microsoftonline.com/{segment}/v2.0/adminconsent?")


def test_the_link_asks_for_what_was_ticked_in_long_form() -> None:
    url = APP.admin_consent_url(Choices(verified=True)) or ""
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    assert query == {
        "client_id": "client",
        "redirect_uri": "https://post.contoso.com/callback",
        "state": "admin-consent",
        "scope": "https://graph.microsoft.com/Mail.Send https://graph.microsoft.com/User.Read "
        "https://graph.microsoft.com/Mail.ReadWrite openid profile offline_access email",
    }


def test_personal_accounts_have_no_administrator_to_ask() -> None:
    assert replace(APP, tenant="consumers").admin_consent_url(Choices()) is None
    assert replace(APP, tenant="common").admin_consent_url(Choices(), "consumers") is None


@pytest.mark.parametrize(
    ("answer", "code", "wanted"),
    [
        ({}, "AADSTS90094", True),
        ({}, "AADSTS90095", True),
        ({}, "AADSTS65001", True),
        ({}, "access_denied", True),
        ({}, "AADSTS65004", False),
        ({"admin_consent": "True"}, "AADSTS65004", True),
        ({}, "AADSTS7000222", False),
        ({}, None, False),
    ],
)
def test_the_link_is_offered_where_an_administrators_consent_may_be_missing(
    answer: dict[str, str], code: str | None, wanted: bool
) -> None:
    assert wants_admin_consent(answer, code) is wanted
