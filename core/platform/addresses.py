"""Place of an address on the network: on the internet, or where only this installation can reach it."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

# Beyond these, IPv6 has nothing that is reached over the internet.
_UNICAST = IPv6Network("2000::/3")
# A gateway turns such an address into the IPv4 address at its end (RFC 6052), as 6to4 did.
_NAT64 = IPv6Network("64:ff9b::/96")
# Special ranges (RFC 6890, 7526, 9637) that not every version of Python knows.
_SPECIAL = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
# What private networks are made of: loopback, RFC 1918, 6598 and 4193.
_PRIVATE = tuple(
    map(
        ip_network,
        ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7"),
    )
)
# Names that no public DNS has (RFC 6761, 6762, 8375, and ICANN's reservation of `internal`).
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa", ".lan", ".test")
_LABEL = re.compile(r"(?=[^.]*[a-z])[a-z0-9_-]+", re.IGNORECASE)
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)


def is_public(address: str) -> bool:
    """Return whether a packet to this address goes out to the internet, whatever the address is wrapped in."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if inner is None and parsed in _NAT64:
            inner = IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if parsed not in _UNICAST:
            return False
    if parsed is None or parsed.is_multicast or any(parsed in network for network in _SPECIAL):
        return False
    return parsed.is_global


def may_connect(host: str, address: str, *, allow_private: bool) -> bool:
    """Return whether this address, to which the name `host` has led, may be the one that was meant.

    Whoever writes an address means it, and whoever writes a name that no public
    DNS has means a private network. Any other name leads there by mistake or by
    malice, unless `allow_private`; and no name leads to link-local addresses,
    where clouds keep their credentials.
    """
    literal = _parse(host)
    if literal is not None:
        return literal == _parse(address)
    if is_public(address):
        return True
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed is None or not any(parsed in network for network in _PRIVATE):
        return False
    return allow_private or _is_private_name(host)


def _is_private_name(host: str) -> bool:
    name = host.lower().removesuffix(".")
    # 2130706433 and 0x7f000001 are no names, although a resolver takes them for addresses.
    return bool(_LABEL.fullmatch(name) and not _NUMBER.fullmatch(name)) or name.endswith(_PRIVATE_SUFFIXES)


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        # An IPv6 address may name its interface.
        return ip_address(address.partition("%")[0])
    except ValueError:
        return None
