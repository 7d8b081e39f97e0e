"""The table finds what walking Starlette's list finds."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.convertors import CONVERTOR_TYPES, Convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Match, Mount, Route
from starlette.testclient import TestClient

from tests.conftest import ClientFactory
from tests.effort import examples
from velithon import Velithon
from velithon.routing.routes import Route as OurRoute
from velithon.routing.table import MISS, Table


async def endpoint(request: Request) -> Response:
    return Response()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Stand for whatever is mounted."""


words = st.sampled_from(["a", "b", "users", "1", "a.b", "é", "{"])
pieces = st.sampled_from(["{x}", "{y:int}", "{z:float}", "{u:uuid}", "{p:path}", "v{x}", "{x}.{y}", "{x:int}-{y}"])
segments = st.one_of(words.filter(lambda word: word != "{"), pieces)


def well_formed(path: str) -> bool:
    names = [part.split("}")[0].split(":")[0] for part in path.split("{")[1:]]
    return len(names) == len(set(names))


paths = st.lists(segments, max_size=4).map(lambda parts: "/" + "/".join(parts)).filter(well_formed)
slashed = st.tuples(paths, st.booleans()).map(lambda pair: pair[0] + ("/" if pair[1] else ""))
method_sets = st.one_of(st.none(), st.sets(st.sampled_from(["GET", "POST", "PUT"]), min_size=1, max_size=2))


@st.composite
def routes(draw: st.DrawFn) -> BaseRoute:
    kind = draw(st.sampled_from(["route", "route", "route", "ours", "mount", "host"]))
    if kind == "mount":
        return Mount(draw(paths.filter(lambda path: "path}" not in path)), app=application)
    if kind == "host":
        return Host(draw(st.sampled_from(["a.example", "{sub}.example"])), app=application)
    if kind == "ours":
        return OurRoute(draw(slashed), _returning, methods=draw(method_sets))
    return Route(draw(slashed), endpoint, methods=draw(method_sets))


async def _returning() -> None:
    """Take no parameters, so that any path will do."""


requested = st.tuples(
    st.sampled_from(["/", "/", "/", "/", ""]),
    st.lists(
        st.sampled_from(
            ["a", "b", "users", "1", "2.5", "a.b", "v1", "1-x", "é", "", "0b9e8e0e-7c8b-4a53-9a49-0e2b2f9d7f8a", "a\n"]
        ),
        max_size=5,
    ).map("/".join),
).map("".join)


def scope_of(method: str, path: str, host: str) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "headers": [(b"host", host.encode())]}


def by_walking(table: list[BaseRoute], scope: dict[str, Any]) -> tuple[BaseRoute, dict[str, Any], bool] | None:
    partial = None
    for route in table:
        match, child_scope = route.matches(scope)
        if match is Match.FULL:
            return route, child_scope["path_params"], True
        if match is Match.PARTIAL and partial is None:
            partial = route, child_scope["path_params"], False
    return partial


