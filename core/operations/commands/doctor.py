"""Examining the installation."""

import json
import sys
from collections import Counter
from dataclasses import asdict

import click

from core.operations.commands.common import in_app
from core.operations.doctor.examination import examine
from core.operations.doctor.findings import Verdict

_MARKS = {Verdict.OK: "ok     ", Verdict.WARNING: "warning", Verdict.FAILED: "FAILED "}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@in_app
def doctor(as_json: bool) -> None:
    """Examine the installation: database, Redis, clocks, secrets, mail, workers, disk.

    Changes nothing, sends nothing, and may be run while everything works. Exits
    with 1 if anything has failed; a warning is no failure.
    """
    counts: Counter[Verdict] = Counter()
    findings = []
    for finding in examine():
        counts[finding.verdict] += 1
        findings.append(asdict(finding))
        if not as_json:
            click.echo(f"{_MARKS[finding.verdict]}  {finding.part:<13}  {finding.text}")
            if finding.advice:
                click.echo(f"{'':9}{'':15}-> {finding.advice}")
    if as_json:
        click.echo(json.dumps(findings, indent=2))
    else:
        click.echo(f"{counts[Verdict.FAILED]} failed, {counts[Verdict.WARNING]} warnings, {counts[Verdict.OK]} ok.")
    sys.exit(1 if counts[Verdict.FAILED] else 0)
