"""iCalendar objects (RFC 5545) that invite to an event, read strictly.

RFC 5545: https://www.rfc-editor.org/rfc/rfc5545. RFC 5546 says what an invitation must have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

MAX_CALENDAR = 256 * 1024
"""Bytes. An event with 500 attendees has about 60,000."""
MAX_LINES = 10_000
"""Lines. This also limits the number of properties and components."""
MAX_EVENTS = 200

_LINE_END = re.compile(r"\r\n|\n")
# Some programs end a line at the controls U+0080 to U+009F too, U+0085 among them.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_PROPERTY = re.compile(
    r"(?P<name>[A-Za-z0-9-]++)"
    r'(?P<parameters>(?:;[A-Za-z0-9-]++=(?:"[^"]*+"|[^";:,]*+)(?:,(?:"[^"]*+"|[^";:,]*+))*+)*+)'
    r":(?P<value>.*+)",
    re.DOTALL,
)
_PARAMETER = re.compile(
    r';(?P<name>[A-Za-z0-9-]++)=(?P<value>(?:"[^"]*+"|[^";:,]*+)(?:,(?:"[^"]*+"|[^";:,]*+))*+)'
)
_OF_AN_ORGANIZER = frozenset({"CN", "LANGUAGE", "CUTYPE", "ROLE", "PARTSTAT", "RSVP"})
"""Parameters that name nobody else. SENT-BY and EMAIL (RFC 7986, 6.2) name an address to answer to."""
_PEOPLE = frozenset({"ORGANIZER", "ATTENDEE"})
_TEXTS = frozenset(
    {"COMMENT", "CONTACT", "DESCRIPTION", "LOCATION", "SUMMARY", "URL", "X-ALT-DESC"}
)
"""Properties that are read by people: they may speak of any address."""
_WITHIN = {
    "": {"VCALENDAR"},
    "VCALENDAR": {"VEVENT", "VTIMEZONE"},
    "VEVENT": {"VALARM"},
    "VTIMEZONE": {"STANDARD", "DAYLIGHT"},
}
"""Each component, with the components that it may contain here."""


_CN = "CN of ORGANIZER"
"""Where a component keeps it: no property has such a name."""


class BadCalendar(ValueError):
    """The file is not an invitation. The message says what is wrong and how to correct it; it does
    not quote the file."""


class Event(msgspec.Struct, frozen=True):
    """One VEVENT."""

    uid: str
    organizer: str
    """The value of ORGANIZER, unchanged."""
    organizer_name: str
    """Its CN, which calendar programs show; empty where there is none."""
    attendees: tuple[str, ...]


class Calendar(msgspec.Struct, frozen=True):
    """One VCALENDAR with its events."""

    method: str
    """In upper case."""
    events: tuple[Event, ...]
    text: str
    """The object as Postroom sends it: its lines end with CR LF."""


class _Component:
    """A component while it is read: how often each property occurs, and the values that are
    needed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: dict[str, list[str]] = {}

    def add(self, name: str, value: str) -> None:
        self.values.setdefault(name, []).append(value)

    def only(self, name: str) -> str:
        """The value of a property that must occur once. Raises BadCalendar."""
        found = self.values.get(name, [])
        if len(found) != 1:
            times = "is missing" if not found else "is given more than once"
            raise BadCalendar(f"has a {self.name} whose {name} {times}: give it once")
        return found[0]


def read(content: bytes) -> Calendar:
    """Read an invitation. Raises BadCalendar."""
    if len(content) > MAX_CALENDAR:
        raise BadCalendar(
            f"has more than {MAX_CALENDAR} bytes, which is too much for an invitation"
        )
    text = _text_of(content)
    lines = _LINE_END.split(text)
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) > MAX_LINES:
        raise BadCalendar(f"has more than {MAX_LINES} lines, which is too much for an invitation")
    reader = _Reader()
    for line in _unfolded(lines):
        reader.take(line)
    reader.end()
    calendar = reader.calendars[0]
    if calendar.only("VERSION").strip() != "2.0":
        raise BadCalendar("has a VERSION other than 2.0: write it as iCalendar 2.0")
    calendar.only("PRODID")
    return Calendar(
        method=calendar.only("METHOD").strip().upper(),
        events=_events(reader.events),
        text="".join(f"{line}\r\n" for line in lines),
    )


