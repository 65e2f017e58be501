"""What the audit counts is there for Prometheus as it is in the report."""

import pytest
from prometheus_client import REGISTRY

from feeds.change import PostPublished
from feeds.ids import shard_of
from invalidator.audit import Answer, Case, Look, Probe, Seen
from invalidator.shown import Page
from invalidator.tally import Tally

ACCEPTED = 1_000_000
LOOKS_S = (1.0, 5.0)


def case(*seen: Seen) -> Case:
    """Return a change that was complete at once and live after 3 s, and what was seen of it after 1 s and 5 s."""
    asked = zip(LOOKS_S, seen, strict=True)
    looks = [Look(Answer(ACCEPTED + round(s * 1000), Page(200), 1, until_ms=2**53), each) for s, each in asked]
    probes = [Probe("ada", held=True, looks=looks)]
    made = Case("c-1", PostPublished("p1", "bob"), ACCEPTED, probes, {shard_of("ada"): 5}, tapped=True)
    made.done_ms, made.live_ms, made.known_ms = ACCEPTED + 1, ACCEPTED + 3000, ACCEPTED + 3000
    return made


@pytest.mark.parametrize(
    ("name", "labels", "cases", "counted"),
    [
        ("changes", {"fate": "judged"}, [case(Seen.FRESH, Seen.FRESH)], 1),
        ("visible", {"within": "1"}, [case(Seen.FRESH, Seen.FRESH), case(Seen.OLD, Seen.FRESH)], 1),
        ("looked", {"within": "1"}, [case(Seen.FRESH, Seen.FRESH), case(Seen.OLD, Seen.FRESH)], 2),
        ("answers", {"seen": "old"}, [case(Seen.OLD, Seen.FRESH)], 1),
        ("misses", {"why": "old after live"}, [case(Seen.FRESH, Seen.OLD), case(Seen.OLD, Seen.FRESH)], 1),
        ("tap_found", {}, [case(Seen.OLD, Seen.FRESH), case(Seen.FRESH, Seen.FRESH)], 1),
    ],
)
def test_prometheus_has_what_the_report_has(name: str, labels: dict[str, str], cases: list[Case], counted: int) -> None:
    def value() -> float:
        return REGISTRY.get_sample_value(f"edgebake_audit_{name}_total", labels) or 0

    before, tally = value(), Tally(LOOKS_S)
    for each in cases:
        tally.judge(each)
    assert value() - before == counted
    report = tally.report()
    told = {
        "changes": report["changes"].get("judged"),
        "visible": report["visible"][0]["visible"],
        "looked": report["visible"][0]["of"],
        "answers": report["answers"].get("old"),
        "misses": len(report["misses"]),
        "tap_found": report["second_taps"]["found"],
    }
    assert told[name] == counted
