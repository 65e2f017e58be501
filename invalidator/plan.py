"""The plan, a pure function: from what is pending to the next batch, and a reason for whatever has to wait.

1. What waits longer than an edge may keep an answer is released: nothing at the edge can be older.
2. A tag that waits in many shards is one item. What a wider item drops anyway goes with it for nothing: ``g`` takes
   along everything, ``o`` the leftover readers.
3. Deletions and privacy go first, then second taps that are due, then the rest, oldest first, as far as the edge's
   quota and the month's money reach. A tenth of the quota is left to the first.

Nobody asked the planner to go wide (``o`` in place of many readers, or of more than can be paid, ``g`` in place of a
backlog that cannot go out in time): it does so only with headroom at the origin, and takes ``g`` at most once in ten
minutes. Nor did anybody ask for the ``o`` of a parked change: it waits for headroom, or until the edge has forgotten.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cdn.pending import Flag, Minted, ShardState, Waiting
from cdn.tags import GLOBAL, OVERFLOW

GLOBAL_EVERY_MS = 600_000
"""The planner's own ``g`` goes at most so often: everything that it drops comes back to the origin."""

TAP, URGENT, PATIENT, COVERED = map(int, (Flag.TAP, Flag.URGENT, Flag.PATIENT, Flag.COVERED))

Entries = Mapping[int, tuple[Waiting, ...]]
"""Waiting entries, by shard."""


class Why(StrEnum):
    """Why a tag waits."""

    QUOTA = "quota"  # the edge takes no more at once
    TAPS = "taps"  # second taps that are due need the room first
    MONEY = "money"  # the month's items are spent: it waits for its horizon
    HEADROOM = "headroom"  # it is wide and nobody asked for it, or so much that it is late; the origin is busy


