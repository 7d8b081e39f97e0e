"""A mail server, by aiosmtpd, that keeps what it takes."""

import email
import email.policy
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.servers import free_port

USERNAME, PASSWORD = "shop", "p@ss:word"


class MailServer:
    """A running server.

    Attributes:
        port: Its port on 127.0.0.1.
        messages: What it took.
        refuses: Whether it answers messages with 451.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.messages: list[EmailMessage] = []
        self.refuses = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a message."""
        if self.refuses:
            return "451 Not now."
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 OK"


def _check_login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=right)


@contextmanager
def mail_server(context: ssl.SSLContext | None = None) -> Generator[MailServer, None, None]:
    """Run the server on a free port.

    Args:
        context: Has its certificate: it then asks for STARTTLS, and for a login as `USERNAME` with `PASSWORD`.
    """
    options: dict[str, Any] = {}
    if context is not None:
        options = {
            "tls_context": context,
            "require_starttls": True,
            "auth_required": True,
            "authenticator": _check_login,
        }
    with free_port() as port:
        server = MailServer(port)
        controller = Controller(server, hostname="127.0.0.1", port=port, **options)
        controller.start()
        try:
            yield server
        finally:
            controller.stop()
