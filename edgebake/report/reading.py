"""Reading: one pass over the logs, in which everything that a report wants of them takes each request."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cdn.logs.files import LogFile
from cdn.logs.reader import Reader
from cdn.logs.summary import Summary
from edgebake.report.active import Active
from edgebake.report.document import document
from edgebake.report.reconciled import Reconciled
from edgebake.report.window import Window, each


@dataclass(frozen=True, slots=True)
class Reading:
    """What is wanted: a summary always, an account of misses and bakes, and to tell who was active."""

    window: Window
    summary: Summary
    reconciled: Reconciled | None = None
    active: Active | None = None

    def read(self, files: Iterable[LogFile], top: int) -> dict[str, Any]:
        """Read files and return the report, with ``top`` feeds. Raises LogsMissing or CommandError."""
        takes = [self.summary.add]
        if self.reconciled is not None:
            takes.append(self.reconciled.account.request)
        if self.active is not None:
            takes.append(self.active.add)
        reader = Reader(self.window.only(each(takes)))
        for file in files:
            if self.window.may_hold(file):
                reader.read(file)
        return document(reader, self.summary, top) | self._also()

    def _also(self) -> dict[str, Any]:
        also: dict[str, Any] = {}
        if self.reconciled is not None:
            also["reconciled"] = self.reconciled.settle(self.summary.window)
        if self.active is not None:
            self.active.flush()
            also["active"] = self.active.document()
        return also
