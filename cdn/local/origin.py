"""The origin, as the edge sees it: one request, whole and in time, or a failure."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time

import aiohttp
from yarl import URL

from cdn.accesslog import DetailedType
from cdn.local.config import LocalEdgeConfig
from cdn.local.decision import Failed, Head
from cdn.local.objects import Headers
from cdn.local.request import Request
from cdn.local.viewer import value_of

IDLE_S = 4.0
"""How long an idle connection is kept: less than the 5 s after which uvicorn closes its end."""
MAX_HEADER = 20_480
CHUNK = 65_536
FIRST_STATUS, LAST_STATUS = 200, 599
"""Of a final answer."""
MOST_AGE_S = 2.0**31
"""What a longer time counts as (RFC 9111 §1.2.2)."""
has_control = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
"""Finds what no header may hold (RFC 9110 §5.5), and could not be sent on."""
DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
"""How a date may be written (RFC 9110 §5.6.7)."""
LENGTHS = re.compile(r"\w+,? [\w ]\d[ -]\w{3}[ -]\d+ \d\d:\d\d:\d\d GMT|\w{3} \w{3} [\d ]\d \d\d:\d\d:\d\d \d{4}", re.I)
"""Two digits where two are written: strptime takes one, too."""


@dataclass(frozen=True, slots=True)
class Answer(Head):
    """What the origin answered, or a tier. Header names are in lower case."""

    headers: Headers = ()
    body: bytes = b""
    found: str = "origin"
    """Where it was: ``origin``, or the name of a tier."""


class Origin:
    """Asks the origin, over a pool of connections. aiohttp: a tenth of httpx's CPU a request, measured."""

    def __init__(self, config: LocalEdgeConfig) -> None:
        self._base = config.origin.rstrip("/")
        self._settings = {origin.id: origin for origin in config.distribution.origins}
        self._max_bytes = config.max_object_bytes
        self._via = f"1.1 {config.distribution.id.lower()}.cloudfront.net (CloudFront)"
        self._connections = config.origin_connections
        self._opened: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the pool, in the event loop that will use it."""
        self._opened = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=IDLE_S),
            timeout=aiohttp.ClientTimeout(total=None),  # ours is exact and takes in the wait for a connection
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
        )

    async def get(self, request: Request) -> Answer | Failed:
        """Ask. Never longer than the completion time-out, nor between two packets than the read time-out."""
        settings = self._settings.get(request.route.behavior.origin)
        whole_s = settings.completion_timeout_s if settings else None
        read = aiohttp.ClientTimeout(total=None, sock_read=settings.read_timeout_s if settings else None)
        try:
            async with asyncio.timeout(whole_s):
                return await self._get(request, read)
        except TimeoutError:  # aiohttp's too
            waited = f"complete after {whole_s:g} s" if whole_s else f"there after {read.sock_read} s"
            return Failed(504, f"the origin's answer was not {waited}", DetailedType.ORIGIN_COMM_ERROR)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failed(502, f"{type(error).__name__}: {error}", _word(error))

    async def close(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            await self._opened.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            raise RuntimeError("the local edge was not started: await start() in the loop that serves it")
        return self._opened

    async def _get(self, request: Request, limits: aiohttp.ClientTimeout) -> Answer | Failed:
        # encoded: the path goes out as it came in; yarl would resolve its dots
        url = URL(self._base + request.target, encoded=True)
        asked = self._session.request(
            request.method,
            url,
            headers=self._headers(request),
            data=request.body or None,
            allow_redirects=False,
            timeout=limits,
        )
        async with asked as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK):
                body += chunk
                if len(body) > self._max_bytes:
                    return Failed(502, f"the origin's answer has more than {self._max_bytes} bytes")
            headers = tuple((name.lower(), value) for name, value in response.raw_headers)
        if not FIRST_STATUS <= response.status <= LAST_STATUS:
            return Failed(502, f"the origin's status is {response.status}")
        if name := next((name for name, value in headers if has_control(value)), None):
            return Failed(502, f"the origin's header '{name.decode('latin-1')}' has a control character")
        return answered(response.status, headers, bytes(body))

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        forwarded = request.forwarded()
        agent = [] if any(name == "user-agent" for name, _ in forwarded) else [("User-Agent", "Amazon CloudFront")]
        via = request.headers.get(b"via")
        joined = f"{via.decode('latin-1')}, {self._via}" if via else self._via
        return [*forwarded, *agent, ("Via", joined)]


def _word(error: Exception) -> DetailedType:
    """Return what the log says of an error [standard-logs-reference, x-edge-detailed-result-type]."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return DetailedType.ORIGIN_DNS_ERROR
        case aiohttp.ClientConnectorError():
            return DetailedType.ORIGIN_CONNECT_ERROR
        case aiohttp.ClientPayloadError() | OSError():
            return DetailedType.ORIGIN_READ_ERROR
        case _:
            return DetailedType.ORIGIN_ERROR


def answered(status: int, headers: Headers, body: bytes, found: str = "origin") -> Answer:
    """Return an answer with what the decisions need to know of its headers."""
    varies = value_of(headers, b"vary") or b""
    return Answer(
        status,
        (value_of(headers, b"cache-control") or b"").decode("latin-1"),
        _expires(headers),
        _age(value_of(headers, b"age")),
        any(part.strip() == b"*" for part in varies.split(b",")),
        headers,
        body,
        found,
    )


def _expires(headers: Headers) -> float | None:
    """Return in how many seconds an answer expires by ``Expires``, from its ``Date``; what is no date has expired."""
    expires = value_of(headers, b"expires")
    if expires is None:
        return None
    until, sent = _date(expires), _date(value_of(headers, b"date") or b"")
    if until is None:
        return 0.0
    return max(0.0, until.timestamp() - (sent.timestamp() if sent else time()))


def _age(value: bytes | None) -> float:
    """Return the origin's ``Age``, the first of several (RFC 9111 §5.1); what cannot be read is ignored."""
    first = (value or b"0").partition(b",")[0].strip()
    return min(float(first), MOST_AGE_S) if first.isdigit() else 0.0


def _date(value: bytes) -> datetime | None:
    text = value.decode("latin-1")
    if LENGTHS.fullmatch(text) is None:
        return None
    for form in DATES:
        with suppress(ValueError):  # another form, or the 31st of February
            return datetime.strptime(text, form).replace(tzinfo=UTC)
    return None
