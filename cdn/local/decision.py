"""What the edge does with a request and with an answer: CloudFront's caching rules as pure functions.

Nothing here waits or keeps anything; ``proxy`` performs what is decided. Times are seconds of the edge's clock.
The rules are those of the CloudFront Developer Guide, Expiration and HTTPStatusCodes.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar, assert_never

from cdn.local.cache_control import UNCACHEABLE, parse, seconds
from cdn.local.config import LateAnswers, TtlPolicy

SERVER_ERROR = 500
CLIENT_ERROR = 400
NOT_MODIFIED = 304


@dataclass(frozen=True, slots=True)
class Life:
    """How long an answer may be served: fresh, then stale while it is refreshed, or while the origin fails."""

    since: float
    fresh_until: float
    refresh_until: float
    fallback_until: float


@dataclass(frozen=True, slots=True)
class Held:
    """What the decisions need to know of an object that the edge holds."""

    status: int
    cache_control: str
    etag: bytes | None
    life: Life


@dataclass(frozen=True, slots=True)
class Head:
    """What the decisions need to know of an answer. ``whole``: it cannot have been cut off unnoticed."""

    status: int
    cache_control: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The origin did not answer (502), or not in time (504), or was cut off (502)."""

    status: int
    reason: str


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


@dataclass(frozen=True, slots=True)
class Renew(Generic[H, A]):
    """What is held is still right: give it this life, and serve it. ``life`` None: serve it, but keep it no longer."""

    held: H
    answer: A
    life: Life | None


@dataclass(frozen=True, slots=True)
class FallBack(Generic[H]):
    """The origin fails and what is held may be served stale."""

    held: H


@dataclass(frozen=True, slots=True)
class Pass(Generic[A]):
    """Serve the answer and keep nothing. ``shared``: whoever waits for it gets it too."""

    answer: A
    shared: bool


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell all who wait that the origin failed."""

    failed: Failed


def on_request(held: H | None, now: float) -> Serve[H] | ServeAndRefresh[H] | Fetch:
    """Decide what a request gets."""
    if held is None:
        return Fetch()
    if now < held.life.fresh_until:
        return Serve(held)
    if now < held.life.refresh_until:
        return ServeAndRefresh(held)
    return Fetch()


def on_answer(
    held: H | None, answer: A | Failed, now: float, ttl: TtlPolicy
) -> Store[A] | Renew[H, A] | FallBack[H] | Pass[A] | Tell:
    """Decide what becomes of an answer, where ``held`` is the object that was to be refreshed."""
    if held is not None and answer.status >= SERVER_ERROR and now < held.life.fallback_until:
        return FallBack(held)
    if isinstance(answer, Failed):
        return Tell(answer)
    if held is not None and answer.status == NOT_MODIFIED:
        return Renew(held, answer, life_of(held.status, answer.cache_control or held.cache_control, now, ttl))
    life = life_of(answer.status, answer.cache_control, now, ttl)
    if life is None or not answer.whole or answer.status == NOT_MODIFIED:
        return Pass(answer, shared=_is_shared_error(answer))
    return Store(answer, life)


def life_of(status: int, cache_control: str, now: float, ttl: TtlPolicy) -> Life | None:
    """Return how long an answer may be kept from ``now``, None where it may not be.

    Both stale windows end at the maximum TTL. Without ``stale-if-error`` CloudFront still serves an expired
    object while the origin fails.
    """
    directives = parse(cache_control)
    lifetime = _lifetime(status, directives, ttl)
    if lifetime <= 0:
        return None
    fresh, end = now + lifetime, now + max(ttl.max, lifetime)
    refresh = seconds(directives, "stale-while-revalidate") or 0.0
    fallback = seconds(directives, "stale-if-error")
    return Life(now, fresh, min(fresh + refresh, end), end if fallback is None else min(fresh + fallback, end))


def keeps_late_answer(began: float, last_drop: float, policy: LateAnswers) -> bool:
    """Decide whether to store an answer whose fetch began at ``began``, objects being dropped at ``last_drop``."""
    match policy:
        case LateAnswers.STORED:
            return True
        case LateAnswers.DROPPED:
            return began > last_drop
        case _:
            assert_never(policy)


def _lifetime(status: int, directives: dict[str, str], ttl: TtlPolicy) -> float:
    is_error = status >= CLIENT_ERROR
    least = ttl.error_min if is_error else ttl.min
    if not UNCACHEABLE.isdisjoint(directives):
        return least
    asked = seconds(directives, "s-maxage")
    if asked is None:
        asked = seconds(directives, "max-age")
    if asked is None:
        asked = 0.0 if is_error else ttl.default
    return max(least, min(asked, ttl.max))


def _is_shared_error(answer: Head) -> bool:
    """Tell whether waiters get an error that is not kept: sending each to an origin that fails would help nobody."""
    return answer.status >= SERVER_ERROR and UNCACHEABLE.isdisjoint(parse(answer.cache_control))
