"""E-mail: what is composed, and how it leaves, by a real SMTP server too."""

import email
import email.policy
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import trustme
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from core.jobs.model import Job, JobState
from core.mail import service as mails
from core.mail.compose import compose
from core.mail.delivery import MailDelayed, MailRefused, delivered
from core.platform.config.errors import ConfigError
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.runs.run import Run
from tests.support import smtp, work
from tests.support.engines import on_both
from tests.support.people import Person
from tests.support.ports import free_port
from tests.support.smtp import Mailbox
from workers.jobs import emails

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

LINK = "https://tasks.example.com/api/v1/notifications/unsubscribe/" + "token" * 20


class Recipient:
    username = "ada"


def message(**values: Any) -> EmailMessage:
    whole = {"sender": "Tasklane <t@example.com>", "to": "ada@example.com", "display_name": "Ada", "message_id": "id-1"}
    return compose("welcome", **{**whole, "user": Recipient(), **values})


def text_of(mail: Any, kind: str = "plain") -> str:
    """Return one of the two ways in which a message says it."""
    content: str = mail.get_body((kind,)).get_content()
    return content.replace("\r\n", "\n")


def parsed(raw: bytes) -> Any:
    return email.message_from_bytes(raw, policy=email.policy.default)


# --- composing ----------------------------------------------------------------


def test_a_message_has_what_a_mail_client_needs() -> None:
    composed = message()
    assert composed["Subject"] == "Welcome to Tasklane, Ada"
    assert composed["To"] == "Ada <ada@example.com>"
    assert composed["Message-ID"] == "<id-1@example.com>"
    assert composed["Auto-Submitted"] == "auto-generated"
    assert composed["List-Unsubscribe"] is None
    assert composed.get_content_type() == "multipart/alternative"
    # Clients show the last part that they understand.
    assert [part.get_content_type() for part in composed.iter_parts()] == ["text/plain", "text/html"]
    assert "Log in as ada" in text_of(composed)
    assert "Log in as <strong>ada</strong>" in text_of(composed, "html")


def test_a_link_to_unsubscribe_is_in_the_headers_and_in_both_texts() -> None:
    composed = message(unsubscribe_url=LINK)
    # Whole, because mail programs neither unfold nor decode it.
    assert f"\r\nList-Unsubscribe: <{LINK}>\r\n".encode() in composed.as_bytes()
    assert composed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert LINK in text_of(composed)
    assert LINK in text_of(composed, "html")


def test_one_click_needs_https() -> None:
    composed = message(unsubscribe_url=LINK.replace("https", "http"))
    assert composed["List-Unsubscribe"] is not None
    assert composed["List-Unsubscribe-Post"] is None


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\x00"])
def test_no_name_can_add_a_header(end: str) -> None:
    composed = message(display_name=f"Ada{end}Bcc: everybody@example.com{end}{end}Body")
    found = parsed(composed.as_bytes())
    assert found["Bcc"] is None
    assert len(found["To"].addresses) == 1
    assert found["To"].addresses[0].addr_spec == "ada@example.com"
    assert found["Subject"] == "Welcome to Tasklane, Ada Bcc: everybody@example.com Body"


@pytest.mark.parametrize(
    "name",
    [
        "Käse, Inc. <x@y>",
        '"; Bcc: b@example.com',
        "日本語" * 20,
        "👩‍💻 Ada",
        "a" * 80,
        "\\",
        "=?utf-8?q?x?=",
        "a@b",
        ", b@c",
    ],
)
def test_whatever_somebody_is_called_the_message_goes_to_them_alone(name: str) -> None:
    found = parsed(message(display_name=name).as_bytes())
    assert [address.addr_spec for address in found["To"].addresses] == ["ada@example.com"]
    assert found.defects == []


