"""Route templates and the order in which the host tries them."""

from __future__ import annotations

import pytest

from local.host.errors import HostError
from local.host.routes import Route, RouteTable, compile_route


def route(
    template: str, function: str = "f", prefix: str = "", methods: tuple[str, ...] = ()
) -> Route:
    return compile_route(function, prefix, template, methods, "anonymous")


def values(template: str, path: str) -> dict[str, str] | None:
    found = RouteTable([route(template)]).find("GET", path)
    return None if found is None else found[1]


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        pytest.param("a/{id}", "/A/7", {"id": "7"}, id="parameter"),
        pytest.param("a/{id}", "/a/", None, id="parameter-missing"),
        pytest.param("a/{id}", "/a/7/", {"id": "7"}, id="trailing-slash"),
        pytest.param("a/{id?}", "/a", {}, id="optional"),
        pytest.param("a/{id=5}", "/a", {"id": "5"}, id="default"),
        pytest.param("a/{id:int}", "/a/x", None, id="int-refuses"),
        pytest.param("a/{id:int:min(3)}", "/a/2", None, id="second-constraint-refuses"),
        pytest.param("a/{id:length(2,3)}", "/a/abc", {"id": "abc"}, id="length"),
        pytest.param("a/{id:alpha?}", "/a", {}, id="optional-constraint-absent"),
        pytest.param("a/{*rest}", "/a/b/c", {"rest": "b/c"}, id="catch-all"),
        pytest.param("a/{*rest}", "/a", {}, id="catch-all-empty"),
        pytest.param("{name}.{kind}", "/mail.json", {"name": "mail", "kind": "json"}, id="complex"),
        pytest.param("/", "/", {}, id="root"),
        pytest.param("{ignored:maxlength(0)?}", "/", {}, id="the-old-trick-for-the-root"),
        pytest.param("", "/f", {}, id="empty-is-the-name"),
    ],
)
def test_a_template_matches_as_in_asp_net(
    template: str, path: str, expected: dict[str, str] | None
) -> None:
    assert values(template, path) == expected


def test_the_prefix_comes_before_the_route() -> None:
    assert route("send", prefix="api").template == "/api/send"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        pytest.param("admin/x", "keep", id="reserved"),
        pytest.param("a/{id", "braces", id="open-brace"),
        pytest.param("a/{id:odd}", "constraint 'odd'", id="unknown-constraint"),
        pytest.param("a/{}", "not a route parameter", id="no-name"),
    ],
)
def test_a_wrong_template_is_refused_with_the_function_s_name(template: str, reason: str) -> None:
    with pytest.raises(HostError, match=f"function f: .*{reason}"):
        route(template)


def test_functions_are_tried_by_the_alphabet_not_by_how_special_their_route_is() -> None:
    table = RouteTable([route("mails/new", "mail_new"), route("mails/{id}", "mail")])

    found = table.find("GET", "/mails/new")

    assert found is not None
    assert found[0].function == "mail"
    assert [(hidden.function, by.function) for hidden, by in table.hidden()] == [
        ("mail_new", "mail")
    ]


def test_methods_keep_routes_apart() -> None:
    table = RouteTable([route("a", "one", methods=("GET",)), route("a", "two", methods=("POST",))])

    found = table.find("POST", "/a")

    assert found is not None
    assert found[0].function == "two"
    assert table.hidden() == []
