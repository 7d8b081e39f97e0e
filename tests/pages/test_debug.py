"""The debug page shows what a developer needs and nothing that is secret, and only under debug."""

import re
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, SecretStr

from tests.conftest import ClientFactory
from velithon import Depends, Header, Request, Velithon
from velithon.pages.secrets import MASK, format_value, is_secret, mask_secrets

HTML = {"accept": "text/html"}
JSON = {"accept": "application/json"}


class Login(BaseModel):
    user: str
    password: str
    key: SecretStr = SecretStr("k1-abcdef")


class Rude:
    def __repr__(self) -> str:
        raise ValueError("no")


def open_connection(region: str = "north") -> Iterator[str]:
    yield f"connection to {region}"


def divide(number: int, by: int) -> float:
    try:
        return number / by
    except ZeroDivisionError as error:
        raise ValueError(f"{number} <cannot> be divided") from error


@pytest.fixture
def app() -> Velithon:
    app = Velithon(debug=True)

    @app.get("/divide/{number}")
    async def read(
        number: int,
        request: Request,
        connection: Annotated[str, Depends(open_connection)],
        x_api_key: Annotated[str, Header()] = "",
    ) -> float:
        login = Login(user="ada", password="hunter-2")
        nested = {"inner": [{"access_token": "tok-123456", "visible": "yes"}], "pairs": request.scope["headers"]}
        url = "postgresql://ada:swordfish@127.0.0.1/db"
        rude = Rude()
        return divide(number, 0 if [login, nested, url, rude, connection] else 1)

    return app


def page(client: ClientFactory, app: Velithon, headers: dict[str, str], query: str = "?token=tok-in-url&page=2") -> Any:
    sent = {"x-api-key": "key-in-header", "authorization": "Bearer abcdefgh", "cookie": "sid=chocolate", **headers}
    answer = client(app, raise_server_exceptions=False).get(f"/divide/3{query}", headers=sent)
    assert answer.status_code == 500
    return answer


def test_the_page_starts_with_the_applications_own_code(client: ClientFactory, app: Velithon) -> None:
    """The exception, then the frame nearest to it that is the application's, with its code and values."""
    text = page(client, app, HTML).text
    own = text[text.index("In your code") : text.index("All frames")]
    body = text[text.index("<body>") :]
    assert body.index("<h1>ValueError</h1>") < body.index("3 &lt;cannot&gt; be divided") < body.index("In your code")
    assert "<code>divide</code>" in own
    assert "<mark>raise ValueError(f&quot;{number} &lt;cannot&gt; be divided&quot;) from error</mark>" in own
    assert '<th scope="row">by</th><td>0</td>' in own


def test_other_frames_are_folded_and_generated_ones_named(client: ClientFactory, app: Velithon) -> None:
    text = page(client, app, HTML).text
    assert re.search(r"<details class=\"packages\"><summary>\d+ frames? in [\w, ]*velithon", text)
    assert re.search(r"velithon GET /divide/\{number\}.*generated for this route", text)
    assert "It was raised from" in text
    assert "ZeroDivisionError" in text


def test_the_request_and_the_plan_are_there(client: ClientFactory, app: Velithon) -> None:
    text = page(client, app, HTML).text
    assert '<th scope="row">Path parameter number</th><td>3</td>' in text
    assert '<th scope="row">Query page</th><td>2</td>' in text
    plan = text[text.index("Plan of the route") :]
    assert "region &lt;- query &#x27;region&#x27;: str, default &#x27;north&#x27;" in plan
    assert "number &lt;- path &#x27;number&#x27;: int, required" in plan


@pytest.mark.parametrize("headers", [HTML, JSON, {"accept": "*/*"}], ids=["html", "json", "text"])
def test_no_secret_is_shown(client: ClientFactory, app: Velithon, headers: dict[str, str]) -> None:
    """In none of the three forms; what is not secret is."""
    text = page(client, app, headers).text
    for secret in ("hunter-2", "tok-123456", "swordfish", "k1-abcdef", "key-in-header", "abcdefgh", "chocolate"):
        assert secret not in text
    assert "tok-in-url" not in text
    if headers is not HTML and headers is not JSON:
        return
    assert MASK in text or "\\u2022" in text
    for visible in ("ada", "yes", "north"):
        assert visible in text
    assert "whose repr raised ValueError" in text


