"""What the contract suite of the system of record says often."""

from datetime import UTC, datetime

from feeds.change import Change, decode
from feeds.command import Command, CreatePost, Follow, FollowTag, PutUser, UnfollowTag
from feeds.record import Outcome, Record

NOW = 1_700_000_000_000


class Clock:
    """A clock in the test's hand: Unix milliseconds."""

    def __init__(self) -> None:
        self.ms = NOW

    def __call__(self) -> int:
        return self.ms


def at(ms: int) -> datetime:
    """Return the time that is ``ms`` after the clock's beginning."""
    return datetime.fromtimestamp((NOW + ms) / 1000, UTC)


def a_post(post: str, author: str = "ada", *, title: str = "A title", ms: int = -1000) -> CreatePost:
    """Return the command that creates a post, published ``ms`` after the clock's beginning."""
    return CreatePost(post=post, author=author, title=title, published=at(ms))


async def one(record: Record, command: Command) -> Outcome:
    """Apply a single command."""
    return (await record.apply([command]))[0]


async def with_users(record: Record, *users: str) -> None:
    """Create users and forget their changes."""
    await record.apply([PutUser(user=user, name=user.title()) for user in users])
    await changes(record)


async def with_follows(record: Record, user: str, *authors: str) -> None:
    """Let a user follow authors, and forget the changes."""
    await record.apply([Follow(user=user, author=author) for author in authors])
    await changes(record)


async def changes(record: Record) -> list[Change]:
    """Take what the outbox holds, as the relay does."""
    rows = await record.outbox_take(1000)
    await record.outbox_relayed([row.row for row in rows])
    return [decode(row.kind, row.body) for row in rows]


async def number(record: Record, user: str) -> int:
    """Return a user's number."""
    return (await record.sources(user)).num


async def tag_number(record: Record, tag: str) -> int:
    """Return a tag's source number, of which the record must have heard: a follower is made for that."""
    await record.apply([PutUser(user="tagger", name="Tagger"), FollowTag(user="tagger", tag=tag)])
    (source,) = (await record.sources("tagger")).tags
    await record.apply([UnfollowTag(user="tagger", tag=tag)])
    return source