@dataclass(frozen=True, slots=True)
class Limits:
    """What an edge takes, and how long things take there.

    ``max_items`` in one call, ``max_in_progress`` at once. After ``forgotten_ms`` an edge has nothing from before: the
    horizon and the transit time. An answer arrives ``transit_ms`` after it left at the latest. An invalidation takes
    ``complete_ms``; the next call goes ``call_ms`` after one. ``tap_all``: an inner tier may refill an outer one, so
    every item is tapped. More than ``overflow_items`` leftover readers are worth an ``o``.
    """

    max_items: int
    forgotten_ms: int
    transit_ms: int
    complete_ms: int
    max_in_progress: int = 3000
    call_ms: int = 0
    tap_all: bool = False
    overflow_items: int = 20

    @property
    def shared(self) -> int:
        """Items that may be in progress besides deletions and privacy, which never wait for a storm to complete."""
        return self.max_in_progress - self.max_in_progress // 10

    @property
    def max_taps(self) -> int:
        """Items of one batch that may need a second tap: half a batch, so that its taps find room at once some time."""
        return max(1, min(self.max_items, self.shared) // 2)

    @property
    def backlog(self) -> int:
        """Items that can go out before the edge forgets what they would drop."""
        rounds = max(1, self.forgotten_ms // self.complete_ms)
        calls = max(1, self.complete_ms // max(1, self.call_ms))
        a_round = min(calls * self.max_items, self.shared)
        return rounds * (max(1, a_round // 2) if self.tap_all else a_round)


@dataclass(frozen=True, slots=True)
class View:
    """What the planner looks at: what waits, batches that are not done with, and means.

    ``now_ms`` is of Redis' clock, as everything in ``shards`` and ``batches``. ``wide``: the origin has headroom.
    ``money`` is how many items may still be spent, None: any number. ``global_ms`` is when ``g`` was last taken.
    """

    now_ms: int
    shards: Mapping[int, ShardState]
    batches: Sequence[Minted] = ()
    wide: bool = False
    money: int | None = None
    global_ms: int = 0

    @property
    def to_spend(self) -> int | None:
        """What is left for new items: second taps were counted in when their items went."""
        return None if self.money is None else self.money - sum(len(batch.taps) for batch in self.batches)


@dataclass(frozen=True, slots=True)
class Plan:
    """The next batch: nothing to send where it has no ``tags``.

    ``first`` of the tags are first items, the others second taps, of the batches that it ``covers``. ``taps`` is what
    will need a second tap of this one. ``waiting`` are the entries that it takes; ``released`` those that nothing at
    the edge can be older than, ``over`` the batches of which that is true before their second tap. ``left``: why each
    other tag waits. ``widened`` is ``o`` or ``g`` where that was the planner's own idea.
    """

    tags: tuple[str, ...] = ()
    first: int = 0
    taps: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    waiting: Entries = field(default_factory=dict)
    released: Entries = field(default_factory=dict)
    over: tuple[str, ...] = ()
    left: Mapping[str, Why] = field(default_factory=dict)
    widened: str = ""


@dataclass(slots=True)
class Item:
    """A tag, the entries that it drops, and the tags that these waited as.

    ``place`` is the lowest among what waits in a shard: the age of the oldest. ``urgent``: one of them is a deletion's
    or a matter of privacy. ``patient``: all wait for headroom. ``covered``: ``o`` drops them all as well. ``tapped``:
    one needs a second tap.
    """

    tag: str
    place: int
    entries: list[tuple[int, Waiting]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    urgent: bool = False
    patient: bool = True
    covered: bool = True
    tapped: bool = False

    @property
    def goes_first(self) -> bool:
        """Whether nothing goes before it: ``g`` takes all else along."""
        return self.tag == GLOBAL or self.urgent

    def add(self, shard: int, entry: Waiting, place: int, *, tapped: bool) -> None:
        """Add an entry that it drops."""
        flags = int(entry.flags)  # plain numbers: a storm brings tens of thousands
        self.place = min(self.place, place)
        self.entries.append((shard, entry))
        self.urgent = self.urgent or bool(flags & URGENT)
        self.patient = self.patient and flags & (URGENT | PATIENT) == PATIENT
        self.covered = self.covered and bool(flags & COVERED)
        self.tapped = self.tapped or tapped


def needs_tap(entry: Waiting, view: View, limits: Limits) -> bool:
    """Tell whether an answer from before may be on its way, or at an inner tier, or whether that must not matter."""
    flags = int(entry.flags)
    if limits.tap_all or flags & URGENT:
        return True
    return bool(flags & TAP) and view.now_ms < entry.at_ms + limits.transit_ms


def plan(view: View, limits: Limits) -> Plan:
    """Return the next batch, what to forget, and why the rest waits. See the module's words."""
    alive, released = _released(view, limits)
    ready, patient = _ready(_items(alive, view, limits), view)
    items, widened = _widened(ready, view, limits)
    due, over = _taps(view, limits)
    call = _Call(view, limits)
    left = _fill(call, items, due)
    if left and not view.wide and _is_late(items, view, limits):
        left = {tag: Why.HEADROOM if why is Why.QUOTA else why for tag, why in left.items()}
    return Plan(
        tags=(*call.tags, *call.tapping),
        first=len(call.tags),
        taps=tuple(call.taps),
        covers=tuple(call.covers),
        waiting=call.waiting(),
        released=released,
        over=over,
        left=left | _because(Why.HEADROOM, patient),
        widened=widened if widened in call.tags else "",
    )


def asks_for_headroom(view: View, limits: Limits) -> bool:
    """Tell whether the plan may depend on ``wide``: many wait, or more than can be paid, or something is patient."""
    size = sum(state.size for state in view.shards.values())
    if size > limits.overflow_items or (view.to_spend is not None and view.to_spend < 2 * size):
        return True
    return any(entry.flags & PATIENT for state in view.shards.values() for entry in state.waiting)


def next_tap_ms(view: View, limits: Limits) -> int | None:
    """Return milliseconds until the next second tap is due; None where no batch waits for one."""
    return min((batch.tap_due_ms(limits.transit_ms) - view.now_ms for batch in _untapped(view.batches)), default=None)


def in_progress(batches: Iterable[Minted]) -> int:
    """Return how many items the edge works on, or will as soon as it takes what is stored."""
    return sum(len(batch.batch.tags) for batch in batches if not batch.done_ms)


class _Call:
    """The call that is put together."""

    def __init__(self, view: View, limits: Limits) -> None:
        self._view = view
        self._limits = limits
        open_ = in_progress(view.batches)
        self._room = min(limits.max_items, limits.max_in_progress - open_)
        self._shared = min(limits.max_items, limits.shared - open_)
        self._money = view.to_spend
        self._taken: list[Item] = []
        self.tags: dict[str, None] = {}
        self.tapping: dict[str, None] = {}
        self.taps: dict[str, None] = {}
        self.covers: list[str] = []

    def take_all(self, items: Iterable[Item]) -> dict[str, Why]:
        """Take what finds room; return why the others do not."""
        left: dict[str, Why] = {}
        for item in items:
            if why := self._take(item):
                left.update(dict.fromkeys(item.tags, why))
        return left

    def cover_all(self, due: Iterable[Minted]) -> bool:
        """Take second taps, each batch's whole or not at all; tell whether all found room. ``g`` is all of them."""
        for batch in due:
            more = () if GLOBAL in self.tags else [tag for tag in batch.taps if tag not in self.tags]
            if len(self.tags) + len(self.tapping.keys() | more) > self._shared or self._shared <= 0:
                return False
            self.tapping |= dict.fromkeys(more)
            self.covers.append(batch.batch.id)
        return True

    def waiting(self) -> Entries:
        """Return the entries that were taken, by shard."""
        return _by_shard(entry for item in self._taken for entry in item.entries)

    def _take(self, item: Item) -> Why | None:
        is_new = item.tag not in self.tapping  # a second tap that is due drops what has just changed as well
        room = self._room if item.goes_first else self._shared
        if len(self.tags) + len(self.tapping) + is_new > room:
            return Why.QUOTA
        more = [tag for tag in self._taps_of(item) if tag not in self.taps]
        if more and len(self.taps) + len(more) > self._limits.max_taps:
            return Why.QUOTA
        cost = is_new + len(more)
        if self._money is not None and self._money < cost and not item.goes_first:
            return Why.MONEY
        self._spend(cost)
        self.tapping.pop(item.tag, None)
        self.tags[item.tag] = None
        self.taps |= dict.fromkeys(more)
        self._taken.append(item)
        return None

    def _spend(self, cost: int) -> None:
        if self._money is not None:
            self._money -= cost

    def _taps_of(self, item: Item) -> Sequence[str]:
        """Return what to tap again. Where ``g`` took along a few that need it, those by name: that is narrower."""
        if not item.tapped:
            return ()
        if item.tag != GLOBAL or self._limits.tap_all:
            return (item.tag,)
        named = {entry.tag for _, entry in item.entries if needs_tap(entry, self._view, self._limits)}
        return (GLOBAL,) if GLOBAL in named or len(named) > self._limits.max_taps else sorted(named)


def _fill(call: _Call, items: Sequence[Item], due: Sequence[Minted]) -> dict[str, Why]:
    """Put into a call what is urgent, then second taps, then the rest; return why each other tag waits."""
    urgent = [item for item in items if item.goes_first]
    rest = [item for item in items if not item.goes_first]
    left = call.take_all(urgent)
    if left:
        return left | _because(Why.QUOTA, rest)
    if not call.cover_all(due):
        return _because(Why.TAPS, rest)
    return call.take_all(rest)


def _because(why: Why, items: Iterable[Item]) -> dict[str, Why]:
    return {tag: why for item in items for tag in item.tags}


def _released(view: View, limits: Limits) -> tuple[Entries, Entries]:
    """Part what waits from what waited so long that no edge has anything from before. Deletions are sent even so."""
    until = view.now_ms - limits.forgotten_ms
    alive: dict[int, tuple[Waiting, ...]] = {}
    over: dict[int, tuple[Waiting, ...]] = {}
    for shard, state in view.shards.items():
        alive[shard] = tuple(entry for entry in state.waiting if entry.at_ms > until or int(entry.flags) & URGENT)
        if len(alive[shard]) < len(state.waiting):
            kept = {entry.tag for entry in alive[shard]}
            over[shard] = tuple(entry for entry in state.waiting if entry.tag not in kept)
    return alive, over


def _items(waiting: Entries, view: View, limits: Limits) -> list[Item]:
    """Return the tags that wait, the oldest of every shard before the second oldest of any."""
    found: dict[str, Item] = {}
    for shard, entries in waiting.items():
        for place, entry in enumerate(entries):
            item = found.get(entry.tag)
            if item is None:
                item = found[entry.tag] = Item(entry.tag, place, tags=[entry.tag])
            item.add(shard, entry, place, tapped=needs_tap(entry, view, limits))
    return sorted(found.values(), key=lambda item: item.place)


def _ready(items: list[Item], view: View) -> tuple[list[Item], list[Item]]:
    """Part what may go from what has to wait for headroom; ``g`` takes along that too."""
    if view.wide or any(item.tag == GLOBAL for item in items):
        return items, []
    return [item for item in items if not item.patient], [item for item in items if item.patient]


def _widened(items: list[Item], view: View, limits: Limits) -> tuple[list[Item], str]:
    """Put what a wider item drops into it; return what the planner itself made wider, too."""
    asked = {item.tag for item in items}
    if GLOBAL in asked:
        return [_joined(GLOBAL, items)], ""
    if _may_go_global(view) and _is_late(items, view, limits):
        return [_joined(GLOBAL, items)], GLOBAL
    covered = [item for item in items if item.covered]
    if OVERFLOW in asked and covered:
        return _overflowed(items), ""
    if view.wide and (len(covered) > limits.overflow_items or _is_dear(covered, view)):
        return _overflowed(items), OVERFLOW
    return items, ""


def _is_dear(items: Sequence[Item], view: View) -> bool:
    """Tell whether these cost more than is left of the month's money, though that is not spent."""
    return view.to_spend is not None and 0 < view.to_spend < sum(1 + item.tapped for item in items)


def _is_late(items: Sequence[Item], view: View, limits: Limits) -> bool:
    """Tell whether so much waits that it cannot go out before it is pointless, by what is seen of it."""
    seen = sum(len(state.waiting) for state in view.shards.values())
    there = sum(state.size for state in view.shards.values())
    return seen > 0 and len(items) * there / seen > limits.backlog


def _may_go_global(view: View) -> bool:
    """Tell whether the planner may drop everything though nobody asked for it."""
    return view.wide and view.money != 0 and view.now_ms >= view.global_ms + GLOBAL_EVERY_MS


def _overflowed(items: Sequence[Item]) -> list[Item]:
    """Put the leftover readers into ``o``."""
    wide = [item for item in items if item.tag == OVERFLOW or item.covered]
    kept = [item for item in items if item.tag != OVERFLOW and not item.covered]
    return sorted([_joined(OVERFLOW, wide), *kept], key=lambda item: item.place)


def _joined(tag: str, items: Sequence[Item]) -> Item:
    """Return the item that drops what these would."""
    return Item(
        tag,
        min(item.place for item in items),
        [entry for item in items for entry in item.entries],
        [name for item in items for name in item.tags],
        urgent=any(item.urgent for item in items),
        covered=all(item.covered for item in items),
        tapped=any(item.tapped for item in items),
    )


def _taps(view: View, limits: Limits) -> tuple[list[Minted], tuple[str, ...]]:
    """Return the batches whose second taps are due, the longest first, and those of which no edge needs them now."""
    waiting = _untapped(view.batches)
    over = [batch for batch in waiting if batch.accepted_ms + limits.forgotten_ms <= view.now_ms]
    due = [batch for batch in waiting if batch.tap_due_ms(limits.transit_ms) <= view.now_ms and batch not in over]
    due.sort(key=lambda batch: batch.tap_due_ms(limits.transit_ms))
    return due, tuple(batch.batch.id for batch in over)


def _untapped(batches: Sequence[Minted]) -> list[Minted]:
    """Return the batches that are complete and whose second taps no other batch carries."""
    carried = {name for batch in batches for name in batch.covers}
    return [batch for batch in batches if batch.done_ms and batch.taps and batch.batch.id not in carried]


def _by_shard(entries: Iterable[tuple[int, Waiting]]) -> Entries:
    found: dict[int, list[Waiting]] = {}
    for shard, entry in entries:
        found.setdefault(shard, []).append(entry)
    return {shard: tuple(of_shard) for shard, of_shard in found.items()}
