"""The feeds port: what the CDN may reach. GET and HEAD of artifacts, as a plain ASGI application.

It is called for every miss and revalidation of the edge, so it does without a framework's routing; the ops port,
which is not, uses Starlette.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from redis.exceptions import RedisError

from baker import metrics
from baker.artifact import Encoded, Encoding, Header
from baker.card import Format
from baker.door import Answer, Door
from baker.freshness import IMPOSSIBLE_S
from baker.oven import Overloaded
from baker.paths import Target, parse
from baker.render import Renderer, missing_content_type
from baker.splice import join
from cdn import tags
from feeds import trace
from feeds.errors import RecordUnavailable

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

RETRY_S = 1

_OF_THE_BODY = (b"content-type", b"content-length", b"content-encoding")

log = logging.getLogger(__name__)
events = logging.getLogger("edgebake.events")


@dataclass(frozen=True, slots=True)
class Headers:
    """Headers that a deployment sets: the name that carries cache tags, and ``X-Robots-Tag`` ("" for none)."""

    tags: str = "Cache-Tag"
    robots: str = ""


class Feeds:
    """The ASGI application of the feeds port."""

    def __init__(
        self,
        door: Door,
        renderer: Renderer,
        headers: Headers,
        *,
        begin: Callable[[], None],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._door = door
        self.begin = begin
        """Begins what runs beside requests."""
        self.close = close
        """Ends that, and waits for what is being written behind answers that left already."""
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
        hidden: Header = (b"x-robots-tag", b"noindex")
        self._private: dict[Format, list[Header]] = {"html": [*page, hidden], "json": [hidden], "atom": [hidden]}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._lifespan(receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await self._not_allowed(send)
        elif (target := parse(_raw_path(scope))) is None:
            await self._impossible(scope, send)
        else:
            await self._answer(target, scope, send)

    async def _answer(self, target: Target, scope: Scope, send: Send) -> None:
        began = trace.began()
        try:
            answer = await self._door.answer(target)
        except Overloaded:  # told once a second, with how many, by whoever reports the load
            await self._unavailable(target, scope, send)
            return
        except (RedisError, RecordUnavailable, OSError) as error:
            log.error("Could not bake %s: %r. Answered 503.", target.page, error)
            await self._unavailable(target, scope, send)
            return
        encoding, validators = _conditions(scope)
        extra = self._private if target.private else self._extra
        encoded = answer.artifact.encoded(encoding, self._tag_header, extra[target.format])
        status = answer.artifact.status
        if status == 200 and validators and answer.count is not None and _matches(validators, encoded.etag):
            status = 304
        _count(scope, status, answer.source)
        if began:
            _trace(scope, answer, status, began)
        await _send(scope, send, status, _headers(answer, encoded), encoded.body)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Begin and end what runs beside requests; what the application uses is opened by whoever made it."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.begin()
            if message["type"] == "lifespan.shutdown":
                await self.close()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _not_allowed(self, send: Send) -> None:
        body = b"This port answers GET and HEAD.\n"
        metrics.ANSWERS.labels("405", "none").inc()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"allow", b"GET, HEAD"),
        ]
        await send({"type": "http.response.start", "status": 405, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _impossible(self, scope: Scope, send: Send) -> None:
        """Answer for a path that no artifact can ever have: kept a minute, with no entry in the ledger."""
        headers = [
            (b"cache-control", b"s-maxage=%d" % IMPOSSIBLE_S),
            (self._tag_header, tags.GLOBAL.encode()),
        ]
        _count(scope, 404, "none")
        await self._message(scope, send, 404, "html", headers)

    async def _unavailable(self, target: Target, scope: Scope, send: Send) -> None:
        _count(scope, 503, "none")
        headers = [(b"cache-control", b"no-store"), (b"retry-after", b"%d" % RETRY_S)]
        await self._message(scope, send, 503, target.format, headers)

    async def _message(self, scope: Scope, send: Send, status: int, format: Format, headers: list[Header]) -> None:
        """Send what is no artifact: it was not baked, so there is no site to name."""
        body = join(self._renderer.missing(status, format, "en", "Edgebake"))
        own = [
            (b"content-type", missing_content_type(format).encode()),
            (b"content-length", b"%d" % len(body)),
            (b"x-content-type-options", b"nosniff"),
        ]
        await _send(scope, send, status, [*own, *headers, *self._extra[format]], body)


def _trace(scope: Scope, answer: Answer, status: int, began: int) -> None:
    """Tell of an answer, with the edge's id of the request that it is for."""
    target, sent = answer.artifact.target, dict(scope["headers"])
    trace.CALLER.set(sent.get(b"traceparent", b"").decode("latin-1"))
    trace.step(
        f"{answer.source} {target.kind}",
        "",
        began,
        path=_raw_path(scope),
        status=status,
        bake_ms=round(answer.bake_s * 1000, 3),
        fence_ms=round(answer.fence_s * 1000, 3),
        count=f"{target.shard:02x}:{answer.artifact.noted if answer.count is None else answer.count}",
        late=answer.count is None,
        edge_request=sent.get(b"x-amz-cf-id", b"").decode("latin-1"),
    )


def _count(scope: Scope, status: int, source: str) -> None:
    """Count an answer that leaves; where events are wanted, tell of it: `edgebake report --reconcile` reads that."""
    metrics.answers(status, source).inc()
    if events.isEnabledFor(logging.INFO):
        events.info("answer", extra={"fields": {"path": _raw_path(scope), "status": status, "source": source}})


def _headers(answer: Answer, encoded: Encoded) -> list[Header]:
    shard = answer.artifact.target.shard
    timing = f"{answer.source};dur={answer.bake_s * 1000:.2f}, fence;dur={answer.fence_s * 1000:.2f}"
    count = answer.artifact.noted if answer.count is None else answer.count
    headers = [
        *encoded.headers,
        (b"cache-control", answer.freshness.header),
        (b"server-timing", timing.encode()),
        (b"edgebake-count", f"{shard:02x}:{count}".encode()),
    ]
    return headers if answer.count is not None else _marked(headers, answer.late_s)


def _marked(headers: list[Header], late_s: int) -> list[Header]:
    """Return the headers of an answer that leaves late, for so many seconds.

    It has no ETag and is never a 304: an edge that revalidates keeps those headers that the 304 does not bring (RFC
    9111 §3.2), and what it holds would be marked late for ever.
    """
    return [*(header for header in headers if header[0] != b"etag"), (b"edgebake-late", b"%d" % late_s)]


def _conditions(scope: Scope) -> tuple[Encoding, bytes]:
    """Return the encoding that a request accepts, and its ``If-None-Match``."""
    accepted = validators = b""
    for name, value in scope["headers"]:  # either may come in several lines, which are one list (RFC 9110 §5.3)
        if name == b"accept-encoding":
            accepted += b"," + value
        elif name == b"if-none-match":
            validators += b"," + value
    return "gzip" if accepts_gzip(accepted) else "", validators


@lru_cache(maxsize=1000)
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


def _raw_path(scope: Scope) -> str:
    """Return the path as it was spelt. A server need not tell (ASGI): what it tells instead is spelt in the one way."""
    raw: bytes | None = scope.get("raw_path")
    return quote(scope["path"]) if raw is None else raw.decode("latin-1")


async def _send(scope: Scope, send: Send, status: int, headers: list[Header], body: bytes) -> None:
    if status == 304:  # what describes the body goes with the body (RFC 9110 §15.4.5)
        headers = [header for header in headers if header[0] not in _OF_THE_BODY]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if status == 304 or scope["method"] == "HEAD" else body})
