"""What stands before every page: a session, the same origin for changes, errors as pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

import azure.functions as func

from shared.errors import PostroomError
from shared.web import notices
from shared.web.csrf import require_same_origin
from shared.web.rendering import Site, page, see_other
from shared.web.session import Sessions

P = ParamSpec("P")
Handler = Callable[Concatenate[func.HttpRequest, Site, P], func.HttpResponse]


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
    """A page for those who have a session; others are sent to /signin. What is not a GET must come
    from our own pages. An expected error is shown as a page."""

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
            return see_other("/signin")
        return handler(req, site, *args, **kwargs)

    return stood_before
