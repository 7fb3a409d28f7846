"""The sealed cookie of a sign-in by code, in the browser that began it.

The device code, which gets the grant, is in no page and no table. SameSite=Strict: only Postroom's
own forms need this cookie, unlike that of the callback.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from shared.services.sign_in.ports import DeviceCode, DeviceFlow, SignInRequest
from shared.web.auth.sealed_cookie import SealedCookie
from shared.web.auth.signing import Keys, Purpose

PATH = "/auth/device"

_COOKIE = SealedCookie("device", Purpose.DEVICE, PATH, "Strict")
clear = _COOKIE.clear


def build(keys: Keys, flow: DeviceFlow) -> str:
    """The Set-Cookie header for a sign-in by code."""
    document = msgspec.to_builtins(flow) | {"expires_at": flow.expires_at.isoformat()}
    return _COOKIE.build(keys, flow.handle, document, max_age=flow.code.expires_in_seconds)


def read(keys: Keys, cookie_header: str, handle: str) -> DeviceFlow | None:
    """The sign-in with this handle, if this browser began it."""
    document = _COOKIE.read(keys, cookie_header, handle)
    if document is None:
        return None
    return DeviceFlow(
        SignInRequest(**document["wish"]),
        document["handle"],
        DeviceCode(**document["code"]),
        datetime.fromisoformat(document["expires_at"]),
    )
