"""The handler of each route of the area `auth`, with the services that it needs.

Each function imports its own modules, so that the first call of an instance loads only what it
needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

if TYPE_CHECKING:
    from shared.web.routing import GetServices


def begin_sign_in(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Redirect to Microsoft's sign-in."""
    from shared.web.auth import sign_in

    return sign_in.begin_sign_in(
        req,
        services().page_context.sessions,
        services().consent,
        services().page_context.keys,
        services().page_context.site,
    )


def begin_device_sign_in(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Show a code to enter at Microsoft."""
    from shared.web.auth import device_code

    return device_code.begin_device_sign_in(
        req,
        services().page_context.sessions,
        services().device_sign_in,
        services().page_context.keys,
        services().page_context.site,
    )


def finish_device_sign_in(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Ask Microsoft whether the code was entered."""
    from shared.web.auth import device_code

    return device_code.finish_device_sign_in(
        req,
        services().page_context.sessions,
        services().device_sign_in,
        services().page_context.keys,
        services().page_context.site,
    )


def show_admin_consent(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """The link by which an administrator consents."""
    from shared.web.auth import sign_in

    return sign_in.show_admin_consent(
        req, services().page_context.sessions, services().page_context.site
    )


def finish_sign_in(req: func.HttpRequest, services: GetServices) -> func.HttpResponse:
    """Finish a sign-in: Microsoft redirects to this address."""
    from shared.web.auth import sign_in

    return sign_in.finish_sign_in(
        req, services().consent, services().page_context.keys, services().page_context.site
    )
