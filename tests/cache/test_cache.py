"""Cached responses on both protocols, in memory and in Redis."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from benchmarks.core.memory import Protocol, Scope
from tests.conftest import AsyncClientFactory, ClientFactory
from tests.services.redis import redis_server
from velithon import (
    APIRouter,
    Cookie,
    Depends,
    Header,
    HTTPEndpoint,
    HTTPException,
    Request,
    Response,
    Security,
    Velithon,
    WebSocket,
)
from velithon.cache import CacheMiddleware, CachePolicy, cache, invalidate
from velithon.exceptions import RegistrationError
from velithon.middleware.gzip import GZipMiddleware
from velithon.middleware.request_id import RequestIDMiddleware
from velithon.responses import FileResponse, JSONResponse, StreamingResponse
from velithon.security import APIKeyHeader

MakeApp = Callable[..., Velithon]


@pytest.fixture(params=["memory", "redis"])
def make_app(request: pytest.FixtureRequest) -> MakeApp:
    """A factory of applications whose store is in memory, or in Redis."""
    url = "memory://" if request.param == "memory" else request.getfixturevalue("redis_url")

    def make(**options: Any) -> Velithon:
        return Velithon(store=url, **options)

    return make


class Count:
    """Counts calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


def test_a_response_is_made_once(client: ClientFactory, make_app: MakeApp) -> None:
    """For each URL, with what a client needs to keep it too; `HEAD` is answered from the same."""
    app, count = make_app(), Count()

    @app.get("/items/{item}")
    @cache(expire=60, stale_while_revalidate=30)
    async def item(item: int) -> dict[str, int]:
        return {"item": item, "call": count()}

    with client(app) as caller:
        first, second = caller.get("/items/1?a=1"), caller.get("/items/1?a=1")
        assert first.json() == second.json() == {"item": 1, "call": 1}
        assert first.headers["cache-control"] == "max-age=60, stale-while-revalidate=30"
        assert first.headers["etag"] == second.headers["etag"]
        assert set(first.headers["vary"].split(", ")) == {"Authorization", "Cookie"}
        assert "age" not in first.headers
        assert second.headers["age"] in ("0", "1")
        assert second.headers["content-type"] == "application/json"
        head = caller.head("/items/1?a=1")
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])
        assert head.headers["content-length"] == first.headers["content-length"]
        assert [caller.get(path).json()["call"] for path in ("/items/1", "/items/2", "/items/1?a=2")] == [2, 3, 4]
        assert caller.get("/items/1", headers={"host": "other.example"}).json()["call"] == 5


