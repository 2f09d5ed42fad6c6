"""The short form of `python -m tests.faults.schemathesis_run`."""

from collections.abc import Callable
from pathlib import Path

from tests.faults import schemathesis_run


def test_schemathesis_finds_nothing(new_database_url: Callable[[], str], tmp_path: Path) -> None:
    options = ("--max-examples", "2", "--no-shrink")
    outcome = schemathesis_run.run(
        tmp_path, new_database_url(), seconds=6, seed=1, phases="examples,fuzzing,stateful", options=options
    )
    assert outcome.is_clean, outcome.output
