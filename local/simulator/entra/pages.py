"""Sign-in, consent, device and error pages. Names that browser tests may rely on:

sign-in     `<button name="username" value="billing@contoso.com">` for each account;
            `#username` + `#next` to type one; `#cancel-sign-in`; `#error` after a refusal
second      `#code` + `#verify`, `#cancel-sign-in`; `#error` after a wrong code
 factor
enrolment   "More information required": `#enrol`, `#cancel-sign-in`, then the second factor
consent     `#accept`, `#cancel`, `#organization` (a check box, administrators only);
            `li.permission` for each scope, its short name in `data-scope`
approval    "Need admin approval": `#return`
device      `#otc` + `#next`, then the sign-in and consent pages, then `#done`
error       `#error-code` (AADSTSnnnnn), `#error`
form post   `#continue`, for browsers without script; the script presses it otherwise

Forms post to `/entra/sign-in`, `/entra/second-factor`, `/entra/consent` and `/devicelogin` with a
hidden `ctx`.
Everything that anybody else supplied is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from local.simulator.directory import User
from local.simulator.entra.errors import EntraError
from local.simulator.entra.scopes import describe

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: Canvas; }
main { width: min(26rem, calc(100vw - 4rem)); padding: 2rem; border: 1px solid #8886; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
.brand { opacity: .7; font-size: .85rem; margin: 0 0 1rem; }
.refused { border-left: 4px solid #c33; padding: .25rem .75rem; overflow-wrap: anywhere; }
button, input[type=text] { font: inherit; padding: .5rem .75rem; border: 1px solid #888;
  border-radius: 2px; }
button { background: #0067b8; color: #fff; border-color: #0067b8; cursor: pointer; }
button.plain { background: transparent; color: inherit; border-color: #888; }
button.account { display: block; width: 100%; margin-bottom: .5rem; text-align: left;
  background: transparent; color: inherit; border-color: #8886; }
button.account small { display: block; opacity: .75; }
button:focus-visible, input:focus-visible { outline: 3px solid #4c9be8; outline-offset: 1px; }
input[type=text] { width: 100%; box-sizing: border-box; margin: .25rem 0 .75rem; }
.actions { display: flex; gap: .5rem; }
"""
SCRIPT = 'document.getElementById("continue").click();\n'


def sign_in(
    context: str, accounts: Sequence[User], hint: str = "", error: EntraError | None = None
) -> str:
    """Choose an account, or type one."""
    buttons = "".join(_account(user) for user in accounts)
    return _page(
        "Pick an account",
        f"""{_refusal(error)}
<form method="post" action="/entra/sign-in">{_context(context)}
{buttons}</form>
<form method="post" action="/entra/sign-in">{_context(context)}
<label for="username">Use another account</label>
<input type="text" id="username" name="username" value="{escape(hint)}" autocomplete="username">
<div class="actions">
<button id="next" name="answer" value="next">Next</button>
<button class="plain" id="cancel-sign-in" name="answer" value="cancel">Cancel</button></div></form>""",
    )


def second_factor(context: str, address: str, error: EntraError | None = None) -> str:
    """Type the code of the second factor."""
    return _page(
        "Enter code",
        f"""{_refusal(error)}
<p id="signed-in-as">{escape(address)}</p>
<form method="post" action="/entra/second-factor">{_context(context)}
<label for="code">Code from your authenticator app
<small>(here any six digits will do; 000000 is refused)</small></label>
<input type="text" id="code" name="code" inputmode="numeric" autocomplete="one-time-code" autofocus>
<div class="actions">
<button id="verify" name="answer" value="verify">Verify</button>
<button class="plain" id="cancel-sign-in" name="answer" value="cancel">Cancel</button></div></form>""",
    )


