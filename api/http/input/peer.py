"""Address of the peer that sent the request."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from flask import request


def peer_address() -> IPv4Address | IPv6Address | None:
    """Return the address of the caller, as IPv4 where it is one in IPv6's notation.

    None for a unix socket: it has a proxy behind it, and any client behind that.
    """
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
