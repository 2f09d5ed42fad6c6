"""Showing the settings."""

import json

import click

from core.platform.config import reference as config_reference
from core.platform.config.keys import KEYS, is_secret, is_url
from core.platform.config.load import load_settings
from core.platform.config.secret_values import masked_url, value_of


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--reference", is_flag=True, help="Print what every setting means, as Markdown: docs/configuration.md.")
def config(as_json: bool, reference: bool) -> None:
    """Print the effective settings and where each comes from. Secrets are masked."""
    if reference:
        click.echo(config_reference.markdown())
        return
    settings = load_settings()
    rows: list[tuple[str, object, str]] = [
        ("env", settings.env, "TASKLANE_ENV"),
        ("instance_path", str(settings.instance_path), "TASKLANE_INSTANCE_PATH"),
    ]
    keys = [*KEYS, *sorted(settings.sources.keys() - KEYS.keys())]
    rows += [(key, _shown(key, value_of(settings, key)), settings.sources[key]) for key in keys]
    if as_json:
        click.echo(json.dumps({key: {"value": value, "source": source} for key, value, source in rows}, indent=2))
        return
    width = max(len(key) for key, _, _ in rows)
    for key, value, source in rows:
        click.echo(f"{key:<{width}}  {value!s:<48}  {source}")


def _shown(key: str, value: object) -> object:
    if is_secret(key):
        return "********" if value else ""
    return masked_url(str(value)) if is_url(key) else value
