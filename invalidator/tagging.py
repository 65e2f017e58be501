"""The table: each change to the cache tags it drops.

| change | dropped with each part | dropped with the part that completes the others |
| --- | --- | --- |
| post published | its readers, see below | ``p-``, ``a-`` of its author, ``t-`` of its tags; ``o``, see below |
| post edited | its readers, where its place in feeds may have changed | ``p-``; where it moved the others too |
| post withdrawn | | ``p-`` of it: urgent |
| user created, settings changed | | ``u-``; urgent where it is about who may read |
| profile changed | ``p-`` of the author's posts, under the guard of ``a-`` | ``u-``, ``a-`` |
| user deleted | the same, urgent | ``u-``, ``a-``: urgent |
| follows changed | | ``u-`` of each |
| post scored | nothing: ``p-`` as a guard | |
| source crossed | | nothing: both sides of the line show the same |
| reranked | | ``s-`` of the shards, ``u-`` of the users |
| site changed | | ``g``; where it rolls ``s-``, shard by shard, under the guard of ``g`` |
| imported | ``u-``, ``p-``, ``a-`` as reported | |
| invalidated | ``p-`` of the user's posts | ``u-``, ``a-``; or ``g``, which may roll |
| covered (a parked one) | ``u-``, ``p-``, ``a-`` as reported | ``t-`` of the posts' tags; ``o``, which is patient |

Readers of a post's sources are not dropped by their ``u-``: what carries a source is reached by its ``a-`` or ``t-``.
The ledger knows who has an answer at an edge that carries none of them, and lets those wait, by name. Readers of a
source that is pulled are not even named: their feeds carry its tag, or, where not all sources found room, ``o``. With
each part the sources' tags are guards in the shards of its readers: no bake passes that read their timelines before.

A guard is recorded in the fence alone: a bake that showed the author's old name must not pass while the posts' tags
are still being looked for in the ledger, part by part. What a user's invalidation made bakers read again (posts that
their feed shows, by others) is guarded too: bakers keep posts for as long as the fence knows them unchanged. So is a
post whose counts and score are new: rank is soft, it shows at the next bake.

What is urgent (something was deleted, or is not for everybody any more) has guards of its own, ``!p-``, ``!u-``,
``!a-``: nothing from before them leaves, not even where the origin is at its limit.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from cdn import tags
from cdn.ledger import ALL_SHARDS, Readers, Tags
from cdn.pending import Flag
from feeds.affected import Affected
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
)
from feeds.ids import shard_of

USER = tags.user_tag("")


def shared_tags(affected: Affected) -> Iterator[str]:
    """Yield what the part that completes a change drops besides its own."""
    change = affected.change
    match change:
        case PostPublished():
            yield from (tags.post_tag(change.post), *_gained(affected))
        case PostEdited():
            yield tags.post_tag(change.post)
            yield from _gained(affected) if change.moved else ()
        case PostWithdrawn():
            yield tags.post_tag(change.post)
        case UserCreated() | SettingsChanged():
            yield tags.user_tag(change.user)
        case ProfileChanged() | UserDeleted():
            yield from (tags.user_tag(change.user), tags.author_tag(change.user))
        case FollowsChanged():
            yield from map(tags.user_tag, change.users)
        case SiteChanged():
            yield from () if change.rolling else (tags.GLOBAL,)
        case Reranked():
            yield from map(tags.shard_tag, change.shards)
            yield from map(tags.user_tag, change.users)
        case Imported() | PostScored() | SourceCrossed():
            return
        case Invalidated():
            yield from _forgotten(change)
        case Covered():
            yield from _gained(affected)
        case _:
            assert_never(change)


def rolls(change: Change) -> bool:
    """Tell whether a change drops everything, shard by shard (``invalidator.rolling``)."""
    return isinstance(change, SiteChanged | Invalidated) and change.rolling


def is_urgent(change: Change) -> bool:
    """Tell whether a change takes something away from those who may have it: a deletion, a matter of privacy."""
    if isinstance(change, SettingsChanged):
        return change.privacy
    if isinstance(change, Covered):
        return change.urgent
    return isinstance(change, PostWithdrawn | UserDeleted)


def source_tags(affected: Affected) -> Iterator[str]:
    """Yield the tags of the sources of a post that feeds gained, regained or moved: feeds carry them, or ``o``."""
    if isinstance(affected.change, PostPublished | PostEdited):
        yield tags.author_tag(affected.change.author)
    yield from map(tags.topic_tag, affected.topics)


def dropped_tags(affected: Affected) -> Iterator[str]:
    """Yield every tag that a part drops, but for those of readers."""
    if not affected.sources:
        yield from map(tags.user_tag, affected.users)
    yield from map(tags.post_tag, affected.posts)
    if isinstance(affected.change, Imported | Covered):
        yield from map(tags.author_tag, affected.authors)
    if affected.shared:
        yield from shared_tags(affected)


def guard_tags(affected: Affected) -> Iterator[str]:
    """Yield the tags that a part records in the fence alone."""
    yield from map(tags.post_tag, affected.guarded)
    if (affected.posts or affected.guarded) and not isinstance(affected.change, Imported | Covered):
        yield from map(tags.author_tag, affected.authors)
    if affected.shared and rolls(affected.change):
        yield tags.GLOBAL
    if is_urgent(affected.change):
        yield from map(tags.guard_of, dropped_tags(affected))


def shards_of(tag: str) -> Iterable[int]:
    """Return the shards in which answers with a tag, or under a guard, may be: one for ``u-`` and ``s-``, else all."""
    bare = tag.removeprefix(tags.guard_of(""))
    if bare.startswith("s-"):
        return (int(bare[2:], 16),)
    return (shard_of(bare[2:]),) if bare.startswith("u-") else ALL_SHARDS


def shards_in(part: Affected) -> Iterable[int]:
    """Return the shards that have something to record for a part."""
    found = {shard_of(section.partition("\n")[0]) for section in part.sections}
    found.update(shard_of(user) for user in (part.users if part.sources else ()))
    for tag in (*dropped_tags(part), *guard_tags(part)):
        if (shards := shards_of(tag)) is ALL_SHARDS:
            return ALL_SHARDS
        found.update(shards)
    return sorted(found)


def by_shard(parts: Iterable[Affected]) -> dict[int, Tags]:
    """Return what each shard has to record for these parts. Shards that have the same share it: it is not changed."""
    everywhere, found = Tags(), defaultdict[int, Tags](Tags)
    for part in parts:
        flags = Flag.URGENT if is_urgent(part.change) else Flag.PLAIN
        for tag in dropped_tags(part):
            demanded = flags or _patience(part.change, tag)
            for each in _places(tag, everywhere, found):
                each.drop(tag, demanded)
        for tag in guard_tags(part):
            for each in _places(tag, everywhere, found):
                each.guards.add(tag)
        for section in (*part.sections, *(_sections(part.users) if part.sources else ())):
            _add(section, part, found[shard_of(section.partition("\n")[0])], flags)
    if everywhere.dropped or everywhere.guards:
        return {shard: _joined(everywhere, found[shard]) if shard in found else everywhere for shard in ALL_SHARDS}
    return found


def _patience(change: Change, tag: str) -> Flag:
    """Return what is demanded of a tag that is not urgent: nobody asked for what a parked change takes along."""
    return Flag.PATIENT if tag == tags.OVERFLOW and isinstance(change, Covered) else Flag.PLAIN


def _places(tag: str, everywhere: Tags, found: Mapping[int, Tags]) -> Iterable[Tags]:
    shards = shards_of(tag)
    return (everywhere,) if shards is ALL_SHARDS else [found[shard] for shard in shards]


def _joined(everywhere: Tags, own: Tags) -> Tags:
    """Return what one shard has to record: what all have, and its own."""
    joined = Tags(dict(everywhere.dropped), everywhere.guards | own.guards, own.readers)
    for tag, flags in own.dropped.items():
        joined.drop(tag, flags)
    return joined


def _add(section: str, part: Affected, of_shard: Tags, flags: Flag) -> None:
    """Add users of one shard: as readers of the part's sources, under the guard of these, or else by their tags."""
    if part.sources:
        of_shard.readers.append(Readers(part.sources, section))
        of_shard.guards.update(source_tags(part))
        return
    for tag in section_tags(section):
        of_shard.drop(tag, flags)


def section_tags(section: str) -> list[str]:
    """Return the tags of users of one shard who are joined by newlines: at one go, for there may be thousands."""
    return (USER + section.replace("\n", f"\n{USER}")).split("\n")


def _sections(users: Iterable[str]) -> list[str]:
    """Return users by shard, joined by newlines."""
    found: dict[int, list[str]] = defaultdict(list)
    for user in users:
        found[shard_of(user)].append(user)
    return ["\n".join(of_shard) for of_shard in found.values()]


def _gained(affected: Affected) -> Iterator[str]:
    """Yield what the feeds carry that draw from the sources of a post."""
    yield from source_tags(affected)
    if affected.overflow:
        yield tags.OVERFLOW


def _forgotten(change: Invalidated) -> Iterable[str]:
    if change.user is None:
        return () if change.rolling else (tags.GLOBAL,)
    return (tags.user_tag(change.user), tags.author_tag(change.user))