def test_a_client_that_has_it_gets_304(client: ClientFactory, make_app: MakeApp) -> None:
    """On the first request too, and with no body."""
    app = make_app()

    @app.get("/")
    @cache(expire=60)
    async def index() -> str:
        return "text"

    with client(app) as caller:
        etag = caller.get("/").headers["etag"]
        again = caller.get("/", headers={"if-none-match": f'"other", W/{etag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert again.headers["cache-control"] == "max-age=60"
        assert "content-type" not in again.headers
        assert caller.get("/", headers={"if-none-match": '"other"'}).status_code == 200
        assert caller.get("/?new", headers={"if-none-match": etag}).status_code == 304


def test_responses_expire(client: ClientFactory, make_app: MakeApp) -> None:
    app, count = make_app(), Count()

    @app.get("/")
    @cache(expire=0.2)
    async def index() -> int:
        return count()

    with client(app) as caller:
        assert [caller.get("/").json() for _ in range(2)] == [1, 1]
        end = time.monotonic() + 5
        while caller.get("/").json() == 1:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert count.calls == 2


@pytest.mark.parametrize("header", ["authorization", "cookie"])
def test_requests_with_credentials_pass(client: ClientFactory, make_app: MakeApp, header: str) -> None:
    """They are neither answered from the cache nor kept in it, unless that was said."""
    app, count = make_app(), Count()

    @app.get("/")
    @cache(expire=60)
    async def index() -> int:
        return count()

    @app.get("/told")
    @cache(expire=60, credentials=True)
    async def told() -> int:
        return count()

    with client(app) as caller:
        own = [caller.get("/", headers={header: "a=b"}) for _ in range(2)]
        assert [answer.json() for answer in own] == [1, 2]
        assert "cache-control" not in own[0].headers
        assert caller.get("/").json() == 3
        assert caller.get("/", headers={header: "a=b"}).json() == 4
        assert [caller.get("/told", headers=given).json() for given in ({header: "a=b"}, {header: "c=d"}, {})] == [
            5
        ] * 3


def test_a_route_behind_a_security_scheme_does_not_leak(client: ClientFactory, make_app: MakeApp) -> None:
    """What a key has opened stays closed to those who have none."""
    app, count = make_app(), Count()

    async def checked(key: Annotated[str, Security(APIKeyHeader(name="X-Key"))]) -> str:
        if key != "right":
            raise HTTPException(403)
        return key

    @app.get("/")
    @cache(expire=60)
    async def index(key: Annotated[str, Depends(checked)]) -> int:
        return count()

    with client(app) as caller:
        assert caller.get("/", headers={"x-key": "right"}).json() == 1
        assert caller.get("/").status_code == 401
        assert caller.get("/", headers={"x-key": "wrong"}).status_code == 403


def test_declared_headers_belong_to_the_key(client: ClientFactory, make_app: MakeApp) -> None:
    """Those of dependencies too, so that what a dependency refuses is refused."""
    app, count = make_app(), Count()

    def token(x_token: Annotated[str, Header()]) -> str:
        if x_token == "bad":
            raise HTTPException(400)
        return x_token

    @app.get("/")
    @cache(expire=60, vary=["Accept-Language"])
    async def index(token: Annotated[str, Depends(token)]) -> str:
        return f"{token} {count()}"

    with client(app) as caller:

        def ask(**headers: str) -> Any:
            return caller.get("/", headers={name.replace("_", "-"): value for name, value in headers.items()})

        assert ask(x_token="a").json() == "a 1"
        assert ask(x_token="bad").status_code == 400
        assert ask(x_token="b").json() == "b 2"
        assert ask(x_token="a").json() == "a 1"
        assert ask(x_token="a", accept_language="de").json() == "a 3"
        assert "X-Token" in ask(x_token="a").headers["vary"]


class Tenant(BaseModel):
    x_tenant: str


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (Annotated[Tenant, Header(convert_underscores=False)], "x_tenant"),
        (Annotated[Tenant, Header()], "x-tenant"),
        (Annotated[str, Header(convert_underscores=False)], "x_tenant"),
        (Annotated[str, Header(alias="x_tenant")], "x_tenant"),
    ],
)
def test_a_declared_header_belongs_to_the_key_by_its_own_name(
    client: ClientFactory, make_app: MakeApp, annotation: Any, name: str
) -> None:
    """One tenant never gets what was made for another, whatever decides the header's name."""
    app = make_app()

    async def index(x_tenant: Any) -> Any:
        return getattr(x_tenant, "x_tenant", x_tenant)

    index.__annotations__["x_tenant"] = annotation
    app.get("/")(cache(expire=60)(index))

    with client(app) as caller:
        for tenant in ("a", "b"):
            assert caller.get("/", headers={name: tenant}).json() == tenant
        document = caller.get("/openapi.json").json()["paths"]["/"]["get"]["parameters"]
        assert [parameter["name"] for parameter in document] == [name]


def test_a_model_of_any_headers_is_refused(make_app: MakeApp) -> None:
    """Nothing in the key could tell its requests apart."""

    class Everything(BaseModel, extra="allow"):
        pass

    async def index(headers: Annotated[Everything, Header()]) -> None: ...

    with pytest.raises(RegistrationError, match=r"parameter 'headers': .*Everything takes headers that it does not"):
        make_app().get("/")(cache(expire=60)(index))


