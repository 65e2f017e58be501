"""The audit's decisions, pure: which feeds a change concerns, what an answer says of it, and what came of all of them.

``prober`` performs them: it follows changes and asks the edge. Times are Unix milliseconds, 0 where something was not
seen yet; what the publisher's, the audit's and Redis' clocks disagree by is in every figure.

A change is *visible within T* where the answers of its feeds to the requests that were sent at T after it was accepted,
and to every later one, were not old. It is a *miss* where an answer is old that was asked for after the change was
live, or at the last look, live or not. A lower count alone makes nothing old: the page has to differ, in what the
change is about, from what the record says (or, before the threshold, from what a later right answer says).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import log10
from typing import assert_never

from cdn import tags as tags_
from feeds.change import (
    Change,
    Covered,
    FollowsChanged,
    Imported,
    Invalidated,
    PostEdited,
    PostPublished,
    PostScored,
    PostWithdrawn,
    ProfileChanged,
    Reranked,
    SettingsChanged,
    SiteChanged,
    SourceCrossed,
    UserCreated,
    UserDeleted,
    kind_of,
    subject_of,
)
from feeds.ids import shard_of
from invalidator.shown import Page, differ

LOOKS_S = (1.0, 5.0, 25.0, 60.0, 300.0)
"""Seconds after a change was accepted at which its feeds are asked for."""

LATE_BY = 0.1
"""A look that was made later than this share of its time, or than a second, says nothing of that time."""

PLAIN = (PostPublished, PostEdited, PostWithdrawn, ProfileChanged, UserDeleted, UserCreated)
"""Changes of which a page shows by itself whether it has them; with others, another change may have been first."""

SOFT = (PostScored, SourceCrossed, Reranked)
"""Changes that send nothing: what they change shows at the next bake, and nobody is promised when."""


class Seen(StrEnum):
    """What an answer says of a change."""

    FRESH = "fresh"  # its count is the change's or higher
    SAME = "same"  # its count is lower, and it shows what the change made all the same
    BEHIND = "behind"  # its count is lower: alone that says nothing
    OLD = "old"  # its count is lower, and it shows what was before the change
    LATE = "late"  # marked old on purpose: it lives for a second or two
    SILENT = "silent"  # no answer, or none that has a count


RIGHT = (Seen.FRESH, Seen.SAME)
NOTHING = (Seen.LATE, Seen.SILENT)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got of a feed. ``count`` None: nothing, or no count. An edge may keep it until ``until_ms``."""

    asked_ms: int
    page: Page
    count: int | None = None
    late: bool = False
    until_ms: int = 0


@dataclass(slots=True)
class Look:
    """An answer, and what it says of a change."""

    answer: Answer
    seen: Seen


@dataclass(slots=True)
class Probe:
    """A feed that a change concerns, and the looks at it. ``held``: the edge had an older answer when it was recorded.

    Where it had none, the first look bakes, and finds the change whatever the invalidator does.
    """

    user: str
    before: Answer | None = None
    held: bool = False
    looks: list[Look] = field(default_factory=list)


@dataclass(slots=True)
class Case:
    """A change that the audit took up: how far it is, under which counts, with which batches, and its probes.

    ``done_ms``: when the audit saw that every first batch of it was complete. ``known_ms``: when it saw that the change
    was live, which was at ``live_ms`` by another clock; what was asked for after that was asked for after ``live``.
    ``tapped``: it was seen to wait for a second tap.
    ``tags`` are what invalidations may name that concern it.
    """

    id: str
    change: Change
    accepted_ms: int
    probes: list[Probe] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    batches: dict[str, tuple[str, ...]] = field(default_factory=dict)
    readable_ms: int = 0
    sent_ms: int = 0
    done_ms: int = 0
    live_ms: int = 0
    known_ms: int = 0
    tapped: bool = False

    @property
    def times(self) -> dict[str, int]:
        """How far it came when."""
        names = ("accepted", "readable", "sent", "done", "live")
        return {name: moment for name in names if (moment := getattr(self, f"{name}_ms"))}

    def needed(self, user: str) -> int | None:
        """Return the count that an answer of a user's feed has to have; None: nothing was recorded in its shard."""
        return self.counts.get(shard_of(user))

    @property
    def telling(self) -> bool:
        """Tell whether the edge held an older answer of one of the feeds."""
        return any(probe.held for probe in self.probes)