class _Outline(HTMLParser):
    """The tags and attributes of an HTML text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


EVIL = "</p><script>alert(1)</script><img src=x onerror=alert(1)> & \"quoted\" 'too'"


def test_what_people_write_is_text_and_never_markup(app: Flask, ada: Person, outbox: Path) -> None:
    ada.patch("/auth/me", {"name": EVIL[:70]})
    ada.create_task(title=EVIL, description=f"One\n{EVIL}\nThree")
    (mail,) = sent(app, outbox)
    outline = _Outline(text_of(mail, "html"))
    assert {"script", "img"}.isdisjoint(outline.tags)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text_of(mail, "html")
    assert EVIL in text_of(mail)
    assert EVIL in str(mail["Subject"])
    assert "One<br>\n" in text_of(mail, "html")


def test_no_message_loads_anything_from_anywhere(app: Flask, ada: Person, outbox: Path) -> None:
    """Neither images nor fonts nor styles: nobody learns that it was opened."""
    for mail in (*sent_in_every_kind(app, ada, outbox), message(unsubscribe_url=LINK)):
        outline = _Outline(text_of(mail, "html"))
        assert {"img", "link", "script", "iframe", "a"}.isdisjoint(outline.tags)
        assert {"src", "href", "background"}.isdisjoint(dict(outline.attributes))
        assert "url(" not in text_of(mail, "html")
        assert 'name="color-scheme" content="light dark"' in text_of(mail, "html")


def test_a_title_of_any_characters_survives(app: Flask, ada: Person, outbox: Path) -> None:
    ada.create_task(title="Käse & <b>日本語</b> 🧀" + "x" * 120, description="Line\n.\nFrom here")
    (mail,) = sent(app, outbox)
    assert "Käse & <b>日本語</b> 🧀" in str(mail["Subject"])
    assert "\n.\nFrom here" in text_of(mail)


def test_a_message_shows_the_beginning_of_a_long_description(app: Flask, ada: Person, outbox: Path) -> None:
    ada.create_task(description="word " * 1_900 + "end")
    (mail,) = sent(app, outbox)
    assert "word word ...\n" in text_of(mail)
    assert "word end" not in text_of(mail)
    assert len(mail.as_bytes()) < 12_000


def test_a_line_break_in_a_title_cannot_fake_a_line_of_the_message(app: Flask, ada: Person, outbox: Path) -> None:
    ada.create_task(title="Real\n  Due:      2001-01-01")
    (mail,) = sent(app, outbox)
    assert "  Title:    Real Due: 2001-01-01\n" in text_of(mail)


def test_a_message_needs_nothing_but_ascii_of_a_server(app: Flask, ada: Person, outbox: Path) -> None:
    ada.create_task(title="Käse", description="日本語 " * 300)
    sent(app, outbox)
    (path,) = outbox.glob("*.eml")
    raw = path.read_bytes()
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


# --- who is told what ---------------------------------------------------------


def sent(app: Flask, outbox: Path) -> list[Any]:
    """Run every due job; return the messages that this has sent, by their recipients."""
    before = set(outbox.glob("*.eml"))
    work.run_jobs(app)
    made = [parsed(path.read_bytes()) for path in sorted(set(outbox.glob("*.eml")) - before)]
    return sorted(made, key=lambda mail: recipients([mail]))


def recipients(messages: list[Any]) -> list[str]:
    return [mail["To"].addresses[0].username for mail in messages]


def about_tasks(app: Flask, outbox: Path) -> list[Any]:
    """Return what was sent, but for confirmations."""
    return [mail for mail in sent(app, outbox) if "created" not in str(mail["Subject"])]


def sent_in_every_kind(app: Flask, ada: Person, outbox: Path) -> list[Any]:
    register = {"username": "grace", "email": "grace@example.com", "password": "a long password", "name": "Grace"}
    user_id = ada.post("/auth/register", register, token="").get_json()["data"]["user_id"]
    for _ in range(2):
        ada.create_task(assignee_id=user_id)
    ada.post("/tasks/transfer", {"from_user_id": ada.user_id, "to_user_id": user_id})
    messages = sent(app, outbox)
    # Two confirmations are not needed any more by Ada, but they go to the owner of the task, whoever that is.
    assert len(messages) == 6
    return messages


def test_an_assignee_is_told_by_whom(app: Flask, ada: Person, bob: Person, outbox: Path) -> None:
    ada.patch("/auth/me", {"name": "Ada Lovelace"})
    task = ada.create_task(title="Water the plants", assignee_id=bob.user_id)
    (mail,) = about_tasks(app, outbox)
    assert recipients([mail]) == ["bob"]
    assert mail["Subject"] == f"Task {task['id']} is assigned to you: Water the plants"
    assert "Ada Lovelace has assigned a task to you." in text_of(mail)
    assert "Ada Lovelace</span> has assigned a task to you." in text_of(mail, "html")


@pytest.mark.parametrize("way", ["patch", "put", "bulk"])
def test_every_way_to_assign_tells_the_assignee(app: Flask, ada: Person, bob: Person, outbox: Path, way: str) -> None:
    task_id = ada.create_task()["id"]
    sent(app, outbox)
    if way == "patch":
        ada.patch(f"/tasks/{task_id}", {"assignee_id": bob.user_id})
    elif way == "put":
        ada.put(f"/tasks/{task_id}", {"title": "New", "status": "pending", "assignee_id": bob.user_id})
    else:
        change = {"op": "update", "id": task_id, "task": {"assignee_id": bob.user_id}}
        assert ada.post("/tasks/bulk", {"operations": [change]}).status_code == 200
    assert recipients(sent(app, outbox)) == ["bob"]


def test_a_bulk_tells_each_assignee_once(app: Flask, ada: Person, bob: Person, admin: Person, outbox: Path) -> None:
    old = ada.create_task()["id"]
    sent(app, outbox)
    task = {"assignee_id": bob.user_id}
    operations = [{"op": "create", "task": {"title": f"Part {number}", **task}} for number in range(25)]
    operations += [
        {"op": "create", "task": {"title": "Other", "assignee_id": admin.user_id}},
        {"op": "update", "id": old, "task": task},
        {"op": "create", "task": {"title": "Mine", "assignee_id": ada.user_id}},
    ]
    assert ada.post("/tasks/bulk", {"operations": operations}).status_code == 200
    messages = about_tasks(app, outbox)
    assert recipients(messages) == ["bob", "root.admin"]
    assert messages[0]["Subject"] == "26 tasks are assigned to you"
    assert text_of(messages[0]).count("  Part ") == 19
    assert "and 6 more" in text_of(messages[0])
    assert "and 6 more" in text_of(messages[0], "html")


@pytest.mark.parametrize("change", [{"title": "Other"}, {"status": "completed"}, {"assignee_id": None}])
def test_a_change_of_anything_else_tells_the_assignee_nothing(
    app: Flask, ada: Person, bob: Person, outbox: Path, change: dict[str, Any]
) -> None:
    task_id = ada.create_task(assignee_id=bob.user_id)["id"]
    sent(app, outbox)
    ada.patch(f"/tasks/{task_id}", {"assignee_id": bob.user_id})
    ada.patch(f"/tasks/{task_id}", change)
    assert sent(app, outbox) == []


def test_nobody_is_told_what_they_did_themselves(app: Flask, ada: Person, admin: Person, outbox: Path) -> None:
    ada.create_task(assignee_id=ada.user_id)
    task = ada.create_task()
    admin.patch(f"/tasks/{task['id']}", {"assignee_id": admin.user_id})
    admin.post("/tasks/transfer", {"from_user_id": ada.user_id, "to_user_id": admin.user_id})
    assert about_tasks(app, outbox) == []


def test_who_is_no_longer_the_assignee_is_not_told(app: Flask, ada: Person, bob: Person, outbox: Path) -> None:
    task_id = ada.create_task(assignee_id=bob.user_id)["id"]
    ada.patch(f"/tasks/{task_id}", {"assignee_id": None})
    assert about_tasks(app, outbox) == []
    assert reasons(app) == ["None of these tasks is assigned to this user any more."]


def reasons(app: Flask) -> list[str]:
    """Reasons for which jobs that succeeded have sent nothing."""
    with app.app_context():
        jobs = db.session.scalars(select(Job).order_by(Job.created_at)).all()
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    return [job.result["reason"] for job in jobs if job.result and job.result["delivered_to"] is None]


def test_a_receiver_gets_one_message_for_many_tasks(app: Flask, ada: Person, bob: Person, outbox: Path) -> None:
    for number in range(23):
        ada.create_task(title=f"Part {number}", due_date="2030-01-02")
    sent(app, outbox)
    ada.post("/tasks/transfer", {"from_user_id": ada.user_id, "to_user_id": bob.user_id})
    (mail,) = sent(app, outbox)
    assert recipients([mail]) == ["bob"]
    assert mail["Subject"] == "23 tasks are yours now"
    assert "ada has handed 23 tasks over to you." in text_of(mail)
    assert "Part 22, due 2030-01-02\n" in text_of(mail)
    assert "and 3 more" in text_of(mail)


def test_who_takes_over_an_account_is_told_of_its_tasks(
    app: Flask, ada: Person, bob: Person, admin: Person, outbox: Path
) -> None:
    ada.create_task(title="Left behind")
    admin.create_task(assignee_id=ada.user_id, title="Also left")
    sent(app, outbox)
    assert admin.delete(f"/users/{ada.user_id}?transfer_to={bob.user_id}").status_code == 204
    (mail,) = sent(app, outbox)
    assert recipients([mail]) == ["bob"]
    assert "root.admin has handed 2 tasks over to you." in text_of(mail)


def test_a_refused_transfer_tells_nobody(app: Flask, ada: Person, bob: Person, outbox: Path) -> None:
    ada.create_task()
    sent(app, outbox)
    body = {"from_user_id": ada.user_id, "to_user_id": bob.user_id, "task_ids": [999_999]}
    assert ada.post("/tasks/transfer", body).status_code == 422
    assert sent(app, outbox) == []


def test_a_message_that_is_not_needed_any_more_is_no_failure(
    app: Flask, ada: Person, bob: Person, admin: Person, outbox: Path
) -> None:
    gone = ada.create_task()["id"]
    ada.delete(f"/tasks/{gone}")
    admin.create_task(assignee_id=bob.user_id)
    assert admin.patch(f"/users/{bob.user_id}", {"is_active": False}).status_code == 200
    assert recipients(sent(app, outbox)) == ["root.admin"]
    assert sorted(reasons(app)) == [
        f"Task {gone} was deleted before its confirmation was sent.",
        f"User {bob.user_id} is inactive.",
    ]


@on_both
def test_assigning_costs_no_statement_more_than_its_job(ada: Person, bob: Person, statements: list[str]) -> None:
    statements.clear()
    ada.create_task(assignee_id=bob.user_id)
    # The session, the assignee, the task, its history, both jobs.
    assert len(statements) == 5, statements


# --- by SMTP ------------------------------------------------------------------


def deliver(message: EmailMessage, settings: Settings) -> str:
    with delivered(message, settings, name="x") as where:
        return where


def test_delivering_again_into_the_outbox_replaces_the_file(settings: Settings) -> None:
    for _ in range(2):
        with delivered(message(), settings, name="welcome-again") as where:
            assert where == "outbox/welcome-again.eml"
    assert [path.name for path in (settings.instance_path / "outbox").iterdir()] == ["welcome-again.eml"]


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings of an installation whose database nobody asks."""
    return make_settings("sqlite://", "redis://localhost")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box, controller = smtp.start()
    yield box
    controller.stop()


