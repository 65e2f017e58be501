"""Freshness: how long edges may keep an answer, and so how long the ledger has to remember it."""

from dataclasses import dataclass, replace

UNKNOWN_S = 5
"""Life of a 404 or 410 that may become something else: short, and dropped by its tags besides."""

IMPOSSIBLE_S = 60
"""Life of a 404 for a path that can never be anything else."""

LATE_S = 1
"""Life of an answer that did not pass the fence, or was baked with templates that are not current."""

LAST_S = 2
"""Life of what was baked last, where there is no room to bake: long enough that the edge asks less often."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Seconds: ``s-maxage`` and the stale windows of an answer, under the maximum TTL of the edge's cache policy."""

    ttl: int = 300
    stale_while_revalidate: int = 30
    stale_if_error: int = 30
    max_ttl: int = 3600
    tiers: int = 2

    @property
    def horizon_ms(self) -> int:
        """How long an edge may serve the answer: DESIGN's horizon, each tier counting from when it got it."""
        stale = max(self.stale_while_revalidate, self.stale_if_error)
        return min(self.ttl + stale, self.max_ttl) * self.tiers * 1000

    @property
    def header(self) -> bytes:
        """The value of ``Cache-Control``. No ``max-age``: 0 would keep CloudFront from collapsing requests."""
        return (
            f"s-maxage={self.ttl}, stale-while-revalidate={self.stale_while_revalidate}, "
            f"stale-if-error={self.stale_if_error}"
        ).encode()

    def at_most(self, ttl: int) -> "Freshness":
        """Return the same with a life of ``ttl`` seconds at most."""
        return replace(self, ttl=min(self.ttl, ttl))

    def briefly(self, ttl: int) -> "Freshness":
        """Return the freshness of an answer that lives for ``ttl`` seconds and is never served stale."""
        return Freshness(ttl, 0, 0, self.max_ttl, self.tiers)
