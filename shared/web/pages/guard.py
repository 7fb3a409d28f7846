"""Checks before every page: a session, and the same origin for changes. Shows errors as pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import quote, urlsplit

import azure.functions as func

from shared.errors import PostroomError
from shared.web.auth.same_origin import require_same_origin
from shared.web.auth.session import Sessions
from shared.web.pages import notices
from shared.web.pages.rendering import Site, page, see_other

P = ParamSpec("P")
Handler = Callable[Concatenate[func.HttpRequest, Site, P], func.HttpResponse]


_FIRST = "/accounts"
_OUR_PAGE = re.compile(r"/(accounts|mails|setup|docs)(/[a-z0-9-]{1,64}){0,2}")
"""A path only: no host, no query, and nothing that browsers interpret in different ways."""


def to_sign_in(req: func.HttpRequest) -> func.HttpResponse:
    """Redirect to the form for a function key, which later leads back to the page that was asked
    for.

    Only the path is passed on, which is in the log anyway; the query, such as a search, is not.
    """
    path = urlsplit(req.url).path
    if req.method != "GET" or path == _FIRST or not _OUR_PAGE.fullmatch(path):
        return see_other("/signin")
    return see_other(f"/signin?to={quote(path, safe='')}")


def page_after(req: func.HttpRequest) -> str:
    """The page to open after the sign-in: the one that was asked for, if it is a page of
    Postroom."""
    path = req.params.get("to", "")
    return path if _OUR_PAGE.fullmatch(path) else _FIRST


def explained(handler: Handler[P]) -> Handler[P]:
    """Show an expected error as a page."""

    @wraps(handler)
    def explaining(
        req: func.HttpRequest, site: Site, /, *args: P.args, **kwargs: P.kwargs
    ) -> func.HttpResponse:
        try:
            return handler(req, site, *args, **kwargs)
        except PostroomError as error:
            notice = notices.of(error)
            return page(
                site,
                "problem.html",
                status=notice.status,
                retry_after=notice.retry_after,
                notice=notice,
            )

    return explaining


def guarded(
    handler: Handler[P],
) -> Callable[Concatenate[func.HttpRequest, Site, Sessions, P], func.HttpResponse]:
    """A page that needs a session; without one the browser is redirected to /signin. A request
    other than GET must come from Postroom's own pages. An expected error is shown as a page."""

    @explained
    @wraps(handler)
    def stood_before(
        req: func.HttpRequest,
        site: Site,
        sessions: Sessions,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> func.HttpResponse:
        if req.method not in ("GET", "HEAD"):
            require_same_origin(req, site.origin)
        if not sessions.is_open(req):
            return to_sign_in(req)
        return handler(req, site, *args, **kwargs)

    return stood_before
