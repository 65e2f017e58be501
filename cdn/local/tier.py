"""One cache: performs what ``decision`` decides, with objects of its own, before the origin or another cache.

An edge location, a regional cache and Origin Shield are each a tier. How long an object may be kept counts anew in
each, for which tier counts from when is documented nowhere, and this is the unkind reading.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, assert_never

from cdn.local.compression import at_the_edge
from cdn.local.config import Clock, ErrorTags, LateAnswers
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
from cdn.local.origin import Answer, answered
from cdn.local.ranges import part_of_part, replaced
from cdn.local.request import CONDITIONS, HEAD, Request
from cdn.local.results import Result
from cdn.local.viewer import NOT_IN_304, NOT_RENEWED, is_match, value_of

NO_LIFE = Life(0.0, 0.0, 0.0, 0.0)
"""The life of what is served once and not kept."""
CACHED = frozenset(("GET", "HEAD"))
PLAIN = b"text/plain; charset=utf-8"
OK, PARTIAL = 200, 206


class Upstream(Protocol):
    """What a tier asks: the origin, or another tier."""

    async def get(self, request: Request) -> Answer | Failed:
        """Return the answer, a 304 where what the request says of ETag and date is still right. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class TierConfig:
    """What the tiers of an edge have in common."""

    clock: Clock
    tag_header: str | None
    late_answers: LateAnswers = LateAnswers.STORED
    error_tags: ErrorTags = ErrorTags.KEPT


