"""Needless lines of the embedded server do not reach the log."""

import pytest

from core.platform.process.embedded import is_advice

START = "2814:M 27 Nov 2026 18:03:21.440 # "


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            "WARNING Memory overcommit must be enabled! Without it, a background save may fail. To fix this issue add",
            True,
        ),
        ("WARNING Your kernel has Transparent Huge Pages enabled. This will create latency", True),
        ("WARNING: The TCP backlog setting of 511 cannot be enforced because net.core.somaxconn is set to 128.", True),
        ("WARNING Your system is configured to use the 'xen' clocksource which might lead to degraded", True),
        ("You requested maxclients of 10000 requiring at least 10032 max file descriptors.", True),
        ("Server can't set maximum open files to 10032 because of OS error: Operation not permitted.", True),
        ("Current maximum open files is 4096. maxclients has been reduced to 4064", True),
        ("Failed opening the temp AOF file for AOF rewriting: No space left on device", False),
        ("Can't open the append-only file tasks: Permission denied", False),
        ("Bad file format reading the append only file: make a backup of your AOF file", False),
        ("WARNING: Short read while loading the AOF, which was truncated", False),
        ("Valkey is now ready to exit, bye bye...", False),
    ],
)
def test_advice_about_the_machine_is_told_from_what_went_wrong(line: str, wanted: bool) -> None:
    assert is_advice(START + line) is wanted
