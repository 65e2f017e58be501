"""Whose fault an error is: the world's, where Redis or the database is away, or of the change that was being handled.

A change that fails by its own fault five times is parked; the world's faults count for nothing, or an hour without a
database would park all of them.
"""

from enum import Enum

from redis import exceptions

from feeds.errors import RecordUnavailable

_AWAY = (
    OSError,
    RecordUnavailable,
    exceptions.AskError,
    exceptions.ClusterError,
    exceptions.ConnectionError,
    exceptions.NoPermissionError,
    exceptions.NoScriptError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.RedisClusterException,
    exceptions.TryAgainError,
)
_AWAY_CODES = frozenset({"BUSY", "FORGOTTEN", "MISCONF", "NOGROUP", "NOREPLICAS", "UNBLOCKED"})
"""What Redis says first where it answers and cannot do its work, and redis-py has no class for it."""


class Fault(Enum):
    """Whose fault an error is."""

    WORLD = "world"
    CHANGE = "change"
    UNCLEAR = "unclear"
    """Something took too long: the change's fault where Redis and the database answer at that time."""


def fault_of(error: BaseException) -> Fault:
    """Return whose fault an error is; of several at once, the world's comes first."""
    if isinstance(error, BaseExceptionGroup):
        faults = {fault_of(each) for each in error.exceptions}
        return next(fault for fault in Fault if fault in faults)
    if isinstance(error, TimeoutError | exceptions.TimeoutError):
        return Fault.UNCLEAR
    is_busy = isinstance(error, exceptions.ResponseError) and str(error).partition(" ")[0] in _AWAY_CODES
    return Fault.WORLD if is_busy or isinstance(error, _AWAY) else Fault.CHANGE


def told(error: BaseException) -> str:
    """Return an error as an operator reads it: its class and its first 500 characters, for the middle of a sentence."""
    return f"{type(error).__name__}: {error}"[:500].rstrip(". ")
