"""The order of the tests themselves."""

from types import SimpleNamespace

import pytest

from tests.support.order import LONG, spread


@pytest.mark.parametrize(("long", "short", "processes"), [(3, 40, 4), (12, 40, 4), (40, 3, 4), (5, 0, 2), (0, 9, 4)])
def test_every_process_begins_with_what_takes_long_and_no_test_is_lost(long: int, short: int, processes: int) -> None:
    names = [f"tests/api/test_{number // 5}.py::test_{number}" for number in range(short)]
    names += [f"tests/e2e/test_{number // 3}.py::test_{number}" for number in range(long)]
    tests = [SimpleNamespace(nodeid=name) for name in names]
    order = [test.nodeid for test in spread(tests, processes)]
    assert sorted(order) == sorted(names)
    begins = 0
    for number in range(processes):
        part = order[begins : begins + (len(order) - begins) // (processes - number)]
        begins += len(part)
        is_long = [name.startswith(LONG) for name in part]
        assert is_long == sorted(is_long, reverse=True)
    assert begins == len(order)
