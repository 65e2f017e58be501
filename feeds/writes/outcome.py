"""What comes of a write."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["accepted", "ignored", "unchanged"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one command.

    ``accepted``: something is different now. ``ignored``: the source's version is not above the one last applied.
    ``unchanged``: the record said so already. ``change`` is the id of the outbox row, where the command made one (a
    draft makes none). ``version`` is the subject's own: of the user, of the user's follows, of the post, of the site.
    """

    status: Status
    change: str | None
    subject_id: str
    version: int


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's name for a request, and the digest of what it asked. Kept for 24 hours."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What came of one chunk of an import: the id of its change, and the refused rows with their reasons."""

    change: str | None
    refused: list[tuple[int, str]]
