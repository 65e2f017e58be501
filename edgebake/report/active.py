"""Who was active: the users whose feeds were read at the edge, told to the API with what their pages showed."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from baker.paths import parse
from cdn.logs.reader import Remembered
from cdn.logs.request import Request, asked
from edgebake.errors import CommandError
from edgebake.report.document import moment
from edgebake.report.origin import Origin

HELD = 50_000
"""Users who are remembered before they are told; with more of them some are told more than once, which does no harm."""
BATCH = 250
"""Visits of one request: the API needs some trips to Redis for each user who has no timeline yet."""
SLACK_S = 2
"""A page is logged when it was answered, after its bake, in whole seconds."""
READ = {200, 304}

Tell = Callable[[Sequence[Mapping[str, object]]], Mapping[str, Any]]
_bot = re.compile(
    rb"bot|crawl|spider|slurp|preview|monitor|uptime|probe|headless|facebookexternalhit|archiv|"
    rb"^(curl|wget|python|java|go-http|okhttp|libwww|ruby|php|perl|node|axios|undici)",
    re.IGNORECASE,
).search


class Feed(NamedTuple):
    """Whose feed a path is ("" for nobody's), and whether it is the first page."""

    user: str
    is_first: bool


@dataclass(slots=True)
class Seen:
    """When a user read their feed last, and when its first page last, and by which path."""

    second: int
    first_page: int = 0
    path: str = ""


@dataclass(slots=True)
class Active:
    """Collects who read their feed, and tells it with ``tell``, which returns the API's answer."""

    tell: Tell
    origin: Origin | None = None
    held: int = HELD
    noted: int = 0
    old: int = 0
    unknown: int = 0
    bots: int = 0
    """Requests of programs that say what they are."""
    failed: CommandError | None = None
    """Why the API did not take what it was told: nothing more is told then, and the report is made all the same."""
    _seen: dict[str, Seen] = field(default_factory=dict)
    _feeds: Remembered[Feed] = field(default_factory=lambda: Remembered(_feed))
    _bots: Remembered[bool] = field(default_factory=lambda: Remembered(is_bot))

    def add(self, request: Request) -> None:
        """Take a request, where it is a feed that was read."""
        if request.status not in READ or request.method != b"GET" or self.failed is not None:
            return
        user, is_first = self._feeds[request.path]
        if not user:
            return
        if self._bots[request.agent]:
            self.bots += 1
            return
        seen = self._seen.get(user)
        if seen is None:
            if len(self._seen) >= self.held:
                self.flush()
            seen = self._seen[user] = Seen(request.second)
        seen.second = max(seen.second, request.second)
        if is_first and request.second >= seen.first_page:
            seen.first_page, seen.path = request.second, asked(request.path)

    def flush(self) -> None:
        """Tell of those who were seen since the last time, unless the API refused before."""
        seen, self._seen = self._seen, {}
        if self.failed is not None:
            return
        shown = self._shown(seen)
        visits = [
            {"user": user, "at": moment(of.second), "shown": list(shown.get(user, ()))} for user, of in seen.items()
        ]
        for start in range(0, len(visits), BATCH):
            try:
                answer = self.tell(visits[start : start + BATCH])
            except CommandError as error:
                self.failed = error
                return
            self.noted += answer["noted"]
            self.old += answer["old"]
            self.unknown += len(answer["unknown"])

    def document(self) -> dict[str, int]:
        """Return what became of it."""
        return {"noted": self.noted, "old": self.old, "unknown": self.unknown, "requests_of_bots": self.bots}

    def _shown(self, seen: Mapping[str, Seen]) -> dict[str, tuple[str, ...]]:
        """Return what users were shown: by the last bake, before they read it, of the page that they read last."""
        newest: dict[str, tuple[float, tuple[str, ...]]] = {}
        for event in self.origin.events() if self.origin else ():
            user = event.shown and _feed(event.path.encode()).user
            if not user or (of := seen.get(user)) is None or of.path != event.path:
                continue
            if newest.get(user, (0.0,))[0] <= event.at <= of.first_page + SLACK_S:
                newest[user] = event.at, event.shown
        return {user: shown for user, (_, shown) in newest.items()}


def is_bot(agent: bytes) -> bool:
    """Tell whether a user agent says that it is a program and nobody's browser or reader; none at all says so too."""
    return agent == b"-" or _bot(agent) is not None


def _feed(path: bytes) -> Feed:
    target = parse(asked(path))
    if target is None or target.kind != "feed":
        return Feed("", False)
    return Feed(target.subject, target.after is None)