def enrolment(context: str, address: str, error: EntraError) -> str:
    """A second factor must be registered first."""
    return _page(
        "More information required",
        f"""<p id="signed-in-as">{escape(address)}</p>
<p>Your organization needs more information to keep your account secure: register an authenticator
app.</p>
<p id="error-code">AADSTS{error.code}</p>
<form method="post" action="/entra/second-factor">{_context(context)}<div class="actions">
<button id="enrol" name="answer" value="enrol">Register one</button>
<button class="plain" id="cancel-sign-in" name="answer" value="cancel">Cancel</button></div></form>""",
    )


def consent(
    context: str, user: User, application: str, resource: str, permissions: Sequence[str]
) -> str:
    """Name every permission, then accept or cancel."""
    items = "".join(
        f'<li class="permission" data-scope="{escape(name)}">{escape(describe(name, resource))}'
        f" <small>({escape(name)})</small></li>"
        for name in permissions
    )
    everybody = (
        '<p><label><input type="checkbox" id="organization" name="organization" value="on"> '
        "Consent on behalf of your organization</label></p>"
        if user.admin
        else ""
    )
    return _page(
        "Permissions requested",
        f"""<p id="signed-in-as">{escape(user.address)}</p>
<p><strong>{escape(application)}</strong> would like to:</p>
<ul>{items}</ul>
<form method="post" action="/entra/consent">{_context(context)}{everybody}
<div class="actions">
<button id="accept" name="answer" value="accept">Accept</button>
<button class="plain" id="cancel" name="answer" value="cancel">Cancel</button></div></form>""",
    )


def approval(context: str, user: User, application: str, error: EntraError) -> str:
    """An administrator must consent first."""
    return _page(
        "Need admin approval",
        f"""<p id="signed-in-as">{escape(user.address)}</p>
<p><strong>{escape(application)}</strong> needs permission to access resources in your
organization that only an admin can grant. Please ask an admin to grant permission to this app
before you can use it.</p>
<p id="error-code">AADSTS{error.code}</p>
<form method="post" action="/entra/consent">{_context(context)}<div class="actions">
<button class="plain" id="return" name="answer" value="return">
Return to the application without granting consent</button></div></form>""",
    )


def device(error: str = "") -> str:
    """Type the code that the device shows."""
    refusal = f'<p class="refused" id="error" role="alert">{escape(error)}</p>' if error else ""
    return _page(
        "Enter code",
        f"""{refusal}
<form method="post" action="/devicelogin">
<label for="otc">Enter the code displayed on your app or device</label>
<input type="text" id="otc" name="otc" autocomplete="off" required autofocus>
<div class="actions"><button id="next">Next</button></div></form>""",
    )


def done(title: str, text: str) -> str:
    """The last page, without a link."""
    return _page(title, f'<p id="done">{escape(text)}</p>')


def refused(error: EntraError) -> str:
    """An error that is not reported to the application."""
    return _page(
        "Sorry, but we're having trouble signing you in.",
        f"""<p id="error-code">AADSTS{error.code}</p>
<p class="refused" id="error" role="alert">{escape(error.summary)}</p>""",
    )


def form_post(action: str, values: Mapping[str, str]) -> str:
    """A page whose form posts the answer to the application by itself."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in values.items()
    )
    return _page(
        "Working…",
        f"""<form method="post" action="{escape(action)}">{fields}
<button id="continue">Continue</button></form>
<script src="/entra/continue.js"></script>""",
    )


def _account(user: User) -> str:
    return (
        f'<button class="account" name="username" value="{escape(user.address)}">'
        f"{escape(user.name)}<small>{escape(user.address)}</small></button>"
    )


def _refusal(error: EntraError | None) -> str:
    if error is None:
        return ""
    return f'<p class="refused" id="error" role="alert">{escape(error.summary)}</p>'


def _context(context: str) -> str:
    return f'<input type="hidden" name="ctx" value="{escape(context)}">'


def _page(title: str, content: str) -> str:
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/entra/style.css"></head>
<body><main><p class="brand">Simulated Microsoft sign-in</p>
<h1>{escape(title)}</h1>
{content}
</main></body></html>
"""