@dataclass(frozen=True, slots=True)
class Face:
    """What is known of a feed in the panel: whom and what it draws from, and its last answer."""

    user: str
    authors: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    answer: Answer | None = None

    def draws(self, author: str, tags: Iterable[str]) -> bool:
        """Tell whether the feed draws from an author, or from one of these tags."""
        return author == self.user or author in self.authors or not self.tags.isdisjoint(tags)

    @property
    def shown(self) -> Page:
        """What its last answer shows."""
        return self.answer.page if self.answer else Page(0)


def concerns(change: Change, face: Face, tags: Sequence[str] = ()) -> bool:  # noqa: PLR0911  # one branch a kind
    """Tell whether a change may show in a feed; ``tags`` are those of its post. Soft changes concern none."""
    shown, user = face.shown, face.user
    match change:
        case PostPublished():
            return face.draws(change.author, tags)
        case PostEdited():
            return change.post in shown.posts or (change.moved and face.draws(change.author, tags))
        case PostWithdrawn():
            return change.post in shown.posts
        case UserCreated() | SettingsChanged():
            return change.user == user
        case ProfileChanged() | UserDeleted():
            return change.user == user or any(card.author == change.user for card in shown.cards)
        case FollowsChanged():
            return user in change.users
        case SiteChanged():
            return True
        case Imported():
            drawn = any(face.draws(author, ()) for author in change.authors)
            return drawn or user in change.users or user in change.followers
        case Covered():
            drawn = any(face.draws(author, ()) for author in change.authors)
            return drawn or user in change.users or user in change.profiles
        case Invalidated():
            return change.user in (None, user)
        case PostScored() | SourceCrossed() | Reranked():
            return False
        case _:
            assert_never(change)


def holds(answer: Answer | None, needed: int | None, at_ms: int) -> bool:
    """Tell whether an edge that gave this answer still had it then, and it was from before the count."""
    if answer is None or answer.count is None or answer.late:
        return False
    return answer.until_ms > at_ms and (needed is None or answer.count < needed)


def look_at(answer: Answer, needed: int | None) -> Seen:
    """Return what an answer says, by its headers alone."""
    if answer.late:
        return Seen.LATE
    if answer.count is None:
        return Seen.SILENT
    return Seen.FRESH if needed is not None and answer.count >= needed else Seen.BEHIND


def past_threshold(case: Case, look: Look, *, last: bool) -> bool:
    """Tell whether a look is one for which the record is asked: behind, and asked after ``live``, or the last."""
    return look.seen is Seen.BEHIND and (last or is_after(case, look))


def is_after(case: Case, look: Look) -> bool:
    """Tell whether a look was asked for after the change was live."""
    return bool(case.known_ms) and look.answer.asked_ms > case.known_ms


def settle(case: Case) -> None:
    """Decide about what was behind before the threshold: by the next right answer of the same feed.

    What was asked for before the change's counts were known is looked at again.
    """
    for probe in case.probes:
        _settle_probe(case, probe)


def _settle_probe(case: Case, probe: Probe) -> None:
    right: Page | None = None
    for look in reversed(probe.looks):
        if look.seen is Seen.BEHIND:
            look.seen = look_at(look.answer, case.needed(probe.user))
        if look.seen in RIGHT:
            right = look.answer.page
        elif look.seen is Seen.BEHIND:
            same = right is not None and not differ(case.change, look.answer.page, right, case.accepted_ms)
            look.seen = Seen.SAME if same else Seen.OLD


