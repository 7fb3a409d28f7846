"""A signature stands under the mail, and cannot break it."""

from __future__ import annotations

import time

import pytest

from shared.mail import open_markup
from shared.mail.signature import after_html, after_text, html_fault, html_of, text_of
from tests.growth import assert_linear


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Hello", "Hello\n\nBilling\n"),
        ("Hello\r\n\r\n", "Hello\n\nBilling\n"),
        ("", "Billing\n"),
    ],
)
def test_a_text_has_it_after_an_empty_line(body: str, expected: str) -> None:
    assert after_text(body, "Billing") == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("<p>Hello", "<p>Hello<div>S</div>", id="a fragment"),
        pytest.param("<body>a</body></html>", "<body>a<div>S</div></body></html>", id="a page"),
        pytest.param("a</BODY >", "a<div>S</div></BODY >", id="written in capitals"),
        pytest.param("<html>a</html>", "<html>a<div>S</div></html>", id="without a body element"),
        pytest.param(
            "a</body><!-- </body> -->", "a<div>S</div></body><!-- </body> -->", id="in a comment"
        ),
        pytest.param(
            "<!--[if mso]></body><![endif]-->a</body>",
            "<!--[if mso]></body><![endif]-->a<div>S</div></body>",
            id="after a comment",
        ),
        pytest.param("<!-- </body>", "<!-- </body>--><div>S</div>", id="a comment without end"),
        pytest.param("", "<div>S</div>", id="nothing"),
    ],
)
def test_html_has_it_as_the_last_element_of_the_body(body: str, expected: str) -> None:
    assert after_html(body, "S") == expected


@pytest.mark.parametrize(
    ("body", "closed"),
    [
        ("<p>a<!--", "<p>a<!---->"),
        ("<!-- </body></html>", "<!-- </body></html>-->"),
        ("<STYLE></body>", "<STYLE></body></style>"),
        ("<textarea hidden>", "<textarea hidden></textarea>"),
        ("<script>", "<script></script>"),
        ("<title", "<title></title>"),
        ("<xmp>", "<xmp></xmp>"),
        ("<noscript><!--", "<noscript><!----></noscript>"),
        ('<a href="x', '<a href="x">'),
        ("<a href='x", "<a href='x'>"),
        ("<p", "<p>"),
        ("a<!", "a<!>"),
        ("<select><option>", "<select><option></select>"),
        ("<template>", "<template></template>"),
        ("<ruby><rp>", "<ruby><rp></rp>"),
        ("<progress>", "<progress></progress>"),
        ("<meter>", "<meter></meter>"),
        ("<svg><desc>", "<svg><desc></desc>"),
        ("<svg><foreignObject>", "<svg><foreignObject></foreignobject>"),
        (
            "<math><annotation-xml encoding='text/html'>",
            "<math><annotation-xml encoding='text/html'></annotation-xml>",
        ),
        (
            "<details><template></details></template>",
            "<details><template></details></template></details>",
        ),
        (
            "<details><table><tr><td></details>",
            "<details><table><tr><td></details></td></tr></table></details>",
        ),
        ("<details><select></details>", "<details><select></details></select></details>"),
        ("<video><div></video>", "<video><div></video></div></video>"),
        ("<video><p></video>", "<video><p></video></p></video>"),
        ("<details>" * 1500, "<details>" * 1500 + "</details>" * 1500),
        (
            "<video><noscript></video><details><dialog></noscript>",
            "<video><noscript></video><details><dialog></noscript>"
            "</dialog></details></noscript></video></video>",
        ),
        ("<plaintext>", "&lt;plaintext>"),
        ("<frameset>", "&lt;frameset>"),
        ("<![CDATA[", "&lt;![CDATA["),
        ("<script><!--<script></script>", "&lt;script><!--<script></script>-->"),
        ("<svg><style><!--</style>", "<svg><style><!--</style>-->"),
    ],
)
def test_what_would_swallow_it_is_closed_before(body: str, closed: str) -> None:
    assert after_html(body, "S") == f"{closed}<div>S</div>"


@pytest.mark.parametrize(
    "body",
    [
        "a < b > c & d",
        "<img alt='1 > 2' src=x/><br/>",
        "<style>a > b {c: '<!--'}</style><!-- a --><p>b",
        '<script type="application/ld+json">{"a": "</p>"}</script>',
        "<!--[if mso]><table><![endif]--><![if !mso]>a<![endif]>",
        "<noscript><img src=x></noscript>",
        '<p a"b =c>',
        "<details><summary>a</summary><ul><li>a<li>b<p>c</ul></details>",
        "<video><img></video><table><tr><td>a<td>b</table><object></object>",
        "a</video></details></template>",
        "<p>a<p>b</body><svg>",
    ],
)
def test_sound_html_stays_as_it_is(body: str) -> None:
    before, end, behind = body.partition("</body>")

    assert after_html(body, "S") == f"{before}<div>S</div>{end}{behind}"


