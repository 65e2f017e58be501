"""The caching reverse proxy: performs what ``decision`` decides."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import assert_never

from cdn.local.asgi import Receive, Scope, Send, not_http, respond
from cdn.local.config import LocalEdgeConfig
from cdn.local.decision import (
    CLIENT_ERROR,
    NOT_MODIFIED,
    SERVER_ERROR,
    Failed,
    FallBack,
    Fetch,
    Life,
    Pass,
    Renew,
    Serve,
    ServeAndRefresh,
    Store,
    Tell,
    keeps_late_answer,
    on_answer,
    on_request,
)
from cdn.local.flights import Flights, Landing
from cdn.local.objects import Headers, Key, Object, Objects, tags_of
from cdn.local.origin import Answer, Origin
from cdn.local.results import Entry, Log, Result
from cdn.local.viewer import NOT_IN_304, NOT_RENEWED, ViewerHeaders, is_match, value_of, wants_gzip

MAX_URL = 8_192
OK = 200
NO_LIFE = Life(0.0, 0.0, 0.0, 0.0)
"""The life of what is served once and not kept."""
PLAIN = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"


class Proxy:
    """An ASGI application that answers viewers from ``objects`` and else from the origin."""

    def __init__(self, config: LocalEdgeConfig, objects: Objects, origin: Origin, settle: Callable[[], float]) -> None:
        """``settle`` drops what invalidations have due, and returns when anything was last dropped."""
        self.log = Log(config.log_length)
        self.flights = Flights()
        self._config = config
        self._objects = objects
        self._origin = origin
        self._settle = settle
        self._headers = ViewerHeaders(config)
        self._tag_header = config.tag_header.lower().encode()
        self._prefixes = tuple(f"{path}/" for path in config.paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await not_http(scope, receive, send)
            return
        began = perf_counter()
        method: str = scope["method"]
        key = Key(scope["raw_path"].decode("latin-1"), wants_gzip(value_of(scope["headers"], b"accept-encoding")))
        reply, result = self._refuse(method, key) or await self._answer(key)
        status, body = await self._send(scope, send, reply, result)
        ms = (perf_counter() - began) * 1000
        self.log.add(Entry(method, key.path, key.gzip, status, result, len(body), ms))

    def _refuse(self, method: str, key: Key) -> tuple[Object, Result] | None:
        """Return the answer to what the edge answers without looking into its cache."""
        if method not in ("GET", "HEAD"):
            return self._made(key, 403, PLAIN, f"The edge takes GET and HEAD, not {method}.".encode()), Result.ERROR
        if len(key.path) > MAX_URL:
            return self._made(key, 414, PLAIN, f"The URL has more than {MAX_URL} characters.".encode()), Result.ERROR
        if key.path == "/" and (page := self._config.front_page):
            return self._made(key, OK, HTML, page() if callable(page) else page), Result.GENERATED
        if not self._is_allowed(key.path):
            return self._made(key, 404, PLAIN, b"There is nothing here."), Result.ERROR
        return None

    async def _answer(self, key: Key) -> tuple[Object, Result]:
        self._settle()
        held = self._objects.get(key)
        decision = on_request(held, self._config.clock())
        match decision:
            case Serve(held):
                return held, Result.HIT
            case ServeAndRefresh(held):
                self.flights.start(key, partial(self._fetch, key, held))
                return held, Result.HIT
            case Fetch():
                landing = await self.flights.join(key, partial(self._fetch, key, held))
                return landing.reply, landing.result
            case _:
                assert_never(decision)

    async def _fetch(self, key: Key, held: Object | None) -> Landing:
        """Ask the origin for a key and keep what may be kept. ``held``: the object that is to be refreshed."""
        began = self._config.clock()
        answer = await self._origin.get(key, held.etag if held else None)
        last_drop = self._settle()
        if answer.status >= SERVER_ERROR:
            held = self._objects.get(key)  # what was dropped meanwhile is nothing to fall back on
        decision = on_answer(held, answer, self._config.clock(), self._config.ttl)
        is_kept = keeps_late_answer(began, last_drop, self._config.late_answers)
        match decision:
            case Store(answer, life):
                return Landing(self._keep(self._object(key, answer, life), is_kept), Result.MISS, shared=True)
            case Renew(held, answer, life):
                renewed = self._renewed(held, answer, life or NO_LIFE)
                return Landing(self._keep(renewed, is_kept and life is not None), Result.REFRESH_HIT, life is not None)
            case FallBack(held):
                return Landing(held, Result.HIT, shared=True)
            case Pass(answer, shared):
                return Landing(self._keep(self._object(key, answer, NO_LIFE), False), Result.MISS, shared)
            case Tell(failed):
                return Landing(self._failure(key, failed), Result.ERROR, shared=True)
            case _:
                assert_never(decision)

    def _keep(self, fresh: Object, is_kept: bool) -> Object:
        if is_kept:
            self._objects.put(fresh)
        elif fresh.status < SERVER_ERROR:
            self._objects.remove(fresh.key)  # the origin has said something newer than what is held
        return fresh

    def _object(self, key: Key, answer: Answer, life: Life) -> Object:
        tags = value_of(answer.headers, self._tag_header) or b""
        return Object(
            status=answer.status,
            cache_control=answer.cache_control,
            etag=value_of(answer.headers, b"etag"),
            life=life,
            key=key,
            body=answer.body,
            headers=self._headers.make(answer.headers, len(answer.body)),
            origin_headers=answer.headers,
            tags=tags_of(tags.decode("latin-1")),
        )

    def _renewed(self, held: Object, answer: Answer, life: Life) -> Object:
        """Return the held object with the headers of a 304, but for its tags: whether CloudFront replaces those is
        documented nowhere, and that it does not is the unkind reading."""
        news = {name for name, _ in answer.headers} - NOT_RENEWED - {self._tag_header}
        kept: Headers = tuple(pair for pair in held.origin_headers if pair[0] not in news)
        headers = kept + tuple(pair for pair in answer.headers if pair[0] in news)
        made = self._headers.make(headers, len(held.body))
        return replace(
            held,
            cache_control=answer.cache_control or held.cache_control,
            life=life,
            headers=made,
            origin_headers=headers,
        )

    def _made(self, key: Key, status: int, content_type: bytes, body: bytes) -> Object:
        headers = ((b"content-type", content_type),)
        made = self._headers.make(headers, len(body))
        return Object(status, "", None, NO_LIFE, key, body, made, headers, frozenset())

    def _failure(self, key: Key, failed: Failed) -> Object:
        return self._made(key, failed.status, PLAIN, f"The edge has no answer: {failed.reason}.".encode())

    def _is_allowed(self, path: str) -> bool:
        """Tell whether a path may reach the origin: below a configured one, plain, and with no way out of it."""
        if not path.startswith(self._prefixes) and path not in self._config.paths:
            return False
        is_plain = path.isascii() and path.isprintable() and " " not in path
        return is_plain and ".." not in path and "/." not in path and "%2e" not in path.lower()

    async def _send(self, scope: Scope, send: Send, reply: Object, result: Result) -> tuple[int, bytes]:
        status, headers, body = reply.status, list(reply.headers), reply.body
        if status == OK and (theirs := value_of(scope["headers"], b"if-none-match")) and is_match(theirs, reply.etag):
            status, body = NOT_MODIFIED, b""
            headers = [pair for pair in headers if pair[0] not in NOT_IN_304]
        elif scope["method"] == "HEAD":
            body = b""
        # CloudFront says Error of every error, from its cache or not.
        headers.append((Result.ERROR if status >= CLIENT_ERROR else result).x_cache)
        if result is Result.HIT:
            headers.append((b"age", b"%d" % max(0, self._config.clock() - reply.life.since)))
        headers.append((b"x-amz-cf-id", secrets.token_urlsafe(40).encode()))
        await respond(send, status, headers, body)
        return status, body
