"""Messages from templates: each as plain text and as HTML."""

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from core.mail.headers import POLICY, mailbox
from core.platform import clock

# A description may be of any length; a message shows its beginning.
EXCERPT = 2_000
# Whatever some reader takes for the end of a line, and the other control characters.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def one_line(text: str) -> str:
    """Return `text` without line breaks and control characters, which could end a header or fake a line.

    Text of one line stays as it is; of what had several, every run of white space becomes one space.
    """
    without = _CONTROLS.sub(" ", text)
    return text.strip() if without == text else " ".join(without.split())


def _excerpt(text: str) -> str:
    text = text.strip()
    return text if len(text) <= EXCERPT else text[:EXCERPT].rstrip() + " ..."


def _breaks(text: str) -> Markup:
    return Markup("<br>\n").join(escape(line) for line in text.splitlines())


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    # What people wrote is text in an HTML template, never markup; in plain text it is what it is.
    autoescape=select_autoescape(["html"], default_for_string=True, default=False),
)
_templates.filters.update(
    line=one_line, excerpt=_excerpt, breaks=_breaks, words=lambda status: str(status).replace("_", " ")
)


def compose(
    template: str,
    *,
    sender: str,
    to: str,
    display_name: str,
    message_id: str,
    unsubscribe_url: str | None = None,
    **values: Any,
) -> EmailMessage:
    """Return the message of a template, in plain text and in HTML.

    The first part of the Message-ID is the caller's, so that a repeated delivery
    can be recognised; the rest is the sender's domain. With `unsubscribe_url`
    mail programs can offer to end this kind of messages (RFC 2369, RFC 8058).
    """
    name = one_line(display_name)
    values = {**values, "name": name, "unsubscribe_url": unsubscribe_url}
    subject = _subject(template, values)
    message = EmailMessage(policy=POLICY)
    message["Subject"] = subject
    message["From"] = _sender(sender)
    message["To"] = mailbox(to, name)
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<{message_id}@{message['From'].addresses[0].domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation replies, please.
    if unsubscribe_url:
        message["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        if unsubscribe_url.startswith("https:"):  # RFC 8058, section 3.1, knows one click only there.
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(_templates.get_template(f"{template}.txt").render(values))
    message.add_alternative(
        _templates.get_template(f"{template}.html").render({**values, "subject": subject}), subtype="html"
    )
    return message


@lru_cache(maxsize=8)
def _sender(setting: str) -> Address:
    """Return the mailbox of the configuration, which has been judged at start."""
    address: Address = SMTP.header_factory("From", setting).addresses[0]
    return address


def _subject(template: str, values: dict[str, Any]) -> str:
    found = _templates.get_template(f"{template}.txt")
    return one_line("".join(found.blocks["subject"](found.new_context(values))))
