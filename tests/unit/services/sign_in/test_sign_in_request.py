"""What the sign-in form may ask for."""

from __future__ import annotations

import pytest

from shared.errors import RequestRejected
from shared.services.sign_in.sign_in_request import authority_for, read_request

TENANT = "11111111-1111-4111-8111-111111111111"


@pytest.mark.parametrize(
    ("tenant", "kind", "authority"),
    [
        ("common", "work", "organizations"),
        ("common", "personal", "consumers"),
        ("Common", "", "Common"),
        ("organizations", "work", "organizations"),
        ("consumers", "personal", "consumers"),
        (TENANT, "work", TENANT),
        ("contoso.com", "", "contoso.com"),
        (TENANT, "personal", None),
        ("consumers", "work", None),
        ("common", "shared", None),
    ],
)
def test_the_kind_of_account_chooses_one_authority_where_the_setting_leaves_it_open(
    tenant: str, kind: str, authority: str | None
) -> None:
    assert authority_for(tenant, kind) == authority


@pytest.mark.parametrize("object_id", ["x", "2222", "22222222-2222-4222-8222-22222222222g"])
def test_an_object_id_of_another_shape_is_refused(object_id: str) -> None:
    with pytest.raises(RequestRejected) as refused:
        read_request(TENANT, "billing", expected_object_id=object_id)

    assert [problem.field for problem in refused.value.errors] == ["expected_object_id"]


@pytest.mark.parametrize(("tenant", "kind"), [("consumers", ""), ("common", "personal")])
def test_shared_mailboxes_are_nothing_for_a_personal_account(tenant: str, kind: str) -> None:
    with pytest.raises(RequestRejected) as refused:
        read_request(tenant, "private", kind=kind, shared=True)

    assert [problem.field for problem in refused.value.errors] == ["shared"]


@pytest.mark.parametrize(
    "typed",
    [
        "a@contoso.com, b@contoso.com",
        "a@contoso.com;",
        "A <a@contoso.com>",
        "a" * 99 + "@b.de" * 99,
        "a@" + "\U0001f4ee" * 100,
    ],
)
def test_a_sign_in_is_for_one_plain_address(typed: str) -> None:
    with pytest.raises(RequestRejected) as refused:
        read_request(TENANT, "billing", expected_address=typed)

    (problem,) = refused.value.errors
    assert problem.field == "expected_address"
    assert "one mailbox is signed in at a time" in problem.message


def test_every_field_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(RequestRejected) as refused:
        read_request(
            TENANT, "<b>", expected_address="nobody", expected_object_id="x", kind="personal"
        )

    assert [problem.field for problem in refused.value.errors] == [
        "alias",
        "expected_address",
        "expected_object_id",
        "kind",
    ]
