"""The two pages of the inbox. They have no script and one stylesheet; `markup` escapes every
value."""

from __future__ import annotations

from urllib.parse import urlencode

from local.simulator.graph.compose import headers_of
from local.simulator.graph.delivery import Letter
from local.simulator.graph.items import Attachment
from local.simulator.inbox import letters as text
from local.simulator.inbox.letters import Listing
from local.simulator.inbox.markup import NOTHING, Markup, html, joined

REFRESH_SECONDS = 5

FRAME_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""For a mail's own HTML: no script, and no requests, in addition to the empty sandbox."""


def page(title: str, main: Markup, refresh: Markup = NOTHING) -> Markup:
    return html(
        """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{refresh}<title>{title}</title>
<link rel="stylesheet" href="/inbox/style.css">
</head>
<body>
<header class="bar">
<a class="brand" href="/inbox">{mark}Inbox</a>
<span class="note">Mail that arrived in the simulator. Nothing left this machine.</span>
</header>
<main>
{main}
</main>
</body>
</html>
""",
        title=title,
        main=main,
        refresh=refresh,
        mark=_ENVELOPE,
    )


_ENVELOPE = Markup(
    '<svg viewBox="0 0 24 24" width="22" height="22" fill="none" stroke="currentColor" '
    'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">'
    '<rect x="3" y="5.5" width="18" height="13" rx="2"/><path d="m3.5 7 8.5 6.5L20.5 7"/></svg>'
)

_CLIP = Markup(
    '<svg class="clip" viewBox="0 0 24 24" width="15" height="15" fill="none" '
    'stroke="currentColor" stroke-width="2" stroke-linecap="round" role="img" '
    'aria-label="has attachments"><path d="m20 11.5-8.2 8.2a5 5 0 0 1-7.1-7.1l8.5-8.5a3.3 3.3 0 0 1 '
    '4.7 4.7l-8.5 8.5a1.7 1.7 0 0 1-2.4-2.4l7.8-7.8"/></svg>'
)


def list_page(listing: Listing, who: str, addresses: list[str], *, refreshing: bool) -> Markup:
    """The list, newest first. An empty list reloads by itself."""
    again = refreshing or not listing.total
    tag = html('<meta http-equiv="refresh" content="{n}">\n', n=REFRESH_SECONDS)
    body = _table(listing) if listing.letters else _empty(who)
    main = html(
        "{filter}\n{body}\n{older}",
        filter=_filter(who, addresses, listing.total, refreshing=refreshing),
        body=body,
        older=_older(listing, who),
    )
    return page(f"Inbox ({listing.total})", main, tag if again else NOTHING)


def _filter(who: str, addresses: list[str], total: int, *, refreshing: bool) -> Markup:
    options = joined(html('<option value="{a}">', a=address) for address in addresses)
    return html(
        """<form class="filter" method="get" action="/inbox" role="search">
<label for="who">Mailbox or recipient</label>
<input id="who" name="who" type="search" value="{who}" list="addresses" placeholder="Everybody" autocomplete="off">
<datalist id="addresses">{options}</datalist>
<button type="submit">Show</button>
{clear}<span class="count">{count}</span>
{toggle}
</form>""",
        who=who,
        options=options,
        clear=Markup('<a class="quiet" href="/inbox">Show all</a>\n') if who else NOTHING,
        count="1 mail" if total == 1 else f"{total:,} mails",
        toggle=_refresh_toggle(who, refreshing=refreshing),
    )


def _refresh_toggle(who: str, *, refreshing: bool) -> Markup:
    query = urlencode({**({"who": who} if who else {}), **({} if refreshing else {"refresh": "1"})})
    return html(
        '<a id="refresh" class="quiet end" href="/inbox{query}">{label}</a>',
        query=f"?{query}" if query else "",
        label="Stop refreshing" if refreshing else f"Refresh every {REFRESH_SECONDS} seconds",
    )


def _empty(who: str) -> Markup:
    if who:
        return html('<p class="empty">No mail to or from <strong>{who}</strong> yet.</p>', who=who)
    return Markup(
        '<div class="empty"><p><strong>Nothing has arrived yet.</strong></p>'
        "<p>Whatever is sent through the simulated Microsoft Graph shows up here, for every mailbox "
        "and for recipients outside. This page looks again by itself.</p></div>"
    )


def _table(listing: Listing) -> Markup:
    return html(
        """<table class="mails">
<thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col">Subject</th><th scope="col">Arrived</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>""",
        rows=joined((_row(one) for one in listing.letters), "\n"),
    )


