"""The sealed cookie of a sign-in under way, in the browser that began it.

Any instance can finish the sign-in, but no other browser can (login CSRF). SameSite=None, because
Microsoft's answer is a POST from another site; only the callback gets this cookie.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from shared.services.sign_in.authorization_code import FLOW_LIFETIME
from shared.services.sign_in.ports import SignInFlow, SignInRequest
from shared.web.auth.sealed_cookie import SealedCookie
from shared.web.auth.signing import Keys, Purpose

PATH = "/api/auth/callback"

_COOKIE = SealedCookie("flow", Purpose.FLOW, PATH, "None")
clear = _COOKIE.clear


def build(keys: Keys, flow: SignInFlow) -> str:
    """The Set-Cookie header for a flow."""
    # auth_uri is left out to stay under 4 KB: the browser has already been there when the cookie is
    # read.
    msal = {key: value for key, value in flow.msal.items() if key != "auth_uri"}
    document = msgspec.to_builtins(flow) | {"msal": msal, "expires_at": flow.expires_at.isoformat()}
    max_age = int(FLOW_LIFETIME.total_seconds())
    return _COOKIE.build(keys, str(flow.msal["state"]), document, max_age=max_age)


def read(keys: Keys, cookie_header: str, state: str) -> SignInFlow | None:
    """The flow of a state, if this browser began it; else None."""
    document = _COOKIE.read(keys, cookie_header, state)
    if document is None:
        return None
    return SignInFlow(
        SignInRequest(**document["wish"]),
        document["msal"],
        datetime.fromisoformat(document["expires_at"]),
    )
