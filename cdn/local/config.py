"""The settings of the local edge, as plain values. The defaults are CloudFront's where it has one."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

Clock = Callable[[], float]
"""Seconds that never go back. What falls due is looked up when something is asked, so a test moves time at will."""


@dataclass(frozen=True, slots=True)
class TtlPolicy:
    """How long an answer may be kept, in seconds: the TTLs of a cache policy, and of errors without a directive."""

    min: float = 0.0
    default: float = 86_400.0
    max: float = 31_536_000.0
    error_min: float = 0.0  # CloudFront's own default is 10, its template for Edgebake sets 0


@dataclass(frozen=True, slots=True)
class Profile:
    """How the invalidation API behaves."""

    name: str
    effect_s: float  # from the call until objects are dropped
    complete_s: float  # from the call until it is reported Completed
    calls_per_s: float | None  # sustained rate of CreateInvalidation; None: no throttling
    call_burst: int = 6
    max_items: int = 3_000  # in progress at once, and in one batch
    max_wildcards: int = 15  # in progress at once, a pool of their own


CLOUDFRONT = Profile("cloudfront", effect_s=5.0, complete_s=25.0, calls_per_s=0.5)
"""The slow end of what AWS announced (both P95), and the rate that an SDK maintainer named."""
INSTANT = Profile("instant", effect_s=0.0, complete_s=0.0, calls_per_s=None)
PROFILES = {profile.name: profile for profile in (CLOUDFRONT, INSTANT)}


class LateAnswers(StrEnum):
    """What happens to an answer whose fetch began before an invalidation took effect and that arrives after it.

    CloudFront documents nothing, so STORED, the unkind reading, is what Edgebake is tested against.
    """

    STORED = "stored"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class LocalEdgeConfig:
    """Everything the local edge is told."""

    origin: str
    """URL of the origin, without a path."""
    profile: Profile = INSTANT
    ttl: TtlPolicy = field(default_factory=TtlPolicy)
    tag_header: str = "Cache-Tag"
    distribution: str = "LOCALEDGE"
    front_page: bytes | Callable[[], bytes] = b""
    """The HTML answered at ``/``; empty: 404."""
    paths: tuple[str, ...] = ("/feed", "/private", "/author", "/post", "/static", "/live")
    """What reaches the origin: these paths and what is below them."""
    viewer_cache_control: str | None = "no-cache"
    """What the viewer is told in ``Cache-Control``; None leaves the origin's."""
    remove_headers: tuple[str, ...] = ()
    """Headers of the origin that no viewer sees, besides the tag header, which none ever does."""
    response_completion_timeout_s: float = 5.0
    """The longest an answer from the origin may take, connecting and body included."""
    origin_connections: int = 128
    max_bytes: int = 256 * 1024 * 1024
    """Of all objects together; the least recently used go first."""
    max_object_bytes: int = 32 * 1024 * 1024
    log_length: int = 10_000
    late_answers: LateAnswers = LateAnswers.STORED
    clock: Clock = time.monotonic
