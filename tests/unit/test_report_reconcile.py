"""Misses set beside bakes: the differences add up, each under its reason."""

import io
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cdn.logs.request import SHIELD, Outcome, Request
from edgebake.errors import CommandError
from edgebake.report.account import Account
from edgebake.report.objects import Objects
from edgebake.report.origin import Origin, Told
from edgebake.report.reconciled import Reconciled, show
from edgebake.report.window import Window

T = 1_795_132_800
ADA, BOB = "/feed/ada", "/feed/bob/feed.json"


def miss(path: str = ADA, *, at: int = T, detail: bytes = b"Miss", outcome: Outcome = Outcome.MISS) -> Request:
    """Return a request of the log."""
    return Request(at, path.encode(), b"GET", 200, outcome, detail, 100, b"0.1", b"-")


def bake(path: str = ADA, *, at: float = T, again: bool = False) -> Told:
    """Return a bake."""
    return Told(at, path, again=again)


def answer(path: str = ADA, source: str = "bake", status: int = 200) -> Told:
    """Return an answer."""
    return Told(T, path, source, status)


def account(requests: Sequence[Request], told: Sequence[Told]) -> Account:
    """Return an account of both."""
    made = Account(Window(T - 10, T + 10))
    for request in requests:
        made.request(request)
    for event in told:
        made.told(event)
    assert made.misses + sum(line.bakes for line in made.differences()) == made.bakes
    return made


def told_by(made: Account) -> dict[str, int]:
    """Return the differences by the first words of their reasons."""
    return {line.why.partition(":")[0].partition(",")[0]: line.bakes for line in made.differences()}


def test_a_bake_for_each_miss_leaves_nothing_to_explain() -> None:
    assert account([miss(), miss(BOB)], [bake(), answer(), bake(BOB), answer(BOB)]).differences() == []


@pytest.mark.parametrize(
    ("requests", "events", "why", "bakes"),
    [
        ([miss(), miss()], [bake(), answer(), answer(source="memory")], "from the baker's memory", -1),
        ([miss(), miss()], [bake(), answer(), answer()], "asked for while the same was being baked", -1),
        ([miss(), miss()], [bake(), answer()], "a Miss in the log", -1),
        ([miss(), miss(detail=SHIELD)], [bake(), answer()], "the shield had it", -1),
        ([miss(), miss()], [bake(), answer(), answer(source="none", status=503)], None, 0),
        ([], [bake(), answer()], "asked of the origin", 1),
        ([miss()], [bake(), bake(again=True), answer()], "baked again", 1),
        ([], [bake(), answer(status=304)], "refreshed", 1),
        ([], [bake(), answer(status=404)], "answered with an error", 1),
        ([miss()], [bake(), answer(), bake()], "baked", 1),
    ],
)
def test_each_difference_has_its_reason(
    requests: list[Request], events: list[Told], why: str | None, bakes: int
) -> None:
    found = told_by(account(requests, events))
    if why is not None:
        assert found == {why: bakes}
    else:
        assert found == {"a Miss in the log": -1, "answered with an error": 1, "refused with 503": -1}


def test_what_one_object_has_more_is_not_set_off_against_what_another_has_fewer() -> None:
    made = account([miss(), miss()], [bake(BOB), answer(BOB), bake(BOB), answer(BOB)])
    assert told_by(made) == {"asked of the origin": 2, "a Miss in the log": -2}
    assert [name for name, _ in made.farthest(5)] == [ADA, BOB]


def test_hits_other_paths_and_other_times_are_not_compared() -> None:
    requests = [miss(outcome=Outcome.HIT), miss("/static/a.css"), miss(at=T + 60)]
    made = account(requests, [Told(T, "/wp-login.php", "none", 404), bake(at=T - 60)])
    assert (made.misses, made.bakes, made.outside) == (0, 0, 1)


def test_without_answers_the_rest_is_said_to_be_unexplained() -> None:
    assert told_by(account([miss()] * 3, [bake(), bake(again=True)])) == {"baked again": 1, "not explained": -2}


