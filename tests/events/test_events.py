"""Events of an application: in the process, in all processes, and as webhooks."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from tests.conftest import ClientFactory
from velithon import Depends, Velithon
from velithon.events import Event, Events, VerifiedWebhook, WebhookVerificationError, sign_webhook, verify_webhook
from velithon.jobs import JobFailedError, job

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class User(BaseModel):
    """Data of an event."""

    name: str


@pytest.mark.asyncio
async def test_handlers_hear_of_events_in_their_order() -> None:
    """Those of the type and those of a pattern, `async def` and `def`, decorated and given."""
    events = Events()
    heard: list[Any] = []

    @events.on("user.created")
    async def first(event: Event) -> None:
        heard.append(("first", event.data.name))

    @events.on("user.*")
    def second(event: Event) -> None:
        heard.append(("second", threading.current_thread() is threading.main_thread()))

    events.on("user.deleted", lambda event: heard.append(event))
    event = await events.emit("user.created", User(name="ann"))
    assert heard == [("first", "ann"), ("second", False)]
    assert event.type == "user.created"
    assert datetime.now(UTC) - event.timestamp < timedelta(minutes=1)


@pytest.mark.asyncio
async def test_a_handler_that_fails_is_logged_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    events = Events()
    heard: list[str] = []

    @events.on("x")
    async def fails(event: Event) -> None:
        raise KeyError("no")

    events.on("x", lambda event: heard.append(event.type))
    await events.emit("x")
    assert heard == ["x"]
    (record,) = caplog.records
    assert "fails" in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["", "user.*", "a?"])
async def test_patterns_cannot_be_emitted(kind: str) -> None:
    with pytest.raises(ValueError, match="type"):
        await Events().emit(kind)


@pytest.mark.asyncio
@pytest.mark.parametrize("channels", ["memory", "redis"])
async def test_events_are_heard_in_all_processes(channels: str, request: pytest.FixtureRequest) -> None:
    """Each handler once in each application, also in the one that emitted; others only where it was emitted."""
    url = None if channels == "memory" else request.getfixturevalue("redis_url")
    here, there = Velithon(channels=url), Velithon(channels=url)
    if url is None:
        there.channels = here.channels
    heard: list[tuple[str, Any]] = []

    def register(app: Velithon, name: str) -> None:
        @app.events.on("order.*", everywhere=True)
        async def everywhere(event: Event) -> None:
            heard.append((name, event.data))

        @app.events.on("order.*")
        async def local(event: Event) -> None:
            heard.append((f"{name} only", event.data))

    register(here, "here")
    register(there, "there")
    async with asyncio.timeout(10):
        async with here.router.lifespan_context(here), there.router.lifespan_context(there):
            await here.events.emit("order.paid", User(name="ann"))
            while len(heard) < 3:
                await asyncio.sleep(0.005)
            with pytest.raises(RuntimeError, match="too late"):
                here.events.on("x", print, everywhere=True)
    # Who emitted has the data itself, everybody else what JSON carried.
    assert sorted(heard, key=lambda item: item[0]) == [
        ("here", {"name": "ann"}),
        ("here only", User(name="ann")),
        ("there", {"name": "ann"}),
    ]


class Receiver:
    """Receives webhooks: answers with the statuses it was given, then with 204."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.url = ""


