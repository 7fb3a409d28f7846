"""`/mailboxSettings` [res: mailboxsettings]: the settings of a new mailbox, which no request
changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.simulator.directory import User
from local.simulator.graph.access import Access
from local.simulator.graph.errors import BadRequest
from local.simulator.graph.expand import selected
from local.simulator.graph.query import option
from local.simulator.wire import Request, Response

if TYPE_CHECKING:
    from local.simulator.graph.state import GraphState

READ_SETTINGS = ("MailboxSettings.Read", "MailboxSettings.ReadWrite")

_MIDNIGHT = "00:00:00.0000000"
_NO_REPLIES = {
    "status": "disabled",
    "externalAudience": "all",
    "internalReplyMessage": "",
    "externalReplyMessage": "",
    "scheduledStartDateTime": {"dateTime": f"2026-01-01T{_MIDNIGHT}", "timeZone": "UTC"},
    "scheduledEndDateTime": {"dateTime": f"2026-01-02T{_MIDNIGHT}", "timeZone": "UTC"},
}
_HOURS = {
    "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
    "startTime": "08:00:00.0000000",
    "endTime": "17:00:00.0000000",
    "timeZone": {"name": "UTC"},
}


def mailbox_settings(user: User) -> dict[str, Any]:
    return {
        "archiveFolder": "archive",
        "timeZone": "UTC",
        "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
        "dateFormat": "yyyy-MM-dd",
        "timeFormat": "HH:mm",
        "userPurpose": "shared" if user.kind == "shared" else "user",
        "automaticRepliesSetting": _NO_REPLIES,
        "language": {"locale": "en-US", "displayName": "English (United States)"},
        "workingHours": _HOURS,
    }


def get_settings(graph: GraphState, access: Access, request: Request) -> Response:
    """[api: user-get-mailboxsettings]"""
    settings = mailbox_settings(access.user)
    select = selected(option(request, "select"))
    if unknown := select - settings.keys():
        raise _no_property(min(unknown))
    chosen = {name: value for name, value in settings.items() if not select or name in select}
    return Response.of_json(200, {"@odata.context": _context(access, request), **chosen})


def get_setting(graph: GraphState, access: Access, request: Request) -> Response:
    """One setting: a document, or `value` with a text."""
    settings = {
        name.lower(): (name, value) for name, value in mailbox_settings(access.user).items()
    }
    found = settings.get(request.params["setting"].lower())
    if found is None:
        raise _no_property(request.params["setting"])
    name, value = found
    document = value if isinstance(value, dict) else {"value": value}
    context = f"{_context(access, request)}/{name}"
    return Response.of_json(200, {"@odata.context": context, **document})


def _context(access: Access, request: Request) -> str:
    owner = access.user.object_id
    return f"{request.base_url}/v1.0/$metadata#users('{owner}')/mailboxSettings"


def _no_property(name: str) -> BadRequest:
    kind = "microsoft.graph.mailboxSettings"
    return BadRequest(f"Could not find a property named '{name}' on type '{kind}'.")
