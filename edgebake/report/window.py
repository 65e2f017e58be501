"""A window of time: of which requests a report is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from cdn.logs.files import LogFile
from cdn.logs.request import Request

Take = Callable[[Request], None]
FAR_S = 2**40


@dataclass(frozen=True, slots=True)
class Window:
    """Seconds since 1970 (UTC): from the first, before the last."""

    since: int = -FAR_S
    until: int = FAR_S

    @classmethod
    def of(cls, since: datetime | None, until: datetime | None) -> Self:
        """Return the window between two times, UTC, None for no bound."""
        return cls(_second(since, -FAR_S), _second(until, FAR_S))

    @property
    def is_all(self) -> bool:
        """Whether there is no bound."""
        return (self.since, self.until) == (-FAR_S, FAR_S)

    def holds(self, second: int) -> bool:
        """Tell whether a second is in it."""
        return self.since <= second < self.until

    def only(self, take: Take) -> Take:
        """Return what takes requests of this window alone."""
        if self.is_all:
            return take

        def within(request: Request) -> None:
            if self.since <= request.second < self.until:
                take(request)

        return within

    def may_hold(self, file: LogFile) -> bool:
        """Tell, by its name, whether requests of this window may be in a file."""
        return file.may_hold(self.since, self.until)


def _second(moment: datetime | None, otherwise: int) -> int:
    return otherwise if moment is None else int(moment.replace(tzinfo=UTC).timestamp())
