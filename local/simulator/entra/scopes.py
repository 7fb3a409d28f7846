"""Scopes: the resource, the permissions, and the form in which the application wrote them.

https://learn.microsoft.com/entra/identity-platform/scopes-oidc
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from local.simulator.entra.errors import EntraError
from local.simulator.entra.tokens import EXCHANGE_AUDIENCE, GRAPH_AUDIENCE, VAULT_AUDIENCE

OIDC = {
    "openid": "Sign you in",
    "profile": "View your basic profile",
    "email": "View your email address",
    "offline_access": "Maintain access to data you have given it access to",
}
GRAPH = {
    "Mail.Send": "Send mail as you",
    "Mail.Send.Shared": "Send mail on behalf of others",
    "Mail.ReadWrite": "Read and write access to your mail",
    "Mail.ReadWrite.Shared": "Read and write mail you can access",
    "Mail.Read": "Read your mail",
    "Mail.Read.Shared": "Read mail you can access",
    "Mail.ReadBasic": "Read your basic mail",
    "MailboxSettings.Read": "Read your mailbox settings",
    "MailboxSettings.ReadWrite": "Read and write to your mailbox settings",
    "User.Read": "Sign in and read your profile",
    "User.ReadBasic.All": "Read all users' basic profiles",
    "User.Read.All": "Read all users' full profiles",
    "Contacts.Read": "Read your contacts",
    "Contacts.ReadWrite": "Have full access to your contacts",
    "Calendars.Read": "Read your calendars",
    "Calendars.ReadWrite": "Have full access to your calendars",
    "IMAP.AccessAsUser.All": "Read and write access to your mail by IMAP",
    "POP.AccessAsUser.All": "Read and write access to your mail by POP",
    "SMTP.Send": "Send emails from your mailbox using SMTP AUTH",
}
RESOURCES: dict[str, dict[str, str]] = {
    GRAPH_AUDIENCE: GRAPH,
    "https://outlook.office.com": {name: GRAPH[name] for name in ("SMTP.Send", "Mail.Send")},
    VAULT_AUDIENCE: {"user_impersonation": "Have full access to the Azure Key Vault service"},
    EXCHANGE_AUDIENCE: {},
}
_ALIASES = {
    "00000003-0000-0000-c000-000000000000": GRAPH_AUDIENCE,
    "cfa8b339-82a2-471a-a3c9-0fc0be7a4093": VAULT_AUDIENCE,
}
# The Microsoft-managed consent policy; `Mail.Send` is intentionally not in it
# (https://learn.microsoft.com/entra/identity/enterprise-apps/manage-app-consent-policies).
NEEDS_ADMIN = (
    "Mail.Read",
    "MailboxSettings.",
    "Calendars.",
    "Contacts.ReadWrite",
    "IMAP.",
    "POP.",
)


@dataclass(frozen=True)
class ScopeRequest:
    """What a `scope` parameter asks for."""

    oidc: frozenset[str]
    resource: str
    permissions: tuple[str, ...]
    """Canonical short names, in the order asked; empty with `.default`."""
    spelled: tuple[str, ...]
    """The same names in the application's form."""
    is_default: bool = False
    signed: bool = True
    """Whether the id token is signed."""

    @property
    def long_form(self) -> bool:
        """Whether the permissions were requested with their resource."""
        return any("://" in spelling for spelling in self.spelled)

    def spell(self, permission: str) -> str:
        """A permission in the form that the application uses."""
        return f"{self.resource}/{permission}" if self.long_form else permission

    def echo(self, granted: Iterable[str], *, short: bool) -> str:
        """`scope` of the answer: first the requested permissions in their form, then the other
        granted ones.

        A recorded exchange shows this for long forms. UNCONFIRMED for short forms.
        """
        asked = {p.lower(): s for p, s in zip(self.permissions, self.spelled, strict=False)}
        if self.is_default:
            asked = {}
        names = list(self.permissions) + sorted(set(granted) - set(self.permissions))
        spelled = names if short else [asked.get(n.lower(), self.spell(n)) for n in names]
        identity = [name for name in ("profile", "openid", "email") if "openid" in self.oidc]
        return " ".join([*spelled, *identity])


def parse(text: str) -> ScopeRequest:
    """Parse a `scope` parameter. Raises EntraError.

    A resource that is not in `RESOURCES` counts as one that the tenant does not have.
    """
    names = text.split()
    if not names:
        raise EntraError(900144, parameter="scope")
    oidc = frozenset(name for name in names if name in OIDC)
    rest = [_split(name) for name in names if name not in OIDC]
    resources = {resource for resource, _ in rest} or {GRAPH_AUDIENCE}
    if len(resources) > 1:
        raise EntraError(70011, scope=text)
    resource = known_resource(resources.pop())
    wanted = [permission for _, permission in rest]
    is_default = ".default" in wanted
    if is_default and len(wanted) > 1:
        raise EntraError(70011, scope=text)
    permissions = () if is_default else tuple(_canonical(resource, name) for name in wanted)
    spelled = tuple(name for name in names if name not in OIDC)
    return ScopeRequest(oidc, resource, permissions, spelled, is_default)


def of_resource(resource: str | None, scope: str = "") -> ScopeRequest:
    """What a request of v1 asks for: all registered permissions for its `resource`. It ignores
    `scope`, gives a refresh token and an id token always, and signs the id token only for a client
    that speaks OpenID Connect (UNCONFIRMED: Microsoft's page shows an unsigned one).

    Without a resource it asks for nothing but the sign-in. Raises EntraError.
    """
    oidc, signed = frozenset(OIDC), "openid" in scope.split()
    if not resource:
        return ScopeRequest(oidc, GRAPH_AUDIENCE, (), (), signed=signed)
    resource = known_resource(resource.rstrip("/"))
    return ScopeRequest(
        oidc, resource, (), (f"{resource}/.default",), is_default=True, signed=signed
    )


def known_resource(name: str) -> str:
    """The audience of a resource, by its URI or application id. Raises EntraError."""
    resource = _ALIASES.get(name, name)
    if resource not in RESOURCES:
        raise EntraError(500011, resource=name, tenant="Contoso")
    return resource


def describe(permission: str, resource: str) -> str:
    """The text for a permission on the consent page."""
    return OIDC.get(permission) or RESOURCES[resource].get(permission, permission)


def needs_admin(permission: str, policy: str) -> bool:
    """Whether an ordinary user may not consent to it under the tenant's policy."""
    if policy == "admin_only":
        return True
    return policy == "microsoft_managed" and permission.startswith(NEEDS_ADMIN)


def _split(name: str) -> tuple[str, str]:
    resource, slash, permission = name.rpartition("/")
    if not slash:
        return GRAPH_AUDIENCE, name
    resource = resource.rstrip("/")
    return _ALIASES.get(resource, resource), permission


def _canonical(resource: str, name: str) -> str:
    for known in RESOURCES.get(resource, ()):
        if known.lower() == name.lower():
            return known
    raise EntraError(650053, scope=name, resource=resource)
