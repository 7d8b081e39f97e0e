"""GraphQL: queries, mutations, a context by dependencies, uploads, and subscriptions over a WebSocket."""
# /// script
# dependencies = ["strawberry-graphql[fastapi]"]
#
# [[tool.ecosystem.without]]
# test = "test_a_subscription"
# ways = ["rsgi", "as-fastapi-rsgi"]
# because = "RSGI cannot answer with a subprotocol: subscriptions over WebSockets need `--interface asgi`."
# ///

from collections.abc import AsyncIterator

import strawberry
from fastapi import Depends, FastAPI, Header
from strawberry.fastapi import GraphQLRouter
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from tests.ecosystem.plugin import Clients


def user(x_user: str = Header("nobody")) -> str:
    return x_user


async def get_context(who: str = Depends(user)):
    return {"who": who}


@strawberry.type
class Book:
    title: str


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"Hello {name}"

    @strawberry.field
    async def who(self, info: strawberry.Info) -> str:
        info.context["response"].headers["x-who"] = "told"
        return f"{info.context['who']} at {info.context['request'].url.path}"

    @strawberry.field
    def broken(self) -> str:
        raise ValueError("broken")


@strawberry.type
class Mutation:
    @strawberry.mutation
    def add(self, title: str) -> Book:
        return Book(title=title)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number


schema = strawberry.Schema(Query, Mutation, Subscription)
app = FastAPI()
app.include_router(GraphQLRouter(schema, context_getter=get_context), prefix="/graphql")


def test_queries_and_mutations(client: Clients) -> None:
    http = client(app)
    assert http.post("/graphql", json={"query": '{ hello(name: "Ada") }'}).json() == {"data": {"hello": "Hello Ada"}}
    assert http.get("/graphql?query={hello}").json() == {"data": {"hello": "Hello world"}}
    added = http.post("/graphql", json={"query": 'mutation { add(title: "Emma") { title } }'})
    assert added.json() == {"data": {"add": {"title": "Emma"}}}
    failed = http.post("/graphql", json={"query": "{ broken }"}).json()
    assert failed["errors"][0]["message"] == "broken"
    assert http.post("/graphql", json={"query": "{ nothing }"}).json()["errors"]


def test_the_context_is_made_by_dependencies(client: Clients) -> None:
    answer = client(app).post("/graphql", json={"query": "{ who }"}, headers={"x-user": "ada"})
    assert answer.json() == {"data": {"who": "ada at /graphql"}}
    assert answer.headers["x-who"] == "told"


def test_a_browser_gets_the_page(client: Clients) -> None:
    answer = client(app).get("/graphql", headers={"accept": "text/html"})
    assert answer.headers["content-type"].startswith("text/html")
    assert "graphiql" in answer.text.lower()


def test_a_subscription(client: Clients) -> None:
    with client(app).websocket_connect("/graphql", [GRAPHQL_TRANSPORT_WS_PROTOCOL]) as websocket:
        websocket.send_json({"type": "connection_init"})
        assert websocket.receive_json()["type"] == "connection_ack"
        payload = {"query": "subscription { count(to: 3) }"}
        websocket.send_json({"id": "1", "type": "subscribe", "payload": payload})
        received = [websocket.receive_json() for _ in range(4)]
        assert [item["payload"]["data"]["count"] for item in received[:3]] == [0, 1, 2]
        assert received[3] == {"id": "1", "type": "complete"}
