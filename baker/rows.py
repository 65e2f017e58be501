"""The rows of posts: from the shelf, else from their copies, read through where Redis has none."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson

from baker.card import Format
from baker.fragments import Fragments
from baker.guard import Guard
from baker.metrics import READ_THROUGH
from baker.reads import Reads
from baker.shelf import Row, Shelf
from baker.table import Known
from feeds import copies, keys
from feeds.ids import shard_of
from feeds.truth import Truth

Values = Mapping[str, bytes | None]


class Look(NamedTuple):
    """How posts are shown: format and language, and whose page it is (their shard has the generation)."""

    format: Format
    language: str
    user: str


class Rows:
    """Rows by post."""

    def __init__(self, reads: Reads, truth: Truth, fragments: Fragments, shelf: Shelf, guard: Guard) -> None:
        self._reads = reads
        self._truth = truth
        self._fragments = fragments
        self._shelf = shelf
        self._guard = guard
        self._names: dict[int, str] = {}

    async def get(self, look: Look, window: Sequence[Known]) -> Mapping[str, Row | None]:
        """Return the rows of posts, by id; None where a post is not shown."""
        language = self._fragments.language(look.format, look.language)
        view = self._shelf.view(look.format, language)
        missing = [known for known in window if known.post not in view]
        if not missing:
            return view
        kept = {known.post: view[known.post] for known in window if known.post in view}
        issue = self._guard.issue()
        values = await self._copies(look.user, missing)
        rows = {known.post: self._row(look, known, values) for known in missing}
        authors = ((known.post, self._names.get(known.author)) for known in missing)
        self._shelf.put(issue, look.format, language, [(post, name, rows[post]) for post, name in authors if name])
        return {**kept, **rows}

    async def read_through(
        self, posts: Sequence[str], users: Sequence[str], generation: bytes
    ) -> dict[str, bytes | None]:
        """Return the copies of what Redis does not have, from the truth; None for what does not exist."""
        found: dict[str, bytes | None] = {keys.post(post): None for post in posts}
        found |= {keys.user(user): None for user in users}
        if posts:
            READ_THROUGH.labels("post").inc(len(posts))
            for post in (await self._truth.posts(posts)).values():
                found[keys.post(post.id)] = copies.of_post(post).value(generation)
        if users:
            READ_THROUGH.labels("user").inc(len(users))
            for user in (await self._truth.users(users)).values():
                found[keys.user(user.id)] = copies.of_user(user).value(generation)
        return found

    def _row(self, look: Look, known: Known, values: Values) -> Row | None:
        post = values[keys.post(known.post)]
        if post is None or not copies.is_live(post):
            return None
        author = values[keys.user(self._names[known.author])]
        if author is None or not copies.is_live(author):
            return None
        return self._fragments.get(look.format, look.language, post, author)

    async def _copies(self, user: str, window: Sequence[Known]) -> Values:
        """Return the copies of these posts and their authors, by key.

        The generation is read again with them: they go to the shelf, where nothing may be that was dropped before
        its reading began. Who wrote a post is in its copy; for an author seen for the first time that is a trip more.
        """
        posts = [known.post for known in window]
        authors = {known.author for known in window}
        named = [self._names[num] for num in authors if num in self._names]
        current = keys.generation(shard_of(user))
        names = [current, *map(keys.post, posts), *map(keys.user, named)]
        values = dict(await self._reads.copies.ask(names))
        generation = values[current] or b"0"
        values |= await self._missing(values, posts, named, generation)
        if len(named) < len(authors):
            self._learn(values[keys.post(known.post)] for known in window if known.author not in self._names)
            new = [self._names[num] for num in authors if num in self._names and self._names[num] not in named]
            values |= await self._reads.copies.ask([keys.user(name) for name in new])
            values |= await self._missing(values, [], new, generation)
        return values

    async def _missing(
        self, values: Values, posts: Sequence[str], users: Sequence[str], generation: bytes
    ) -> Mapping[str, bytes | None]:
        gone = [post for post in posts if not copies.counts(values[keys.post(post)], generation)]
        unknown = [user for user in users if not copies.counts(values[keys.user(user)], generation)]
        return await self.read_through(gone, unknown, generation) if gone or unknown else {}

    def _learn(self, posts: Iterable[bytes | None]) -> None:
        """Note which users the authors of posts are; a user's number stays theirs."""
        for post in posts:
            if post is not None:
                fields = orjson.loads(copies.body_of(post))
                self._names[fields["author_num"]] = fields["author"]
