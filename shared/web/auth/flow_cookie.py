"""The cookie that carries a sign-in under way, sealed, in the browser that began it.

Any instance can finish the sign-in, and no other browser can (login CSRF). One cookie per flow, so
that two tabs do not spoil each other's. SameSite=None, since Microsoft's answer is a POST from
another site; only the callback ever sees it.
"""

from __future__ import annotations

import json
from datetime import datetime

import msgspec

from shared.services.sign_in.authorization_code import FLOW_LIFETIME, state_hash
from shared.services.sign_in.ports import SignInFlow, SignInRequest
from shared.web.auth import cookies, signing
from shared.web.auth.signing import Keys, Purpose

PATH = "/api/auth/callback"


def build(keys: Keys, flow: SignInFlow) -> str:
    """The Set-Cookie header for a flow."""
    state = str(flow.msal["state"])
    # The browser has been at auth_uri by the time this is read: left out, to stay under 4 KB.
    msal = {key: value for key, value in flow.msal.items() if key != "auth_uri"}
    document = msgspec.to_builtins(flow) | {"msal": msal, "expires_at": flow.expires_at.isoformat()}
    sealed = signing.seal(keys, Purpose.FLOW, json.dumps(document).encode(), state)
    return cookies.build(
        name_for(state),
        sealed,
        max_age=int(FLOW_LIFETIME.total_seconds()),
        path=PATH,
        same_site="None",
    )


def read(keys: Keys, cookie_header: str, state: str) -> SignInFlow | None:
    """The flow that belongs to a state, if this browser began it."""
    sealed = cookies.read(cookie_header, name_for(state))
    content = signing.unseal(keys, Purpose.FLOW, sealed, state) if sealed else None
    if content is None:
        return None
    document = json.loads(content)
    return SignInFlow(
        SignInRequest(**document["wish"]),
        document["msal"],
        datetime.fromisoformat(document["expires_at"]),
    )


def clear(state: str) -> str:
    """The Set-Cookie header that removes a flow's cookie."""
    return cookies.clear(name_for(state), path=PATH, same_site="None")


def name_for(state: str) -> str:
    """Each flow's own name, which gives nothing of the state away."""
    return f"flow-{state_hash(state)[:8]}"
