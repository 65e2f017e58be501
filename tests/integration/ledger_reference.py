"""What a shard's ledger and pending set are to do, in plain Python; and what truly is at the edges."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from cdn.fence import Leaving
from cdn.ledger import Readers, Tags
from cdn.pending import Flag, Waiting

BUCKET_S, WINDOW_MS = 64, 4000
WIDE = {"g", "s-05"}


@dataclass(slots=True)
class Living:
    """All living answers under a user's path. ``carried`` None: all of their sources."""

    ends_s: int
    registered_ms: int
    carried: frozenset[int] | None


@dataclass
class Reference:
    """A shard's ledger and pending set of some edges. Times are milliseconds where they do not say otherwise."""

    edges: tuple[str, ...]
    now_ms: int
    transit_ms: int
    count: int = 0
    unsure_s: int = 0
    buckets: dict[str, int] = field(default_factory=dict)
    left_ms: dict[str, int] = field(default_factory=dict)
    living: dict[str, Living] = field(default_factory=dict)
    waiting: dict[str, dict[str, Waiting]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting = {edge: {} for edge in self.edges}

    @property
    def now_s(self) -> int:
        """Now, in whole seconds."""
        return self.now_ms // 1000

    def leave(self, answer: Leaving) -> None:
        """Register an answer."""
        ends_s = self.now_s - -(answer.horizon_ms + self.transit_ms) // 1000
        for tag in answer.tags:
            if not tag.startswith("u-"):
                self.buckets[tag] = max(self.buckets.get(tag, 0), ends_s // BUCKET_S)
                self.left_ms[tag] = self.now_ms
        if answer.user:
            self._live(answer.user, ends_s, None if answer.carried is None else frozenset(answer.carried))

    def _live(self, user: str, ends_s: int, carried: frozenset[int] | None) -> None:
        old = self.living.get(user)
        if old and old.ends_s >= self.now_s:
            ends_s = max(ends_s, old.ends_s)
            if carried is None or old.carried is None:
                carried = old.carried if carried is None else carried
            else:
                carried &= old.carried
        self.living[user] = Living(ends_s, self.now_ms, carried)

    def record(self, tags: Tags) -> int:
        """Record tags; return how many an edge may hold."""
        self.count += 1
        made = 0
        unsure = self.unsure_s >= self.now_s
        order = sorted(tags.dropped.items(), key=lambda each: (Flag.URGENT not in each[1], each[0] not in WIDE, each))
        for tag, flags in order:
            alive, late = self._take(tag)
            if alive or unsure:
                made += 1
                self._pend(tag, flags | Flag.TAP if late or unsure else flags)
            else:
                self._demand(tag, flags)
        if unsure and (tags.readers or any(tag[:2] in ("a-", "t-") for tag in tags.dropped)):
            self._pend("o", Flag.TAP)
            return made + 1
        return made + sum(self._gained(user, each.sources) for each in tags.readers for user in each.users.split("\n"))

    def _gained(self, user: str, sources: Iterable[int]) -> bool:
        living = self.living.get(user)
        if living is None or living.ends_s < self.now_s or living.carried is None or living.carried & set(sources):
            return False
        late = living.registered_ms + self.transit_ms >= self.now_ms
        self._pend(f"u-{user}", Flag.COVERED | Flag.TAP if late else Flag.COVERED)
        living.carried = None
        return True

    def _take(self, tag: str) -> tuple[bool, bool]:
        if tag.startswith("u-"):
            living = self.living.pop(tag[2:], None)
            if living is None or living.ends_s < self.now_s:
                return False, False
            return True, living.registered_ms + self.transit_ms >= self.now_ms
        if self.buckets.pop(tag, 0) < self.now_s // BUCKET_S:
            return False, False
        if tag in WIDE:
            self.buckets.clear()
            self.living.clear()
        return True, self.left_ms[tag] // WINDOW_MS >= (self.now_ms - self.transit_ms) // WINDOW_MS

    def _pend(self, tag: str, flags: Flag) -> None:
        for edge in self.edges:
            self._pend_at(edge, tag, flags)

    def _pend_at(self, edge: str, tag: str, flags: Flag) -> None:
        old = self.waiting[edge].get(tag)
        oldest, flags = (old.oldest, old.flags.merged(flags)) if old else (self.count, flags)
        self.waiting[edge][tag] = Waiting(tag, oldest, self.count, self.now_ms, flags)

    def _demand(self, tag: str, flags: Flag) -> None:
        for edge, waiting in self.waiting.items():
            if old := waiting.get(tag):
                waiting[tag] = replace(old, flags=old.flags.merged(flags))
            elif Flag.URGENT in flags and _wide_waits(waiting):
                self._pend_at(edge, tag, flags)

    def claim(self, edge: str, seen: Iterable[Waiting]) -> list[Waiting]:
        """Take entries that are as they were seen; return them."""
        taken = [entry for entry in seen if self.waiting[edge].get(entry.tag) == entry]
        for entry in taken:
            del self.waiting[edge][entry.tag]
        return taken


def _wide_waits(waiting: Mapping[str, Waiting]) -> bool:
    """Tell whether an entry that cleared the ledger waits for its turn, and none that is urgent."""
    flags = [waiting[tag].flags for tag in WIDE & waiting.keys()]
    return bool(flags) and not any(Flag.URGENT in each for each in flags)


@dataclass
class Answer:
    """An answer that left, and at which edges it is still held as far as they were told."""

    leaving: Leaving
    left_ms: int
    ends_ms: int
    held: set[str]
    outdated_ms: int | None = None

    def lacks(self, sources: Iterable[int]) -> bool:
        """Tell whether no tag of these sources reaches it."""
        return self.leaving.carried is not None and not set(sources) & set(self.leaving.carried)


@dataclass
class Truth:
    """Every answer that left, one by one: what the ledger may be too careful about, and never too careless."""

    edges: tuple[str, ...]
    transit_ms: int
    answers: list[Answer] = field(default_factory=list)

    def leave(self, leaving: Leaving, now_ms: int) -> None:
        """Note an answer."""
        self.answers.append(Answer(leaving, now_ms, now_ms + leaving.horizon_ms + self.transit_ms, set(self.edges)))

    def record(self, tags: Tags, now_ms: int) -> None:
        """Note which answers are outdated by a record."""
        for answer in self.answers:
            if any(tag in tags.dropped for tag in answer.leaving.tags) or self._left_over(answer, tags.readers):
                answer.outdated_ms = now_ms if answer.outdated_ms is None else answer.outdated_ms

    def drop(self, edge: str, entries: Iterable[Waiting], now_ms: int, *, wide: bool) -> None:
        """Note that an edge is told of entries: it drops what is there, and with a second tap what is on its way."""
        for entry in entries:
            tag = "o" if wide and Flag.COVERED in entry.flags else entry.tag
            for answer in self.answers:
                is_there = answer.left_ms + self.transit_ms < now_ms
                if tag in answer.leaving.tags and (is_there or Flag.TAP in entry.flags):
                    answer.held.discard(edge)

    def missed(self, now_ms: int, waiting: Mapping[str, Mapping[str, Waiting]]) -> list[Answer]:
        """Return outdated answers that an edge may hold, or has on their way, and that nothing which waits reaches."""
        return [
            answer
            for answer in self.answers
            if answer.outdated_ms is not None and answer.ends_ms > now_ms
            for edge in answer.held
            if not self._is_reached(answer, waiting[edge])
        ]

    def _is_reached(self, answer: Answer, waiting: Mapping[str, Waiting]) -> bool:
        entries = [waiting[tag] for tag in answer.leaving.tags if tag in waiting]
        on_its_way = answer.left_ms + self.transit_ms >= (answer.outdated_ms or 0)
        return any(Flag.TAP in entry.flags or not on_its_way for entry in entries)

    @staticmethod
    def _left_over(answer: Answer, readers: Iterable[Readers]) -> bool:
        user = answer.leaving.user
        return any(user in each.users.split("\n") and answer.lacks(each.sources) for each in readers if user)
