"""The origin, as the edge sees it: one GET, whole and in time, or a failure."""

import asyncio
from dataclasses import dataclass

import aiohttp
from yarl import URL

from cdn.local.config import LocalEdgeConfig
from cdn.local.decision import Failed, Head
from cdn.local.objects import Headers, Key

IDLE_S = 4.0
"""How long an idle connection is kept: less than the 5 s after which uvicorn closes its end."""
MAX_HEADER = 20_480
CHUNK = 65_536
NO_BODY = frozenset((204, 304))


@dataclass(frozen=True, slots=True)
class Answer(Head):
    """What the origin answered. Header names are in lower case."""

    headers: Headers
    body: bytes


class Origin:
    """Asks the origin, over a pool of connections. aiohttp: a tenth of httpx's CPU a request, measured."""

    def __init__(self, config: LocalEdgeConfig) -> None:
        self._base = config.origin.rstrip("/")
        self._timeout_s = config.response_completion_timeout_s
        self._max_bytes = config.max_object_bytes
        self._via = f"1.1 {config.distribution.lower()}.cloudfront.net (CloudFront)"
        self._connections = config.origin_connections
        self._opened: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the pool, in the event loop that will use it."""
        self._opened = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=IDLE_S),
            timeout=aiohttp.ClientTimeout(total=None),  # ours is exact and takes in the wait for a connection
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
        )

    async def get(self, key: Key, etag: bytes | None) -> Answer | Failed:
        """Fetch a key, with ``If-None-Match`` where there is an ETag. Never longer than the completion time-out."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._get(key, etag)
        except TimeoutError:
            return Failed(504, f"the origin's answer was not complete after {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failed(502, f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            await self._opened.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            raise RuntimeError("the local edge was not started: await start() in the loop that serves it")
        return self._opened

    async def _get(self, key: Key, etag: bytes | None) -> Answer | Failed:
        # encoded: the path goes out as it came in; yarl would resolve dots and so leave the allowed prefixes
        url = URL(self._base + key.path, encoded=True)
        async with self._session.get(url, headers=self._headers(key, etag), allow_redirects=False) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK):
                body += chunk
                if len(body) > self._max_bytes:
                    return Failed(502, f"the origin's answer has more than {self._max_bytes} bytes")
            headers = tuple((name.lower(), value) for name, value in response.raw_headers)
        return Answer(response.status, _cache_control(response), _is_whole(response), headers, bytes(body))

    def _headers(self, key: Key, etag: bytes | None) -> dict[str, str]:
        headers = {"User-Agent": "Amazon CloudFront", "Via": self._via}
        if key.gzip:
            headers["Accept-Encoding"] = "gzip"
        if etag is not None:
            headers["If-None-Match"] = etag.decode("latin-1")
        return headers


def _cache_control(response: aiohttp.ClientResponse) -> str:
    return ",".join(response.headers.getall("Cache-Control", ()))


def _is_whole(response: aiohttp.ClientResponse) -> bool:
    """Tell whether the body's end was marked: a body that ends with its connection may have been cut off."""
    framed = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
    return framed or response.status in NO_BODY
