"""E-mail: what is composed, and how it leaves, by a real SMTP server too."""

import email
import email.policy
import smtplib
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from flask import Flask

from core.config import Settings
from core.jobs import lifecycle
from core.jobs.model import Job, JobState
from core.mail.compose import compose
from core.mail.delivery import MailRefused, deliver
from tests.support.people import Person
from workers.runner import run_job

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


def message(**values: Any) -> EmailMessage:
    class Recipient:
        username = "ada"

    whole = {"sender": "Tasklane <t@example.com>", "to": "ada@example.com", "display_name": "Ada", "message_id": "id-1"}
    return compose("welcome", **{**whole, "user": Recipient(), **values})


def test_a_message_has_what_a_mail_client_needs() -> None:
    composed = message()
    assert composed["Subject"] == "Welcome to Tasklane, Ada"
    assert composed["To"] == "Ada <ada@example.com>"
    assert composed["Message-ID"] == "<id-1@tasklane>"
    assert composed["Auto-Submitted"] == "auto-generated"
    assert "Log in as ada" in composed.get_content()


def test_no_name_can_add_a_header() -> None:
    composed = message(display_name="Ada\r\nBcc: everybody@example.com\r\n\r\nBody")
    parsed = email.message_from_bytes(composed.as_bytes(), policy=email.policy.default)
    assert parsed["Bcc"] is None
    assert len(parsed["To"].addresses) == 1


def test_a_title_of_any_characters_survives(app: Flask, ada: Person, outbox: Path) -> None:
    ada.create_task(title="Käse & <b>日本語</b> 🧀" + "x" * 120, description="Line\n.\nFrom here")
    run_jobs(app)
    delivered = next(outbox.glob("task_created-*.eml"))
    parsed = email.message_from_bytes(delivered.read_bytes(), policy=email.policy.default)
    assert "Käse & <b>日本語</b> 🧀" in str(parsed["Subject"])
    assert "\n.\nFrom here" in parsed.get_content().replace("\r\n", "\n")


def run_jobs(app: Flask) -> list[lifecycle.Sending]:
    """Run every due job in this process, the way a worker does."""
    with app.app_context():
        sendings = lifecycle.take_due(lease_seconds=30)
    for sending in sendings:
        with app.app_context():
            run_job(str(sending.job_id), sending.attempt)
    return sendings


def test_delivering_again_into_the_outbox_replaces_the_file(app: Flask) -> None:
    settings: Settings = app.extensions["tasklane"]
    for _ in range(2):
        assert deliver(message(), settings, name="welcome-again") == "outbox/welcome-again.eml"
    assert [path.name for path in (settings.instance_path / "outbox").glob("*again*")] == ["welcome-again.eml"]


class Mailbox:
    """What a real SMTP server received, and how it is to answer."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.answer = "250 OK"
        self.recipient_answer = "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.received.append(email.message_from_bytes(envelope.content or b"", policy=email.policy.default))  # type: ignore[arg-type]
        return self.answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"tasklane", b"secret")
        return AuthResult(success=right, handled=False)

    port = free_port()
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        authenticator=check,
        auth_required=True,
        auth_require_tls=False,
    )
    controller.start()
    yield box, port
    controller.stop()


@pytest.fixture
def by_smtp(app: Flask, mailbox: tuple[Mailbox, int]) -> Settings:
    settings: Settings = app.extensions["tasklane"]
    mail = replace(
        settings.mail, server="127.0.0.1", port=mailbox[1], username="tasklane", password="secret", use_tls=False
    )
    return replace(settings, mail=mail)


def test_a_real_smtp_server_gets_the_message(by_smtp: Settings, mailbox: tuple[Mailbox, int]) -> None:
    assert deliver(message(), by_smtp, name="x") == "smtp"
    received = mailbox[0].received
    assert [str(mail["Subject"]) for mail in received] == ["Welcome to Tasklane, Ada"]
    assert received[0]["Message-ID"] == "<id-1@tasklane>"


@pytest.mark.parametrize("field", ["answer", "recipient_answer"])
def test_a_refusal_for_good_is_told_from_one_that_may_pass(
    by_smtp: Settings, mailbox: tuple[Mailbox, int], field: str
) -> None:
    setattr(mailbox[0], field, "550 No such mailbox")
    with pytest.raises(MailRefused, match="550"):
        deliver(message(), by_smtp, name="x")
    setattr(mailbox[0], field, "451 Try later")
    with pytest.raises(smtplib.SMTPException):
        deliver(message(), by_smtp, name="x")
    assert mailbox[0].received == []


def test_a_wrong_password_of_the_mail_account_is_a_refusal(by_smtp: Settings) -> None:
    with pytest.raises(MailRefused, match="535"):
        deliver(message(), replace(by_smtp, mail=replace(by_smtp.mail, password="wrong")), name="x")


def test_a_server_that_is_away_may_come_back(by_smtp: Settings) -> None:
    with pytest.raises(OSError, match="refused"):
        deliver(message(), replace(by_smtp, mail=replace(by_smtp.mail, port=free_port())), name="x")


def test_the_job_retries_what_may_pass_and_gives_up_on_a_refusal(
    app: Flask, remake_app: Callable[..., Flask], ada: Person, mailbox: tuple[Mailbox, int]
) -> None:
    run_jobs(app)
    other = remake_app(
        mail__server="127.0.0.1",
        mail__port=mailbox[1],
        mail__username="tasklane",
        mail__password="secret",
        mail__use_tls=False,
    )
    ada.create_task()
    mailbox[0].answer = "451 Try later"
    (sending,) = run_jobs(other)
    with app.app_context():
        job = db_job(sending)
        assert (job.state, job.attempts, job.error) == (
            JobState.RETRYING,
            1,
            "The job failed unexpectedly (SMTPDataError).",
        )

    mailbox[0].answer = "554 Spam"
    with other.app_context():
        run_job(str(sending.job_id), 1)
    with app.app_context():
        job = db_job(sending)
        assert (job.state, job.error) == (JobState.FAILED, "The mail server refused the message (554).")
    assert mailbox[0].received == []


def db_job(sending: lifecycle.Sending) -> Job:
    from core.db import db

    return db.session.get_one(Job, sending.job_id)


def test_a_confirmation_for_a_task_that_is_gone_is_not_sent(app: Flask, ada: Person, outbox: Path) -> None:
    run_jobs(app)
    before = set(outbox.glob("*.eml"))
    ada.delete(f"/tasks/{ada.create_task()['id']}")
    (sending,) = run_jobs(app)
    with app.app_context():
        assert db_job(sending).state is JobState.FAILED
        assert "was deleted before" in str(db_job(sending).error)
    assert set(outbox.glob("*.eml")) == before