def with_server(settings: Settings, box: Mailbox, **options: Any) -> Settings:
    known = {"server": "127.0.0.1", "port": box.port, "username": "tasklane", "password": "secret", "use_tls": False}
    return replace(settings, mail=replace(settings.mail, **{**known, **options}))


@pytest.fixture
def by_smtp(settings: Settings, mailbox: Mailbox) -> Settings:
    return with_server(settings, mailbox)


@pytest.fixture
def smtp_app(remake_app: Callable[..., Flask], mailbox: Mailbox) -> Flask:
    return remake_app(
        mail__server="127.0.0.1",
        mail__port=mailbox.port,
        mail__username="tasklane",
        mail__password="secret",
        mail__use_tls=False,
        mail__timeout_seconds=5.0,
        mail__reply_seconds=5.0,
    )


@pytest.fixture
def job_id(app: Flask, ada: Person) -> UUID:
    """A confirmation that is to be sent."""
    ada.create_task()
    with app.app_context():
        return db.session.scalars(select(Job.id).where(Job.kind == "email.task_created")).one()


def test_a_real_smtp_server_gets_the_message(by_smtp: Settings, mailbox: Mailbox) -> None:
    assert deliver(message(), by_smtp) == "smtp"
    assert [str(mail["Subject"]) for mail in mailbox.received] == ["Welcome to Tasklane, Ada"]
    assert mailbox.received[0]["Message-ID"] == "<id-1@example.com>"


