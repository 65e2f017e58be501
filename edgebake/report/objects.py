"""Counts by object; of a sample of the objects where there are too many."""

from zlib import crc32

MOST = 50_000


class Objects:
    """Counts by name, in columns. Over ``most`` names, those are kept whose hash ends in so many zeros.

    So which are kept at the end depends on nothing but the names, and each of them was counted from the beginning.
    """

    def __init__(self, columns: int, most: int = MOST) -> None:
        self._columns = columns
        self._most = most
        self._zeros = 0
        self.counts: dict[str, list[int]] = {}

    @property
    def share(self) -> float:
        """Which share of the names is kept, about."""
        return 0.5**self._zeros

    def add(self, name: str, column: int) -> None:
        """Count one more in a column of a name, if it is kept."""
        counts = self.counts.get(name)
        if counts is None:
            if not self._keeps(name):
                return
            counts = self.counts[name] = [0] * self._columns
        counts[column] += 1
        while len(self.counts) > self._most:
            self._zeros += 1
            self.counts = {name: counts for name, counts in self.counts.items() if self._keeps(name)}

    def _keeps(self, name: str) -> bool:
        return crc32(name.encode()) & ((1 << self._zeros) - 1) == 0
