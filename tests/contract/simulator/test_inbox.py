"""The inbox page: what a person sees of the mail that arrived, and what a mail cannot do to them."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import pytest
import requests

from local.simulator.inbox.letters import PAGE_LENGTH
from local.simulator.server import Simulator
from tests.contract.simulator.graph_client import ADA, GraphClient, file, mail, people

HOSTILE = '"><script>alert(1)</script>'


class Links(HTMLParser):
    """Link texts of the rows, with their targets."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._row = False
        self._href: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "tr":
            self._row = "mail" in (values.get("class") or "").split()
        if tag == "a" and self._row:
            self._href = values.get("href")

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self._row = False

    def handle_data(self, data: str) -> None:
        if self._href:
            self.found.append((data, self._href))
            self._href = None


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:
    return GraphClient(simulator, http)


def open_page(graph: GraphClient, path: str = "/inbox", **query: str) -> requests.Response:
    url = path if path.startswith("http") else graph.simulator.urls.http + path
    return graph.session.get(url, params=query, timeout=30)


def subjects(page: requests.Response) -> list[str]:
    return [subject for subject, _ in Links(page.text).found]


def open_newest(graph: GraphClient) -> requests.Response:
    return open_page(graph, Links(open_page(graph).text).found[0][1])


def test_an_empty_inbox_says_so_and_looks_again(graph: GraphClient) -> None:
    page = open_page(graph)

    assert "Nothing has arrived yet." in page.text
    assert '<meta http-equiv="refresh"' in page.text


def test_mails_are_listed_newest_first_for_everybody(graph: GraphClient) -> None:
    graph.send(mail("first", ADA))
    graph.send(mail("second", "grace@example.org"))
    graph.send(mail("third", "bounce@example.org"))

    assert subjects(open_page(graph)) == ["Undeliverable: third", "second", "first"]


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("grace@example.org", ["second"]),
        ("GRACE", ["second"]),
        ("billing@contoso.com", ["second", "first"]),
        ("nobody", []),
    ],
)
def test_the_list_can_be_narrowed_to_a_mailbox_or_recipient(
    graph: GraphClient, who: str, expected: list[str]
) -> None:
    graph.send(mail("first", ADA))
    graph.send(mail("second", "grace@example.org"))

    assert subjects(open_page(graph, who=who)) == expected


def test_long_lists_have_older_pages(graph: GraphClient) -> None:
    for number in range(PAGE_LENGTH + 1):
        graph.send(mail(f"n{number}"))

    first = open_page(graph)
    older = re.search(r'href="(/inbox\?before=\d+)"', first.text)

    assert len(subjects(first)) == PAGE_LENGTH
    assert older
    assert subjects(open_page(graph, unescape(older[1]))) == ["n0"]


def test_refreshing_is_a_choice(graph: GraphClient) -> None:
    graph.send(mail())

    assert 'http-equiv="refresh"' not in open_page(graph).text
    assert 'http-equiv="refresh"' in open_page(graph, refresh="1").text


def test_a_mail_shows_people_text_headers_and_files(graph: GraphClient) -> None:
    graph.send(
        mail(
            "Invoice",
            body={"contentType": "text", "content": "first line\nsecond <line>"},
            bccRecipients=people("audit@example.org"),
            internetMessageHeaders=[{"name": "x-ref", "value": "7"}],
            attachments=[file("März.pdf")],
        )
    )

    page = open_newest(graph).text

    assert "<h1>Invoice</h1>" in page
    assert '<pre id="text-body">first line\nsecond &lt;line&gt;</pre>' in page
    assert "audit@example.org" in page
    assert re.search(r"<th[^>]*>x-ref</th><td>7</td>", page)
    assert re.search(r'<li class="attachment"><a [^>]*>März.pdf</a>', page)
    assert "html-frame" not in page


