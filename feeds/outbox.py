"""The outbox: the changes, committed with the data that they changed, until a week after they are live."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A change for the relay. ``row`` numbers it in the order of writing, which is not the order of commits."""

    row: int
    id: str
    kind: str
    body: bytes
    accepted_ms: int


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """What the outbox knows of a change's progress."""

    id: str
    kind: str
    subject: str
    accepted_ms: int
    relayed: bool
    live_ms: int | None