@pytest.mark.parametrize("body", ["Line\n.\nFrom here", ".", "..", "a\r.\rb", "\n.\r\nQUIT\r\n"])
def test_no_text_ends_a_message_early(by_smtp: Settings, mailbox: Mailbox, body: str) -> None:
    composed = message()
    part: Any = composed.get_body(("plain",))
    part.set_content(body)
    deliver(composed, by_smtp)
    wanted = body.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    assert text_of(mailbox.received[0]).rstrip("\n") == wanted
    assert mailbox.commands == ["MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize(
    ("command", "answer", "error"),
    [
        ("RCPT", "550 5.1.1 No such user", MailRefused),
        ("RCPT", "553 Not here", MailRefused),
        ("RCPT", "501 What is this", MailRefused),
        ("DATA", "554 Spam", MailRefused),
        ("DATA", "552 Too large", MailRefused),
        ("RCPT", "450 Greylisted", MailDelayed),
        ("RCPT", "452 Mailbox full", MailDelayed),
        ("RCPT", "421 Going down", MailDelayed),
        ("DATA", "451 Try later", MailDelayed),
        ("DATA", "421 Going down", MailDelayed),
        ("MAIL", "451 Try later", MailDelayed),
        # What an operator has to mend is no reason to lose a message.
        ("MAIL", "553 Sender not allowed", MailDelayed),
        ("MAIL", "530 Authentication required", MailDelayed),
        ("RCPT", "530 Must issue a STARTTLS command first", MailDelayed),
    ],
)
def test_a_refusal_for_good_is_told_from_what_may_pass(
    by_smtp: Settings, mailbox: Mailbox, command: str, answer: str, error: type[Exception]
) -> None:
    mailbox.answers[command] = answer
    with pytest.raises(error, match=answer[:3]) as raised:
        deliver(message(), by_smtp)
    assert raised.value.reply == answer  # type: ignore[attr-defined]
    assert mailbox.received == []


