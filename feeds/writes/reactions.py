"""What readers do with posts: each reaction is counted once, and folded into the post when it makes a difference.

A post's row has the counts that are shown and scored. What came since waits in ``engagement``; a post is scored anew
when one of its counts moved enough, so that a popular post is not written for every like.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from math import log, log1p
from typing import Any

from sqlalchemy import case, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from feeds.change import PostScored
from feeds.command import MAX_COUNT, React, Reaction
from feeds.database import is_postgresql
from feeds.errors import Gone, NotFound
from feeds.many import among, table_of
from feeds.model import PostState, UserState
from feeds.schema import engagement, is_by_somebody, posts, reactions, users
from feeds.writes.outcome import Outcome
from feeds.writes.unit import Unit

KINDS = ("like", "comment", "view")
"""Kinds of reactions, by their number."""

COUNTS = ("likes", "comments", "views")
"""The counts that they go to."""

Identity = tuple[int, str, str]
"""Of a reaction to a post: kind, by and id."""


def moved_enough(shown: Sequence[int], counts: Sequence[int], rescore: float) -> bool:
    """Tell whether one of the counts, plus one, is by the share ``rescore`` more or less than is shown."""
    least = log1p(rescore) - 1e-12  # 1.1 times is enough for 0.1, rounded or not
    moves = (abs(log((1 + now) / (1 + before))) for before, now in zip(shown, counts, strict=True))
    return any(move >= least and move > 0 for move in moves)


def moved_by(wanted: dict[Identity, bool], before: dict[Identity, bool]) -> list[int]:
    """Return by how much each count moves. Both tell of an identity whether it is undone; undone stays so."""
    moves = Counter[int]()
    for identity, undone in wanted.items():
        if identity not in before:
            moves[identity[0]] += not undone
        elif undone and not before[identity]:
            moves[identity[0]] -= 1
    return [moves[kind] for kind in range(len(KINDS))]


async def react(unit: Unit, command: React) -> Outcome:
    """Count reactions to a post, and score it anew where they are enough. Those by deleted users are left out."""
    query = select(posts.c.num, posts.c.state, posts.c.version).where(posts.c.id == command.post)
    post = (await unit.conn.execute(query.with_for_update())).one_or_none()
    if post is None:
        raise NotFound("post", command.post, "there is no such post")
    if post.state == PostState.DELETED.value:
        raise Gone("post", command.post, "this post was deleted")
    moves = await _count(unit, post.num, await _by_the_living(unit, command.reactions))
    if not any(moves):
        return Outcome("unchanged", None, command.post, post.version)
    row = {"post": post.num, **dict(zip(COUNTS, moves, strict=True))}
    await unit.conn.execute(_added(_insert(unit).values(row)))
    if not await fold(unit, post.num):
        return Outcome("accepted", None, command.post, post.version)
    change = unit.note(PostScored((command.post,))) if post.state == PostState.PUBLISHED.value else None
    return Outcome("accepted", change, command.post, post.version + 1)


async def fold(unit: Unit, num: int) -> bool:
    """Add what came since to the counts that a post shows, if it is enough; tell whether it was."""
    c, waiting = posts.c, engagement.c
    query = select(c.likes, c.comments, c.views, waiting.likes, waiting.comments, waiting.views)
    query = query.select_from(posts.join(engagement, waiting.post == c.num)).where(c.num == num)
    row = (await unit.conn.execute(query)).one()
    shown, came = row[:3], row[3:]
    counts = [min(max(before + more, 0), MAX_COUNT) for before, more in zip(shown, came, strict=True)]
    if not moved_enough(shown, counts, unit.limits.rescore):
        return False
    values = dict(zip(COUNTS, counts, strict=True))
    await unit.conn.execute(update(posts).where(c.num == num).values(version=c.version + 1, **values))
    await unit.conn.execute(delete(engagement).where(waiting.post == num))
    return True


async def forget(unit: Unit, nums: Sequence[int], counts: Collection[str] = COUNTS) -> None:
    """Forget what came since for these counts of posts: they were given anew."""
    if nums and counts:
        here = among(unit.conn, engagement.c.post, nums)
        await unit.conn.execute(update(engagement).where(here).values(dict.fromkeys(counts, 0)))


async def erase(unit: Unit, nums: Sequence[int]) -> None:
    """Forget all that readers did with posts that are no more."""
    for table in (engagement, reactions):
        await unit.conn.execute(delete(table).where(among(unit.conn, table.c.post, nums)))


async def take_back(unit: Unit, user: str) -> None:
    """Take back all that a user did, and forget that it was them."""
    mine = (is_by_somebody, reactions.c.by == user)
    made: Any = [func.sum(case((reactions.c.kind == kind, -1), else_=0)) for kind in range(len(KINDS))]
    query = select(reactions.c.post, *made).where(*mine, reactions.c.undone == 0).group_by(reactions.c.post)
    taken = _insert(unit).from_select(["post", *COUNTS], query.order_by(reactions.c.post))
    await unit.conn.execute(_added(taken))
    await unit.conn.execute(delete(reactions).where(*mine))


async def _by_the_living(unit: Unit, given: Sequence[Reaction]) -> list[Reaction]:
    named = {reaction.by for reaction in given if reaction.by is not None}
    if not named:
        return list(given)
    query = select(users.c.id, users.c.state).where(among(unit.conn, users.c.id, sorted(named)))
    states = {row.id: row.state for row in await unit.conn.execute(query)}
    for number, reaction in enumerate(given):
        if reaction.by is not None and reaction.by not in states:
            raise NotFound(f"reactions[{number}].by", reaction.by, "there is no such user")
    return [one for one in given if one.by is None or states[one.by] == UserState.LIVE.value]


async def _count(unit: Unit, num: int, given: Sequence[Reaction]) -> list[int]:
    """Note the reactions, and return by how much each count moves."""
    wanted: dict[Identity, bool] = {}
    for one in given:
        identity = (KINDS.index(one.kind), one.by or "", one.id or "")
        wanted[identity] = wanted.get(identity, False) or one.undo
    before = await _noted(unit, num, wanted)
    rows = [(identity, undone) for identity, undone in wanted.items() if identity not in before]
    if rows:
        common = {"post": num, "made_ms": unit.now_ms}
        values = [{"kind": k, "by": by, "id": id_, "undone": int(undone), **common} for (k, by, id_), undone in rows]
        await unit.conn.execute(insert(reactions), values)
    for kind, by, id_ in [one for one, undone in wanted.items() if undone and before.get(one) is False]:
        c = reactions.c
        here = (c.post == num, c.kind == kind, c.by == by, c.id == id_)
        await unit.conn.execute(update(reactions).where(*here).values(undone=1, made_ms=unit.now_ms))
    return moved_by(wanted, before)


async def _noted(unit: Unit, num: int, wanted: Collection[Identity]) -> dict[Identity, bool]:
    """Return those of the reactions that are noted, undone or not. The post is held, so none comes meanwhile."""
    c = reactions.c
    # A list and no join: SQLite would read the JSON once for each reaction that the post has.
    same = tuple_(c.kind, c.by, c.id).in_(table_of(unit.conn, wanted, int, str, str))
    query = select(c.kind, c.by, c.id, c.undone).where(c.post == num, same)
    return {(row.kind, row.by, row.id): bool(row.undone) for row in await unit.conn.execute(query)}


def _insert(unit: Unit) -> Any:
    return postgresql.insert(engagement) if is_postgresql(unit.conn) else sqlite.insert(engagement)


def _added(statement: Any) -> Any:
    """Return an insertion that adds to the rows that are there."""
    more = {name: engagement.c[name] + statement.excluded[name] for name in COUNTS}
    return statement.on_conflict_do_update(index_elements=["post"], set_=more)