def visible_within(case: Case, seconds: float) -> bool | None:
    """Tell whether a settled change was visible within so many seconds of its acceptance; None: not asked in time."""
    found = [_visible(probe, case.accepted_ms, seconds) for probe in case.probes]
    if False in found:
        return False
    return True if found and None not in found else None


def _visible(probe: Probe, accepted_ms: int, seconds: float) -> bool | None:
    begin = accepted_ms + seconds * 1000
    looks = [look for look in probe.looks if look.answer.asked_ms >= begin and look.seen not in NOTHING]
    if any(look.seen is Seen.OLD for look in looks):
        return False
    in_time = begin + max(1000.0, seconds * 1000 * LATE_BY)
    return True if looks and looks[0].answer.asked_ms <= in_time else None


@dataclass(frozen=True, slots=True)
class Miss:
    """A feed that was old where it must not be, and all that is known of the change."""

    change: str
    kind: str
    subject: str
    why: str
    feed: str
    asked_ms: int
    count: int | None
    needed: int | None
    tags: tuple[str, ...]
    batches: dict[str, tuple[str, ...]]
    times: dict[str, int]


def misses(case: Case) -> Iterator[Miss]:
    """Yield the misses of a settled change, one a feed at most."""
    for probe in case.probes:
        if (found := _missed(case, probe)) is not None:
            look, why = found
            tags = tuple(sorted(case.tags - {tags_.user_tag(p.user) for p in case.probes if p is not probe}))
            about = (case.id, kind_of(case.change), subject_of(case.change), why, f"/feed/{probe.user}/feed.json")
            counts = (look.answer.asked_ms, look.answer.count, case.needed(probe.user))
            yield Miss(*about, *counts, tags, case.batches, case.times)


def _missed(case: Case, probe: Probe) -> tuple[Look, str] | None:
    """Return the first look of a settled probe that is a miss, and why it is one."""
    for look in probe.looks:
        if look.seen is Seen.OLD and is_after(case, look):
            return look, "old after live"
    if probe.looks and probe.looks[-1].seen is Seen.OLD:
        return probe.looks[-1], "old at the last look"
    return None


def tags_of(change: Change, users: Iterable[str], topics: Iterable[str]) -> frozenset[str]:
    """Return the tags by which an edge may be told of a change that concerns these users' feeds."""
    found = {tags_.GLOBAL, tags_.OVERFLOW, *map(tags_.topic_tag, topics)}
    for user in users:
        found |= {tags_.user_tag(user), tags_.shard_tag(shard_of(user))}
    match change:
        case PostPublished() | PostEdited() | PostWithdrawn():
            found |= {tags_.post_tag(change.post), tags_.author_tag(change.author)}
        case ProfileChanged() | UserDeleted():
            found.add(tags_.author_tag(change.user))
    return frozenset(found)


def tap_found(case: Case) -> bool:
    """Tell whether the second tap found something, as far as a client can know.

    An answer was old that was asked for after the first completion and before ``live``; another was right later, though
    the edge might still have kept the first: only the tap can have dropped it.
    """
    if not (case.done_ms and case.known_ms):
        return False
    for probe in case.probes:
        old = [look.answer for look in probe.looks if look.seen is Seen.OLD and _between(case, look)]
        rights = [look.answer.asked_ms for look in probe.looks if look.seen in RIGHT]
        if any(answer.asked_ms < right < answer.until_ms for answer in old for right in rights):
            return True
    return False


def _between(case: Case, look: Look) -> bool:
    return case.done_ms < look.answer.asked_ms <= case.known_ms


def nines(visible: int, of: int) -> float | None:
    """Return how many nines ``visible`` of ``of`` are; where all are, how many that shows, with 95% confidence.

    Without a miss in n, the share of misses is below 3/n with 95% confidence (the rule of three). None: nothing shown.
    """
    if not of:
        return None
    missing = (of - visible) / of if visible < of else min(1.0, 3 / of)
    return round(-log10(missing), 2) if missing < 1 else 0.0