def test_a_declared_cookie_is_never_shared(client: ClientFactory, make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/")
    @cache(expire=60)
    async def index(name: Annotated[str, Cookie()] = "nobody") -> str:
        return name

    with client(app) as caller:
        for name in ("a", "b"):
            assert caller.get("/", headers={"cookie": f"name={name}"}).json() == name
        assert caller.get("/").json() == "nobody"


def test_vary_keeps_variants_apart(client: ClientFactory, make_app: MakeApp) -> None:
    """By the headers that the response names, which nobody knew before."""
    app, count = make_app(), Count()

    @app.get("/")
    @cache(expire=60)
    async def index(request: Request) -> Response:
        language = request.headers.get("accept-language", "en")
        return Response(f"{language} {count()}", headers={"vary": "Accept-Language, X-Other"})

    with client(app) as caller:
        texts = [caller.get("/", headers={"accept-language": name}).text for name in ("de", "fr", "de", "fr")]
        assert texts == ["de 1", "fr 2", "de 1", "fr 2"]


@pytest.mark.parametrize("control", ["no-store", "private", "no-cache", "max-age=0"])
def test_a_response_may_say_no(client: ClientFactory, make_app: MakeApp, control: str) -> None:
    app, count = make_app(), Count()

    @app.get("/")
    @cache(expire=60)
    async def index(response: Response) -> int:
        response.headers["cache-control"] = control
        return count()

    with client(app) as caller:
        answers = [caller.get("/") for _ in range(3)]
        assert [answer.json() for answer in answers] == [1, 2, 3]
        assert answers[0].headers["cache-control"] == control


def test_what_sets_a_cookie_or_fails_is_not_kept(client: ClientFactory, make_app: MakeApp) -> None:
    app, count = make_app(), Count()

    @app.get("/cookie")
    @cache(expire=60)
    async def cookie(response: Response) -> int:
        response.set_cookie("a", "b")
        return count()

    @app.get("/fails")
    @cache(expire=60)
    async def fails() -> int:
        count()
        raise HTTPException(404)

    with client(app) as caller:
        assert [caller.get("/cookie").json() for _ in range(2)] == [1, 2]
        assert [caller.get("/fails").status_code for _ in range(2)] == [404, 404]
        assert count.calls == 4


def test_a_request_that_forbids_it_is_not_kept(client: ClientFactory, make_app: MakeApp) -> None:
    app, count = make_app(), Count()

    @app.get("/")
    @cache(expire=60)
    async def index() -> int:
        return count()

    with client(app) as caller:
        assert caller.get("/", headers={"cache-control": "no-store"}).json() == 1
        assert [caller.get("/").json() for _ in range(2)] == [2, 2]


def test_streams_are_kept_that_say_how_short_they_are(client: ClientFactory, make_app: MakeApp, tmp_path: Any) -> None:
    """Others go on as they are, and files are sent by the server."""
    app, count = make_app(), Count()
    (tmp_path / "file.txt").write_text("file")

    async def chunks() -> Any:
        yield "ab"
        yield b"cd"

    @app.get("/short")
    @cache(expire=60)
    async def short() -> StreamingResponse:
        count()
        return StreamingResponse(chunks(), headers={"content-length": "4"})

    @app.get("/open")
    @cache(expire=60)
    async def open_() -> StreamingResponse:
        count()
        return StreamingResponse(chunks())

    @app.get("/file")
    @cache(expire=60)
    async def file() -> FileResponse:
        count()
        return FileResponse(tmp_path / "file.txt")

    @app.get("/large")
    @cache(expire=60, max_body_size=3)
    async def large() -> str:
        count()
        return "large"

    with client(app) as caller:
        for path, text, calls in (
            ("/short", "abcd", 1),
            ("/open", "abcd", 2),
            ("/file", "file", 2),
            ("/large", '"large"', 2),
        ):
            count.calls = 0
            assert [caller.get(path).text for _ in range(2)] == [text, text]
            assert count.calls == calls, path


def test_keys_of_your_own(client: ClientFactory, make_app: MakeApp) -> None:
    """Instead of the URL; `None` passes the cache."""
    app, count = make_app(), Count()

    @app.get("/")
    @cache(expire=60, key=lambda request: request.query_params.get("page"))
    async def index() -> int:
        return count()

    with client(app) as caller:
        paths = ["/?page=1&utm=a", "/?page=1&utm=b", "/?page=2", "/", "/", "/?page=" + "x" * 500]
        assert [caller.get(path).json() for path in paths] == [1, 1, 2, 3, 4, 5]


def test_tags_invalidate(client: ClientFactory, make_app: MakeApp) -> None:
    """What has one of them, at once."""
    app, count = make_app(), Count()

    @app.get("/items/{item}")
    @cache(expire=60, tags=["items", "item:{item}"])
    async def item(item: int) -> int:
        return count()

    @app.get("/list")
    @cache(expire=60, tags=lambda request: ["items"])
    async def index() -> int:
        return count()

    @app.post("/invalidate")
    async def drop(tags: list[str], request: Request) -> None:
        await invalidate(request.app.store, *tags)

    with client(app) as caller:
        paths = ["/items/1", "/items/2", "/list"]
        assert [caller.get(path).json() for path in paths * 2] == [1, 2, 3, 1, 2, 3]
        caller.post("/invalidate", json=["item:1"])
        assert [caller.get(path).json() for path in paths] == [4, 2, 3]
        caller.post("/invalidate", json=["items"])
        assert [caller.get(path).json() for path in paths * 2] == [5, 6, 7, 5, 6, 7]


@pytest.mark.asyncio
async def test_what_is_being_made_is_invalidated_too(async_client: AsyncClientFactory, make_app: MakeApp) -> None:
    """It began with what was true before."""
    app, count = make_app(), Count()
    begun, go_on = asyncio.Event(), asyncio.Event()

    @app.get("/")
    @cache(expire=60, tags=["all"])
    async def index() -> int:
        number = count()
        begun.set()
        await go_on.wait()
        return number

    async with async_client(app) as caller:
        asking = asyncio.create_task(caller.get("/"))
        await asyncio.wait_for(begun.wait(), 5)
        await invalidate(app.store, "all")
        go_on.set()
        assert (await asking).json() == 1
        assert (await caller.get("/")).json() == 2


@pytest.mark.asyncio
async def test_a_stampede_computes_once(async_client: AsyncClientFactory, make_app: MakeApp) -> None:
    app, count = make_app(), Count()

    @app.get("/")
    @cache(expire=60)
    async def index() -> int:
        await asyncio.sleep(0.05)
        return count()

    async with async_client(app) as caller:
        answers = await asyncio.gather(*(caller.get("/") for _ in range(50)))
    assert {answer.json() for answer in answers} == {1}


@pytest.mark.asyncio
async def test_what_cannot_be_kept_is_not_waited_for(async_client: AsyncClientFactory, make_app: MakeApp) -> None:
    """Once that is known, requests run side by side."""
    app = make_app()
    inside = most = 0

    @app.get("/")
    @cache(expire=60)
    async def index() -> Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.05)
        inside -= 1
        return Response("x", headers={"cache-control": "no-store"})

    async with async_client(app) as caller:
        await caller.get("/")
        await asyncio.gather(*(caller.get("/") for _ in range(10)))
    assert most == 10


