"""A window of time: of which requests a report is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from cdn.logs.files import LogFile
from cdn.logs.request import Request
from edgebake.errors import CommandError

Take = Callable[[Request], None]
FAR_S = 2**40


@dataclass(frozen=True, slots=True)
class Window:
    """Seconds since 1970 (UTC): from the first, before the last."""

    since: int = -FAR_S
    until: int = FAR_S

    @classmethod
    def of(cls, since: str | None, until: str | None) -> Self:
        """Return the window between two times as an operator spells them, None for no bound. Raises CommandError."""
        begins = -FAR_S if since is None else _second("--since", since)
        window = cls(begins, FAR_S if until is None else _second("--until", until))
        if window.since >= window.until:
            raise CommandError(f"--until {until} is not after --since {since}: nothing lies between them.")
        return window

    @property
    def has_since(self) -> bool:
        """Whether it has a beginning."""
        return self.since != -FAR_S

    @property
    def has_until(self) -> bool:
        """Whether it has an end."""
        return self.until != FAR_S

    def within(self, since: int, until: int) -> "Window":
        """Return this window, with these bounds where it has none."""
        return Window(self.since if self.has_since else since, self.until if self.has_until else until)

    def holds(self, second: int) -> bool:
        """Tell whether a second is in it."""
        return self.since <= second < self.until

    def only(self, take: Take) -> Take:
        """Return what takes requests of this window alone."""
        if not self.has_since and not self.has_until:
            return take

        def within(request: Request) -> None:
            if self.since <= request.second < self.until:
                take(request)

        return within

    def may_hold(self, file: LogFile) -> bool:
        """Tell, by its name, whether requests of this window may be in a file."""
        return file.may_hold(self.since, self.until)


def each(takes: Sequence[Take]) -> Take:
    """Return what hands a request to all of these."""
    if len(takes) == 1:
        return takes[0]

    def take(request: Request) -> None:
        for one in takes:
            one(request)

    return take


def _second(option: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{option} is {text!r}: give it as 2026-11-21, or 2026-11-21T15:04, in UTC.") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