@contextmanager
def receiver(*statuses: int) -> Iterator[Receiver]:
    """Run a receiver on a free port."""
    found = Receiver(*statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(found.statuses.pop(0) if found.statuses else 204)
            self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.asyncio
async def test_webhooks_are_signed_and_sent_again_until_they_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same id and a new signature; redirects are not followed."""
    from velithon.events.delivery import deliver_webhook

    monkeypatch.setattr(deliver_webhook, "settings", deliver_webhook.options(backoff=0.01).settings)
    app = Velithon()
    with receiver(500, 302) as hook:
        app.events.webhook("user.*", hook.url, secret=SECRET)
        async with asyncio.timeout(10):
            async with app.router.lifespan_context(app):
                event = await app.events.emit("user.created", User(name="ann"))
                await app.events.emit("order.paid")
                while len(hook.requests) < 3:
                    await asyncio.sleep(0.01)
    assert len(hook.requests) == 3
    for headers, body in hook.requests:
        verify_webhook(body, headers, SECRET)
        assert headers["webhook-id"] == event.id
        assert json.loads(body) == {
            "id": event.id,
            "event_type": "user.created",
            "timestamp": event.timestamp.isoformat(),
            "data": {"name": "ann"},
        }


@pytest.mark.asyncio
async def test_a_receiver_that_stays_away_fails_the_job() -> None:
    from velithon.events.delivery import deliver_webhook

    app = Velithon()
    app.events.webhook("x", "http://127.0.0.1:1/", secret=SECRET)
    async with app.router.lifespan_context(app):
        handle = await app.jobs.enqueue(deliver_webhook.options(retries=0), "http://127.0.0.1:1/", "id", "{}")
        with pytest.raises(JobFailedError, match="did not answer"):
            await handle.result(10)


@pytest.mark.asyncio
async def test_secrets_can_be_looked_up_where_the_webhook_is_sent() -> None:
    """And do not travel with the job."""
    app = Velithon()

    @app.events.webhook_secrets
    async def find(url: str) -> str:
        return "a secret from a database"

    with receiver() as hook:
        async with app.router.lifespan_context(app):
            handle = await app.events.deliver(hook.url, Event("x", 1))
            assert await handle.result(10) == 204
    verify_webhook(hook.requests[0][1], hook.requests[0][0], "a secret from a database")


def test_addresses_that_are_none_are_refused() -> None:
    for url in ("ftp://example.com/", "example.com", "http://"):
        with pytest.raises(ValueError, match="http or https"):
            Velithon().events.webhook("x", url)
    with pytest.raises(LookupError, match="webhook_secrets"):
        Velithon().events.secret_for("http://example.com/")


def test_signatures_are_those_of_standard_webhooks() -> None:
    """The example of its reference implementations."""
    body = b'{"test": 2432232314}'
    headers = sign_webhook(body, SECRET, id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


BODY = b'{"a":1}'


def changed(**changes: str) -> dict[str, str]:
    """Return right headers, with changes."""
    return {**sign_webhook(BODY, SECRET, id="1"), **{name.replace("_", "-"): text for name, text in changes.items()}}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (dict, "no header"),
        (lambda: changed(webhook_signature="v1,AAAA"), "not right"),
        (lambda: changed(webhook_signature="garbage é"), "not right"),
        (lambda: changed(webhook_id="2"), "not right"),
        (lambda: changed(webhook_timestamp="soon"), "no Unix time"),
        (lambda: changed(webhook_timestamp="9" * 30), "no Unix time"),
        (lambda: sign_webhook(BODY, SECRET, id="1", timestamp=int(time.time()) - 301), "300 seconds"),
        (lambda: sign_webhook(BODY, SECRET, id="1", timestamp=int(time.time()) + 400), "300 seconds"),
        (lambda: sign_webhook(BODY + b" ", SECRET, id="1"), "not right"),
        (lambda: sign_webhook(BODY, "another", id="1"), "not right"),
    ],
)
def test_webhooks_that_are_not_right_are_refused(make: Callable[[], dict[str, str]], message: str) -> None:
    """Signed when the test runs: a signature of its collection would be too old by then."""
    with pytest.raises(WebhookVerificationError, match=message):
        verify_webhook(BODY, make(), SECRET)


def test_one_right_signature_is_enough() -> None:
    """A sender signs with the old and the new secret while it changes them."""
    right = sign_webhook(BODY, SECRET, id="1")
    verify_webhook(BODY, {**right, "webhook-signature": f"v1,AAAA {right['webhook-signature']}"}, SECRET)


def test_a_secret_that_cannot_be_used_is_refused() -> None:
    for secret in ("", "whsec_?"):
        with pytest.raises(ValueError, match="secret"):
            VerifiedWebhook(secret)


def test_an_endpoint_receives_verified_webhooks(client: ClientFactory) -> None:
    app = Velithon()

    @app.post("/hook")
    async def hook(payload: Annotated[dict[str, int], Depends(VerifiedWebhook(SECRET))]) -> Any:
        return payload

    with client(app) as caller:
        assert caller.post("/hook", content=BODY, headers=sign_webhook(BODY, SECRET, id="1")).json() == {"a": 1}
        refused = caller.post("/hook", content=b"{}", headers=sign_webhook(BODY, SECRET, id="1"))
        assert (refused.status_code, "not right" in refused.json()["detail"]) == (401, True)
        assert caller.post("/hook", content=b"{", headers=sign_webhook(b"{", SECRET, id="1")).status_code == 400


@job(name="tests.heard")
async def heard_by_a_job(name: str) -> str:
    """Return the name."""
    return name


def test_handlers_can_ask_for_jobs(client: ClientFactory) -> None:
    """The way from an event to work that must not be lost."""
    app = Velithon()
    results: list[str] = []

    @app.events.on("user.created")
    async def welcome(event: Event) -> None:
        results.append(await (await heard_by_a_job.enqueue(event.data["name"])).result(5))

    @app.post("/users")
    async def create() -> None:
        await app.events.emit("user.created", {"name": "ann"})

    with client(app) as caller:
        caller.post("/users")
    assert results == ["ann"]
