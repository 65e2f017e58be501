"""The feeds port: what the CDN may reach. GET and HEAD of artifacts, as a plain ASGI application.

It is called for every miss and revalidation of the edge, so it does without a framework's routing; the ops port,
which is not, uses Starlette.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from baker import metrics
from baker.artifact import Encoded, Encoding, Header
from baker.card import Format
from baker.door import Answer, Door
from baker.freshness import IMPOSSIBLE_S, LATE_S
from baker.paths import Target, parse
from baker.render import Renderer, missing_content_type
from baker.splice import join
from cdn import tags
from feeds.errors import RecordUnavailable

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

RETRY_S = 1

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Headers:
    """Headers that a deployment sets: the name that carries cache tags, and ``X-Robots-Tag`` ("" for none)."""

    tags: str = "Cache-Tag"
    robots: str = ""


class Feeds:
    """The ASGI application of the feeds port."""

    def __init__(self, door: Door, renderer: Renderer, headers: Headers) -> None:
        self._door = door
        self._renderer = renderer
        self._tag_header = headers.tags.lower().encode()
        robots: list[Header] = [(b"x-robots-tag", headers.robots.encode())] if headers.robots else []
        cross_origin: Header = (b"access-control-allow-origin", b"*")
        page: list[Header] = [
            (b"content-security-policy", renderer.csp.encode()),
            (b"referrer-policy", b"strict-origin-when-cross-origin"),
        ]
        self._extra: dict[Format, list[Header]] = {
            "html": [*page, *robots],
            "json": [cross_origin, *robots],
            "atom": [cross_origin, *robots],
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await _lifespan(receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await _plain(send, 405, b"This port answers GET and HEAD.\n", [(b"allow", b"GET, HEAD")])
        elif (target := parse(scope["raw_path"].decode("latin-1"))) is None:
            await self._impossible(send)
        else:
            await self._answer(target, scope, send)

    async def _answer(self, target: Target, scope: Scope, send: Send) -> None:
        try:
            answer = await self._door.answer(target)
        except (RedisError, RecordUnavailable, OSError) as error:
            log.error("Could not bake %s: %r. Answered 503.", target.page, error)
            metrics.ANSWERS.labels("503", "none").inc()
            await self._unavailable(target, send)
            return
        encoding, validators = _conditions(scope)
        encoded = answer.artifact.encoded(encoding, self._tag_header, self._extra[target.format])
        status = answer.artifact.status
        if status == 200 and validators and _matches(validators, encoded.etag):
            status = 304
        metrics.ANSWERS.labels(str(status), answer.source).inc()
        await _send(send, status, _headers(answer, encoded), b"" if _bodiless(scope, status) else encoded.body)

    async def _impossible(self, send: Send) -> None:
        """Answer for a path that no artifact can ever have: kept a minute, with no entry in the ledger."""
        body = join(self._renderer.missing(404, "html", "en", "Edgebake"))
        headers = [
            (b"content-type", missing_content_type("html").encode()),
            (b"cache-control", b"s-maxage=%d" % IMPOSSIBLE_S),
            (self._tag_header, tags.GLOBAL.encode()),
            *self._extra["html"],
        ]
        metrics.ANSWERS.labels("404", "none").inc()
        await _plain(send, 404, body, headers)

    async def _unavailable(self, target: Target, send: Send) -> None:
        body = join(self._renderer.missing(503, target.format, "en", "Edgebake"))
        headers = [
            (b"content-type", missing_content_type(target.format).encode()),
            (b"cache-control", b"no-store"),
            (b"retry-after", b"%d" % RETRY_S),
        ]
        await _plain(send, 503, body, headers)


def _headers(answer: Answer, encoded: Encoded) -> list[Header]:
    shard = answer.artifact.target.shard
    timing = f"{answer.source};dur={answer.bake_s * 1000:.2f}, fence;dur={answer.fence_s * 1000:.2f}"
    headers = [
        *encoded.headers,
        (b"cache-control", answer.artifact.freshness.header),
        (b"server-timing", timing.encode()),
        (b"edgebake-count", f"{shard:02x}:{answer.artifact.noted if answer.count is None else answer.count}".encode()),
    ]
    if answer.count is None:
        headers.append((b"edgebake-late", b"%d" % LATE_S))
    return headers


def _conditions(scope: Scope) -> tuple[Encoding, bytes]:
    """Return the encoding that a request accepts, and its ``If-None-Match``."""
    encoding: Encoding = ""
    validators = b""
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            encoding = "gzip" if accepts_gzip(value) else ""
        elif name == b"if-none-match":
            validators += b"," + value
    return encoding, validators


def accepts_gzip(value: bytes) -> bool:
    """Tell whether an ``Accept-Encoding`` accepts gzip (RFC 9110 §12.5.3): named or ``*``, and not with ``q=0``."""
    quality: dict[str, float] = {}
    for item in value.decode("latin-1").lower().split(","):
        coding, _, parameter = item.partition(";")
        name, _, number = parameter.strip().partition("=")
        try:
            quality[coding.strip()] = float(number) if name.strip() == "q" else 1.0
        except ValueError:
            quality[coding.strip()] = 0.0
    return quality.get("gzip", quality.get("x-gzip", quality.get("*", 0.0))) > 0


def _matches(validators: bytes, etag: bytes) -> bool:
    """Tell whether ``If-None-Match`` holds this ETag, by weak comparison (RFC 9110 §13.1.2)."""
    listed = {item.strip().removeprefix(b"W/") for item in validators.split(b",")}
    return etag in listed or b"*" in listed


def _bodiless(scope: Scope, status: int) -> bool:
    return status == 304 or scope["method"] == "HEAD"


async def _plain(send: Send, status: int, body: bytes, headers: list[Header]) -> None:
    await _send(send, status, [*headers, (b"content-length", b"%d" % len(body))], body)


async def _send(send: Send, status: int, headers: list[Header], body: bytes) -> None:
    if status == 304:
        headers = [header for header in headers if header[0] not in (b"content-length", b"content-type")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    """Say that start and stop are fine: what the application uses is opened by whoever made it."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
