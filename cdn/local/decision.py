"""What the edge does with a request and with an answer: CloudFront's caching rules as pure functions.

Nothing here waits or keeps anything; ``tier`` performs what is decided. Times are seconds of the edge's clock.
The rules are those of the CloudFront Developer Guide, Expiration, HTTPStatusCodes and
RequestAndResponseBehaviorCustomOrigin; docs/local-edge.md has each with its page and its test.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar, assert_never

from cdn.accesslog import DetailedType
from cdn.cache_control import UNCACHEABLE, parse, seconds
from cdn.distribution import ERROR_TTL_S, Behavior, Distribution
from cdn.local.config import LateAnswers

SERVER_ERROR = 500
CLIENT_ERROR = 400
NOT_MODIFIED = 304
ALWAYS_KEPT = frozenset((404, 414, 500, 501, 502, 503, 504))
"""Errors that are kept whatever the origin says [HTTPStatusCodes]."""
KEPT_IF_ASKED = frozenset((400, 403, 405, 412, 415))
"""Errors that are kept where the origin says how long. No others are ever kept."""
NEED_CACHE_CONTROL = frozenset((307, 308))
"""Redirects that are kept only with Cache-Control [http-3xx-status-codes]."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a behaviour and its distribution say of caching."""

    min_ttl: float = 0.0
    default_ttl: float = 86_400.0
    max_ttl: float = 31_536_000.0
    errors: Mapping[int, float] = field(default_factory=dict)
    """How long an error is kept at least, by status; ERROR_TTL_S where it is not listed."""
    collapses: bool = True
    revalidates: bool = True

    def error_ttl(self, status: int) -> float:
        """Return how long an error is kept at least."""
        return self.errors.get(status, ERROR_TTL_S)


@dataclass(frozen=True, slots=True)
class Life:
    """How long an answer may be served: fresh, then stale while it is refreshed, or while the origin fails."""

    since: float
    fresh_until: float
    refresh_until: float
    fallback_until: float
    quiet_until: float = 0.0
    """Until then it is served, stale as it is, without asking an origin that has just failed."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the decisions need to know of an object that the edge holds."""

    status: int
    cache_control: str
    etag: bytes | None
    life: Life


@dataclass(frozen=True, slots=True)
class Head:
    """What the decisions need to know of an answer."""

    status: int
    cache_control: str
    expires: float | None = None
    """In how many seconds it expires by its ``Expires``, None without one."""
    age: float = 0.0
    """How old the origin says it is, in seconds."""
    varies_always: bool = False
    """``Vary: *``."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The origin did not answer (502), or not in time (504), or was cut off (502). ``word`` is the log's."""

    status: int
    reason: str
    word: str = DetailedType.ORIGIN_ERROR


H = TypeVar("H", bound=Held)
A = TypeVar("A", bound=Head)


@dataclass(frozen=True, slots=True)
class Serve(Generic[H]):
    """Answer with what is held."""

    held: H


@dataclass(frozen=True, slots=True)
class ServeAndRefresh(Generic[H]):
    """Answer with what is held at once, and ask the origin behind the viewer's back."""

    held: H


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask the origin, with ``If-None-Match`` where something with an ETag is held."""


@dataclass(frozen=True, slots=True)
class Store(Generic[A]):
    """Keep the answer for this life, and serve it."""

    answer: A
    life: Life
    shared: bool = True


@dataclass(frozen=True, slots=True)
class Renew(Generic[H, A]):
    """What is held is still right: give it this life, and serve it. ``life`` None: serve it, but keep it no longer."""

    held: H
    answer: A
    life: Life | None
    shared: bool = True


@dataclass(frozen=True, slots=True)
class FallBack(Generic[H]):
    """The origin fails and what is held may be served stale, with this life."""

    held: H
    life: Life


@dataclass(frozen=True, slots=True)
class Pass(Generic[A]):
    """Serve the answer and keep nothing. ``shared``: whoever waits for it gets it too."""

    answer: A
    shared: bool


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell all who wait that the origin failed, and whoever comes during this life."""

    failed: Failed
    life: Life | None = None


FETCH = Fetch()


def rules_of(distribution: Distribution, behavior: Behavior) -> Rules:
    """Return the rules of a behaviour. With cookies forwarded, nothing is collapsed or revalidated."""
    cache, alone = behavior.cache, behavior.forwards_cookies
    return Rules(
        cache.min_ttl,
        cache.default_ttl,
        cache.max_ttl,
        distribution.error_min_ttl,
        collapses=not alone and cache.max_ttl > 0,
        revalidates=not alone,
    )


def on_request(held: H | None, now: float) -> Serve[H] | ServeAndRefresh[H] | Fetch:
    """Decide what a request gets."""
    if held is None:
        return FETCH
    if now < held.life.fresh_until or now < held.life.quiet_until:
        return Serve(held)
    if now < held.life.refresh_until:
        return ServeAndRefresh(held)
    return FETCH


