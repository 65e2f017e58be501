"""The settings of the local edge, as plain values. The defaults are CloudFront's where it has one."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cdn.distribution import Distribution, ours
from cdn.local.topology import Topology
from cdn.signing import PublicKey

Clock = Callable[[], float]
"""Seconds that never go back. What falls due is looked up when something is asked, so a test moves time at will."""


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


class ErrorTags(StrEnum):
    """Whether an error that is kept keeps its cache tags. CloudFront documents nothing; DROPPED is the unkind reading.

    With DROPPED a 404 is not reached by its tags: it goes by its path, or dies of itself, Edgebake's after 5 s.
    """

    KEPT = "kept"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class LocalEdgeConfig:
    """Everything the local edge is told."""

    origin: str
    """URL of the origin, without a path."""
    distribution: Distribution = field(default_factory=ours)
    """What it runs: behaviours, policies, time-outs. All its origins are the one at ``origin``."""
    profile: Profile = INSTANT
    topology: Topology = field(default_factory=Topology)
    key_groups: Mapping[str, Mapping[str, PublicKey]] = field(default_factory=dict)
    """The keys of each trusted key group, by their ids. Behaviours whose groups have none are closed to all."""
    logs: Path | None = None
    """The folder of the access logs; None: none are written."""
    front_page: bytes | Callable[[], bytes] = b""
    """The HTML answered at ``/``; empty: what the distribution says of that path."""
    origin_connections: int = 128
    max_bytes: int = 256 * 1024 * 1024
    """Of all objects of one cache together; the least recently used go first."""
    max_object_bytes: int = 32 * 1024 * 1024
    log_length: int = 10_000
    late_answers: LateAnswers = LateAnswers.STORED
    error_tags: ErrorTags = ErrorTags.KEPT
    clock: Clock = time.monotonic
    wall_clock: Clock = time.time
    """Unix time, for signatures and logs."""
