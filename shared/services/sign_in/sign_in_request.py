"""The request to sign a mailbox in, checked before the browser goes to Microsoft."""

from __future__ import annotations

import re

from shared.errors import FieldProblem, RequestRejected
from shared.mail.account import ALIAS, AccountKind
from shared.mail.address import MAX_ADDRESS
from shared.mail.guid import GUID
from shared.mail.problems import INVALID_REQUEST
from shared.services.sign_in.ports import SignInRequest

# This finds typing errors. The comparison with the real mailbox decides.
_ADDRESS = re.compile(r"[^\s@<>\"',;:]{1,64}@[^\s@<>\"',;:]{1,255}")


def read_request(
    tenant: str,
    alias: str,
    *,
    expected_address: str = "",
    expected_object_id: str = "",
    kind: str = "",
    replace: bool = False,
    verified: bool = False,
    shared: bool = False,
) -> SignInRequest:
    """The request in the fields of the form. Raises RequestRejected, which names every wrong field.

    `tenant` is the setting's value. `kind` (`work`, `personal` or empty) matters only if that is
    `common`, which allows both; otherwise it must fit.
    """
    alias = alias.strip().lower()
    address, object_id = expected_address.strip(), expected_object_id.strip().lower()
    problems = []
    if not ALIAS.fullmatch(alias):
        problems.append(
            FieldProblem(
                "alias", "Use 1 to 40 of a-z, 0-9 and '-', beginning with a letter or digit."
            )
        )
    # In bytes, because the request is kept in a cookie.
    too_long = len(address.encode("utf-8", "surrogatepass")) > MAX_ADDRESS
    if too_long or (address and not _ADDRESS.fullmatch(address)):
        problems.append(
            FieldProblem(
                "expected_address",
                "Write one plain address, like a@b.com: one mailbox is signed in at a time.",
            )
        )
    if object_id and not GUID.fullmatch(object_id):
        problems.append(
            FieldProblem(
                "expected_object_id",
                "Copy the object id from the user's page in Entra: 32 hexadecimal digits, with "
                "hyphens.",
            )
        )
    authority = authority_for(tenant, kind)
    if authority is None:
        problems.append(
            FieldProblem(
                "kind",
                f"POSTROOM_TENANT is '{tenant}', which admits no account of this kind. Choose the "
                "other kind, or have whoever runs Postroom set it to 'common'.",
            )
        )
    if shared and authority == "consumers":
        problems.append(
            FieldProblem("shared", "Personal accounts have no shared mailboxes: untick the box.")
        )
    if problems or authority is None:
        raise RequestRejected(INVALID_REQUEST, problems[0].message, problems)
    return SignInRequest(
        alias=alias,
        authority=authority,
        expected_address=address or None,
        expected_object_id=object_id or None,
        replace=replace,
        verified=verified,
        shared=shared,
    )


def authority_for(tenant: str, kind: str) -> str | None:
    """The authority for accounts of a kind; None if the setting does not allow that kind.

    Grants of personal accounts from `common` have been seen to fail at the first refresh.
    `consumers`, and `organizations` for the others, work for sign-in and refresh.
    """
    of_both = {"": tenant, AccountKind.WORK: "organizations", AccountKind.PERSONAL: "consumers"}
    if kind not in of_both:
        return None
    if tenant.lower() == "common":
        return of_both[kind]
    personal_only = tenant.lower() == "consumers"
    fits = not kind or (kind == AccountKind.PERSONAL) == personal_only
    return tenant if fits else None