def on_answer(
    held: H | None, answer: A | Failed, now: float, rules: Rules
) -> Store[A] | Renew[H, A] | FallBack[H] | Pass[A] | Tell:
    """Decide what becomes of an answer, where ``held`` is the object that was to be refreshed."""
    if held is not None and answer.status >= SERVER_ERROR and now < held.life.fallback_until:
        quiet_until = min(now + rules.error_ttl(answer.status), held.life.fallback_until)
        return FallBack(held, replace(held.life, quiet_until=quiet_until))
    if isinstance(answer, Failed):
        return Tell(answer, life_of(Head(answer.status, ""), now, rules))
    if answer.status == NOT_MODIFIED:
        return _on_not_modified(held, answer, now, rules)
    life, shared = life_of(answer, now, rules), _is_shared(answer, rules)
    return Pass(answer, shared) if life is None else Store(answer, life, shared)


def _on_not_modified(held: H | None, answer: A, now: float, rules: Rules) -> Renew[H, A] | Pass[A]:
    if held is None:  # the viewer's own If-None-Match was forwarded: for nobody else
        return Pass(answer, shared=False)
    said = answer.cache_control or held.cache_control
    told = Head(held.status, said, answer.expires, answer.age)
    return Renew(held, answer, life_of(told, now, rules), _is_shared(told, rules))


def life_of(answer: Head, now: float, rules: Rules) -> Life | None:
    """Return how long an answer may be kept from ``now``, None where it may not be.

    Both stale windows end at the maximum TTL. Without ``stale-if-error`` CloudFront still serves an expired
    object while the origin fails, one that was never fresh as well.
    """
    directives = parse(answer.cache_control)
    lifetime = _lifetime(answer, directives, rules)
    if lifetime is None:
        return None
    since, fresh, end = now - answer.age, now + lifetime, now + max(rules.max_ttl, lifetime)
    refresh = seconds(directives, "stale-while-revalidate") or 0.0
    if answer.varies_always and lifetime <= 0:
        refresh = 0.0  # asked for each time
    fallback = seconds(directives, "stale-if-error")
    if fallback is None:  # an error covers for nothing unless it says so
        fallback = 0.0 if answer.status >= CLIENT_ERROR else rules.max_ttl
    return Life(since, fresh, min(fresh + refresh, end), min(fresh + fallback, end))


def keeps_late_answer(began: float, last_drop: float, policy: LateAnswers) -> bool:
    """Decide whether to store an answer whose fetch began at ``began``, objects being dropped at ``last_drop``."""
    match policy:
        case LateAnswers.STORED:
            return True
        case LateAnswers.DROPPED:
            return began > last_drop
        case _:
            assert_never(policy)


def _lifetime(answer: Head, directives: Mapping[str, str], rules: Rules) -> float | None:
    """Return for how many seconds an answer is fresh, None where it is not kept."""
    forbidden = not UNCACHEABLE.isdisjoint(directives)
    asked = None if forbidden else _asked(answer, directives)
    if answer.status >= CLIENT_ERROR:
        return _error_lifetime(answer.status, asked, rules)
    if rules.max_ttl <= 0 or (forbidden and rules.min_ttl <= 0):
        return None
    if answer.status in NEED_CACHE_CONTROL and not directives:
        return None
    if forbidden:
        return rules.min_ttl
    if answer.varies_always and rules.min_ttl <= 0:
        return 0.0
    return max(rules.min_ttl, min(rules.default_ttl if asked is None else asked, rules.max_ttl))


def _error_lifetime(status: int, asked: float | None, rules: Rules) -> float | None:
    if status not in ALWAYS_KEPT and (asked is None or status not in KEPT_IF_ASKED):
        return None
    lifetime = max(rules.error_ttl(status), min(asked or 0.0, rules.max_ttl))
    return lifetime if lifetime > 0 else None


def _asked(answer: Head, directives: Mapping[str, str]) -> float | None:
    """Return the lifetime that the origin asks for: s-maxage goes before max-age, that before Expires.

    It began when the answer was made, ``age`` seconds ago (RFC 9111 §4.2; the guide says nothing of Age).
    """
    for name in ("s-maxage", "max-age"):
        if (asked := seconds(directives, name)) is not None:
            return max(0.0, asked - answer.age)
    return None if answer.expires is None else max(0.0, answer.expires - answer.age)


def _is_shared(answer: Head, rules: Rules) -> bool:
    """Tell whether waiters get the answer too: not with minimum TTL 0 and one of these directives."""
    if rules.min_ttl > 0:
        return True
    directives = parse(answer.cache_control)
    if not UNCACHEABLE.isdisjoint(directives):
        return False
    return 0.0 not in (seconds(directives, "s-maxage"), seconds(directives, "max-age"))
