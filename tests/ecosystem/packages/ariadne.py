"""GraphQL from a schema: queries, mutations, errors, and a context of the request."""
# /// script
# dependencies = ["ariadne"]
# ///

from ariadne import MutationType, QueryType, make_executable_schema
from ariadne.asgi import GraphQL
from fastapi import FastAPI, Request

from tests.ecosystem.plugin import Clients

query, mutation = QueryType(), MutationType()
names = []


@query.field("hello")
async def hello(_, info, name="you"):
    return f"Hello {name} from {info.context['request'].headers['x-user']}"


@mutation.field("add")
def add(_, info, name):
    if not name:
        raise ValueError("A name is wanted.")
    names.append(name)
    return names


schema = make_executable_schema(
    """
    type Query { hello(name: String): String! }
    type Mutation { add(name: String!): [String!]! }
    """,
    query,
    mutation,
)
app = FastAPI()
mounted = GraphQL(schema)
app.mount("/graphql", mounted)


@app.post("/endpoint")
async def endpoint(request: Request):
    return await mounted.handle_request(request)


def test_queries_and_mutations(client: Clients) -> None:
    http = client(app, headers={"x-user": "ada"})
    for path in ("/graphql/", "/endpoint"):
        asked = {"query": "query($n: String) { hello(name: $n) }", "variables": {"n": "bob"}}
        assert http.post(path, json=asked).json() == {"data": {"hello": "Hello bob from ada"}}
    names.clear()
    assert http.post("/graphql/", json={"query": 'mutation { add(name: "x") }'}).json() == {"data": {"add": ["x"]}}


def test_errors_are_answers(client: Clients) -> None:
    http = client(app, headers={"x-user": "ada"})
    failed = http.post("/graphql/", json={"query": 'mutation { add(name: "") }'}).json()
    assert failed["errors"][0]["message"] == "A name is wanted."
    assert http.post("/graphql/", json={"query": "{ nothing }"}).status_code == 400
    assert "<html" in http.get("/graphql/", headers={"accept": "text/html"}).text.lower()