@pytest.mark.parametrize(
    "piece", ["<!--", "</body>", "<!--</body>", "</body", "--></body", "<a ", "<script>"]
)
def test_a_hostile_body_takes_no_longer_than_its_length(piece: str) -> None:
    body = piece * (2_000_000 // len(piece))
    begun = time.process_time()

    after_html(body, "S")

    assert time.process_time() - begun < 4


@pytest.mark.parametrize(
    "markup",
    [
        "<p>Billing<br>Berlin</p>",
        '<table><tr><td>a<td>b</table><img src="https://contoso.com/logo.png">',
        "<ul><li>a<li>b</ul>",
        "plain & simple",
        "<!-- here --><b>a</b>",
        "",
    ],
)
def test_sound_html_is_a_signature(markup: str) -> None:
    assert html_fault(markup) is None


@pytest.mark.parametrize(
    ("markup", "fault"),
    [
        ("a</div>", "closes <div>, which is not open there: remove it"),
        ("<div>a", "leaves <div> open: close it"),
        ("<div/>", "leaves <div> open: close it"),
        ("<b><i>a</b></i>", "closes <b>, which is not open there: remove it"),
        ("a</body>", "closes <body>, which is not open there: remove it"),
        ("<body>a</body>", "holds <body>: give only what goes into the body of a mail"),
        ("<script>a</script>", "holds <script>, which mail programs do not show: leave it out"),
        ("a<!-- b", "begins a comment that does not end: close it with -->"),
        ("<a href='x'", "ends within a tag: close it with >"),
    ],
)
def test_html_that_would_break_a_mail_is_not(markup: str, fault: str) -> None:
    assert html_fault(markup) == fault


def test_an_html_signature_has_words() -> None:
    markup = (
        "<style>p {color: red}</style><p>Contoso  <b>Billing</b><br>Berlin &amp; Rome</p>"
        "<table><tr><td>a</td></tr><tr><td>b</td></tr></table>"
    )

    assert text_of(markup) == "Contoso Billing\nBerlin & Rome\n\na\n\nb"


def test_a_text_signature_is_escaped_as_html() -> None:
    assert html_of("A <b> & C\nBerlin") == "A &lt;b&gt; &amp; C<br>\nBerlin"


@pytest.mark.parametrize("digits", [4_301, 8_000])
def test_a_character_reference_may_have_any_number_of_digits(digits: int) -> None:
    too_large, letter = "&#" + "1" * digits, "&#" + "0" * digits + "65;"

    assert html_fault(f'<b title="{too_large}">{too_large}</b>') is None
    assert text_of(f'<b title="{too_large}">{too_large}</b> {letter}') == "\ufffd A"


@pytest.mark.parametrize(
    "begin", ["", "<details>" * 999, "<table><p><ul><li>", "<video><!--", "<noscript><style><!--"]
)
@pytest.mark.parametrize("piece", ["<dialog></dialog>", "<p><ul>", "</ul><li><p>", "<video></p>"])
def test_a_signature_is_added_in_a_time_in_proportion_to_the_html(begin: str, piece: str) -> None:
    begin = "<noscript></noscript><svg></svg>" + begin

    assert_linear(
        lambda body: after_html(body, "S"), lambda n: begin + piece * (n // len(piece)), 100_000
    )


def test_a_signature_under_a_body_at_the_limit_is_added_in_seconds() -> None:
    body = "<noscript></noscript><svg></svg>" + "<details>" * 999 + "<dialog></dialog>" * 235_000
    begun = time.thread_time()

    after_html(body, "S")

    assert time.thread_time() - begun < 10


def test_html_is_read_once_in_each_way(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[str] = []
    read = open_markup._read_on

    def counted(text: str, raw: frozenset[str], found: open_markup._Reading) -> None:
        passes.append(text)
        read(text, raw, found)

    monkeypatch.setattr(open_markup, "_read_on", counted)

    after_html("<svg></svg><noscript></noscript><plaintext><script><!-- --></script>a</body>", "S")

    assert len(passes) == 3


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('<frameset a="<plaintext>">b', '&lt;frameset a="&lt;plaintext>">b<div>S</div>'),
        ("<plaintext a='<!--'>b", "&lt;plaintext a='<!--'>b--><div>S</div>"),
        ('<svg><![CDATA[<p a=">', '<svg>&lt;![CDATA[<p a=">"><div>S</div>'),
        ("<plaintext>a</body><plaintext>", "&lt;plaintext>a<div>S</div></body>&lt;plaintext>"),
        ("<plaintext>a<style></body>", "&lt;plaintext>a<style></body></style><div>S</div>"),
        ("<details>a</body></details>", "<details>a</details><div>S</div></body></details>"),
        ('<p ="></body>', '<p ="><div>S</div></body>'),
        ("<p a = '></body>'>b</body>", "<p a = '></body>'>b<div>S</div></body>"),
    ],
)
def test_what_a_tag_that_is_shown_as_text_holds_is_read_too(body: str, expected: str) -> None:
    assert after_html(body, "S") == expected
