"""What a request may cost: limits come before work, and a batch costs no more than one large mail."""

from __future__ import annotations

import base64
import json
import random
import time
import tracemalloc
from collections.abc import Callable

import azure.functions as func
import pytest
from msgspec.structs import replace

import function_app
from shared.mail import limits
from shared.mail.defaults import Defaults
from tests.calendars import ICS
from tests.fakes import FakeServices, document_of
from tests.functional.calling import check_mail, request, send

MB = 1024 * 1024
WAYS = "<svg></svg><noscript></noscript><plaintext>"
"""Html that is read in three ways."""


@pytest.fixture(autouse=True)
def large_requests(services: FakeServices) -> None:
    services.limits = replace(services.limits, max_bytes=33 * MB)


@pytest.fixture
def signed(services: FakeServices) -> FakeServices:
    services.accounts.change("billing", defaults=Defaults(signature_text="Contoso"))
    services.accounts.remember(*services.accounts.rows.values())
    return services


def html_of(tags: int) -> str:
    return WAYS + "</z/>" * (tags - WAYS.count("<") - 1) + "</body>"


def post_batch(body: bytes) -> func.HttpResponse:
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    answer: func.HttpResponse = function_app.send_batch(request("POST", body=body, headers=headers))
    return answer


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


@pytest.mark.parametrize("call", [send, check_mail])
def test_html_with_more_tags_than_are_read_is_refused_at_once(
    signed: FakeServices, call: Callable[..., func.HttpResponse]
) -> None:
    document = document_of(html=html_of(110_000))

    assert seconds(lambda: call(document)) < 1
    answer = json.loads(call(document).get_body())

    assert (answer["code"], answer["errors"][0]["field"]) == ("mail_too_large", "html")
    assert call(document_of(html="<td>" * 90_000)).status_code in (200, 202)


