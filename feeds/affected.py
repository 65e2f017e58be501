"""What fan-out reports: the users, posts and authors that one part of a change affects, on a stream that feeds own.

A part is reported when what it concerns is readable. ``shared`` marks the part that completes the others: what many
parts have in common (the post, its author, everything) is reported with it, and only then (interleaving 7a).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from feeds import keys, scripts
from feeds.change import Change, Undecodable, decode, encode, kind_of


@dataclass(frozen=True, slots=True)
class Affected:
    """One part of a change. ``part`` counts from 0; ``parts`` is how many there are, known with the last one.

    ``sections`` are users too, each those of one shard, joined by newlines: nobody looks at each of them.
    ``guarded`` posts read differently here without being dropped anywhere: their copies were, and are read again.
    A part of a post that feeds gained, or of one that moved, has the post's ``sources`` by number and its tags as
    ``topics``: its users are readers of these sources, whose feeds name the author, or a topic, as room allows.
    ``overflow``: there are readers who are not named here, and whose feeds may not name the source.
    ``attempt`` names the run of fan-out that reports it: another run may cut the parts elsewhere.
    """

    change_id: str
    change: Change
    attempt: str
    part: int
    parts: int | None
    users: tuple[str, ...] = ()
    posts: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    sources: tuple[int, ...] = ()
    topics: tuple[str, ...] = ()
    overflow: bool = False
    shared: bool = False


def entry(affected: Affected) -> scripts.Command:
    """Return the command that reports a part."""
    a = affected
    names = (a.users, a.posts, a.authors, a.guarded, a.sections, a.sources, a.topics)
    body = orjson.dumps([a.change_id, a.attempt, a.part, a.parts, *names, a.overflow, a.shared])
    words = ("part", body, "kind", kind_of(a.change), "change", encode(a.change))
    return ("XADD", keys.AFFECTED, "*", *words)


def change_of(fields: Mapping[bytes, bytes]) -> str | None:
    """Return the change that an entry of the stream is about, None where it is no entry of fan-out."""
    try:
        change_id = orjson.loads(fields[b"part"])[0]
    except (KeyError, IndexError, TypeError, orjson.JSONDecodeError):
        return None
    return change_id if isinstance(change_id, str) else None


def read(fields: Mapping[bytes, bytes]) -> Affected:
    """Return the part that an entry of the stream reports. Raises Undecodable."""
    try:
        return _read(fields)
    except (KeyError, ValueError, TypeError) as error:
        raise Undecodable(f"a part is not as this version reports it: {error!r}") from error


def _read(fields: Mapping[bytes, bytes]) -> Affected:
    change_id, attempt, part, parts, *lists, overflow, shared = orjson.loads(fields[b"part"])
    change = decode(fields[b"kind"].decode(), fields[b"change"])
    users, posts, authors, guarded, sections, sources, topics = map(tuple, lists)
    names = (users, posts, authors, guarded, sections, sources, topics)
    return Affected(change_id, change, attempt, part, parts, *names, overflow, shared)
