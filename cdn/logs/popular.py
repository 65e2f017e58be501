"""The popular ones: a tally for each of the names that are asked for most, however many names there are.

Twice as many as wanted are kept; when there are more, the half with fewest requests is forgotten. Whoever comes (again)
after that may lack requests: at most as many as the busiest that was forgotten each time had, and says so (``lacks``).
So counts are exact until the first time, and from below after it; it is the lossy counting of Manku and Motwani (VLDB
2002) with a bound on names in place of one on error. Sums are never made of these.
"""

from collections.abc import Callable

from cdn.logs.tally import Tally

PATHS = 100_000
"""Paths whose name is remembered."""
LONG = 200
"""Bytes of a path that are worth remembering: ours have fewer, and anybody may ask for 8 kB of anything."""


class Popular:
    """Tallies by name. ``named`` gives a path its name, ``most`` are kept at least."""

    def __init__(self, named: Callable[[bytes], str], most: int) -> None:
        self._named = named
        self._most = most
        self._by_path: dict[bytes, Tally] = {}
        self._lost = 0
        self.tallies: dict[str, Tally] = {}
        self.forgotten = 0
        """Names that were forgotten, those counted twice that came again."""

    @property
    def exact(self) -> bool:
        """Whether no name was forgotten."""
        return self.forgotten == 0

    def of(self, path: bytes) -> Tally:
        """Return the tally to which a path counts."""
        return self._by_path.get(path) or self._admit(path)

    def top(self, count: int) -> list[tuple[str, Tally]]:
        """Return the names with most requests, and their tallies."""
        ordered = sorted(self.tallies.items(), key=lambda item: (-item[1].requests, item[0]))
        return ordered[:count]

    def _admit(self, path: bytes) -> Tally:
        name = self._named(path)
        if (tally := self.tallies.get(name)) is None:
            if len(self.tallies) >= 2 * self._most:
                self._forget()
            tally = self.tallies[name] = Tally(lacks=self._lost)
        if len(path) <= LONG:
            if len(self._by_path) >= PATHS:
                self._by_path.clear()
            self._by_path[path] = tally
        return tally

    def _forget(self) -> None:
        ordered = self.top(len(self.tallies))
        _, busiest = ordered[self._most]
        self._lost += busiest.requests
        self.forgotten += len(ordered) - self._most
        self.tallies = dict(ordered[: self._most])
        self._by_path.clear()
