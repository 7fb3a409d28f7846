"""Checks that a request that changes something came from Postroom's own pages.

Browsers say so in headers that no page can forge, so no token is needed. Pages are served with
`Referrer-Policy: no-referrer`, with which browsers send `Origin: null` even to the same site.
Therefore Sec-Fetch-Site decides if it is present, else Origin.
https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import RequestRejected
from shared.mail.problems import CROSS_ORIGIN

if TYPE_CHECKING:
    import azure.functions as func


def require_same_origin(req: func.HttpRequest, origin: str) -> None:
    """Raise RequestRejected unless the request came from `origin`, the configured one.

    A request with neither header is also refused: every browser that can open the pages sends one.
    """
    site = req.headers.get("Sec-Fetch-Site")
    sent = req.headers.get("Origin")
    same_site = site is None or site == "same-origin"
    same_origin = sent == origin or (site == "same-origin" and sent in (None, "null"))
    if not (same_site and same_origin):
        raise RequestRejected(CROSS_ORIGIN, f"This can be done only from a page of {origin}.")
