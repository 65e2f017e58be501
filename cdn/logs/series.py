"""Tallies over time: a minute each at first, wider where there would be too many."""

from cdn.logs.tally import Tally, total

WIDTHS_S = (60, 300, 900, 3600, 6 * 3600, 86_400, 7 * 86_400, 28 * 86_400, 364 * 86_400)
MOST = 400
"""Stretches that are kept, as long as there are wider ones: those of 364 days are enough for 400 years."""


class Series:
    """Tallies by when a stretch begins, in whole widths since 1970 (UTC)."""

    def __init__(self) -> None:
        self._width = 0
        self._tallies: dict[int, Tally] = {}

    @property
    def width_s(self) -> int:
        """Seconds of a stretch."""
        return WIDTHS_S[self._width]

    def of(self, second: int) -> Tally:
        """Return the tally of the stretch in which a second is."""
        tally = self._tallies.get(second // WIDTHS_S[self._width])
        return self._begin(second) if tally is None else tally

    def all(self) -> list[tuple[int, Tally]]:
        """Return the stretches in order: the second of its beginning, and its tally. Those without requests lack."""
        return [(place * self.width_s, self._tallies[place]) for place in sorted(self._tallies)]

    def total(self) -> Tally:
        """Return the tally of all."""
        return total(self._tallies.values())

    def _begin(self, second: int) -> Tally:
        while len(self._tallies) >= MOST and self._width < len(WIDTHS_S) - 1:
            self._widen()
        return self._tallies.setdefault(second // self.width_s, Tally())

    def _widen(self) -> None:
        before, old = self.width_s, self._tallies
        self._width += 1
        self._tallies = {}
        for place, tally in old.items():
            self._tallies.setdefault(place * before // self.width_s, Tally()).merge(tally)
