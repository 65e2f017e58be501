"""What faces the viewers: chooses the behaviour, refuses, asks its cache, and tells each viewer what is for them."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from itertools import chain
from random import randbytes
from time import perf_counter
from typing import NamedTuple

from cdn.accesslog import DetailedType
from cdn.distribution import Behavior
from cdn.local.asgi import Receive, Scope, Send, not_http, respond
from cdn.local.config import LocalEdgeConfig
from cdn.local.decision import NOT_MODIFIED, Failed, Serve
from cdn.local.flights import Landing
from cdn.local.objects import Object
from cdn.local.ranges import Part, is_current, part_of, replaced
from cdn.local.recorded import ORIGIN, Sent, seen
from cdn.local.request import HEAD, Request, headers_of
from cdn.local.results import Entry, Log, Result
from cdn.local.route import RequestHeaders, Route, Routes
from cdn.local.tier import NO_LIFE, OK, PLAIN, Tier
from cdn.local.viewer import NOT_IN_304, is_unchanged, value_of
from cdn.signing import Denial

is_host = re.compile(rb"(?:[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?").fullmatch
"""A name or an address, and perhaps a port (RFC 9110 §7.2); none is what HTTP/1.0 sends."""
MAX_URL = 8_192
MAX_REQUEST = 20_480
"""Bytes of path, query string and headers together."""
MAX_BODY = 16 * 1024 * 1024
XML = b"text/xml"
HTML = b"text/html; charset=utf-8"


class Refusal(NamedTuple):
    """What the edge answers by itself, to a request that goes no further. ``word``: what the log says of it."""

    status: int
    body: bytes
    content_type: bytes = PLAIN
    result: Result = Result.ERROR
    word: str = DetailedType.INVALID_REQUEST


Check = Callable[[Behavior, Scope], Denial | None]
"""Says who may not read, of a behaviour with key groups."""


class Proxy:
    """An ASGI application that answers viewers from a tier."""

    def __init__(
        self, config: LocalEdgeConfig, tier: Tier, check: Check, log: Log, access: Callable[[Sent], None] | None = None
    ) -> None:
        """``access`` is told of each answer, for the access log."""
        self._config = config
        self._tier = tier
        self._check = check
        self._log = log
        self._access = access
        behaviors = config.distribution.behaviors
        self._routes = Routes([Route(config.distribution, each, tier.name) for each in behaviors])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await not_http(scope, receive, send)
            return
        began = perf_counter()
        path, headers = scope["raw_path"].decode("latin-1"), headers_of(scope)
        route = self._routes.of(path)
        key = route.key(path, scope["query_string"].decode("latin-1"), headers, scope.get("http_version", "1.1"))
        request = Request(key, route, scope, headers, _request_id())
        refusal = self._refuse(request, path)
        landing = self._refused(request, refusal) if refusal else await self._answer(request, receive)
        status, sent, body = self._reply(request, landing)
        ready_s = perf_counter() - began
        await respond(send, status, sent, body)
        taken_s = perf_counter() - began
        self._log.add(Entry(scope["method"], path, key.encoding, status, landing.result, len(body), taken_s * 1000))
        if self._access is not None:
            self._access(Sent(request, landing, status, tuple(sent), len(body), ready_s, taken_s))

    def _refuse(self, request: Request, path: str) -> Refusal | None:
        """Return the answer to what the edge answers without looking into its cache."""
        behavior = request.route.behavior
        if malformed := _malformed(request, path):
            return malformed
        if path == "/" and (page := self._config.front_page):
            return Refusal(OK, page() if callable(page) else page, HTML, Result.GENERATED)
        if behavior.leads_nowhere:
            return Refusal(404, b"There is nothing here.", result=Result.GENERATED)
        if behavior.key_groups and (denial := self._check(behavior, request.scope)):
            return Refusal(403, denial.document, XML, word=DetailedType.INVALID_REQUEST_BLOCKED)
        return None

    async def _answer(self, request: Request, receive: Receive) -> Landing:
        method, headers = request.scope["method"], request.headers
        if method not in ("GET", HEAD):
            sent = await _body(receive)
            if isinstance(sent, Refusal):
                return self._refused(request, sent)
            return await self._tier.serve(request._replace(body=sent))
        decision = self._tier.decide(request.key)
        if isinstance(decision, Serve):  # the way of nearly all: no more than a look-up
            return Landing(decision.held, Result.HIT, shared=True)
        if self._tier.objects.get(request.key) is None and (piece := _piece(method, headers)):
            if piece != HEAD and (part := self._tier.part(request.key, piece)):
                return Landing(part, Result.HIT, shared=True)
            request = request._replace(key=request.key._replace(piece=piece))
        return await self._tier.serve(request)

    def _refused(self, request: Request, refusal: Refusal) -> Landing:
        headers = ((b"content-type", refusal.content_type),)
        made = request.route.viewer.make(headers, len(refusal.body))
        reply = Object(refusal.status, "", None, NO_LIFE, request.key, refusal.body, made, headers, frozenset())
        return Landing(reply, refusal.result, shared=False, failed=Failed(refusal.status, "", refusal.word))

    def _reply(self, request: Request, landing: Landing) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Return what is sent to this viewer: status, headers and body."""
        reply, result = landing.reply, landing.result
        status, headers, body = reply.status, list(reply.headers), reply.body
        asked = request.headers
        if (b"if-none-match" in asked or b"if-modified-since" in asked) and is_unchanged(asked, reply):
            status, body = NOT_MODIFIED, b""
            headers = [pair for pair in headers if pair[0] not in NOT_IN_304]
        elif request.scope["method"] == HEAD:
            body = b""
        elif b"range" in asked and status == OK and not _is_from_origin(landing) and (part := _part(asked, reply)):
            status, body, headers = part.status, part.body, list(replaced(reply.headers, part))
        headers.append(seen(landing, status).x_cache)
        age = int(self._config.clock() - reply.life.since) if reply.life is not NO_LIFE else 0
        if result is Result.HIT or age > 0:  # or the origin said that it is old
            headers.append((b"age", b"%d" % max(0, age)))
        headers.append((b"x-amz-cf-id", request.id.encode()))
        return status, headers, body