@settings(max_examples=examples(300, 10_000), deadline=None)
@given(
    table=st.lists(routes(), max_size=12),
    asked=st.lists(
        st.tuples(
            st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE"]),
            requested,
            st.sampled_from(["a.example", "b.example", "other"]),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_the_table_finds_what_walking_the_list_finds(table: list[BaseRoute], asked: list[tuple[str, str, str]]) -> None:
    """For any routes and any request: the same route, the same values, the same verdict on the method."""
    compiled = Table(table, MISS)
    for method, path, host in asked:
        scope = scope_of(method, path, host)
        expected = by_walking(table, scope)
        found = compiled.resolve(method, path, Request(scope))
        direct = compiled.direct(method, path)
        if direct is MISS:
            assert expected is None
            other = path.rstrip("/") if path.endswith("/") else path + "/"
            assert by_walking(table, scope_of(method, other, host)) is None
        elif direct is not None:
            assert (direct[0], direct[1] or {}, True) == expected
            assert expected is not None
            assert direct[0] is expected[0]
        if expected is None:
            assert found is None
        else:
            assert found is not None
            assert (found.route, found.path_params, found.allowed) == expected
            assert found.route is expected[0]


class Digits(Convertor[str]):
    """A convertor that matches nothing, too."""

    regex = "[0-9]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a convertor of Starlette's means another one."""
    monkeypatch.setitem(CONVERTOR_TYPES, "int", Digits())
    monkeypatch.setitem(CONVERTOR_TYPES, "str", Digits())


@pytest.mark.parametrize(
    ("paths", "path"),
    [
        # found only where nothing else is asked for: a newline at the end, a last slash more or less, no slash at all
        (["/a"], "/a\n"),
        (["/a/b", "/a/{x}"], "/a/b\n"),
        (["/a/{x}", "/a/b"], "/a/b\n"),
        (["/a/{x}"], "/a/b\n"),
        (["/a"], "/a/\n"),
        (["/{x}/b/{p:path}", "/c/d"], "/a/b/c/d"),
        (["/{x}/{p:path}"], "/a/b"),
        (["/a", "/a//b"], "/a/"),
        (["/a/", "/b"], "/a"),
        (["/a/{x}"], "/a/"),
        (["/{x}"], "*"),
        (["/{x}"], "/*"),
        (["/{x}", "/a/{y}", "/{x}/{y}"], "/a/b"),
        (["/{x}/{y}", "/a/{y}"], "/a/b"),
        (["/a/{x}"], ""),
        (["/"], ""),
        (["/a"], "//a"),
        (["/a/{x:int}"], "/a/b"),
    ],
)
@pytest.mark.parametrize("kind", [Route, OurRoute])
def test_a_path_is_a_miss_only_where_no_route_has_it(kind: Any, paths: list[str], path: str) -> None:
    """Neither as it is, nor with a last slash more or less."""
    _compare([kind(each, endpoint if kind is Route else _returning, methods=["GET"]) for each in paths], path)


@pytest.mark.usefixtures("digits")
@pytest.mark.parametrize("path", ["/n", "/n/", "/n/1", "/n/a", "/m", "/m/", "/m/1", "/m/a", "/"])
def test_a_convertor_may_have_a_known_name_and_another_pattern(path: str) -> None:
    """What a parameter can be is the convertor's to say."""
    _compare([OurRoute(each, _returning, methods=["GET"]) for each in ("/n/{x:int}", "/m/{x}")], path)


def _compare(routes: list[BaseRoute], path: str) -> None:
    table = Table(routes, MISS)
    expected = by_walking(routes, scope_of("GET", path, "other"))
    other = by_walking(routes, scope_of("GET", path.rstrip("/") if path.endswith("/") else path + "/", "other"))
    found = table.resolve("GET", path)
    assert (None if found is None else (found.route, found.path_params)) == (expected and expected[:2])
    direct = table.direct("GET", path)
    if direct is MISS:
        assert expected is None
        assert other is None
    elif direct is not None:
        assert expected is not None
        assert (direct[0], direct[1] or {}) == expected[:2]


@pytest.mark.filterwarnings("ignore:GET /items/abc is never reached")
@pytest.mark.parametrize("literal_first", [False, True])
def test_a_last_newline_decides_as_in_starlette(client: ClientFactory, literal_first: bool) -> None:
    """`$` in a pattern matches before a last newline: `/items/abc%0A` is `/items/abc`, where that is declared first."""
    ours, theirs = Velithon(), Starlette()

    async def literal() -> str:
        return "literal"

    async def parameter(item: str) -> str:
        return item

    async def starlette_literal(request: Request) -> JSONResponse:
        return JSONResponse("literal")

    async def starlette_parameter(request: Request) -> JSONResponse:
        return JSONResponse(request.path_params["item"])

    added: list[tuple[str, Any, Any]] = [
        ("/items/abc", literal, starlette_literal),
        ("/items/{item}", parameter, starlette_parameter),
    ]
    for path, our, their in added if literal_first else reversed(added):
        ours.get(path)(our)
        theirs.add_route(path, their)
    with client(ours) as c, TestClient(theirs) as other:
        for path in ("/items/abc%0A", "/items/abc", "/items/abd%0A", "/items/%0A"):
            assert c.get(path).json() == other.get(path).json(), path
        assert c.get("/items/abc%0A").json() == ("literal" if literal_first else "abc\n")


def test_a_lookup_looks_at_few_routes_however_many_there_are() -> None:
    """Among 5,000 routes with parameters, only those that can match are tried."""
    table = Table([Route(f"/api/{{tenant}}/r{number}/{{item}}", endpoint) for number in range(5000)])
    assert [entry.route.path for entry in table.candidates("/api/acme/r4999/7")] == [  # type: ignore[attr-defined]
        "/api/{tenant}/r4999/{item}"
    ]
    assert table.candidates("/api/acme/r5000/7") == []


def test_paths_without_parameters_are_answered_by_a_dictionary() -> None:
    """Each method of a literal path is found without trying a pattern, also behind a mount that comes later."""
    table = Table(
        [Route("/a", endpoint, methods=["GET"]), Route("/a", endpoint, methods=["POST"]), Mount("/", application)]
    )
    assert set(table.exact["/a"].by_method) == {"GET", "HEAD", "POST"}
    assert table.exact["/a"].walk


@pytest.mark.parametrize("path", ["/plain", "/items/{name}", "/files/{name:path}"])
def test_a_route_for_head_counts_behind_one_for_get(client: ClientFactory, path: str) -> None:
    app = Velithon()

    @app.get(path)
    def get(name: str = "") -> str:
        return "get"

    @app.head(path)
    def head(response: Response, name: str = "") -> None:
        response.headers["from"] = "head"

    with client(app) as c:
        asked = path.replace("{name}", "a").replace("{name:path}", "a/b")
        assert c.head(asked).headers["from"] == "head"
        assert c.get(asked).json() == "get"


def test_a_route_of_another_class_answers_405_in_its_own_way(client: ClientFactory) -> None:
    class Stubborn(BaseRoute):
        def matches(self, scope: Any) -> tuple[Match, Any]:
            return Match.PARTIAL, {}

        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("not like that", status_code=405)(scope, receive, send)

    app = Velithon()
    app.router.routes.append(Stubborn())
    with client(app) as c:
        answer = c.get("/anything")
        assert (answer.status_code, answer.text) == (405, "not like that")


def test_the_direct_way_answers_what_needs_no_pattern() -> None:
    """Whole segments of text, at the end or between literals, also beside a mount of something else."""
    items, parts = (OurRoute(path, _returning, methods=["GET"]) for path in ("/items/{x}", "/users/{x}/parts/{y}"))
    table = Table([Mount("/static", application), items, parts])
    assert table.direct("GET", "/items/1") == (items, {"x": "1"})
    assert table.direct("GET", "/users/1/parts/2") == (parts, {"x": "1", "y": "2"})
    # A literal prefix and one parameter: a look into a dictionary, without going down the tree.
    assert table.tails == {"/items": {"GET": (items, "x"), "HEAD": (items, "x")}}
