"""What can go wrong with feeds. Each error says what failed and what to do.

FeedsError
├── InvalidId          an id outside the grammar that cannot be mapped into it
├── Refused            a write that the system of record refuses; nothing of it was kept
│   ├── NotFound       its subject, or something it names, does not exist
│   ├── Gone           its subject was deleted
│   └── Conflict       it contradicts what is there
└── RecordUnavailable  the system of record does not answer; try again
"""


class FeedsError(Exception):
    """Something about feeds failed."""


class InvalidId(FeedsError):
    """An id is outside the grammar and cannot be mapped into it."""


class Refused(FeedsError):
    """A write was refused: ``field`` and ``value`` say what of it, ``reason`` why, ``index`` which of a batch."""

    def __init__(self, field: str, value: object, reason: str, index: int = 0) -> None:
        super().__init__(f"{field} is {value!r}: {reason}")
        self.field = field
        self.value = value
        self.reason = reason
        self.index = index


class NotFound(Refused):
    """The subject of a write, or something that it names, does not exist."""


class Gone(Refused):
    """The subject of a write was deleted."""


class Conflict(Refused):
    """A write contradicts what is there."""


class RecordUnavailable(FeedsError):
    """The system of record does not answer; the write was not kept and may be tried again."""
