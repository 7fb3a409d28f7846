from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from shared.adapters.entra.managed_identity import Token
from shared.adapters.storage.access import SCOPE, Bearer, read_connection_string
from shared.errors import NotSent

KEY = base64.b64encode(b"key of a test").decode()
DATE = "Sun, 22 Nov 2026 09:00:00 GMT"


def signed(text: str, path: str, query: str = "") -> tuple[str, str, dict[str, str]]:
    url, access = read_connection_string(text)
    headers = {"x-ms-date": DATE}
    return url, access.sign("GET", path, query, headers), headers


def test_an_account_key_signs_date_and_resource() -> None:
    text = f"DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn"
    url, target, headers = signed(text, "/mails()", "$top=1")
    expected = hmac.new(
        b"key of a test", f"{DATE}\n/contoso/mails()".encode(), hashlib.sha256
    ).digest()

    assert url == "https://contoso.table.core.chinacloudapi.cn"
    assert target == "/mails()?$top=1"
    assert (
        headers["Authorization"] == f"SharedKeyLite contoso:{base64.b64encode(expected).decode()}"
    )


def test_the_shorthand_of_the_emulator_is_its_address() -> None:
    url, _, headers = signed("UseDevelopmentStorage=true", "/mails()")

    assert url == "http://127.0.0.1:10002/devstoreaccount1"
    assert headers["Authorization"].startswith("SharedKeyLite devstoreaccount1:")


def test_a_shared_access_signature_goes_into_the_address() -> None:
    text = "TableEndpoint=https://contoso.table.core.windows.net;SharedAccessSignature=sv=2022&sig=a%3D"
    _, bare, headers = signed(text, "/mails()")
    _, asked, _ = signed(text, "/mails()", "$top=1")

    assert bare == "/mails()?sv=2022&sig=a%3D"
    assert asked == "/mails()?$top=1&sv=2022&sig=a%3D"
    assert "Authorization" not in headers


@pytest.mark.parametrize("text", ["", "AccountName=contoso", f"AccountKey={KEY}", "nonsense"])
def test_a_connection_string_that_lets_nobody_in_is_named_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="AzureWebJobsStorage") as caught:
        read_connection_string(text)

    assert not text or text not in str(caught.value)


class Identity:
    """Gives a token, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """See `TokenCredential`."""
        assert scopes == (SCOPE,)
        if self.error:
            raise self.error
        return Token("token", 2_000_000_000)


def test_the_apps_identity_shows_its_token() -> None:
    headers: dict[str, str] = {}

    assert Bearer(Identity()).sign("GET", "/mails()", "", headers) == "/mails()"
    assert headers == {"Authorization": "Bearer token"}


@pytest.mark.parametrize("error", [ClientAuthenticationError("no"), ServiceRequestError("no")])
def test_without_a_token_nothing_is_sent(error: Exception) -> None:
    with pytest.raises(NotSent, match="got no token for storage"):
        Bearer(Identity(error)).sign("GET", "/mails()", "", {})


def test_a_mistake_of_ours_is_not_taken_for_trouble_of_the_network() -> None:
    with pytest.raises(KeyError):
        Bearer(Identity(KeyError("bug"))).sign("GET", "/mails()", "", {})
