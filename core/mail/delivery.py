"""How a message leaves: by SMTP when a server is configured, else into a folder."""

import os
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from core.config import MailSettings, Settings


class MailRefused(Exception):
    """The server said no for good (RFC 5321, 4.2.1: a 5yz reply), so trying again is pointless."""


def deliver(message: EmailMessage, settings: Settings, *, name: str) -> str:
    """Deliver the message; return where it went, in words that a user may read.

    `name` identifies the message: delivering it again into the outbox replaces
    the file. Raises MailRefused for a permanent refusal, OSError or
    SMTPException for anything that may pass.
    """
    if settings.mail.server:
        _send(message, settings.mail)
        return "smtp"
    return f"outbox/{_write(message, settings.instance_path / 'outbox', name).name}"


def _send(message: EmailMessage, mail: MailSettings) -> None:
    tls = ssl.create_default_context()
    try:
        if mail.use_ssl:
            client: smtplib.SMTP = smtplib.SMTP_SSL(mail.server, mail.port, timeout=mail.timeout_seconds, context=tls)
        else:
            client = smtplib.SMTP(mail.server, mail.port, timeout=mail.timeout_seconds)
        with client:
            if mail.use_tls and not mail.use_ssl:
                client.starttls(context=tls)
            if mail.username:
                client.login(mail.username, mail.password)
            client.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        if all(500 <= code < 600 for code in codes):
            raise MailRefused(f"The mail server refused the recipient ({codes[0]}).") from error
        raise
    except smtplib.SMTPResponseException as error:
        if 500 <= error.smtp_code < 600:
            raise MailRefused(f"The mail server refused the message ({error.smtp_code}).") from error
        raise


def _write(message: EmailMessage, outbox: Path, name: str) -> Path:
    outbox.mkdir(parents=True, exist_ok=True)
    target = outbox / f"{name}.eml"
    draft = outbox / f".{name}.tmp"
    with draft.open("wb") as file:
        file.write(message.as_bytes(policy=SMTP))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
    return target