EVENTS = st.builds(
    Told,
    st.just(T),
    st.sampled_from([ADA, BOB, "/author/ada"]),
    st.sampled_from(["", "bake", "memory", "none"]),
    st.sampled_from([200, 304, 404, 503]),
    st.booleans(),
)
REQUESTS = st.builds(miss, st.sampled_from([ADA, BOB]), detail=st.sampled_from([b"Miss", SHIELD]))


@given(st.lists(REQUESTS, max_size=30), st.lists(EVENTS, max_size=30))
def test_whatever_happened_the_differences_add_up(requests: list[Request], told: list[Told]) -> None:
    made = account(requests, [event._replace(again=event.again and not event.source) for event in told])
    assert made.bakes - made.misses == sum(line.bakes for line in made.differences())


def test_a_sample_of_too_many_objects_was_counted_from_the_beginning() -> None:
    objects = Objects(1, most=64)
    for number in range(3000):
        objects.add(f"/feed/user-{number % 1000}", 0)
    assert 0 < len(objects.counts) <= 64
    assert objects.share < 0.1
    assert set(map(tuple, objects.counts.values())) == {(3,)}


def lines(events: Sequence[Told]) -> Iterator[str]:
    """Yield events as `serve` writes them."""
    for event in events:
        time = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds")
        name = "answer" if event.source else "bake"
        fields = {"path": event.path, "status": event.status} | ({"source": event.source} if event.source else {})
        yield json.dumps({"time": time, "level": "info", "event": name} | fields)


def test_the_origins_log_is_read_past_whatever_else_stands_in_it(tmp_path: Path) -> None:
    events = [bake(), answer(), bake(BOB, at=T + 1.5)]
    text = ["Starting", '{"event": "publish", "subject": "bake"}', *lines(events), '{"event": "bake", "time": ', ""]
    (tmp_path / "serve.log").write_text("\n".join(f"web-1 | {line}" for line in text))
    origin = Origin([tmp_path])
    assert list(origin.events()) == events
    assert origin.span() == (T, T + 1.5)
    assert (origin.damage.lines, origin.damage.first[0].line) == (1, 6)


def test_a_log_without_events_says_how_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "serve.log").write_text('{"event": "hit", "path": "/feed/ada"}\n')
    with pytest.raises(CommandError, match=r"holds no event .*EDGEBAKE_EVENTS=true"):
        Origin([tmp_path / "serve.log"]).span()


def test_only_the_time_of_which_both_tell_is_compared(tmp_path: Path) -> None:
    """The origin tells of T to T + 60, the log of T + 30 to T + 90."""
    events = [bake(at=T), bake(at=T + 40), Told(T + 40, ADA, "bake"), bake(at=T + 60), Told(T + 60, ADA, "bake")]
    (tmp_path / "serve.log").write_text("\n".join(lines(events)))
    found = Reconciled(Origin([tmp_path]), Window())
    for at in (T + 30, T + 40, T + 60, T + 90):
        found.account.request(miss(at=at, outcome=Outcome.HIT if at == T + 30 else Outcome.MISS))
    settled = found.settle((T + 30, T + 90))
    assert (settled["misses"], settled["bakes"], settled["differences"]) == (2, 2, [])
    assert settled["misses_outside"] == 1


def test_a_window_that_was_asked_for_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "serve.log").write_text("\n".join(lines([bake(), answer()])))
    found = Reconciled(Origin([tmp_path]), Window(T - 3600, T + 3600))
    found.account.request(miss(at=T + 1800))
    settled = found.settle((T + 1800, T + 1800))
    assert (settled["misses"], settled["bakes"]) == (1, 1)
    assert settled["since"] == "2026-11-19T23:00:00Z"


def test_logs_that_share_no_time_say_which_times_they_have(tmp_path: Path) -> None:
    (tmp_path / "serve.log").write_text("\n".join(lines([bake(), answer()])))
    settled = Reconciled(Origin([tmp_path]), Window()).settle((T + 7200, T + 7260))
    console = Console(file=io.StringIO(), width=200)
    show(console, settled)
    assert isinstance(console.file, io.StringIO)
    assert (
        "They share no time: the log is of 2026-11-20T02:00:00Z to 2026-11-20T02:01:00Z, the origin's events of "
        "2026-11-20T00:00:00Z to 2026-11-20T00:00:00Z." in console.file.getvalue()
    )
