"""HTML answers: templates, and the headers that every page carries."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import azure.functions as func
import msgspec

from shared.services.sign_in.registration import Registration

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

_HERE = Path(__file__).parents[1]

# A form's redirects are held to form-action too, all the way (in Chromium), and the way of a
# sign-in leads from Microsoft's sign-in page to others that cannot be listed: login.live.com, or
# the organisation's own federation server. https://github.com/w3c/webappsec-csp/issues/8
_FORM_ACTION = "'self' https:"
# The stand-in for Microsoft on a laptop shows its page over plain http, on a port of its own.
_FORM_ACTION_DEVELOPMENT = "'self' https: http://localhost:* http://127.0.0.1:*"


_PAGE = re.compile(r"(?<![\w./-])(/accounts|/setup)(?![\w/-])")


class Site(msgspec.Struct, frozen=True):
    """Where the pages live. From the settings, never from a request's headers."""

    registration: Registration
    development: bool = False

    @property
    def redirect_uri(self) -> str:
        """The callback, as it is registered."""
        return self.registration.redirect_uri

    @property
    def origin(self) -> str:
        """Scheme, host and port of the app, as browsers write an origin."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc.lower()}"


def page(
    site: Site,
    template: str,
    *,
    status: int = 200,
    set_cookies: Iterable[str] = (),
    retry_after: float | None = None,
    **facts: object,
) -> func.HttpResponse:
    """A page from a template, with every value escaped."""
    body = _templates().get_template(template).render(site=site, **facts)
    response = func.HttpResponse(
        body, status_code=status, headers=_headers(site), mimetype="text/html"
    )
    if retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(retry_after)))
    return _with_cookies(response, set_cookies)


def see_other(
    location: str, *, set_cookies: Iterable[str] = (), status: int = 303
) -> func.HttpResponse:
    """On to another page, by GET: 303 never repeats a body, unlike 307 (RFC 9700, 4.12)."""
    headers = {
        "Location": location,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return _with_cookies(func.HttpResponse(status_code=status, headers=headers), set_cookies)


def framed(html: str) -> func.HttpResponse:
    """Somebody else's html, for a frame on one of our pages: it is in a sandbox whoever opens it, runs
    nothing, fetches nothing and leads nowhere."""
    return func.HttpResponse(
        html,
        headers={
            "Content-Security-Policy": (
                "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
                "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
            ),
            "X-Frame-Options": "SAMEORIGIN",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        },
        mimetype="text/html",
    )


def asset(name: str) -> func.HttpResponse | None:
    """One of the files under `static`; None for any other name."""
    content_type = _ASSETS.get(name)
    if content_type is None:
        return None
    return func.HttpResponse(
        (_HERE / "static" / name).read_bytes(),
        headers={
            "Cache-Control": "public, max-age=3600",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        },
        mimetype=content_type,
    )


_ASSETS = {
    "postroom.css": "text/css",
    "signin.js": "text/javascript",
    "device.js": "text/javascript",
    "postroom.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def _headers(site: Site) -> dict[str, str]:
    form_action = _FORM_ACTION_DEVELOPMENT if site.development else _FORM_ACTION
    return {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
            f"img-src 'self'; frame-src 'self'; form-action {form_action}; "
            "frame-ancestors 'none'; base-uri 'none'"
        ),
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def _with_cookies(response: func.HttpResponse, set_cookies: Iterable[str]) -> func.HttpResponse:
    for cookie in set_cookies:
        response.headers.add("Set-Cookie", cookie)
    return response


@functools.cache
def _templates() -> jinja2.Environment:
    import jinja2

    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["with_links"] = with_links
    return found


def with_links(text: str | None) -> Markup:
    """Escaped, with the pages that it names as links."""
    from markupsafe import Markup, escape

    return Markup(_PAGE.sub(r'<a href="\1">\1</a>', str(escape(text or ""))))  # noqa: S704 - escaped