def test_a_wrong_password_of_the_mail_account_loses_no_mail(by_smtp: Settings) -> None:
    with pytest.raises(MailDelayed, match=r"^The mail server does not accept our login \(535\)\.$") as raised:
        deliver(message(), replace(by_smtp, mail=replace(by_smtp.mail, password="wrong")))
    assert raised.value.is_fault


def test_a_server_without_starttls_loses_no_mail_and_learns_no_password(by_smtp: Settings, mailbox: Mailbox) -> None:
    with pytest.raises(MailDelayed, match="does not offer the encryption"):
        deliver(message(), replace(by_smtp, mail=replace(by_smtp.mail, use_tls=True)))
    assert mailbox.commands == []


def test_a_server_that_is_away_may_come_back(by_smtp: Settings) -> None:
    with pytest.raises(MailDelayed, match="cannot be reached"):
        deliver(message(), replace(by_smtp, mail=replace(by_smtp.mail, port=free_port())))


def test_a_server_of_no_known_name_may_come_back(by_smtp: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    with pytest.raises(MailDelayed, match="cannot be reached") as raised:
        deliver(message(), by_smtp)
    assert "Name or service not known" in raised.value.reply


def test_a_server_that_says_nothing_is_left_after_a_while(by_smtp: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(MailDelayed, match="did not answer in time"):
            deliver(message(), replace(by_smtp, mail=replace(by_smtp.mail, port=port, timeout_seconds=0.3)))


@pytest.mark.slow
def test_a_server_may_look_at_a_message_for_longer_than_at_anything_else(by_smtp: Settings, mailbox: Mailbox) -> None:
    mailbox.data_seconds = 0.8
    patient = replace(by_smtp, mail=replace(by_smtp.mail, timeout_seconds=0.4))
    assert deliver(message(), patient) == "smtp"
    assert len(mailbox.received) == 1
    with pytest.raises(MailDelayed, match="did not answer in time"):
        deliver(message(), replace(patient, mail=replace(patient.mail, reply_seconds=0.2)))


def test_a_connection_that_ends_before_the_answer_may_mean_anything(by_smtp: Settings, mailbox: Mailbox) -> None:
    mailbox.drops_after_data = True
    with pytest.raises(MailDelayed, match="ended the connection"):
        deliver(message(), by_smtp)


@pytest.mark.parametrize("farewell", ["500 Stay", "421 Gone"])
def test_the_farewell_of_a_server_changes_nothing(by_smtp: Settings, mailbox: Mailbox, farewell: str) -> None:
    mailbox.answers["QUIT"] = farewell
    assert deliver(message(), by_smtp) == "smtp"


def test_nothing_comes_between_the_yes_of_a_server_and_its_record(by_smtp: Settings, mailbox: Mailbox) -> None:
    with delivered(message(), by_smtp, name="x"):
        assert mailbox.commands == ["MAIL", "RCPT", "DATA"]
    assert mailbox.commands == ["MAIL", "RCPT", "DATA", "QUIT"]


# --- encrypted ----------------------------------------------------------------


@pytest.fixture
def tls_mailbox(tmp_path: Path) -> Iterator[tuple[Mailbox, Path]]:
    """A server that insists on STARTTLS, and the certificate of its authority."""
    authority = trustme.CA()
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    box, controller = smtp.start(tls=context)
    yield box, path
    controller.stop()


def test_a_message_travels_encrypted(
    settings: Settings, tls_mailbox: tuple[Mailbox, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, authority = tls_mailbox
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    assert deliver(message(), with_server(settings, box, use_tls=True)) == "smtp"
    assert box.encrypted == [True]


def test_an_unknown_certificate_loses_no_mail_and_learns_no_password(
    settings: Settings, tls_mailbox: tuple[Mailbox, Path]
) -> None:
    box, _ = tls_mailbox
    with pytest.raises(MailDelayed, match="No encrypted connection") as raised:
        deliver(message(), with_server(settings, box, use_tls=True))
    assert "certificate verify failed" in raised.value.reply
    assert box.commands == []


def test_a_server_that_insists_on_encryption_is_the_operators_to_configure(
    settings: Settings, tls_mailbox: tuple[Mailbox, Path]
) -> None:
    box, _ = tls_mailbox
    with pytest.raises(MailDelayed, match="530"):
        deliver(message(), with_server(settings, box, username=""))


# --- as a job -----------------------------------------------------------------


def test_the_job_retries_what_may_pass_and_gives_up_on_a_refusal(
    smtp_app: Flask, job_id: UUID, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.answers["DATA"] = "451 4.7.1 Try later"
    job = work.run(smtp_app, job_id)
    assert (job.state, job.error) == (JobState.RETRYING, "The mail server could not take the message now (451).")
    assert "451 4.7.1 Try later" in caplog.text

    mailbox.answers["DATA"] = "554 Spam"
    job = work.run(smtp_app, job_id, attempt=1)
    assert (job.state, job.error) == (JobState.FAILED, "The mail server refused the message (554).")
    assert mailbox.received == []


def test_an_operator_reads_of_what_only_they_can_mend(
    smtp_app: Flask, job_id: UUID, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.password = "another"
    job = work.run(smtp_app, job_id)
    assert (job.state, job.error) == (JobState.RETRYING, "The mail server does not accept our login (535).")
    assert [line.levelno for line in caplog.records if line.name == "tasklane.mail"] == [logging.ERROR]
    assert "secret" not in caplog.text


def test_a_job_that_succeeded_never_sends_again(smtp_app: Flask, job_id: UUID, mailbox: Mailbox) -> None:
    for attempt in (0, 0, 1):
        job = work.run(smtp_app, job_id, attempt)
    assert (job.state, job.result) == (JobState.SUCCEEDED, {"delivered_to": "smtp"})
    assert len(mailbox.received) == 1


@on_both
def test_parallel_runs_of_one_job_send_it_once(smtp_app: Flask, job_id: UUID, mailbox: Mailbox) -> None:
    threads = [threading.Thread(target=work.run, args=(smtp_app, job_id)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mailbox.received) == 1


def test_a_repetition_can_be_recognised(smtp_app: Flask, job_id: UUID, mailbox: Mailbox) -> None:
    """The server has the message, and its answer was lost: nobody can know that."""
    mailbox.drops_after_data = True
    assert work.run(smtp_app, job_id).state is JobState.RETRYING
    mailbox.drops_after_data = False
    assert work.run(smtp_app, job_id, attempt=1).state is JobState.SUCCEEDED
    assert [mail["Message-ID"] for mail in mailbox.received] == [f"<{job_id}@localhost.localdomain>"] * 2


@on_both
def test_a_database_that_is_away_for_a_moment_sends_nothing_twice(
    smtp_app: Flask, job_id: UUID, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emails, "RECORD_PAUSES", (0.0, 0.0, 0.0))
    real, failures = Run.completing, iter((True, True))

    def fail_twice(self: Run, **result: Any) -> Any:
        if next(failures, False):
            raise OperationalError("UPDATE", {}, Exception("the connection is gone"))
        return real(self, **result)

    monkeypatch.setattr(Run, "completing", fail_twice)
    assert work.run(smtp_app, job_id).state is JobState.SUCCEEDED
    assert len(mailbox.received) == 1


def test_a_cancelled_job_does_not_begin_to_send(
    smtp_app: Flask, ada: Person, job_id: UUID, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mails.message_of

    def cancel_meanwhile(*about: Any, **options: Any) -> Any:
        assert ada.delete(f"/jobs/{job_id}").status_code == 204
        return real(*about, **options)

    monkeypatch.setattr(mails, "message_of", cancel_meanwhile)
    assert work.run(smtp_app, job_id).state is JobState.CANCELLED
    assert mailbox.commands == []


# --- configuration ------------------------------------------------------------


@pytest.mark.parametrize("sender", ["nobody", "a@b, c@d", "a@", "", "x <a@b.de> y", "Käse <ä@b.de>", "a@b\nBcc: c@d"])
def test_a_sender_that_is_no_address_is_refused_at_start(make_settings: Callable[..., Settings], sender: str) -> None:
    with pytest.raises(ConfigError, match=r"mail\.sender"):
        make_settings("sqlite://", "redis://localhost", mail__sender=sender)


@pytest.mark.parametrize(
    "url",
    ["tasks.example.com", "ftp://a", "https://u:p@a", "https://a?x=1", "https://a/#x", "https://a:x", "https://a b"],
)
def test_a_public_url_that_makes_no_links_is_refused_at_start(make_settings: Callable[..., Settings], url: str) -> None:
    with pytest.raises(ConfigError, match="public_url"):
        make_settings("sqlite://", "redis://localhost", public_url=url)


@pytest.mark.parametrize(
    ("key", "value"), [("reminder_hour", 24), ("reminder_hour", -1), ("reply_seconds", 301), ("reply_seconds", 0)]
)
def test_times_of_mail_have_limits(make_settings: Callable[..., Settings], key: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"mail\.{key}"):
        make_settings("sqlite://", "redis://localhost", **{f"mail__{key}": value})


def test_the_message_id_is_of_the_senders_domain() -> None:
    domain = "a-long-name." * 10 + "corp.example"
    composed = message(sender=f'"Tasks, Inc" <tasks@{domain}>', message_id="x" * 36)
    assert f"\r\nMessage-ID: <{'x' * 36}@{domain}>\r\n".encode() in composed.as_bytes()
