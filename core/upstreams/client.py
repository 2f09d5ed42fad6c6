"""One exchange with an upstream: sent with care, read with suspicion."""

import http.cookiejar
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx
import orjson

from core.platform import clock
from core.platform.config.upstreams import UpstreamSettings
from core.upstreams import transport

# RFC 9110, section 15.6: these say that the same request may succeed later.
_PASSING = (502, 503, 504)
_JSON_TYPE = re.compile(r"application/([a-z0-9.+-]+\+)?json *(;.*)?", re.IGNORECASE)


class Failed(Exception):
    """The upstream does not work; the text is for the log. `may_pass` if trying again at once may help."""

    def __init__(self, reason: str, *, may_pass: bool = False, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.may_pass = may_pass
        self.retry_after = retry_after


class Unusable(Exception):
    """The upstream works, but this answer is none that Tasklane relays; the text is for the log."""


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """Answer of the upstream, 2xx with its checked JSON text or 4xx without."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def retry_after(self) -> int | None:
        return _retry_after(self.headers)


def make_client() -> httpx.Client:
    """Return a client that knows no proxies, follows nothing and remembers no cookies."""
    refusing = http.cookiejar.DefaultCookiePolicy(allowed_domains=[])
    return httpx.Client(
        transport=transport.DeadlineTransport(),
        trust_env=False,
        follow_redirects=False,
        cookies=http.cookiejar.CookieJar(policy=refusing),
        headers={"User-Agent": "Tasklane", "Accept": "application/json", "Accept-Encoding": "identity"},
    )


def build(
    client: httpx.Client,
    settings: UpstreamSettings,
    method: str,
    address: httpx.URL,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> httpx.Request:
    """Return a request to an upstream. Headers that are configured win over what the caller sent."""
    json_type = {} if body is None else {"content-type": "application/json"}
    timeout = httpx.Timeout(settings.read_timeout_seconds, connect=settings.connect_timeout_seconds)
    headers = {**headers, **settings.headers, **json_type}
    return client.build_request(method, address, content=body, headers=headers, timeout=timeout)


def exchange(client: httpx.Client, settings: UpstreamSettings, request: httpx.Request) -> UpstreamAnswer:
    """Send a request and return the checked answer. Raises Failed and Unusable.

    Runs inside `transport.call`.
    """
    try:
        response = client.send(request, stream=True, auth=_credentials(settings))
        try:
            return _read(response, settings.max_bytes)
        finally:
            response.close()
    except transport.FAILURES as error:
        raise Failed(type(error).__name__, may_pass=True) from error
    except httpx.HTTPError as error:
        # The client reads where a redirect leads, although it does not go there.
        raise Unusable(type(error).__name__) from error


def _credentials(settings: UpstreamSettings) -> httpx.BasicAuth | None:
    url = httpx.URL(settings.base_url)
    return httpx.BasicAuth(url.username, url.password) if url.userinfo else None


def _read(response: httpx.Response, max_bytes: int) -> UpstreamAnswer:
    status = response.status_code
    headers = {name.lower(): value for name, value in response.headers.items()}
    if status >= 500:
        after = _retry_after(headers)
        # An upstream that says when to come back is not asked again before.
        raise Failed(f"status {status}", may_pass=status in _PASSING and after is None, retry_after=after)
    if status >= 400:
        return UpstreamAnswer(status, headers)
    if status == 204:
        return UpstreamAnswer(status, headers, b"null")
    if not 200 <= status < 300:
        raise Unusable(f"status {status}")
    if not _JSON_TYPE.fullmatch(headers.get("content-type", "")):
        raise Unusable("not JSON by its Content-Type")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Unusable("an encoding that was not asked for")
    body = bytearray()
    for part in response.iter_raw():
        body += part
        if len(body) > max_bytes:
            raise Unusable(f"longer than {max_bytes} bytes")
        # A buffer full of tiny chunks is read without any wait.
        transport.seconds_left()
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Failed("broken JSON") from None
    return UpstreamAnswer(status, headers, bytes(body))


def _retry_after(headers: Mapping[str, str]) -> int | None:
    """Return in how many seconds to come back, by a Retry-After that is a number or a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "")
    if re.fullmatch("[0-9]{1,9}", value):
        return max(1, int(value))
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(1, math.ceil((at - clock.now()).total_seconds()))
