"""What the audit counts, as figures, as Prometheus metrics, and as the report."""

from collections import Counter as Counts
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from prometheus_client import Counter

from invalidator.audit import Case, Miss, Seen, misses, nines, settle, tap_found, visible_within

CHANGES = Counter("edgebake_audit_changes_total", "Changes that the audit saw, by what it did with them", ["fate"])
VISIBLE = Counter("edgebake_audit_visible_total", "Changes that were visible within so many seconds", ["within"])
LOOKED = Counter("edgebake_audit_looked_total", "Changes looked at in time after so many seconds", ["within"])
MISSES = Counter("edgebake_audit_misses_total", "Feeds that were old where they must not be", ["why"])
ANSWERS = Counter("edgebake_audit_answers_total", "Answers of feeds that a change concerned", ["seen"])
TAPS = Counter("edgebake_audit_tap_found_total", "Changes of which only the second tap dropped what was old")

KEPT = 1000
"""Misses that are told in full; beyond they are counted alone."""

BLIND = (
    "one prober at one edge location: what other locations keep, it cannot see; nor the HTML and Atom of a feed, its "
    "older pages, authors' and posts' pages, feeds outside its panel, or answers that are not compressed"
)


@dataclass(slots=True)
class Tally:
    """What came of all changes so far.

    ``fates``: *judged*: the edge held an older answer of one of its feeds; *untold*: it held none, so its first look
    baked; *nowhere*: it concerned no feed of the panel; *soft*: nobody is promised when it shows; *passed over*: too
    many were open; *unseen*: the stream dropped it before the audit read it; *unreadable*: of a kind that this version
    does not know; *open*: the audit ended before its last look.
    """

    looks_s: tuple[float, ...]
    fates: Counts[str] = field(default_factory=Counts)
    visible: Counts[float] = field(default_factory=Counts)
    looked: Counts[float] = field(default_factory=Counts)
    answers: Counts[Seen] = field(default_factory=Counts)
    missed: int = 0
    misses: list[Miss] = field(default_factory=list)
    unanswered: int = 0
    tapped: int = 0
    tap_found: int = 0

    def fate(self, fate: str, changes: int = 1) -> None:
        """Count changes that were not judged."""
        self.fates[fate] += changes
        CHANGES.labels(fate).inc(changes)

    def judge(self, case: Case) -> list[Miss]:
        """Take a change after its last look; return its misses."""
        settle(case)
        self.fate("judged" if case.telling else "untold")
        for look in (look for probe in case.probes for look in probe.looks):
            self.answers[look.seen] += 1
            ANSWERS.labels(look.seen).inc()
        self.unanswered += any(probe.looks[-1].seen is Seen.SILENT for probe in case.probes)
        if case.telling:
            self._count(case)
        found = list(misses(case))
        self.missed += bool(found)
        self.misses += found[: KEPT - len(self.misses)]
        for miss in found:
            MISSES.labels(miss.why).inc()
        return found

    def _count(self, case: Case) -> None:
        for within in self.looks_s:
            if (visible := visible_within(case, within)) is not None:
                self.looked[within] += 1
                self.visible[within] += visible
                LOOKED.labels(f"{within:g}").inc()
                VISIBLE.labels(f"{within:g}").inc(visible)
        self.tapped += case.tapped
        if tap_found(case):
            self.tap_found += 1
            TAPS.inc()

    @property
    def ok(self) -> bool:
        """Tell whether there was no miss, and every feed was answered in the end."""
        return not self.missed and not self.unanswered

    def report(self) -> dict[str, Any]:
        """Return the report, as JSON has it."""
        return {
            "visible": [self._within(within) for within in self.looks_s],
            "changes": dict(self.fates),
            "answers": {str(seen): count for seen, count in self.answers.items()},
            "missed": self.missed,
            "misses": [asdict(miss) for miss in self.misses],
            "unanswered": self.unanswered,
            "second_taps": {"changes": self.tapped, "found": self.tap_found},
            "cannot_see": BLIND,
        }

    def _within(self, within: float) -> Mapping[str, float | None]:
        visible, of = self.visible[within], self.looked[within]
        return {
            "seconds": within,
            "visible": visible,
            "of": of,
            "share": visible / of if of else None,
            "nines": nines(visible, of),
        }