def test_html_is_framed_without_script_origin_or_network(graph: GraphClient) -> None:
    graph.send(mail(body={"contentType": "html", "content": '<p class="a">rich</p>'}))

    page = open_newest(graph)

    frame = re.search(r"<iframe ([^>]*)>", page.text)
    assert frame
    attributes = frame[1]
    assert re.search(r"\bsandbox(?!=)", attributes)
    document = unescape(attributes.partition('srcdoc="')[2])
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in document
    assert '<p class="a">rich</p>' in document


def test_inline_images_are_put_into_the_frame(graph: GraphClient) -> None:
    image = file("logo.png", b"png", contentType="image/png", contentId="logo", isInline=True)
    body = {"contentType": "html", "content": '<img src="cid:logo">'}

    graph.send(mail(body=body, attachments=[image]))

    assert "data:image/png;base64,cG5n" in open_newest(graph).text


def test_pages_allow_no_script_and_no_framing(graph: GraphClient) -> None:
    graph.send(mail())

    for page in (open_page(graph), open_newest(graph), open_page(graph, "/inbox/missing")):
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "<script" not in page.text
        assert not re.search(r"\son\w+=", page.text)


def test_whatever_a_mail_says_is_escaped(graph: GraphClient) -> None:
    graph.send(
        mail(
            HOSTILE,
            body={"contentType": "html", "content": HOSTILE},
            toRecipients=[{"emailAddress": {"address": "x@example.org", "name": HOSTILE}}],
            replyTo=[{"emailAddress": {"address": "y@example.org", "name": HOSTILE}}],
            internetMessageHeaders=[{"name": "x-evil", "value": HOSTILE}],
            attachments=[file(HOSTILE, contentType=HOSTILE)],
        )
    )

    for page in (open_page(graph, who=HOSTILE), open_page(graph), open_newest(graph)):
        assert page.status_code == 200
        assert "<script" not in page.text
        assert HOSTILE not in page.text


def test_attachments_are_downloads_with_harmless_names(graph: GraphClient) -> None:
    graph.send(mail(attachments=[file('../../e"v\r\nil: Ü.html', b"<p>x</p>")]))
    href = re.search(r'href="([^"]+/attachments/0)"', open_newest(graph).text)
    assert href

    download = open_page(graph, href[1])

    assert download.content == b"<p>x</p>"
    assert download.headers["Content-Type"] == "application/octet-stream"
    assert download.headers["X-Content-Type-Options"] == "nosniff"
    disposition = download.headers["Content-Disposition"]
    assert disposition.startswith('attachment; filename="e_v__il_ _.html"')
    assert "filename*=UTF-8''e_v__il_%20%C3%9C.html" in disposition


def test_the_source_can_be_downloaded_without_blind_copies(graph: GraphClient) -> None:
    graph.send(mail("Invoice 7/8", bccRecipients=people("audit@example.org")))
    href = re.search(r'id="source"[^>]* href="([^"]+)"', open_newest(graph).text)
    assert href

    source = open_page(graph, href[1])

    assert source.headers["Content-Type"] == "message/rfc822"
    assert source.headers["Content-Disposition"].startswith("attachment; ")
    assert b"Subject: Invoice 7/8" in source.content
    assert b"audit@example.org" not in source.content


@pytest.mark.parametrize("path", ["/inbox/x", "/inbox/x/source", "/inbox/x/attachments/0"])
def test_what_is_not_there_is_a_page_that_says_so(graph: GraphClient, path: str) -> None:
    page = open_page(graph, path)

    assert page.status_code == 404
    assert "There is no such mail." in page.text


@pytest.mark.parametrize("index", ["9", "-1", "x"])
def test_an_attachment_that_is_not_there_is_not_found(graph: GraphClient, index: str) -> None:
    graph.send(mail())
    href = Links(open_page(graph).text).found[0][1]

    assert open_page(graph, f"{href}/attachments/{index}").status_code == 404


def test_the_one_stylesheet_is_served(graph: GraphClient) -> None:
    style = open_page(graph, "/inbox/style.css")

    assert style.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "prefers-color-scheme: dark" in style.text
