"""The routes of the area `auth`."""

from __future__ import annotations

from shared.web.routing import Access, Route

ROUTES = (
    Route(
        "begin_sign_in",
        "auth/login",
        ("POST",),
        Access.SESSION_AND_SAME_ORIGIN,
        "shared.web.auth.handlers:begin_sign_in",
    ),
    Route(
        "begin_device_sign_in",
        "auth/device",
        ("POST",),
        Access.SESSION_AND_SAME_ORIGIN,
        "shared.web.auth.handlers:begin_device_sign_in",
    ),
    Route(
        "finish_device_sign_in",
        "auth/device/finish",
        ("POST",),
        Access.SESSION_AND_SAME_ORIGIN,
        "shared.web.auth.handlers:finish_device_sign_in",
    ),
    Route(
        "show_admin_consent",
        "auth/admin-consent",
        ("POST",),
        Access.SESSION_AND_SAME_ORIGIN,
        "shared.web.auth.handlers:show_admin_consent",
    ),
    # Anonymous: the host would take Microsoft's parameter `code` for a function key.
    Route(
        "finish_sign_in",
        "api/auth/callback",
        (
            "GET",
            "POST",
        ),
        Access.ANONYMOUS,
        "shared.web.auth.handlers:finish_sign_in",
    ),
)