def test_a_stale_response_is_sent_while_a_new_one_is_made(client: ClientFactory, make_app: MakeApp) -> None:
    """Once, with dependencies entered and left; the next request gets it."""
    app, count = make_app(), Count()
    left = threading.Event()

    async def resource() -> Any:
        yield 1
        if count.calls == 2:
            left.set()

    @app.get("/{name}")
    @cache(expire=0.3, stale_while_revalidate=60)
    async def index(name: str, request: Request, resource: Annotated[int, Depends(resource)]) -> str:
        assert request.headers.get("if-none-match") is None or count.calls == 0
        return f"{name} {request.path_params['name']} {count()}"

    with client(app) as caller:
        assert caller.get("/a").json() == "a a 1"
        end = time.monotonic() + 10
        while count.calls == 1:
            answers = [caller.get("/a", headers={"if-none-match": '"x"'}) for _ in range(3)]
            assert {answer.json() for answer in answers} <= {"a a 1", "a a 2"}
            time.sleep(0.05)
            assert time.monotonic() < end
        assert left.wait(5)
        while caller.get("/a").json() != "a a 2":
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_layer_keeps_what_says_for_how_long(client: ClientFactory, make_app: MakeApp) -> None:
    """And drops it when another method changes the URL; foreign applications inside are cached too."""
    app, count = make_app(), Count()
    app.add_middleware(CacheMiddleware)

    @app.get("/silent")
    async def silent() -> int:
        return count()

    @app.get("/item")
    async def item(response: Response) -> int:
        response.headers["cache-control"] = "max-age=60"
        return count()

    @app.put("/item")
    async def change(fail: bool = False) -> None:
        if fail:
            raise HTTPException(409)

    async def foreign(scope: Any, receive: Any, send: Any) -> None:
        body = str(count()).encode()
        headers = [(b"cache-control", b"max-age=60"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    app.mount("/foreign", foreign)

    with client(app) as caller:
        assert [caller.get("/silent").json() for _ in range(2)] == [1, 2]
        assert [caller.get("/item").json() for _ in range(2)] == [3, 3]
        caller.put("/item?fail=true")
        assert caller.get("/item").json() == 3
        caller.put("/item")
        assert caller.get("/item").json() == 4
        assert [caller.get("/foreign/x").text for _ in range(2)] == ["5", "5"]


def test_a_layer_by_policy(client: ClientFactory, make_app: MakeApp) -> None:
    app, count = make_app(), Count()
    app.add_middleware(CacheMiddleware, expire=60, max_age=0)

    @app.get("/")
    async def index() -> int:
        return count()

    with client(app) as caller:
        answers = [caller.get("/") for _ in range(2)]
        assert [answer.json() for answer in answers] == [1, 1]
        assert answers[1].headers["cache-control"] == "no-cache"
        assert caller.get("/missing").status_code == 404


def test_layers_around_it_change_no_kept_response(client: ClientFactory, make_app: MakeApp) -> None:
    """Each answer has its own identifier, once, and is compressed for who can read it."""
    app = make_app()
    app.add_middleware(GZipMiddleware, minimum_size=10)
    app.add_middleware(RequestIDMiddleware)

    @app.get("/")
    @cache(expire=60)
    async def index() -> str:
        return "x" * 1000

    with client(app) as caller:
        answers = [caller.get("/", headers={"accept-encoding": coding}) for coding in ("gzip", "identity", "gzip")]
        assert len({answer.headers["x-request-id"] for answer in answers}) == 3
        assert [answer.headers.get("content-encoding") for answer in answers] == ["gzip", None, "gzip"]
        assert {answer.json() for answer in answers} == {"x" * 1000}


def test_a_store_that_is_away_costs_no_answer(
    client: ClientFactory, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it goes while a response is made; it is logged once, and caching goes on when it is back."""
    monkeypatch.setattr("velithon.cache.engine._ASK_AGAIN", 0.2)
    with redis_server() as server:
        app, count = Velithon(store=server.url), Count()

        @app.get("/")
        @cache(expire=60, tags=["tag"])
        async def index() -> int:
            if count.calls == 0:
                server.kill()
            return count()

        with client(app) as caller:
            assert [caller.get("/").json() for _ in range(3)] == [1, 2, 3]
            assert [record.levelno for record in caplog.records if record.name == "velithon.cache"] == [logging.ERROR]
            server.start()
            end = time.monotonic() + 10
            while caller.get("/").json() != caller.get("/").json():
                assert time.monotonic() < end
                time.sleep(0.05)
            assert "Responses are cached again" in caplog.text


@pytest.mark.asyncio
async def test_a_hit_in_memory_needs_no_request() -> None:
    """It is found over the server's scope, also by who has it already; anything else is left to a request."""
    app = Velithon()

    @app.get("/{name}")
    @cache(expire=60)
    async def index(name: str) -> str:
        return name

    face: Any = app.__rsgi__
    protocol = Protocol()
    await face(Scope("GET", "/a", {}), protocol)
    route: Any = next(route for route in app.routes if getattr(route, "path", "") == "/{name}")
    plan = route.scope_plan
    for _ in range(2):
        hit = await plan(Scope("GET", "/a", {}), {"name": "a"})
        assert (type(hit), hit.body) == (JSONResponse, b'"a"') or (type(hit), hit.body) == (Response, b'"a"')
    etag = dict(protocol.sent[1])["etag"]
    assert (await plan(Scope("GET", "/a", {"if-none-match": etag}), {})).status_code == 304
    for headers in ({"cookie": "a=b"}, {"authorization": "x"}, {"host": "other"}):
        assert type(await plan(Scope("GET", "/a", headers), {"name": "a"})).__name__ == "Miss"
    for target in ("/b", "/a?q"):
        assert type(await plan(Scope("GET", target, {}), {"name": "a"})).__name__ == "Miss"
    await app.store.clear()
    assert type(await plan(Scope("GET", "/a", {}), {"name": "a"})).__name__ == "Miss"


def test_class_endpoints(client: ClientFactory, make_app: MakeApp) -> None:
    app, count = make_app(), Count()

    class Items(HTTPEndpoint):
        @cache(expire=60)
        async def get(self) -> int:
            return count()

        async def post(self) -> int:
            return count()

    app.add_api_route("/", Items)
    with client(app) as caller:
        assert [caller.get("/").json(), caller.get("/").json(), caller.post("/").json()] == [1, 1, 2]


def test_tags_name_parameters_of_the_whole_path(client: ClientFactory) -> None:
    """A prefix may bring one; what no path has is refused when the route joins the application."""
    router, app, count = APIRouter(), Velithon(), Count()

    @router.get("/items/{number:int}")
    @cache(expire=60, tags=["tenant:{tenant}", "item:{number:03d}"])
    async def read(tenant: str, number: int) -> int:
        return count()

    @app.delete("/kept")
    async def drop(tag: str) -> None:
        await invalidate(app.store, tag)

    app.include_router(router, prefix="/{tenant}")
    with client(app) as caller:
        assert [caller.get("/red/items/3").json(), caller.get("/red/items/3").json()] == [1, 1]
        caller.delete("/kept", params={"tag": "item:003"})
        assert caller.get("/red/items/3").json() == 2
    with pytest.raises(RegistrationError, match=r"read: The tag 'tenant:\{tenant\}' of @cache names 'tenant'"):
        Velithon().include_router(router)

    class Items(HTTPEndpoint):
        @cache(expire=60, tags=["tenant:{tenant}"])
        async def get(self) -> None: ...

    with pytest.raises(RegistrationError, match=r"The tag 'tenant:\{tenant\}' of @cache names 'tenant'"):
        app.add_route("/items", Items)


def test_mistakes_are_told_at_registration() -> None:
    app = Velithon()
    with pytest.raises(RegistrationError, match="this endpoint answers POST"):

        @app.post("/")
        @cache(expire=60)
        async def post() -> None: ...

    with pytest.raises(RegistrationError, match="a WebSocket has none"):

        @app.websocket("/")
        @cache(expire=60)
        async def ws(websocket: WebSocket) -> None: ...

    for arguments in (
        {"expire": 0},
        {"stale_while_revalidate": -1},
        {"max_age": -1},
        {"vary": "accept"},
        {"vary": ["*"]},
    ):
        with pytest.raises(ValueError, match="must be|are lists|keep nothing"):
            CachePolicy(**arguments)
