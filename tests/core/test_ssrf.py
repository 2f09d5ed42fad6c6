"""No way leads from here into a private network: not by a path, a redirect, a spelling, or a name that changes."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpcore
import pytest

from core.platform import addresses
from core.platform.access import Actor, Role
from core.platform.config.upstreams import is_base_url
from core.platform.errors import DomainError, Unavailable
from core.upstreams import service as upstreams
from core.upstreams.registry import Registry
from tests.support.upstream import UpstreamServer, connecting

ACTOR = Actor(1, Role.USER)

# Where nothing of a caller, and no name of the internet, may lead.
NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "127.0.0.1", "127.0.1.1", "127.255.255.254"),
    *("169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192"),
    *("192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1"),
    *("239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1", "::ffff:0:7f00:1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:db8::1"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:101::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254"),
    *("fe80::1", "fe80::1%lo", "fec0::1", "ff02::1"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
# Loopback, in spellings that resolvers and parsers disagree about.
SPELLINGS = [
    *(
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "0",
        "0x0",
        "00.0.0.0",
    ),
    *("127.000.000.001", "0300.0250.0.1", "3232235521", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]"),
    *("127.0.0.1.", "127\u30020\u30020\u30021", "\u2460\u2461\u2466.0.0.1", "\uff11\uff12\uff17.0.0.1"),
    *("localtest.example", "127.0.0.1.nip.example", "user@127.0.0.1:80@weather.example"),
]
URLS = [f"http://{host}/latest/meta-data" for host in (*SPELLINGS, *(f"[{a}]" if ":" in a else a for a in NOT_PUBLIC))]


class Wire:
    """Recorder of names resolved and addresses connected, without a network: only loopback is real."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.connected: list[str] = []
        self.resolved: list[str] = []
        # What a name leads to, one list for each time that it is asked for; the last one stays.
        self.names: dict[str, list[list[str]]] = {}
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)
        real_connect = httpcore.SyncBackend.connect_tcp

        def connect(backend: Any, host: str, port: int, *rest: Any) -> Any:
            self.connected.append(host)
            if host != "127.0.0.1":
                raise httpcore.ConnectError("Nobody is there.")
            return real_connect(backend, host, port, *rest)

        monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)

    def _resolve(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        self.resolved.append(name)
        answers = self.names.get(name)
        if answers is None:
            # What the C library takes for a number needs no network; a name would.
            return self._real(host, port, *args, **{**kwargs, "flags": socket.AI_NUMERICHOST})
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, 1, 6, "", (one, port)) for one in found]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


@pytest.fixture
def server() -> Iterator[UpstreamServer]:
    """Server on loopback that would notice."""
    with UpstreamServer() as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Callable[..., Registry]]:
    with connecting(timeout_seconds=2.0, retries=0, breaker_failures=1000) as make:
        yield make


Connect = Callable[..., Registry]


def read(registry: Registry, path: str = "x") -> bytes:
    return upstreams.read(ACTOR, registry=registry, name="far", path=path, parameters={})


def test_only_addresses_of_the_internet_are_public() -> None:
    assert [address for address in NOT_PUBLIC if addresses.is_public(address)] == []
    assert [address for address in PUBLIC if not addresses.is_public(address)] == []
    for nonsense in ("", "example.com", "127.1", "1.2.3.4.5", "::g"):
        assert not addresses.is_public(nonsense)


def test_a_public_name_leads_to_no_address_that_is_not_public(
    wire: Wire, server: UpstreamServer, connect: Connect
) -> None:
    registry = connect(f"http://weather.example:{server.port}")
    for address in NOT_PUBLIC:
        wire.names["weather.example"] = [[address]]
        with pytest.raises(Unavailable):
            read(registry)
    # Beside a good address, a bad one is left out.
    wire.names["weather.example"] = [[*NOT_PUBLIC, "8.8.8.8"]]
    with pytest.raises(Unavailable):
        read(registry)
    assert (wire.connected, server.seen) == (["8.8.8.8"], [])


def test_a_name_that_changes_its_mind_leads_nowhere(wire: Wire, server: UpstreamServer, connect: Connect) -> None:
    registry = connect(f"http://weather.example:{server.port}")
    wire.names["weather.example"] = [["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"], ["8.8.8.8", "127.0.0.1"]]
    for _ in range(4):
        with pytest.raises(Unavailable):
            read(registry)
    # Each call asks once, and connects to what was looked at: there is no second answer to change.
    assert len(wire.resolved) == 4
    assert (wire.connected, server.seen) == (["8.8.8.8", "8.8.8.8"], [])


def test_no_spelling_of_an_address_is_taken_for_the_name_of_a_private_network(
    wire: Wire, server: UpstreamServer, connect: Connect
) -> None:
    for host in ("localtest.example", "127.0.0.1.nip.example", "weather.example"):
        wire.names[host] = [["127.0.0.1"]]
    refused_at_start = 0
    for spelling in SPELLINGS:
        host, _, port = spelling.rpartition(":80") if "@" in spelling else (spelling, "", "")
        url = f"http://{host}{port}:{server.port}"
        if not is_base_url(url):
            refused_at_start += 1
            continue
        with pytest.raises(DomainError):
            read(connect(url))
    assert 0 < refused_at_start < len(SPELLINGS)
    assert set(wire.connected) <= {"::ffff:7f00:1", "::ffff:127.0.0.1"}  # An address that is written out is meant.
    assert server.seen == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "inventory", "inventory.internal", "printer.local"])
def test_whoever_names_a_private_network_means_it(
    wire: Wire, server: UpstreamServer, connect: Connect, host: str
) -> None:
    wire.names[host] = [["169.254.169.254", "127.0.0.1"]]
    assert read(connect(f"http://{host}:{server.port}"))
    assert wire.connected == ["127.0.0.1"]


def test_an_operator_may_let_a_public_name_lead_into_a_private_network(
    wire: Wire, server: UpstreamServer, connect: Connect
) -> None:
    registry = connect(f"http://weather.example:{server.port}", allow_private=True)
    wire.names["weather.example"] = [["169.254.169.254", "fe80::1", "0.0.0.0", "127.0.0.1"]]
    assert read(registry)
    # Nobody means a cloud's credentials by a name.
    assert wire.connected == ["127.0.0.1"]


@pytest.mark.slow
def test_nothing_that_callers_write_and_no_redirect_leads_elsewhere(
    wire: Wire, server: UpstreamServer, connect: Connect
) -> None:
    assert len(URLS) >= 60
    registry = connect(f"{server.url}/base")
    with UpstreamServer() as victim:
        for url in [*URLS, victim.url, f"{victim.url}/#@{server.url}", f"//127.0.0.1:{victim.port}"]:
            server.on("/base/moved", lambda request, url=url: request.say({}, 302, Location=url))
            for path in (url, url.removeprefix("http:"), f"@{url.removeprefix('http://')}", "moved"):
                with pytest.raises(DomainError):
                    read(registry, path)
        # As a query they are words, and stay with the upstream that was asked.
        for url in URLS:
            upstreams.read(ACTOR, registry=registry, name="far", path="x", parameters={"url": [url]})
        assert victim.seen == []
    assert {seen.target.partition("?")[0] for seen in server.seen} == {"/base/moved", "/base/x"}
    assert set(wire.connected) == {"127.0.0.1"}
