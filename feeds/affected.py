"""What fan-out reports: the users, posts and authors that one part of a change affects, on a stream that feeds own.

A part is reported when what it concerns is readable. ``shared`` marks the part that completes the others: what many
parts have in common (the post, its author, everything) is reported with it, and only then (interleaving 7a).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from feeds import keys, scripts
from feeds.change import Change, decode, encode, kind_of


@dataclass(frozen=True, slots=True)
class Affected:
    """One part of a change. ``part`` counts from 0; ``parts`` is how many there are, known with the last one.

    ``guarded`` posts read differently here without being dropped anywhere: their copies were, and are read again.
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
    shared: bool = False


def entry(affected: Affected) -> scripts.Command:
    """Return the command that reports a part."""
    body = orjson.dumps(
        [
            *(affected.change_id, affected.attempt, affected.part, affected.parts),
            *(affected.users, affected.posts, affected.authors, affected.guarded, affected.shared),
        ]
    )
    words = ("part", body, "kind", kind_of(affected.change), "change", encode(affected.change))
    return ("XADD", keys.AFFECTED, "*", *words)


def read(fields: Mapping[bytes, bytes]) -> Affected:
    """Return the part that an entry of the stream reports."""
    change_id, attempt, part, parts, *lists, shared = orjson.loads(fields[b"part"])
    change = decode(fields[b"kind"].decode(), fields[b"change"])
    users, posts, authors, guarded = map(tuple, lists)
    return Affected(change_id, change, attempt, part, parts, users, posts, authors, guarded, shared)
