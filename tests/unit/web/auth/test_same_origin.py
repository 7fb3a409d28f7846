"""Same-origin, as browsers tell it."""

from __future__ import annotations

import pytest

from shared.errors import RequestRejected
from shared.mail.problems import CROSS_ORIGIN
from shared.web.auth.same_origin import require_same_origin
from tests.unit.web.browser import ORIGIN, Browser

OURS = [
    pytest.param({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, id="no-referrer page"),
    pytest.param({"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}, id="both"),
    pytest.param({"Sec-Fetch-Site": "same-origin"}, id="fetch metadata alone"),
    pytest.param({"Origin": ORIGIN}, id="an old browser"),
]
FOREIGN = [
    pytest.param({}, id="neither"),
    pytest.param({"Origin": "null"}, id="a sandboxed frame"),
    pytest.param({"Origin": "https://evil.example"}, id="another site"),
    pytest.param({"Origin": f"{ORIGIN}.evil.example"}, id="a longer name"),
    pytest.param({"Origin": ORIGIN.replace("https", "http")}, id="another scheme"),
    pytest.param({"Origin": f"{ORIGIN}:444"}, id="another port"),
    pytest.param({"Sec-Fetch-Site": "same-site", "Origin": "null"}, id="a sibling"),
    pytest.param({"Sec-Fetch-Site": "none", "Origin": ORIGIN}, id="typed in"),
    pytest.param({"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}, id="contradiction"),
    pytest.param(
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, id="other host name"
    ),
    pytest.param({"Origin": "https://evil.example", "Host": "evil.example"}, id="forged host"),
    pytest.param(
        {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}, id="forwarded"
    ),
]


@pytest.mark.parametrize("headers", OURS)
def test_our_own_pages_pass(headers: dict[str, str]) -> None:
    require_same_origin(Browser().request("POST", "/x", headers=headers), ORIGIN)


@pytest.mark.parametrize("headers", FOREIGN)
def test_anything_else_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(RequestRejected) as refused:
        require_same_origin(Browser().request("POST", "/x", headers=headers), ORIGIN)

    assert refused.value.kind is CROSS_ORIGIN