def _text_of(content: bytes) -> str:
    if content.startswith(b"\xef\xbb\xbf"):
        raise BadCalendar("begins with a byte order mark: remove it")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadCalendar("is not UTF-8: write it as UTF-8") from error
    if _NO_TEXT.search(text.replace("\r\n", "\n")):
        raise BadCalendar("has a control character or a lone carriage return: remove it")
    return text


def _unfolded(lines: Sequence[str]) -> Iterator[str]:
    """The content lines, each joined from its folded lines (RFC 5545, 3.1)."""
    pieces: list[str] = []
    for line in lines:
        if line[:1] in (" ", "\t") and pieces:
            pieces.append(line[1:])
            continue
        if pieces:
            yield "".join(pieces)
        pieces = [line]
    if pieces:
        yield "".join(pieces)


class _Reader:
    """Reads content lines one after the other."""

    def __init__(self) -> None:
        self.calendars: list[_Component] = []
        self.events: list[_Component] = []
        self._inside: list[_Component] = []

    def take(self, line: str) -> None:
        """Read one content line. Raises BadCalendar."""
        found = _PROPERTY.fullmatch(line)
        if found is None:
            raise BadCalendar("has a line that is not a property: write it as 'NAME:value'")
        name, value = found["name"].upper(), found["value"]
        if name == "BEGIN":
            self._begin(value.strip().upper())
        elif name == "END":
            if value.strip().upper() != self._around:
                raise BadCalendar("has an END that does not end the component before it")
            self._inside.pop()
        elif not self._inside:
            raise BadCalendar("has a property outside of VCALENDAR")
        else:
            self._check_people(name, found["parameters"], value)
            self._inside[-1].add(name, value)

    def end(self) -> None:
        """Raise BadCalendar if a component is not closed, or if there is not exactly one
        calendar."""
        if self._inside:
            raise BadCalendar("ends before its last component does")
        if len(self.calendars) != 1:
            raise BadCalendar("must have one VCALENDAR")

    def _check_people(self, name: str, parameters: str, value: str) -> None:
        """Raise BadCalendar for an address where programs may take it for the organizer's."""
        if name in _PEOPLE and self._around != "VEVENT":
            raise BadCalendar("has an ORGANIZER or ATTENDEE outside of VEVENT: remove it")
        if name not in _PEOPLE | _TEXTS and value.strip().lower().startswith("mailto:"):
            raise BadCalendar(
                "has an address in another property than ORGANIZER and ATTENDEE: remove the property"
            )
        if name != "ORGANIZER":
            return
        given = [(one["name"].upper(), one["value"]) for one in _PARAMETER.finditer(parameters)]
        names = [one for one, _ in given]
        if len(set(names)) < len(names) or not _OF_AN_ORGANIZER.issuperset(names):
            raise BadCalendar(
                "has an ORGANIZER with a parameter that is not taken: give CN alone, once"
            )
        self._inside[-1].add(_CN, dict(given).get("CN", "").strip('"'))

    @property
    def _around(self) -> str:
        return self._inside[-1].name if self._inside else ""

    def _begin(self, name: str) -> None:
        if name not in _WITHIN.get(self._around, ()):
            raise BadCalendar(
                "has a component that is not allowed there: an invitation is one VCALENDAR with "
                "VEVENT and VTIMEZONE; leave 'method' out to send it as an ordinary file"
            )
        component = _Component(name)
        self._inside.append(component)
        if name == "VCALENDAR":
            self.calendars.append(component)
        if name == "VEVENT":
            self.events.append(component)


def _events(components: Sequence[_Component]) -> tuple[Event, ...]:
    if not components:
        raise BadCalendar("has no VEVENT: only events are invitations")
    if len(components) > MAX_EVENTS:
        raise BadCalendar(f"has more than {MAX_EVENTS} VEVENTs: send fewer")
    events = []
    for one in components:
        one.only("DTSTAMP")
        one.only("DTSTART")
        attendees = tuple(value.strip() for value in one.values.get("ATTENDEE", []))
        organizer = one.only("ORGANIZER").strip()
        events.append(
            Event(one.only("UID").strip(), organizer, one.values[_CN][0].strip(), attendees)
        )
    if len({event.uid for event in events}) > 1:
        raise BadCalendar("has VEVENTs with different UIDs: send one mail for each (RFC 5546)")
    return tuple(events)