def _is_from_origin(landing: Landing) -> bool:
    """Tell whether the origin has just sent it: all of it, where it knows no ranges."""
    return landing.result is Result.MISS and landing.reply.found == ORIGIN


def _malformed(request: Request, path: str) -> Refusal | None:
    """Return the refusal of what no behaviour would take, or not this one."""
    scope, methods = request.scope, request.route.behavior.methods
    if len(path) + len(scope["query_string"]) > MAX_URL or _size(scope) > MAX_REQUEST:
        return Refusal(413, f"A URL may have {MAX_URL} bytes, a request without its body {MAX_REQUEST}.".encode())
    if not path.isascii() or not path.isprintable() or " " in path:
        return Refusal(400, b"The path is not percent-encoded.")
    if not is_host(request.headers.get(b"host", b"")):  # or a path in it would be part of what a signature is for
        return Refusal(400, b"The Host header names no host.")
    if scope["method"] not in methods:
        told = f"The edge takes {', '.join(methods)} here, not {scope['method']}."
        return Refusal(403, told.encode(), word=DetailedType.INVALID_REQUEST_METHOD)
    if scope["method"] == "GET" and _has_body(request.headers):
        return Refusal(403, b"A GET must have no body.")
    return None


def _piece(method: str, headers: RequestHeaders) -> str:
    """Return what of an object that is not held is asked for. With ``If-Range`` all of it, to be cut here."""
    if method == HEAD:
        return HEAD
    asked = headers.get(b"range", b"").decode("latin-1")
    return asked if asked.startswith("bytes=") and b"if-range" not in headers else ""


def _part(asked: RequestHeaders, reply: Object) -> Part | None:
    condition = asked.get(b"if-range")
    if condition is not None and not is_current(condition, reply.etag, reply.modified):
        return None
    if value_of(reply.origin_headers, b"transfer-encoding") is not None:  # guide: all of it, then
        return None
    return part_of(reply.body, asked[b"range"].decode("latin-1"), value_of(reply.headers, b"content-type"))


def _size(scope: Scope) -> int:
    headers = scope["headers"]
    return len(scope["raw_path"]) + sum(map(len, chain.from_iterable(headers))) + 4 * len(headers)


def _request_id() -> str:
    """Return what ``X-Amz-Cf-Id`` says: 56 characters that no other request has, no secret."""
    return urlsafe_b64encode(randbytes(42)).decode()


def _has_body(headers: RequestHeaders) -> bool:
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


async def _body(receive: Receive) -> bytes | Refusal:
    """Return the body of a request, or why it is not passed on: it is too long, or its viewer left before its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return Refusal(400, b"The body was cut off.", word=DetailedType.CLIENT_COMM_ERROR)
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return Refusal(413, f"A body may have {MAX_BODY} bytes here.".encode())
        if not message.get("more_body"):
            return bytes(body)
