"""Settings of the application in whose context something runs."""

from flask import Flask, current_app

from core.platform.config.settings import Settings

EXTENSION = "tasklane"


def bind_settings(app: Flask, settings: Settings) -> None:
    """Let everything that runs in the context of this application find its settings."""
    app.extensions[EXTENSION] = settings


def current_settings() -> Settings:
    """Return the settings of the application in whose context this runs."""
    return settings_of(current_app)


def settings_of(app: Flask) -> Settings:
    """Return the settings of this application."""
    settings: Settings = app.extensions[EXTENSION]
    return settings
