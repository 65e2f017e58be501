"""The tail of a shard's log, as a process keeps it: against a list of all that was ever recorded."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from cdn.fence import Tail

TAGS = ["u-ada", "p-1", "p-2", "a-bob", "g"]


@dataclass
class Log:
    """What the scripts keep of a shard: each tag under its newest count, the oldest trimmed beyond ``longest``."""

    longest: int = 1000
    count: int = 0
    floor: int = 0
    newest: dict[str, int] = field(default_factory=dict)

    def record(self, *tags: str) -> None:
        """Record tags under the next count."""
        self.count += 1
        self.newest |= dict.fromkeys(tags, self.count)
        over = len(self.newest) - self.longest
        if over > 0:
            self.floor = sorted(self.newest.values())[over - 1]
            self.newest = {tag: count for tag, count in self.newest.items() if count > self.floor}

    def reply(self, since: int) -> list[object]:
        """Return what the scripts return to a process that has the records up to ``since``."""
        if since == self.count:
            return [self.count, self.floor]
        new = sorted((count, tag.encode()) for tag, count in self.newest.items() if count > since)
        return [self.count, self.floor, *(word for count, tag in new for word in (tag, str(count).encode()))]


def test_tags_of_one_count_are_all_known() -> None:
    log, tail = Log(), Tail(0)
    log.record("p-1", "p-2", "u-ada")
    tail.merge(log.reply(0))
    assert [tail.touches(0, {tag}) for tag in ("p-1", "p-2", "u-ada", "a-bob")] == [True, True, True, False]
    assert not tail.touches(1, {"p-1"})


def test_a_record_at_the_very_count_that_was_noted_does_not_hold_an_answer_back() -> None:
    log, tail = Log(), Tail(0)
    log.record("p-1")
    log.record("p-2")
    tail.merge(log.reply(0))
    assert not tail.touches(1, {"p-1"})
    assert tail.touches(1, {"p-2"})


def test_what_a_trimmed_tail_cannot_know_counts_as_touched() -> None:
    log, tail = Log(), Tail(0, most=4)
    for number in range(6):
        log.record(f"p-{number}")
        tail.merge(log.reply(tail.cursor))
    assert tail.floor > 0
    assert tail.touches(0, {"u-ada"})
    assert not tail.touches(tail.floor, {"u-ada"})


def test_a_tail_trimmed_within_one_count_still_knows_where_it_begins() -> None:
    log, tail = Log(), Tail(0, most=4)
    log.record(*(f"p-{number}" for number in range(9)))
    tail.merge(log.reply(0))
    assert tail.touches(0, {"u-ada"})
    assert not tail.touches(1, {"p-1"})


def test_a_reply_that_another_overtook_brings_nothing_twice() -> None:
    log, tail = Log(), Tail(0)
    log.record("p-1")
    early = log.reply(0)
    log.record("p-2")
    late = log.reply(0)
    assert list(tail.merge(late)) == ["p-1", "p-2"]
    assert list(tail.merge(early)) == []
    assert tail.cursor == 2
    assert tail.touches(1, {"p-2"})


def test_what_an_earlier_reply_brought_is_not_taken_again() -> None:
    log, tail = Log(), Tail(0)
    log.record("p-1")
    early = log.reply(0)
    log.record("p-2")
    late = log.reply(0)
    assert list(tail.merge(early)) == ["p-1"]
    assert list(tail.merge(late)) == ["p-2"]


class AgainstEverything(RuleBasedStateMachine):
    """Records, replies in any order, trims on both sides; ``touches`` against the whole history."""

    replies = Bundle("replies")

    @initialize(longest=st.integers(1, 6), most=st.integers(2, 8))
    def begin(self, longest: int, most: int) -> None:
        self.log = Log(longest)
        self.tail = Tail(0, most)
        self.history: list[tuple[int, str]] = []

    @rule(tags=st.sets(st.sampled_from(TAGS), min_size=1))
    def record(self, tags: set[str]) -> None:
        self.log.record(*tags)
        self.history += [(self.log.count, tag) for tag in tags]

    @rule(target=replies)
    def ask(self) -> list[object]:
        return self.log.reply(self.tail.cursor)

    @rule(reply=consumes(replies))
    def answer(self, reply: list[object]) -> None:
        self.tail.merge(reply)

    @invariant()
    def nothing_stale_passes_and_nothing_fresh_is_refused(self) -> None:
        if not hasattr(self, "tail"):
            return
        for noted in range(self.tail.cursor + 1):
            for tag in TAGS:
                since = any(noted < count <= self.tail.cursor and name == tag for count, name in self.history)
                is_unknown = noted < self.tail.floor
                assert self.tail.touches(noted, {tag}) == (since or (is_unknown and noted != self.tail.cursor))


TestAgainstEverything = AgainstEverything.TestCase
TestAgainstEverything.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(noted=st.integers(0, 10), ahead=st.integers(1, 10))
def test_a_note_from_the_future_counts_as_touched(noted: int, ahead: int) -> None:
    assert Tail(noted).touches(noted + ahead, {"u-ada"})
