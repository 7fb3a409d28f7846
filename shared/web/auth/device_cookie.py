"""The cookie that carries a sign-in by code, sealed, in the browser that began it.

What fetches the grant is in no page and in no table. SameSite=Strict: unlike the callback, whatever
needs it is a form of ours.
"""

from __future__ import annotations

import json
from datetime import datetime

import msgspec

from shared.services.sign_in.authorization_code import state_hash
from shared.services.sign_in.ports import DeviceCode, DeviceFlow, SignInRequest
from shared.web.auth import cookies, signing
from shared.web.auth.signing import Keys, Purpose

PATH = "/auth/device"


def build(keys: Keys, flow: DeviceFlow) -> str:
    """The Set-Cookie header for a sign-in by code."""
    document = msgspec.to_builtins(flow) | {"expires_at": flow.expires_at.isoformat()}
    sealed = signing.seal(keys, Purpose.DEVICE, json.dumps(document).encode(), flow.handle)
    return cookies.build(
        _name_for(flow.handle),
        sealed,
        max_age=flow.code.expires_in_seconds,
        path=PATH,
        same_site="Strict",
    )


def read(keys: Keys, cookie_header: str, handle: str) -> DeviceFlow | None:
    """The sign-in with this handle, if this browser began it."""
    sealed = cookies.read(cookie_header, _name_for(handle))
    content = signing.unseal(keys, Purpose.DEVICE, sealed, handle) if sealed else None
    if content is None:
        return None
    document = json.loads(content)
    return DeviceFlow(
        SignInRequest(**document["wish"]),
        document["handle"],
        DeviceCode(**document["code"]),
        datetime.fromisoformat(document["expires_at"]),
    )


def clear(handle: str) -> str:
    """The Set-Cookie header that removes it."""
    return cookies.clear(_name_for(handle), path=PATH, same_site="Strict")


def _name_for(handle: str) -> str:
    return f"device-{state_hash(handle)[:8]}"
