"""The oracle: no edge holds an artifact older than a change that is live.

Each fact of a page (its status, whether a post is on it, the version of a post or a profile) has a history: what it is
after each commit. The newest live change that moved the fact says from where on; the page may say what the fact was
after that commit, or any later one. A page may well mix commits: it is only never to be older than what is live.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tests.simulation import facts
from tests.simulation.books import Books, Row
from tests.simulation.edge import Answer, Cdn, Stored
from tests.simulation.facts import Page

NOTHING = -1
"""Stands for the version of what is not there."""


class Stale(AssertionError):
    """An edge holds what is older than a live change."""


class Lost(AssertionError):
    """A change does not become live."""


class Oracle:
    """Watches what edges hold."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.checked = 0
        self._live: dict[int, float] = {}
        self._pages: dict[str, list[Page]] = {}

    def became_live(self, row: Row, cdn: Cdn, now: float) -> None:
        """Note that a change is live, and look whether it is so. Raises Stale."""
        self._live[row.commit] = now
        self.look(cdn, now, f"when {row.id} ({row.change}) became live")

    def forget(self, since: float) -> None:
        """Take back that changes are live which became so since: Redis forgot them."""
        self._live = {commit: at for commit, at in self._live.items() if at < since}

    def look(self, cdn: Cdn, now: float, when: str) -> None:
        """Look at all that edges hold. Raises Stale."""
        for tier in cdn.tiers:
            for path, stored in tier.kept.items():
                self.judge(tier.name, path, stored, now, when)

    def agree(self, who: str, path: str, answer: Answer, now: float) -> None:
        """Compare what a baker answers at the end with the truth. Raises Stale."""
        page, wanted = facts.read(answer.status, answer.body), self._history(path)[-1]
        shown = Page(wanted.status) if wanted.status != 200 else wanted
        if page != shown and not answer.late:
            raise Stale(f"{who} answers {path} at the end, at {now:.3f} s, with {page}; it should be {shown}")

    def judge(self, tier: str, path: str, stored: Stored, now: float, when: str) -> None:
        """Look at one artifact. Raises Stale."""
        answer = stored.answer
        if answer.late or now >= stored.end:
            return
        self.checked += 1
        page, pages = facts.read(answer.status, answer.body), self._history(path)
        if page == pages[-1]:
            return
        for wrong in self._wrongs(path, page, pages):
            text = f"{tier} has {path} with {wrong} {when}, at {now:.3f} s"
            raise Stale(f"{text}; tags {' '.join(sorted(answer.tags))}")

    def _wrongs(self, path: str, page: Page, pages: list[Page]) -> Iterator[str]:
        """Yield what is older than a live change."""
        yield from self._older("status", _there(page), [_there(each) for each in pages])
        if page.status != 200:
            return
        for post in {**page.posts, **{post: 0 for each in pages for post in each.posts}}:
            there = [post in each.posts for each in pages]
            wrong = list(self._older(f"the presence of {post}", post in page.posts, there))
            yield from wrong if wrong and not self._is_mixed(path, post, post in page.posts) else ()
        for post, version in page.posts.items():
            yield from self._older(f"the title of {post}", version, self._versions(post))
        if page.edition:
            frames = [facts.frame(data) for data in self.books.states]
            yield from self._older("the edition of the templates", page.edition, [edition for edition, _ in frames])
            yield from self._older("the title of the site", page.site, [site for _, site in frames])
        for user, version in page.names.items():
            yield from self._older(f"the name of {user}", version, self._profiles(user))

    def _is_mixed(self, path: str, post: str, is_there: bool) -> bool:
        """Tell whether a post is as a page has it where it is of one commit, and whose feed it is of another.

        Neither is too old. A post that gains a tag while a reader of that tag drops its author was on the page at each
        commit, and is not between.
        """
        kind, user = path.split("/")[1:3]
        if kind not in ("feed", "private"):
            return False
        states = self.books.states
        posts, sources = [data.posts.get(post) for data in states], [data.sources(user) for data in states]
        some = [{post: one} if one else {} for one in posts[self._since(posts) :]]
        mixed = (replace(data, posts=one) for data in states[self._since(sources) :] for one in some)
        return any(bool(data.feed(user, own=True)) is is_there for data in mixed)

    def _since(self, values: Sequence[object]) -> int:
        """Return the newest live commit that moved a value."""
        return max((n for n in self._live if n < len(values) and values[n] != values[n - 1]), default=0)

    def _older(self, what: str, said: int, values: Sequence[int]) -> Iterator[str]:
        since = self._since(values)
        if said not in values[since:]:
            yield f"{what} = {said}, where it is {values[since:]} since commit {since},"

    def _versions(self, post: str) -> list[int]:
        posts = [data.posts for data in self.books.states]
        return [each[post].version if post in each else NOTHING for each in posts]

    def _profiles(self, user: str) -> list[int]:
        users = [data.users for data in self.books.states]
        return [each[user].profile_version if user in each else NOTHING for each in users]

    def _history(self, path: str) -> list[Page]:
        history = self._pages.setdefault(path, [])
        for data in self.books.states[len(history) :]:
            history.append(facts.expected(path, data))
        return history


def _there(page: Page) -> bool:
    """Tell whether a page is there. Of a post whose author was deleted with it, a bake may see the author's end first:
    404 is no older than 410."""
    return page.status == 200
