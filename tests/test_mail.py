"""Mail: what a message is made of, and what reaches a real SMTP server."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trustme import CA

from tests.services.smtp import PASSWORD, USERNAME, MailServer, mail_server
from velithon.mail import FileMailer, MailError, MemoryMailer, SMTPMailer, mailer_from_url

SENDER = "The shop <orders@shop.example>"


@pytest.fixture(scope="module")
def authority() -> CA:
    """Who signs the server's certificate."""
    return CA()


@pytest.fixture
def server(authority: CA) -> Iterator[MailServer]:
    """A server that asks for STARTTLS, and then for a login."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with mail_server(context) as running:
        yield running


def trusting(authority: CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_a_message_over_starttls_and_a_login(server: MailServer, authority: CA) -> None:
    """It arrives with its sender, its subject, both texts and its headers."""
    mailer = SMTPMailer(
        SENDER, "127.0.0.1", server.port, username=USERNAME, password=PASSWORD, context=trusting(authority)
    )
    sending = mailer.send(
        "ada@example.org", "Grüße", "Plain.", html="<p>Rich.</p>", headers={"Reply-To": "help@shop.example"}
    )
    asyncio.run(sending)
    (message,) = server.messages
    assert (message["From"], message["To"], message["Subject"]) == (SENDER, "ada@example.org", "Grüße")
    assert message["Reply-To"] == "help@shop.example"
    assert message["Message-ID"].endswith("@shop.example>")
    bodies = [message.get_body((kind,)) for kind in ("plain", "html")]
    assert [body.get_content().strip() for body in bodies if body is not None] == ["Plain.", "<p>Rich.</p>"]


# aiosmtpd leaves the connection of a client open that broke off its handshake.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_the_server_refuses_raises(server: MailServer, authority: CA) -> None:
    """A wrong password, a certificate that nobody trusts, an answer that is no yes, nobody at home."""

    def send(port: int, password: str = PASSWORD, context: ssl.SSLContext | None = None) -> None:
        mailer = SMTPMailer(SENDER, "127.0.0.1", port, username=USERNAME, password=password, context=context, timeout=5)
        asyncio.run(mailer.send("ada@example.org", "Hello", "Text."))

    with pytest.raises(MailError, match="127.0.0.1 did not take the message"):
        send(server.port, "wrong", trusting(authority))
    with pytest.raises(MailError, match="certificate"):
        send(server.port)
    server.refuses = True
    with pytest.raises(MailError, match="Not now"):
        send(server.port, context=trusting(authority))
    with pytest.raises(MailError):
        send(1)
    assert server.messages == []


def test_a_server_without_encryption() -> None:
    """It gets messages when the URL says so, and not otherwise."""
    with mail_server() as server:
        plain = mailer_from_url(f"smtp://127.0.0.1:{server.port}?tls=none", sender=SENDER)
        asyncio.run(plain.send("ada@example.org", "Hello", "Text."))
        careful = mailer_from_url(f"smtp://127.0.0.1:{server.port}", sender=SENDER)
        with pytest.raises(MailError):
            asyncio.run(careful.send("ada@example.org", "Hello", "Text."))
        assert len(server.messages) == 1


def test_messages_in_memory_and_in_files(tmp_path: Path) -> None:
    """As whole messages, in the order in which they were sent; a file that cannot be written raises."""
    memory = mailer_from_url("memory://", sender=SENDER)
    assert isinstance(memory, MemoryMailer)
    sent = asyncio.run(memory.send("ada@example.org", "Hello", "Text."))
    assert list(memory.outbox) == [sent]
    files = mailer_from_url(f"file://{tmp_path}/mails", sender=SENDER)
    assert isinstance(files, FileMailer)
    asyncio.run(files.send("ada@example.org", "Hello", "Text."))
    (path,) = (tmp_path / "mails").iterdir()
    assert email.message_from_bytes(path.read_bytes(), policy=email.policy.default)["Subject"] == "Hello"
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(MailError, match="cannot be written"):
        asyncio.run(FileMailer(SENDER, tmp_path / "taken").send("ada@example.org", "Hello", "Text."))


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("", "Hello"),
        ("ada", "Hello"),
        ("@example.org", "Hello"),
        ("ada@example.org\nBcc: eve@example.org", "Hello"),
        ("ada@example.org, eve@example.org", "Hello"),
        ("ada@example.org", "Hello\nBcc: eve@example.org"),
    ],
)
def test_nobody_adds_recipients_or_headers(to: str, subject: str) -> None:
    """What is no single address, and a line break in a subject, are refused."""
    with pytest.raises(ValueError, match="address|linefeed|newline|header"):
        MemoryMailer(SENDER).message(to, subject, "Text.")


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://mail.example.org", "begins with smtp://"),
        ("smtp://", "begins with smtp://"),
        ("smtp://u:secret@mail.example.org?tsl=none", "no options but tls="),
        ("memory://?tls=none", "no options but tls="),
        ("smtp://mail.example.org?tls=maybe", '"starttls", "implicit" or "none"'),
        ("smtp://u:secret@mail.example.org?tls=none", "not sent in the clear"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(url: str, part: str) -> None:
    """Without showing the password."""
    with pytest.raises(ValueError, match=part.replace("?", r"\?")) as raised:
        mailer_from_url(url, sender=SENDER)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.org", {"port": 587, "start_tls": True, "use_tls": False, "username": None}),
        ("smtps://mail.example.org", {"port": 465, "start_tls": False, "use_tls": True}),
        (
            "smtps://shop:p%40ss%3Aword@mail.example.org:4650",
            {"port": 4650, "username": "shop", "password": "p@ss:word"},
        ),
    ],
)
def test_a_url_names_port_encryption_and_login(url: str, expected: dict[str, Any]) -> None:
    """The ports are those of RFC 8314; what has signs in it is percent-encoded."""
    mailer = mailer_from_url(url, sender=SENDER)
    assert isinstance(mailer, SMTPMailer)
    assert {name: mailer._options[name] for name in expected} == expected
