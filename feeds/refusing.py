"""Refusing: the flag by which the API and imports take no more writes. Feeds own it; the invalidator sets it.

It goes by itself when its time is over (Redis forgets it), and when whoever set it says that there is room again.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from feeds import keys, scripts
from feeds.command import (
    Block,
    Command,
    CreatePost,
    DeletePost,
    DeleteUser,
    EditPost,
    Follow,
    FollowTag,
    Invalidate,
    PublishPost,
    PutSettings,
    PutSite,
    PutUser,
    React,
    RenameUser,
    Unblock,
    Unfollow,
    UnfollowTag,
    UnpublishPost,
)

LOOK_S = 1.0
"""Seconds for which a process believes what it read."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusing:
    """Why no writes are taken, and until when at the latest, in Unix milliseconds."""

    reason: str
    until_ms: int


class Flag:
    """The flag, read at most once a LOOK_S by each process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._looked = float("-inf")
        self._seen: Refusing | None = None

    async def put(self, refusing: Refusing) -> None:
        """Take no more writes until its time is over."""
        body = orjson.dumps([refusing.reason, refusing.until_ms])
        await scripts.execute(self._redis, [("SET", keys.REFUSING, body, "PXAT", refusing.until_ms)])

    async def clear(self) -> None:
        """Take writes again."""
        await scripts.execute(self._redis, [("DEL", keys.REFUSING)])

    async def read(self) -> Refusing | None:
        """Return why no writes are taken, or None where they are.

        A Redis that does not answer in time refuses nothing: the system of record takes writes without it.
        """
        now = asyncio.get_running_loop().time()
        if now - self._looked >= LOOK_S:
            self._looked = now
            try:
                async with asyncio.timeout(LOOK_S):
                    (found,) = await scripts.execute(self._redis, [("GET", keys.REFUSING)])
                self._seen = None if found is None else Refusing(*orjson.loads(found))
            except (RedisError, TimeoutError) as error:
                self._seen = None
                log.warning("Whether writes are refused is not known, so they are taken: %s", error)
        return self._seen


def may_wait(commands: Iterable[Command]) -> bool:
    """Tell whether commands are refused while the flag is up: all but those that somebody must not wait for.

    These are deletions, unpublishing, blocks and making a feed private; besides them what no edge is told of (drafts,
    reactions), and edits of posts that the commands before them unpublish.
    """
    withdrawn: set[str] = set()
    for command in commands:
        if isinstance(command, UnpublishPost):
            withdrawn.add(command.post)
        if not (_goes(command) or (isinstance(command, EditPost) and command.post in withdrawn)):
            return True
    return False


def _goes(command: Command) -> bool:
    match command:
        case DeleteUser() | DeletePost() | UnpublishPost() | Block() | React():
            return True
        case PutSettings():
            return command.feed_visibility == "private"
        case CreatePost():
            return command.draft
        case PutUser() | RenameUser() | EditPost() | PublishPost() | PutSite() | Invalidate():
            return False
        case Follow() | Unfollow() | FollowTag() | UnfollowTag() | Unblock():
            return False
        case _:
            assert_never(command)
