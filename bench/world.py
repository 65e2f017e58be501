"""What is baked from: the demo's data in a Valkey and a SQLite file of the bench's own, gone when it ends."""

import hashlib
import http.client
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import orjson

from baker import clean
from baker.card import in_format
from baker.locales import Locale
from baker.moment import rfc3339
from bench.handlers import PUBLIC_URL, feed_key, make_page, post_key
from edgebake.beginning import begin
from edgebake.secret import SecretUrl
from edgebake.settings import Settings
from edgebake.valkey import EmbeddedValkey
from edgebake.wiring import opened_record, opened_redis
from feeds.ids import shard_of
from feeds.model import Post, User

HUES = 8


@dataclass(frozen=True, slots=True)
class World:
    """A system of record with the demo in it, a Valkey, and the users whose feeds are read."""

    settings: Settings
    users: Sequence[str]

    @property
    def options(self) -> dict[str, Any]:
        """What a server of the bench is told to find all that."""
        return options(self.settings)

    @property
    def shards(self) -> int:
        """How many shards the users are in."""
        return len({shard_of(user) for user in self.users})


def options(settings: Settings) -> dict[str, Any]:
    """Return what a server of the bench is told to find system of record and Redis."""
    return {
        "folder": str(settings.data_dir),
        "redis": settings.redis_url.reveal(),
        "database": settings.database_url.reveal(),
    }


@contextmanager
def valkey() -> Iterator[Settings]:
    """Start a Valkey in a folder of its own; end both after."""
    with TemporaryDirectory(prefix="edgebake-bench-") as folder:
        server = EmbeddedValkey(Path(folder) / "valkey")
        server.start()
        try:
            yield Settings(data_dir=Path(folder), redis_url=SecretUrl(server.url))
        finally:
            server.stop()


async def populated(settings: Settings, feeds: int) -> World:
    """Import the demo, and choose the users with most to read."""
    await begin(settings, settings.data_dir / "front.html", demo=True)
    async with opened_record(settings) as record:
        return World(settings, await record.some_users(feeds))


def read(port: int, path: str, encoding: str = "identity") -> bytes:
    """Return a body as it is sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Accept-Encoding": encoding})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, f"{path} answered {answer.status}"
        return body
    finally:
        connection.close()


async def write_documents(world: World, baker_port: int) -> float:
    """Give the compared handlers what they read: the pages that the baker serves. Return the posts a page, on average.

    Raises AssertionError where a handler would not answer with the baker's own HTML, byte for byte.
    """
    feeds = {user: orjson.loads(read(baker_port, f"/feed/{user}/feed.json")) for user in world.users}
    shown = {user: [_post_of(item) for item in feed["items"]] for user, feed in feeds.items()}
    wanted = sorted({post for posts in shown.values() for post in posts})
    page, locale = make_page(), make_page().locale
    async with opened_record(world.settings) as record, opened_redis(world.settings, record) as redis:
        posts = await record.posts(wanted)
        users = await record.users(sorted({post.author for post in posts.values()} | set(world.users)))
        documents = {post.id: _document(post, users[post.author], locale) for post in posts.values()}
        pages = {user: _page(users[user], feeds[user], shown[user], locale) for user in world.users}
        await redis.mset({post_key(post): orjson.dumps(one) for post, one in documents.items()})
        await redis.mset({feed_key(user): orjson.dumps(one) for user, one in pages.items()})
    for user in world.users[:20]:
        rendered = page.render(pages[user], [documents[post] for post in shown[user]])
        assert rendered == read(baker_port, f"/feed/{user}"), f"the compared page of {user} is another"
    return sum(map(len, shown.values())) / len(shown)


def _post_of(item: Mapping[str, str]) -> str:
    return item["id"].rpartition("/")[2]


def _document(post: Post, author: User, locale: Locale) -> dict[str, Any]:
    url = clean.web_url(post.url)
    counts = {"likes": post.likes, "comments": post.comments, "views": post.views}
    return {
        "full": False,
        "title": clean.text(post.title).strip(),
        "href": url or f"/post/{post.id}",
        "domain": clean.domain(url) if url else "",
        "author": post.author,
        "author_name": author.name,
        "initial": _initial(author.name),
        "hue": _hue(post.author),
        "datetime": rfc3339(post.published_ms),
        "date": locale.date(post.published_ms),
        "tags": list(post.tags),
        "counts": [locale.count(key, number) for key, number in counts.items() if number],
        "body": "",  # the demo's stories have none
        "clipped": False,
    }


def _page(user: User, feed: Mapping[str, Any], posts: Sequence[str], locale: Locale) -> dict[str, Any]:
    path = f"/feed/{user.id}"
    older = feed.get("next_url")
    return {
        "posts": posts,
        "kind": "feed",
        "site_title": "Edgebake",
        "home_page_url": None,
        "first": True,
        "private": False,
        "has_next": older is not None,
        "next_path": urlsplit(older).path.removesuffix("/feed.json") if older else "",
        "has_about": False,
        "about": "",
        "title": locale.plain("feed_of", name=user.name),
        "user": user.id,
        "user_name": user.name,
        "initial": _initial(user.name),
        "hue": _hue(user.id),
        "json": in_format(path, "json"),
        "atom": in_format(path, "atom"),
        "root": path,
        "url": f"{PUBLIC_URL}{path}",
    }


def _initial(name: str) -> str:
    return next((character for character in name if character.isalnum()), "·").upper()[:1]


def _hue(user: str) -> int:
    return hashlib.blake2b(user.encode(), digest_size=1).digest()[0] % HUES
