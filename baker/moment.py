"""Times as artifacts write them, from Unix milliseconds, always in UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(ms: int) -> datetime:
    """Return a time of the system of record."""
    return _EPOCH + timedelta(milliseconds=ms)


def rfc3339(ms: int) -> str:
    """Return a time to the second: ``2026-11-03T14:05:00Z``."""
    return utc(ms).strftime("%Y-%m-%dT%H:%M:%SZ") if ms >= 0 else rfc3339(0)