def _row(letter: Letter) -> Markup:
    message = letter.message
    return html(
        """<tr class="mail{kind}">
<td class="from" title="{from_title}">{author}</td>
<td class="to" title="{to_title}">{to}</td>
<td class="subject"><a href="/inbox/{id}">{subject}</a>{clip} <span class="preview">{preview}</span></td>
<td class="time"><time datetime="{iso}" title="{when}">{briefly}</time></td>
</tr>""",
        kind=" report" if letter.is_report else "",
        from_title=text.spelled([message.from_] if message.from_ else []),
        author=text.called(message.from_),
        to_title=text.spelled(letter.recipients),
        to=_recipients(letter),
        id=letter.id,
        subject=text.subject(message),
        clip=_CLIP if any(not one.is_inline for one in message.attachments) else NOTHING,
        preview=text.preview(message),
        iso=letter.time.isoformat(),
        when=text.when(letter.time),
        briefly=text.briefly(letter.time),
    )


def _recipients(letter: Letter) -> str:
    first, *others = letter.recipients
    return f"{first.address} +{len(others)}" if others else first.address


def _older(listing: Listing, who: str) -> Markup:
    if listing.older_than is None:
        return NOTHING
    query = urlencode({**({"who": who} if who else {}), "before": listing.older_than})
    return html('<p class="older"><a href="/inbox?{query}">Older mail</a></p>', query=query)


def mail_page(letter: Letter) -> Markup:
    message = letter.message
    main = html(
        """<p class="back"><a href="/inbox">All mail</a></p>
<article>
<h1>{subject}</h1>
<dl class="facts">
{facts}
</dl>
{attachments}{body}
<section aria-labelledby="headers-title">
<div class="heading"><h2 id="headers-title">Headers</h2>
<a id="source" class="button" href="/inbox/{id}/source" download>Download source</a></div>
<table id="headers"><tbody>
{headers}
</tbody></table>
</section>
</article>""",
        subject=text.subject(message),
        facts=_facts(letter),
        attachments=_attachments(letter),
        body=_bodies(letter),
        id=letter.id,
        headers=joined(
            (
                html("<tr><th scope=row>{name}</th><td>{value}</td></tr>", name=name, value=value)
                for name, value in headers_of(message)
            ),
            "\n",
        ),
    )
    return page(text.subject(message), main)


def _facts(letter: Letter) -> Markup:
    message = letter.message
    sender = message.sender
    behalf = sender is not None and message.from_ is not None and sender.key != message.from_.key
    addressed = {one.key for one in (*message.to, *message.cc)}
    others = [one for one in letter.recipients if one.key not in addressed]
    facts = {
        "From": text.spelled([message.from_] if message.from_ else []),
        "Sent by": text.spelled([sender]) if sender and behalf else "",
        "To": text.spelled(message.to),
        "Cc": text.spelled(message.cc),
        "Reply to": text.spelled(message.reply_to),
        "Blind copy": text.spelled(others),
        "Arrived": text.when(letter.time),
        "Importance": "" if message.importance == "normal" else message.importance,
    }
    return joined(
        (
            html("<dt>{name}</dt><dd>{value}</dd>", name=name, value=value)
            for name, value in facts.items()
            if value
        ),
        "\n",
    )


def _bodies(letter: Letter) -> Markup:
    parts = []
    if letter.message.html is not None:
        parts.append(_html_body(letter))
    if letter.message.text is not None:
        parts.append(
            html(
                '<section><h2>Text</h2>\n<pre id="text-body">{text}</pre></section>\n',
                text=letter.message.text,
            )
        )
    return joined(parts)


def _html_body(letter: Letter) -> Markup:
    """The sandbox allows no script, no forms and no origin; the policy allows no network."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{FRAME_POLICY}">'
    scheme = '<meta name="color-scheme" content="light">'
    document = f"<!doctype html>{policy}{scheme}{text.with_inline_images(letter.message)}"
    return html(
        '<section><h2>HTML</h2>\n<iframe id="html-frame" title="The mail\'s HTML part" '
        'sandbox referrerpolicy="no-referrer" srcdoc="{document}"></iframe></section>\n',
        document=document,
    )


def _attachments(letter: Letter) -> Markup:
    files = letter.message.attachments
    if not files:
        return NOTHING
    return html(
        '<section><h2>Attachments</h2>\n<ul class="attachments">\n{items}\n</ul></section>\n',
        items=joined((_attachment(letter, at, one) for at, one in enumerate(files)), "\n"),
    )


def _attachment(letter: Letter, index: int, one: Attachment) -> Markup:
    return html(
        '<li class="attachment"><a href="/inbox/{id}/attachments/{index}" download>{name}</a> '
        '<span class="quiet">{kind}, {size}{inline}</span></li>',
        id=letter.id,
        index=index,
        name=one.name,
        kind=one.content_type,
        size=text.size(len(one.content)),
        inline=", shown in the text" if one.is_inline else "",
    )


def missing_page() -> Markup:
    return page(
        "No such mail",
        Markup(
            '<div class="empty"><p><strong>There is no such mail.</strong></p>'
            "<p>The simulator may have been reset since. "
            '<a href="/inbox">Show what is there</a></p></div>'
        ),
    )