class Tier:
    """A cache, and an upstream for the one before it."""

    def __init__(
        self,
        name: str,
        config: TierConfig,
        objects: Objects,
        upstream: Upstream,
        settle: Callable[[], float],
        *,
        faces_viewers: bool,
    ) -> None:
        """``settle`` drops what invalidations have due, and returns when anything was last dropped."""
        self.name = name
        self.flights = Flights()
        self.objects = objects
        self._config = config
        self._clock = config.clock
        self._upstream = upstream
        self._settle = settle
        self._faces_viewers = faces_viewers
        self._tag_header = (config.tag_header or "").lower().encode()

    def decide(self, key: Key) -> Serve[Object] | ServeAndRefresh[Object] | Fetch:
        """Decide what a request gets, with what is held now."""
        self._settle()
        return on_request(self.objects.get(key), self._clock())

    def part(self, key: Key, asked: str) -> Object | None:
        """Return the part that a Range header asks for, cut from a larger one that is held and fresh."""
        now = self._clock()
        for held in self.objects.pieces(key):
            said = value_of(held.origin_headers, b"content-range") or b""
            if (
                held.status == PARTIAL
                and now < held.life.fresh_until
                and (part := part_of_part(held.body, said, asked))
            ):
                return replace(held, body=part.body, headers=replaced(held.headers, part))
        return None

    async def serve(self, request: Request) -> Landing:
        """Answer a request, from what is held or from upstream."""
        if request.method not in CACHED:
            return await self._pass(request)
        decision = self.decide(request.key)
        match decision:
            case Serve(held):
                return Landing(held, Result.HIT, shared=True)
            case ServeAndRefresh(held):
                self.flights.start(request.key, partial(self._fetch, request))
                return Landing(held, Result.HIT, shared=True)
            case Fetch():
                fetch = partial(self._fetch, request)
                return await (self.flights.join(request.key, fetch) if request.route.rules.collapses else fetch())
            case _:
                assert_never(decision)

    async def get(self, request: Request) -> Answer | Failed:
        """Answer the tier before this one; of a HEAD or a range with all of the object, where that is held."""
        whole = request.key._replace(piece="")
        if request.key.piece and isinstance(self.decide(whole), Serve):
            request = request._replace(key=whole)
        landing = await self.serve(request)
        held, found = landing.reply, self.name if landing.result is Result.HIT else landing.reply.found
        if landing.failed:
            return landing.failed
        headers: Headers = tuple(pair for pair in held.origin_headers if pair[0] != b"age")
        if held.status == OK and request.etag is not None and is_match(request.etag, held.etag):
            told = tuple(pair for pair in headers if pair[0] not in NOT_IN_304)
            return answered(NOT_MODIFIED, told, b"", found)
        return answered(held.status, headers, held.body, found)

    async def _pass(self, request: Request) -> Landing:
        """Pass on what is never cached."""
        answer = await self._upstream.get(request)
        if isinstance(answer, Failed):
            return Landing(self._failure(request, answer, None), Result.ERROR, shared=False, failed=answer)
        return Landing(self._object(request, answer, NO_LIFE), Result.MISS, shared=False)

    async def _fetch(self, request: Request) -> Landing:
        """Ask upstream for a key and keep what may be kept."""
        began = self._clock()
        held = self.objects.get(request.key)
        asked = self._conditional(request, held)
        answer = await self._upstream.get(asked)
        last_drop = self._settle()
        if answer.status >= SERVER_ERROR:
            held = self.objects.get(request.key)  # what was dropped meanwhile is nothing to fall back on
        if held is not None and answer.status == NOT_MODIFIED and isinstance(answer, Answer):
            if asked.etag is None and asked.modified is None:
                held = None  # nobody asked whether it is still right
            else:
                answer = _merged(held, answer, self._tag_header)
        if answer.status == PARTIAL and not request.range and isinstance(answer, Answer):
            return Landing(self._object(request, answer, NO_LIFE), Result.MISS, shared=False)  # nobody asked for a part
        decision = on_answer(held, answer, self._clock(), request.route.rules)
        return self._perform(request, decision, keeps_late_answer(began, last_drop, self._config.late_answers))

    def _perform(
        self,
        request: Request,
        decision: Store[Answer] | Renew[Object, Answer] | FallBack[Object] | Pass[Answer] | Tell,
        is_kept: bool,
    ) -> Landing:
        match decision:
            case Store(answer, life, shared):
                stored = self._keep(self._object(request, answer, life), is_kept)
                return Landing(stored, Result.MISS, shared)
            case Renew(held, answer, life, shared):
                renewed = self._renewed(request, held, answer, life or NO_LIFE)
                return Landing(self._keep(renewed, is_kept and life is not None), Result.REFRESH_HIT, shared)
            case FallBack(held, life):
                if life.quiet_until > self._clock():
                    self.objects.put(held := replace(held, life=life))
                return Landing(held, Result.HIT, shared=True)
            case Pass(answer, shared):
                return Landing(self._keep(self._object(request, answer, NO_LIFE), False), Result.MISS, shared)
            case Tell(failed, life):
                told = self._failure(request, failed, life)
                if is_kept and life is not None:
                    self.objects.put(told)
                return Landing(told, Result.ERROR, shared=True, failed=failed)
            case _:
                assert_never(decision)

    def _conditional(self, request: Request, held: Object | None) -> Request:
        """Ask for a confirmation of what is held, where that is allowed and there is something to confirm.

        No other condition goes along, of the viewer or of the tier before: a 304 would say nothing of what is held.
        """
        if held is None:
            return request
        etag, modified = (held.etag, held.modified) if _is_confirmed(request, held) else (None, None)
        headers = {name: value for name, value in request.headers.items() if name not in CONDITIONS}
        return request._replace(headers=headers, etag=etag, modified=modified)

    def _keep(self, fresh: Object, is_kept: bool) -> Object:
        if is_kept:
            self.objects.put(fresh)
        elif fresh.status < SERVER_ERROR:
            self.objects.remove(fresh.key)  # the origin has said something newer than what is held
        return fresh

    def _object(self, request: Request, answer: Answer, life: Life) -> Object:
        if self._faces_viewers:
            answer = at_the_edge(request, answer)
        key = request.key
        if request.range and answer.status != PARTIAL:
            key = key._replace(piece="")  # the origin sent all of it
        return Object(
            status=answer.status,
            cache_control=answer.cache_control,
            etag=value_of(answer.headers, b"etag"),
            life=life,
            key=key,
            body=answer.body,
            headers=self._dressed(request, answer.headers, _length(request, answer)),
            origin_headers=answer.headers,
            tags=self._tags(answer),
            modified=value_of(answer.headers, b"last-modified"),
            found=answer.found,
        )

    def _tags(self, answer: Answer) -> frozenset[str]:
        if answer.status >= CLIENT_ERROR and self._config.error_tags is ErrorTags.DROPPED:
            return frozenset()
        return tags_of((value_of(answer.headers, self._tag_header) or b"").decode("latin-1"))

    def _renewed(self, request: Request, held: Object, answer: Answer, life: Life) -> Object:
        """Return the held object with the headers of a 304, but for its tags: whether CloudFront replaces those is
        documented nowhere, and that it does not is the unkind reading."""
        return replace(
            held,
            cache_control=answer.cache_control or held.cache_control,
            life=life,
            headers=self._dressed(request, answer.headers, len(held.body)),
            origin_headers=answer.headers,
            found=answer.found,
        )

    def _failure(self, request: Request, failed: Failed, life: Life | None) -> Object:
        body = f"The edge has no answer: {failed.reason}.".encode()
        headers = ((b"content-type", PLAIN),)
        dressed = self._dressed(request, headers, len(body))
        return Object(failed.status, "", None, life or NO_LIFE, request.key, body, dressed, headers, frozenset())

    def _dressed(self, request: Request, headers: Headers, length: int) -> Headers:
        return request.route.viewer.make(headers, length) if self._faces_viewers else headers


def _is_confirmed(request: Request, held: Object) -> bool:
    """Tell whether CloudFront asks with a condition: not with cookies forwarded, nor of an error or of ``Vary: *``."""
    varies = value_of(held.origin_headers, b"vary") or b""
    is_never_the_same = any(part.strip() == b"*" for part in varies.split(b","))
    return request.route.rules.revalidates and held.status == OK and not is_never_the_same


def _merged(held: Object, answer: Answer, tag_header: bytes) -> Answer:
    """Return a 304 with all headers that the renewed object will have."""
    news = {name for name, _ in answer.headers} - NOT_RENEWED - {tag_header}
    kept: Headers = tuple(pair for pair in held.origin_headers if pair[0] not in news)
    return answered(NOT_MODIFIED, kept + tuple(pair for pair in answer.headers if pair[0] in news), b"", answer.found)


def _length(request: Request, answer: Answer) -> int:
    """Return what Content-Length says: of a HEAD, what the origin says of its GET."""
    said = value_of(answer.headers, b"content-length") or b""
    return int(said) if request.key.piece == HEAD and said.isdigit() else len(answer.body)
