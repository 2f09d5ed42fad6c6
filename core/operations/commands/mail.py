"""Trying out the mail server."""

import click

from core.mail import service as mails
from core.mail.delivery import MailDelayed, MailRefused
from core.operations.commands.common import in_app, refusals
from core.operations.commands.process import Failure
from core.platform.config.current import current_settings


@click.group()
def mail() -> None:
    """Try out the mail server."""


@mail.command("test")
@click.argument("address")
@in_app
def send_test(address: str) -> None:
    """Send a test message to ADDRESS, and say what went wrong if it cannot be sent."""
    settings = current_settings()
    server = f"{settings.mail.server}:{settings.mail.port}"
    with refusals():
        try:
            where = mails.send_test(settings, address=address)
        except (MailRefused, MailDelayed) as error:
            raise Failure(f"{error.message[:-1]}: {error.reply.rstrip('.')}. The server is {server}.") from None
    if settings.mail.server:
        click.echo(f"{server} has taken a message to {address}.")
    else:
        click.echo(f"No mail server is configured, so the message is in {settings.instance_path / where}.")
