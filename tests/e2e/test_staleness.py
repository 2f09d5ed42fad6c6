"""A short search for stale answers, several processes on one database; tests/faults/staleness.py is the long one."""

from collections.abc import Callable
from pathlib import Path

from tests.faults.staleness import search
from tests.support.engines import on_postgresql
from tests.support.servers import RedisServer


@on_postgresql
def test_a_write_is_visible_to_the_next_read_of_anybody_at_any_process(
    new_database_url: Callable[[], str], own_redis_server: RedisServer, tmp_path: Path
) -> None:
    found = search(tmp_path, new_database_url(), own_redis_server.url, seconds=2)
    assert found.broken == []
    assert found.stale == []
    assert found.writes > 5
    assert found.reads > 20
    assert found.kinds["GET 304"] > 0
    with own_redis_server.client as client:
        assert client.info("stats")["keyspace_hits"] > 0, "nothing was ever found in the cache"
