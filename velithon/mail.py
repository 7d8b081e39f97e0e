"""Mail: one mailer for an application, over SMTP in production, into files or memory elsewhere.

`mailer_from_url("smtp://user:password@mail.example.org", sender="Shop <shop@example.org>")` needs
`pip install "velithon[mail]"`; the others need nothing.

Exceptions:

    MailError       a message was not accepted
"""

from __future__ import annotations

import asyncio
import re
import ssl
from abc import ABC, abstractmethod
from collections import deque
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid, parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FileMailer", "MailError", "Mailer", "MemoryMailer", "SMTPMailer", "mailer_from_url"]

_SUBMISSION_PORT = 587
_TLS_PORT = 465
_KEPT = 1_000


class MailError(Exception):
    """A message was not accepted, and nobody gets it.

    Try again later, best in a job with retries.
    """


class Mailer(ABC):
    """Sends messages from one address.

    Args:
        sender: Who writes, such as `Shop <shop@example.org>`.

    Raises:
        ValueError: The sender is no address.
    """

    def __init__(self, sender: str) -> None:
        name, address = parseaddr(sender)
        self.sender = _parse_address(name, address)

    def message(
        self, to: str, subject: str, text: str, *, html: str | None = None, headers: Mapping[str, str] | None = None
    ) -> EmailMessage:
        """Return a message from the mailer's address.

        Args:
            to: The address of the one who gets it.
            subject: One line.
            text: The message, as plain text.
            html: The same as HTML, for programs that show it.
            headers: Further headers, such as `Reply-To`.

        Raises:
            ValueError: The address is none, or a line break is where none may be.
        """
        message = EmailMessage(policy=SMTP)
        message["From"] = self.sender
        message["To"] = _parse_address("", to)
        message["Subject"] = subject
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = make_msgid(domain=self.sender.domain)
        for name, value in (headers or {}).items():
            message[name] = value
        message.set_content(text)
        if html is not None:
            message.add_alternative(html, subtype="html")
        return message

    async def send(
        self, to: str, subject: str, text: str, *, html: str | None = None, headers: Mapping[str, str] | None = None
    ) -> EmailMessage:
        """Send a message, and return it; see `message` for what it takes.

        Raises:
            ValueError: The message cannot be made.
            MailError: It was not accepted.
        """
        message = self.message(to, subject, text, html=html, headers=headers)
        await self.deliver(message)
        return message

    @abstractmethod
    async def deliver(self, message: EmailMessage) -> None:
        """Hand a message on.

        Raises:
            MailError: It was not accepted.
        """


class MemoryMailer(Mailer):
    """Keeps messages in `outbox`, the last 1,000: for tests.

    Args:
        sender: Who writes.
    """

    def __init__(self, sender: str) -> None:
        super().__init__(sender)
        self.outbox: deque[EmailMessage] = deque(maxlen=_KEPT)

    async def deliver(self, message: EmailMessage) -> None:
        """Keep a message."""
        self.outbox.append(message)


class FileMailer(Mailer):
    """Writes each message into a file of its own, `.eml`: for development.

    Args:
        sender: Who writes.
        directory: Where; it is made when the first message comes.
    """

    def __init__(self, sender: str, directory: Path) -> None:
        super().__init__(sender)
        self.directory = directory

    async def deliver(self, message: EmailMessage) -> None:
        """Write a message."""
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as exc:
            raise MailError(f"The message cannot be written to {self.directory}: {exc}") from exc

    def _write(self, message: EmailMessage) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        (self.directory / f"{name}.eml").write_bytes(message.as_bytes())


class SMTPMailer(Mailer):
    """Hands messages to a mail server, one connection each.

    Args:
        sender: Who writes.
        host: The server.
        port: 587 by default, 465 with `tls="implicit"`.
        username: For the login; none without.
        password: Likewise.
        tls: `"starttls"` turns the connection into an encrypted one, and fails where the server cannot;
            `"implicit"` is encrypted from the start; `"none"` is not, and logs in nowhere.
        context: Whom to trust; the system's certificates by default.
        timeout: Seconds for each step.

    Raises:
        ValueError: `tls` is none of the three, or a password would be sent in the clear.
    """

    def __init__(
        self,
        sender: str,
        host: str,
        port: int | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        tls: str = "starttls",
        context: ssl.SSLContext | None = None,
        timeout: float = 30.0,
    ) -> None:
        super().__init__(sender)
        if tls not in ("starttls", "implicit", "none"):
            raise ValueError(f'tls is "starttls", "implicit" or "none", not {tls!r}.')
        if tls == "none" and password is not None:
            raise ValueError('A password is not sent in the clear: use tls="starttls" or "implicit".')
        _import_aiosmtplib()
        self._options: dict[str, Any] = {
            "hostname": host,
            "port": port or (_TLS_PORT if tls == "implicit" else _SUBMISSION_PORT),
            "username": username,
            "password": password,
            "use_tls": tls == "implicit",
            "start_tls": tls == "starttls",
            "tls_context": context,
            "timeout": timeout,
        }

    async def deliver(self, message: EmailMessage) -> None:
        """Hand a message to the server.

        Raises:
            MailError: The server cannot be reached, or refuses.
        """
        aiosmtplib = _import_aiosmtplib()
        try:
            await aiosmtplib.send(message, **self._options)
        except (aiosmtplib.SMTPException, OSError) as exc:
            raise MailError(f"The mail server {self._options['hostname']} did not take the message: {exc}") from exc


def mailer_from_url(url: str, *, sender: str) -> Mailer:
    """Return the mailer that a URL names.

    Args:
        url: `smtp://user:password@host:587` with STARTTLS, or without any encryption by `?tls=none`;
            `smtps://...` encrypted from the start; `file:directory`; `memory://`. User and password are
            percent-encoded.
        sender: Who writes, such as `Shop <shop@example.org>`.

    Raises:
        ValueError: The URL names none, or has an option that does not exist.
        ImportError: SMTP, and the extra `mail` is missing.
    """
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    tls = options.pop("tls", "implicit" if parts.scheme == "smtps" else "starttls")
    if options or (parts.scheme not in ("smtp", "smtps") and parts.query):
        raise ValueError(
            f"The URL of a mailer has no options but tls=, and that with smtp; it is {_hide_password(url)!r}."
        )
    if parts.scheme == "memory":
        return MemoryMailer(sender)
    if parts.scheme == "file" and parts.path:
        return FileMailer(sender, Path(unquote(parts.netloc + parts.path)))
    if parts.scheme in ("smtp", "smtps") and parts.hostname:
        username = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        return SMTPMailer(sender, parts.hostname, parts.port, username=username, password=password, tls=tls)
    raise ValueError(
        f"A mailer's URL begins with smtp://, smtps://, file:// or memory://; it is {_hide_password(url)!r}."
    )


def _hide_password(url: str) -> str:
    return re.sub(r":[^:/@]*@", ":***@", url)


def _parse_address(name: str, address: str) -> Address:
    try:
        made = Address(name, addr_spec=address)
    except (ValueError, IndexError, MessageError) as exc:
        raise ValueError(f"{address!r} is no mail address.") from exc
    if not made.username or not made.domain:
        raise ValueError(f"{address!r} is no mail address: it has no name, or no domain.")
    return made


def _import_aiosmtplib() -> Any:
    try:
        import aiosmtplib
    except ImportError as exc:  # pragma: no cover - the extra is installed where tests run
        raise ImportError('Mail over SMTP needs aiosmtplib: pip install "velithon[mail]"') from exc
    return aiosmtplib
