"""A WSGI application mounted beside endpoints, and the whole application served as WSGI."""
# /// script
# dependencies = ["a2wsgi", "flask"]
# ///

import io
from wsgiref.util import setup_testing_defaults

import flask
from a2wsgi import ASGIMiddleware, WSGIMiddleware
from fastapi import FastAPI

from tests.ecosystem.plugin import Clients

old = flask.Flask("old")
app = FastAPI()
app.mount("/old", WSGIMiddleware(old))


@old.post("/notes/<name>")
def note(name):
    request = flask.request
    return flask.jsonify(name=name, q=request.args["q"], body=request.json, root=request.script_root)


@app.post("/items/{item}")
async def create(item: int, body: dict[str, int]):
    return {"item": item, "body": body}


def test_flask_answers_below_its_prefix(client: Clients) -> None:
    http = client(app)
    answer = http.post("/old/notes/ada?q=x", json={"a": 1})
    assert answer.json() == {"name": "ada", "q": "x", "body": {"a": 1}, "root": "/old"}
    assert http.get("/old/nowhere").status_code == 404
    assert http.post("/items/3", json={"a": 1}).json() == {"item": 3, "body": {"a": 1}}


def test_a_wsgi_server_calls_the_application() -> None:
    body = b'{"a": 2}'
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/items/4",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    setup_testing_defaults(environ)
    started = []
    chunks = ASGIMiddleware(app)(environ, lambda status, headers, *error: started.append((status, dict(headers))))
    assert b"".join(chunks) == b'{"item":4,"body":{"a":2}}'
    status, headers = started[0]
    assert (status, headers["content-type"]) == ("200 OK", "application/json")
