"""Messages from templates."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core import clock

# Plain text, so nothing is escaped as HTML.
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701
)


def compose(template: str, *, sender: str, to: str, display_name: str, message_id: str, **values: Any) -> EmailMessage:
    """Return the message of a template, whose first line is the subject.

    The Message-ID is the caller's, so that a repeated delivery can be recognised.
    """
    subject, _, body = _templates.get_template(f"{template}.txt").render(name=display_name, **values).partition("\n")
    message = EmailMessage()
    # A header is one line; a title may hold what would end it.
    message["Subject"] = " ".join(subject.split())
    message["From"] = sender
    message["To"] = Address(display_name=" ".join(display_name.split()), addr_spec=to)
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<{message_id}@tasklane>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation replies, please.
    message.set_content(body.lstrip("\n"))
    return message
