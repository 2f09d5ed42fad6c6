"""A real SMTP server that answers as a test wants it to."""

import asyncio
import email
import email.policy
import ssl
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.ports import free_port


class Mailbox:
    """Messages that the server received, and its answers to come. `answers` are by command; 250 where there is none.

    `accepts` is the number of messages that were taken for good, whatever
    happened to the answer; `drops_after_data` closes the connection instead of it.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.received: list[EmailMessage] = []
        self.commands: list[str] = []
        self.encrypted: list[bool] = []
        self.answers: dict[str, str] = {}
        self.drops_after_data = False
        self.data_seconds = 0.0
        self.password = "secret"

    # aiosmtpd calls these by their names.

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.commands.append("MAIL")
        envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.commands.append("RCPT")
        answer = self.answers.get("RCPT", "250 OK")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str | None:  # noqa: N802
        self.commands.append("DATA")
        await asyncio.sleep(self.data_seconds)
        answer = self.answers.get("DATA", "250 OK")
        if answer.startswith("2"):
            content: Any = envelope.content
            self.received.append(email.message_from_bytes(content, policy=email.policy.default))  # type: ignore[arg-type]
            self.encrypted.append(session.ssl is not None)
        if self.drops_after_data:
            assert server.transport is not None
            server.transport.abort()
        return answer

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.commands.append("QUIT")
        return self.answers.get("QUIT", "221 Bye")


def start(*, tls: ssl.SSLContext | None = None, port: int | None = None) -> tuple[Mailbox, Controller]:
    """Start a server that lets in tasklane with the password `secret`; after STARTTLS only, if it has a certificate."""
    box = Mailbox(port or free_port())

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"tasklane", box.password.encode())
        return AuthResult(success=right, handled=False)

    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        authenticator=check,
        auth_required=True,
        auth_require_tls=tls is not None,
        tls_context=tls,
        require_starttls=tls is not None,
    )
    controller.start()
    return box, controller
