"""What of a log could not be read: counted, and the first few named."""

from dataclasses import dataclass, field
from typing import NamedTuple

NAMED = 10


class Damaged(NamedTuple):
    """A line, or from line 0 a whole file, that could not be read, and why."""

    file: str
    line: int
    why: str


@dataclass(slots=True)
class Damage:
    """How many lines and files were damaged. A file that is cut off counts as one, and for what it holds until then."""

    lines: int = 0
    files: int = 0
    first: list[Damaged] = field(default_factory=list)

    def line(self, file: str, number: int, why: str) -> None:
        """Count a line that is no request."""
        self.lines += 1
        self._name(Damaged(file, number, why))

    def file(self, file: str, why: str) -> None:
        """Count a file that could not be read to its end."""
        self.files += 1
        self._name(Damaged(file, 0, why))

    def _name(self, damaged: Damaged) -> None:
        if len(self.first) < NAMED:
            self.first.append(damaged)