@pytest.mark.parametrize(
    "piece", ["</z/>", "<z/>", "</>", "<!>", "<p x>", "<xmp></xmp>", "</body>", "<script></script>"]
)
def test_html_at_the_limit_of_tags_gets_its_signature_in_seconds(
    signed: FakeServices, piece: str
) -> None:
    tags = limits.MAX_TAGS // 3 - 10
    document = document_of(html=WAYS + piece * (tags // piece.count("<")) + "</body>")

    assert seconds(lambda: send(document)) < 3


def test_a_mail_above_a_limit_is_refused_before_its_html_is_read(signed: FakeServices) -> None:
    document = document_of(html=html_of(90_000) + "x" * 5 * MB)

    assert seconds(lambda: send(document)) < 1
    assert send(document).status_code == 413


def test_the_mails_of_a_batch_share_one_budget_of_tags(services: FakeServices) -> None:
    large = document_of(html="<td>" * (limits.MAX_TAGS - 1))
    mails = [{**large, "signature": False}, large, large, large, large, document_of()]

    answer = json.loads(post_batch(json.dumps({"mails": mails}).encode()).get_body())

    codes = [one.get("problem", {}).get("code") for one in answer["results"]]
    assert codes == [None] * 4 + ["mail_too_large"] * 2


def test_a_batch_of_a_hundred_newsletters_is_within_the_budget(signed: FakeServices) -> None:
    cell = '<td style="padding: 0 24px 16px; font-family: Arial; font-size: 14px">News</td>'
    mails = [document_of(html=f"<body>{cell * 1_200}</body>", text=None)] * 100

    answer = json.loads(post_batch(json.dumps({"mails": mails}).encode()).get_body())

    assert answer["accepted"] == 100


@pytest.mark.parametrize("mode", ["permissive", "all_or_nothing"])
def test_a_batch_at_the_budget_of_tags_is_answered_in_seconds(
    signed: FakeServices, mode: str
) -> None:
    html = WAYS + '<p a="b">' * 74_000 + "</body>"
    body = json.dumps({"mode": mode, "mails": [document_of(html=html, text=None)] * 4}).encode()

    assert seconds(lambda: post_batch(body)) < 6


@pytest.mark.parametrize("field", ["attachments", "to"])
def test_a_batch_of_refused_mails_is_answered_soon(services: FakeServices, field: str) -> None:
    mail = b'{"%s":[' % field.encode() + b"{}," * 24_900 + b"{}]}"
    body = b'{"mails":[' + b",".join([mail] * 100) + b"]}"

    assert seconds(lambda: post_batch(body)) < 6
    answer = json.loads(post_batch(body).get_body())

    assert {one["problem"]["code"] for one in answer["results"]} == {"invalid_mail"}


def test_raw_mime_that_can_never_be_sent_is_refused_before_it_is_read(
    services: FakeServices,
) -> None:
    raw = b"To: ada@contoso.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    raw += b"\r--x" * (8 * MB)

    assert seconds(lambda: send(raw, content_type="message/rfc822")) < 0.5
    answer = send(raw, content_type="message/rfc822")

    assert (answer.status_code, json.loads(answer.get_body())["code"]) == (413, "mail_too_large")


WIDE = "a" * 20 * MB + "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    "document",
    [
        {"text": WIDE},
        {WIDE: 1},
        {"subject": WIDE},
        {"attachments": {"filename": WIDE, "content": ""}},
        {"headers": {"X-A": WIDE}},
        {"attachments": {"filename": "a", "content": WIDE}},
    ],
    ids=["text", "an unknown name", "subject", "file name", "header", "content"],
)
@pytest.mark.parametrize("escaped", [False, True])
def test_a_text_beyond_ascii_takes_little_memory(
    services: FakeServices, document: dict[str, object], escaped: bool
) -> None:
    body = json.dumps({"to": "ada@contoso.com", **document}, ensure_ascii=escaped).encode()
    tracemalloc.start()

    answer = send(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert answer.status_code == 413
    assert peak < 3 * len(body)


@pytest.mark.parametrize("plus", ["+", "\\u002B"])
@pytest.mark.parametrize("slash", ["/", "\\/"])
def test_a_large_attachment_beside_text_beyond_ascii_is_taken(
    services: FakeServices, plus: str, slash: str
) -> None:
    content = f"aaa{plus}bbb{slash}" * (1_500_000)
    body = (
        '{"to":"ada@contoso.com","subject":"\N{GRINNING FACE}","text":"x","attachments":'
        f'[{{"filename":"a","content":"{content}"}}]}}'
    ).encode()
    answer = send(body)

    assert json.loads(answer.get_body()).get("code") in (None, "mail_too_large")
    assert b"more text than a mail can have" not in answer.get_body()


EMOJI = "\N{GRINNING FACE}"
LONG = "a" * 7 * MB + EMOJI


def batch_of(*mails: str, more: str = "") -> bytes:
    return f'{{"mails":[{",".join(mails)}]{more}}}'.encode()


@pytest.mark.parametrize(
    ("call", "body", "most"),
    [
        pytest.param(send, f'{{"to":"ada@contoso.com","{LONG}":1}}'.encode(), 3, id="name"),
        pytest.param(
            send,
            f'{{"to":"ada@contoso.com","text":"{EMOJI}\\"{LONG[:-1] * 2}"}}'.encode(),
            3,
            id="quote",
        ),
        pytest.param(post_batch, batch_of("{}", more=f',"mode":"{LONG}"'), 3, id="mode"),
        pytest.param(post_batch, batch_of("{}", more=f',"{LONG}":1'), 6, id="name of a batch"),
        pytest.param(
            post_batch, batch_of(*[f'{{"{LONG[-250_000:]}":1}}'] * 40), 3, id="names in mails"
        ),
        pytest.param(
            post_batch,
            batch_of(*[f'{{"to":"ada@contoso.com","text":"{LONG[-250_000:]}"}}'] * 40),
            7,
            id="texts of mails",
        ),
    ],
)
def test_text_beyond_ascii_takes_no_more_than_some_times_the_body(
    services: FakeServices, call: Callable[..., func.HttpResponse], body: bytes, most: int
) -> None:
    call(b'{"to":"ada@contoso.com","text":"x"}')
    tracemalloc.start()

    call(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < most * len(body)


def test_many_attachments_beside_text_beyond_ascii_are_taken(services: FakeServices) -> None:
    content = base64.b64encode(bytes(48_000) * 2).decode()
    files = [{"filename": f"{number}.png", "content": content[:64_000]} for number in range(100)]

    answer = send(document_of(subject=EMOJI, attachments=files, text="x" * 3 * MB))

    assert b"more text than a mail can have" not in answer.get_body()


def events_of(attendees: list[list[str]]) -> str:
    """An invitation with an event for each list of attendees."""
    head, event, tail = ICS.partition("BEGIN:VEVENT")[0], *ICS.partition("BEGIN:VEVENT")[1:]
    body, end = tail.split("END:VEVENT\r\n", 1)
    events = [
        event
        + body.replace(
            "ATTENDEE;CUTYPE",
            "".join(f"ATTENDEE:mailto:{one}\r\n" for one in some) + "ATTENDEE;CUTYPE",
            1,
        )
        + "END:VEVENT\r\n"
        for some in attendees
    ]
    return head + "".join(events) + end


SLOW_DOMAINS = {
    "expanded": lambda number: ".".join(["\ufdfa"] * 110) + f".{number}.example",
    "long labels": lambda number: ".".join([chr(0x4E00 + number) * 19] * 4) + ".example",
    "many labels": lambda number: ".".join([chr(0x4E00 + number)] * 9) + ".example",
}
"""Domains that the IDNA codec takes long for, 500 different ones of each kind."""
SLOW_MAILS: dict[str, Callable[[list[str]], tuple[bytes, str]]] = {
    "a list": lambda slow: (json.dumps(document_of(to=slow)).encode(), "application/json"),
    "one text": lambda slow: (
        json.dumps(document_of(cc=", ".join(slow))).encode(),
        "application/json",
    ),
    "four fields": lambda slow: (
        json.dumps(
            document_of(to=slow[:99], cc=slow[100:199], bcc=slow[200:299], reply_to=slow[300:399])
        ).encode(),
        "application/json",
    ),
    "four fields with faults": lambda slow: (
        json.dumps(
            document_of(
                **{
                    name: [f"{one}!" for one in slow[at : at + 99]]
                    for at, name in enumerate(("to", "cc", "bcc", "reply_to"))
                }
            )
        ).encode(),
        "application/json",
    ),
    "raw MIME": lambda slow: (
        f"To: {', '.join(slow)}\r\n\r\nx".encode(),
        "message/rfc822",
    ),
    "raw MIME of many headers": lambda slow: (
        "".join(f"To: {one}\r\n" for one in slow * 2).encode() + b"\r\nx",
        "message/rfc822",
    ),
    "raw MIME of many headers with faults": lambda slow: (
        "".join(f"To: {one}!\r\n" for one in slow * 2).encode() + b"\r\nx",
        "message/rfc822",
    ),
    "an invitation to many events": lambda slow: (
        json.dumps(
            document_of(
                attachments={
                    "filename": "invite.ics",
                    "content_type": "text/calendar; method=REQUEST",
                    "content": base64.b64encode(
                        events_of([slow[at : at + 90] for at in range(0, 500, 90)]).encode()
                    ).decode(),
                }
            )
        ).encode(),
        "application/json",
    ),
    "an invitation": lambda slow: (
        json.dumps(
            document_of(
                attachments={
                    "filename": "invite.ics",
                    "content_type": "text/calendar; method=REQUEST",
                    "content": base64.b64encode(
                        ICS.replace(
                            "ATTENDEE;CUTYPE",
                            "".join(f"ATTENDEE:mailto:{one}\r\n" for one in slow)
                            + "ATTENDEE;CUTYPE",
                        ).encode()
                    ).decode(),
                }
            )
        ).encode(),
        "application/json",
    ),
}


@pytest.mark.parametrize("kind", SLOW_MAILS)
@pytest.mark.parametrize("domain", SLOW_DOMAINS)
def test_five_hundred_domains_beyond_ascii_take_little_time(
    services: FakeServices, kind: str, domain: str
) -> None:
    slow = [f"a@{SLOW_DOMAINS[domain](number)}" for number in range(500)]
    body, content_type = SLOW_MAILS[kind](slow)

    assert seconds(lambda: send(body, content_type)) < 0.5


def test_a_batch_of_mails_to_domains_beyond_ascii_takes_little_time(
    services: FakeServices,
) -> None:
    """A hundred mails, each to as many different domains as a mail may have."""
    letters = [chr(code) for code in range(0x430, 0x450)]
    draw = random.Random(14)  # noqa: S311 - the same domains in every run
    mails = [
        json.dumps(
            document_of(
                to=[
                    f"a@{'.'.join(''.join(draw.choices(letters, k=19)) for _ in range(4))}.de"
                    for _ in range(99)
                ]
            ),
            ensure_ascii=False,
        )
        for _ in range(100)
    ]

    assert seconds(lambda: post_batch(batch_of(",".join(mails)))) < 6


@pytest.mark.parametrize("beside", [" " * 70_000, f',"more":"{"a" * 70_000}"', ',"mails":[]'])
def test_a_batch_has_little_beside_its_mails(services: FakeServices, beside: str) -> None:
    mails = ",".join([json.dumps(document_of(text="x" * 1_000))] * 100)

    answer = json.loads(post_batch(batch_of(mails, more=beside)).get_body())

    assert answer["code"] == "invalid_request"
