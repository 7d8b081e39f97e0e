"""Mail from endpoints and background tasks, with uploads attached and templates, to a server that runs."""
# /// script
# dependencies = ["fastapi-mail", "aiosmtpd", "python-multipart"]
# ///

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import BackgroundTasks, FastAPI, Form, UploadFile
from fastapi_mail import ConnectionConfig, FastMail, MessageSchema, MessageType
from pydantic import BaseModel, EmailStr

from tests.ecosystem.plugin import Clients
from tests.services.smtp import MailServer, mail_server


class Invitation(BaseModel):
    email: EmailStr
    name: str


@pytest.fixture(scope="module")
def mails() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


def shop(port: int, templates: Path) -> FastAPI:
    mail = FastMail(
        ConnectionConfig(
            MAIL_USERNAME="",
            MAIL_PASSWORD="",
            MAIL_FROM="shop@example.com",
            MAIL_FROM_NAME="The shop",
            MAIL_SERVER="127.0.0.1",
            MAIL_PORT=port,
            MAIL_STARTTLS=False,
            MAIL_SSL_TLS=False,
            USE_CREDENTIALS=False,
            TEMPLATE_FOLDER=templates,
        )
    )
    app = FastAPI()

    @app.post("/files")
    async def send_file(to: Annotated[EmailStr, Form()], file: UploadFile):
        message = MessageSchema(
            subject="A file", recipients=[to], body="See below.", subtype=MessageType.plain, attachments=[file]
        )
        await mail.send_message(message)

    @app.post("/invitations", status_code=202)
    async def invite(invitation: Invitation, tasks: BackgroundTasks):
        message = MessageSchema(
            subject="Welcome",
            recipients=[invitation.email],
            template_body=invitation.model_dump(),
            subtype=MessageType.html,
        )
        tasks.add_task(mail.send_message, message, template_name="welcome.html")

    return app


def test_an_upload_is_attached(client: Clients, mails: MailServer, tmp_path: Path) -> None:
    mails.messages.clear()
    answer = client(shop(mails.port, tmp_path)).post(
        "/files", data={"to": "ada@example.com"}, files={"file": ("a.txt", b"the content", "text/plain")}
    )
    assert answer.status_code == 200
    (message,) = mails.messages
    assert (message["to"], message["subject"]) == ("ada <ada@example.com>", "A file")
    assert message["from"] == "The shop <shop@example.com>"
    (attached,) = message.iter_attachments()
    assert attached.get_payload(decode=True) == b"the content"
    assert attached.get_filename() == "a.txt"


def test_a_template_is_sent_after_the_answer(client: Clients, mails: MailServer, tmp_path: Path) -> None:
    mails.messages.clear()
    (tmp_path / "welcome.html").write_text("<p>Hello {{ name }}</p>")
    http = client(shop(mails.port, tmp_path))
    assert http.post("/invitations", json={"email": "bob@example.com", "name": "Bob <b>"}).status_code == 202
    (message,) = mails.messages
    (page,) = [part for part in message.walk() if part.get_content_type() == "text/html"]
    assert page.get_content().strip() == "<p>Hello Bob &lt;b&gt;</p>"
    assert http.post("/invitations", json={"email": "nobody", "name": "x"}).status_code == 422
