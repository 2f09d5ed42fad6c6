"""Faults of the configuration."""

from typing import IO

from click import ClickException, echo


class ConfigError(ClickException):
    """The configuration cannot be used; the message says every reason at once, also where `flask` runs a command."""

    def show(self, file: IO[str] | None = None) -> None:
        echo(f"tasklane: {self.message}", err=True)


class ConfigWarning(UserWarning):
    """Warning that a part of the configuration has no effect."""
