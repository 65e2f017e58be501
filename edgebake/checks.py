"""What doctor compares with: the settings, as plain values."""

from typing import TYPE_CHECKING

from edgebake.settings import Settings

if TYPE_CHECKING:
    from cdn.doctor import Expected


def expected_of(settings: Settings) -> "Expected":
    """Return what the settings reckon with of an edge."""
    from cdn.doctor import Expected

    freshness = settings.freshness
    return Expected(
        tag_header=settings.tag_header,
        max_ttl=settings.max_ttl,
        life=freshness.ttl + max(freshness.stale_while_revalidate, freshness.stale_if_error),
        origin_timeout=settings.origin_timeout_s,
        tiers=settings.edge_tiers,
    )
