"""Makes HTML answers from templates, with the headers that every page has."""

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

# In Chromium, form-action also applies to every redirect after a form. A sign-in goes from
# Microsoft's sign-in page to other hosts that cannot be listed: login.live.com, or the
# organisation's own federation server. https://github.com/w3c/webappsec-csp/issues/8
_FORM_ACTION = "'self' https:"
# In development, the simulator of Microsoft shows its page over plain http, on a port of its own.
_FORM_ACTION_DEVELOPMENT = "'self' https: http://localhost:* http://127.0.0.1:*"


_DIRECTION = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd")
"""Embeddings, overrides and isolates; a replacement character shows that there was one."""
_PAGE = re.compile(r"(?<![\w./-])(/accounts|/setup)(?![\w/-])")


class Site(msgspec.Struct, frozen=True):
    """The address of the pages. It comes from the settings, never from a request's headers."""

    registration: Registration
    development: bool = False

    @property
    def redirect_uri(self) -> str:
        """The address of the callback, as it is registered in Entra."""
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
    """A page from a template; every value is escaped."""
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
    """Redirect to another page by GET: a 303 never repeats a body, unlike a 307 (RFC 9700,
    4.12)."""
    headers = {
        "Location": location,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return _with_cookies(func.HttpResponse(status_code=status, headers=headers), set_cookies)


def framed(html: str) -> func.HttpResponse:
    """Html of a mail, for a frame on one of the pages. It is sandboxed wherever it is opened: it
    runs no script, loads nothing, and its links and forms do nothing."""
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
    """A file under `static`; None for any other name."""
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
        finalize=without_direction,
    )
    found.filters["with_links"] = with_links
    found.filters["as_written"] = AsWritten
    return found


class AsWritten(str):
    """A text that a form sends back: `without_direction` leaves it as it is."""


def without_direction(value: object) -> object:
    """What a page shows of a value: without the characters that turn the direction of the text
    around them (UAX 9, 2). With them a caller could let another address or file type appear than
    the mail has.
    """
    if isinstance(value, str) and not isinstance(value, AsWritten):
        return value.translate(_DIRECTION)
    return value


def with_links(text: str | None) -> Markup:
    """The text, escaped, with links for the pages that it names."""
    from markupsafe import Markup, escape

    return Markup(_PAGE.sub(r'<a href="\1">\1</a>', str(escape(text or ""))))  # noqa: S704 - escaped