def test_clients_of_json_get_json(client: ClientFactory, app: Velithon) -> None:
    """The same as data: exceptions with their frames, the request, the plan."""
    data = page(client, app, JSON).json()
    assert data["detail"] == "Internal Server Error"
    assert [error["type"] for error in data["errors"]] == ["ValueError", "ZeroDivisionError"]
    assert data["errors"][1]["relation"] == "It was raised from"
    frame = data["errors"][0]["frames"][0]
    assert (frame["kind"], frame["function"], frame["locals"]["by"]) == ("yours", "divide", "0")
    assert frame["code"].startswith("raise ValueError")
    assert {item["kind"] for item in data["errors"][0]["frames"]} == {"yours", "generated", "package"}
    assert data["request"]["Method"] == "GET"


def test_others_get_the_traceback_as_text(client: ClientFactory, app: Velithon) -> None:
    answer = page(client, app, {"accept": "*/*"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("Traceback (most recent call last):")
    assert "ValueError: 3 <cannot> be divided" in answer.text


def test_the_page_runs_no_code_but_its_own(client: ClientFactory, app: Velithon) -> None:
    """Whatever the exception says, and it is kept nowhere."""
    answer = page(client, app, HTML)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"


def test_without_debug_nothing_is_told(client: ClientFactory, app: Velithon) -> None:
    app.debug = False
    for headers in (HTML, JSON, {"accept": "*/*"}):
        text = page(client, app, headers).text
        assert "divide" not in text
        assert "ValueError" not in text


def test_a_deep_recursion_is_shortened(client: ClientFactory) -> None:
    app = Velithon(debug=True)

    def down(number: int) -> int:
        return down(number + 1)

    @app.get("/divide/{number}")
    async def read(number: int) -> int:
        return down(number)

    data = page(client, app, JSON, query="").json()
    assert data["errors"][0]["type"] == "RecursionError"
    assert len(data["errors"][0]["frames"]) == 120
    assert len(page(client, app, HTML, query="").text) < 1_000_000


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "X-API-Key",
        "apiKey",
        "DB_PASSWORD",
        "hashed_passwords",
        "Authorization",
        "accessToken",
        "set-cookie",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["user", "author", "tokenizer", "passenger", "opinion", "keyboard", "page", "spinner"])
def test_other_names_are_let_pass(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("User(password='abc', name='x')", f"User(password='{MASK}', name='x')"),
        ('{"token": "abc", "n": 1}', f'{{"token": "{MASK}", "n": 1}}'),
        ("redis://user:pw@host/0", f"redis://user:{MASK}@host/0"),
        ("/a?page=1&api_key=abc&x=2", f"/a?page=1&api_key={MASK}&x=2"),
        ("Bearer abcdef.ghijk", f"Bearer {MASK}"),
        ("nothing here: http://host/a:b@c", "nothing here: http://host/a:b@c"),
        ("[parameters: ('a', '$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA')]", f"[parameters: ('a', '{MASK}')]"),
        ("$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", MASK),
        ("pbkdf2_sha256$600000$salt$aGFzaGhhc2g=", MASK),
        ("$1$ and $2 are money", "$1$ and $2 are money"),
    ],
)
def test_secrets_inside_of_text_are_masked(text: str, expected: str) -> None:
    assert mask_secrets(text) == expected


def test_values_are_short() -> None:
    """Long texts, large containers, and containers that hold themselves."""
    loop: list[Any] = []
    loop.append(loop)
    for value in ("x" * 10_000, list(range(10_000)), {n: n for n in range(10_000)}, loop, {"a": loop}):
        assert len(format_value("value", value)) <= 601
