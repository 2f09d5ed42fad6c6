"""Engines that tests run on."""

from core.platform.config.load import ROOT
from tests.support.engines import ENGINES, ONE


def test_every_file_that_takes_one_engine_exists_and_says_why() -> None:
    assert [file for file in ONE if not (ROOT / "tests" / file).exists()] == []
    assert [file for file, (engine, reason) in ONE.items() if engine not in ENGINES or not reason] == []
