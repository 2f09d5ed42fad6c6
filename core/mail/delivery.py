"""Delivery of messages: by SMTP when a server is configured, else into a folder."""

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from pathlib import Path

from core.platform.config.settings import MailSettings, Settings
from core.platform.disk.private_files import new_private_file, sync_folder
from core.platform.errors import JobFailed, Unavailable

FAREWELL_SECONDS = 5


class MailRefused(JobFailed):
    """The server said no to this recipient or this message for good (RFC 5321, 4.2.1), so trying again is pointless.

    The message is for users; `reply` is what the server said, for operators.
    """

    def __init__(self, message: str, *, reply: str) -> None:
        super().__init__(message)
        self.reply = reply


class MailDelayed(Unavailable):
    """The message could not be sent now. `is_fault`: it does not pass by itself, an operator has to act."""

    def __init__(self, message: str, *, reply: str, is_fault: bool) -> None:
        super().__init__(message)
        self.reply = reply
        self.is_fault = is_fault


@contextmanager
def delivered(message: EmailMessage, settings: Settings, *, name: str) -> Iterator[str]:
    """Deliver the message and yield where it went, in words that a user may read.

    The body of the `with` runs as soon as the server has taken the message, and
    before anything else is said to it, so that nothing comes between its yes and
    the record of it. `name` identifies the message: delivering it again into the
    outbox replaces the file. Raises MailRefused and MailDelayed.
    """
    if not settings.mail.server:
        yield f"outbox/{_write(message, settings.instance_path / 'outbox', name).name}"
        return
    with _connected(settings.mail) as client:
        with _waiting_for_the_server():
            _send(client, message, settings.mail)
        try:
            yield "smtp"
        finally:
            # The message is the server's by now; whatever happens to the farewell changes nothing.
            with suppress(OSError, smtplib.SMTPException):
                client.quit()


def greet(mail: MailSettings) -> None:
    """Connect to the server and log in there, send nothing, and leave. Raises MailDelayed."""
    with _connected(mail) as client, _waiting_for_the_server():
        client.quit()


@contextmanager
def _connected(mail: MailSettings) -> Iterator[smtplib.SMTP]:
    """Yield a connection over which messages can be sent, and close it. Raises MailDelayed."""
    # To load the certificates of all authorities takes many times as long as the letter.
    tls = ssl.create_default_context() if mail.use_ssl or mail.use_tls else None
    timeout = mail.timeout_seconds
    with _waiting_for_the_server():
        client = (
            smtplib.SMTP_SSL(mail.server, mail.port, timeout=timeout, context=tls)
            if mail.use_ssl
            else smtplib.SMTP(mail.server, mail.port, timeout=timeout)
        )
    try:
        with _waiting_for_the_server():
            if mail.use_tls and not mail.use_ssl:
                client.starttls(context=tls)
            if mail.username:
                client.login(mail.username, mail.password)
            client.ehlo_or_helo_if_needed()
        yield client
    finally:
        client.close()


@contextmanager
def _waiting_for_the_server() -> Iterator[None]:
    """Turn what is wrong with the server, or with the way to it, into MailDelayed."""
    try:
        yield
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        raise _delayed(error) from error


def _send(client: smtplib.SMTP, message: EmailMessage, mail: MailSettings) -> None:
    sender = message["From"].addresses[0].addr_spec
    recipient = message["To"].addresses[0].addr_spec
    code, words = client.mail(sender)
    if code >= 500:
        # Not about this message: a sender that is not welcome is the operator's to mend.
        raise _delay("The mail server does not accept our sender address", code, words, is_fault=True)
    _require(2, (code, words), "")
    _require(2, client.rcpt(recipient), "The mail server refused the recipient")
    _require(3, client.docmd("DATA"), "The mail server refused the message")
    body = re.sub(rb"(?m)^\.", b"..", message.as_bytes())
    client.send(body + (b"" if body.endswith(b"\r\n") else b"\r\n") + b".\r\n")
    # It has the message and may be looking at it. Who does not wait for the answer sends it twice (RFC 1047).
    if client.sock is not None:
        client.sock.settimeout(mail.reply_seconds)
    _require(2, client.getreply(), "The mail server refused the message")
    if client.sock is not None:
        client.sock.settimeout(FAREWELL_SECONDS)


def _require(kind: int, reply: tuple[int, bytes], refusal: str) -> None:
    """Raise MailRefused or MailDelayed unless the server gave an answer of this kind (RFC 5321, 4.2.1)."""
    code, words = reply
    if code // 100 == kind:
        return
    if code == 530:  # About our login (RFC 4954) or TLS (RFC 3207), so it is the operator's to mend.
        raise _delay("The mail server wants a login or encryption first", code, words, is_fault=True)
    if code // 100 == 5:
        raise MailRefused(f"{refusal} ({code}).", reply=_shown(f"{code} {words.decode(errors='replace')}"))
    raise _delay(NOT_NOW, code, words)


NOT_NOW = "The mail server could not take the message now"

# What is wrong with the connection, the most special first. All of it may pass, or can be
# mended by an operator, and must lose no mail until then.
_FAULTS: list[tuple[type[Exception], str]] = [
    (smtplib.SMTPAuthenticationError, "The mail server does not accept our login"),
    (smtplib.SMTPNotSupportedError, "The mail server does not offer the encryption or the login that is configured"),
    (ssl.SSLError, "No encrypted connection to the mail server could be made"),
    (smtplib.SMTPServerDisconnected, "The mail server ended the connection, or did not answer in time"),
    (smtplib.SMTPResponseException, NOT_NOW),
    (OSError, "The mail server cannot be reached"),
    (Exception, "The mail server cannot be used"),
]


def _delayed(error: Exception) -> MailDelayed:
    sentence = next(sentence for kind, sentence in _FAULTS if isinstance(error, kind))
    if isinstance(error, smtplib.SMTPResponseException):
        return _delay(sentence, error.smtp_code, error.smtp_error, is_fault=error.smtp_code >= 500)
    return _delay(sentence, None, str(error), is_fault=True)


def _delay(sentence: str, code: int | None, words: bytes | str, *, is_fault: bool = False) -> MailDelayed:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    if code is None:
        return MailDelayed(f"{sentence}.", reply=_shown(text), is_fault=is_fault)
    return MailDelayed(f"{sentence} ({code}).", reply=_shown(f"{code} {text}"), is_fault=is_fault)


def _shown(words: str) -> str:
    return " ".join(words.split())[:300]


def _write(message: EmailMessage, outbox: Path, name: str) -> Path:
    outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = outbox / f"{name}.eml"
    draft = outbox / f".{name}.tmp"
    # An attempt that was killed may have left one.
    draft.unlink(missing_ok=True)
    with new_private_file(draft) as file:
        file.write(message.as_bytes())
    draft.replace(target)
    sync_folder(outbox)
    return target
