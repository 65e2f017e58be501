"""What people do: writes to the books, each with the change that the real record would put into the outbox."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random

from feeds.change import (
    Change,
    FollowsChanged,
    Invalidated,
    PostEdited,
    PostPublished,
    PostWithdrawn,
    ProfileChanged,
    SettingsChanged,
    SiteChanged,
    UserDeleted,
)
from feeds.model import TAG, Post, PostState, PulledSource, Settings, Site, User, UserState
from tests.simulation import editions, facts
from tests.simulation.books import Data

Done = tuple[Data, Change] | None
Write = Callable[[Data], Done]


@dataclass(frozen=True, slots=True)
class Cast:
    """Among whom writes are drawn: who writes posts, and whose feeds and settings change."""

    authors: tuple[str, ...]
    readers: tuple[str, ...]


PEOPLE = ("ada", "bob", "cyd", "dee")
PULLED = "pop"
TOPIC = "tea"


def world(random: Random, now_ms: int, cast: Cast) -> Data:
    """Return the data that a schedule begins with. Who reads in a small cast follows who writes."""
    users = {user: _user(user, number) for number, user in enumerate((*PEOPLE, PULLED), 1)}
    site = Site(facts.site_title(1), template_version=editions.version(editions.FIRST), version=1)
    data = Data(
        site=site,
        users=users,
        tags={TOPIC: TAG | 1},
        pulled={5: PulledSource(PULLED, False, "pull", 0)},
        pulled_version=1,
    )
    follows = {user: frozenset(random.sample([1, 2, 3, 4, 5, TAG | 1], random.randint(1, 4))) for user in PEOPLE}
    if len(cast.authors) == 1:
        number = users[cast.authors[0]].num
        follows = {user: some | {number} if user in cast.readers else some for user, some in follows.items()}
    data = replace(data, follows={user: some - {users[user].num} for user, some in follows.items()})
    for number in range(random.randint(1, 4 if len(cast.authors) > 1 else 2)):
        done = publish(random, now_ms - 10_000 + number, cast)(data)
        assert done is not None
        data = done[0]
    return data


def draw(random: Random, now_ms: int, cast: Cast, kind: str = "") -> Write:
    """Draw a write, of a kind where one is named."""
    readers, everybody = cast.readers, tuple(dict.fromkeys((*cast.readers, *cast.authors)))
    people = tuple(user for user in everybody if user != PULLED)
    kinds: list[tuple[int, Callable[[], Write]]] = [
        (6, lambda: publish(random, now_ms, cast)),
        (5, lambda: edit(random)),
        (2, lambda: move(random, now_ms)),
        (3, lambda: withdraw(random)),
        (1, lambda: again(random)),
        (3, lambda: rename(random.choice(everybody))),
        (2, lambda: privacy(random.choice(people))),
        (1, lambda: mute(random.choice(readers), random.choice(everybody))),
        (4, lambda: follow(random.choice(readers), random.choice((1, 2, 3, 4, 5, TAG | 1)))),
        (1, lambda: invalidate(random.choice((*people, None)), rolling=random.random() < 0.3)),
        (1, lambda: site(rolling=random.random() < 0.5)),
        (1, lambda: erase(random.choice(people))),
    ]
    named: Mapping[str, Callable[[], Write]] = {
        "publish": lambda: publish(random, now_ms, cast),
        "edit": lambda: edit(random),
        "withdraw": lambda: withdraw(random),
        "rename": lambda: rename(random.choice(cast.authors)),
        "follow": lambda: follow(random.choice(readers), (*PEOPLE, PULLED).index(cast.authors[0]) + 1),
        "privacy": lambda: privacy(random.choice(readers)),
        "forget": lambda: invalidate(random.choice((*cast.authors, *readers, None)), rolling=False),
    }
    if kind:
        return named[kind]()
    return random.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]()


def _user(user: str, number: int) -> User:
    return User(user, facts.name(user, 1), "", UserState.LIVE, Settings(), 1, 1, number)


def _there(data: Data, user: str) -> User | None:
    found = data.users.get(user)
    return found if found is not None and found.state is UserState.LIVE else None


def _put(data: Data, post: Post) -> Data:
    post = replace(post, title=facts.title(post.id, post.version))
    return replace(data, posts={**data.posts, post.id: post})


def _pick(random_number: float, data: Data, *states: PostState) -> Post | None:
    found = [post for post in data.posts.values() if post.state in states]
    return found[int(random_number * len(found))] if found else None


def publish(random: Random, now_ms: int, cast: Cast) -> Write:
    """Write a post, with a tag or none."""
    author, tagged = random.choice(cast.authors), random.random() < 0.3

    def write(data: Data) -> Done:
        if (by := _there(data, author)) is None:
            return None
        number = len(data.posts) + 1
        name, tags = f"p{number}", (TOPIC,) if tagged else ()
        nums = tuple(data.tags[tag] for tag in tags)
        words = (name, author, "", None, "text", "text", tags, now_ms, now_ms, PostState.PUBLISHED, 0, 0, 0, 1)
        return _put(data, Post(*words, num=number, author_num=by.num, tag_nums=nums)), PostPublished(name, author)

    return write


def edit(random: Random) -> Write:
    """Give a post another title."""
    which = random.random()

    def write(data: Data) -> Done:
        if (post := _pick(which, data, PostState.PUBLISHED)) is None:
            return None
        return _put(data, replace(post, version=post.version + 1)), PostEdited(post.id, post.author, moved=False)

    return write


def move(random: Random, now_ms: int) -> Write:
    """Give a post other tags, and another time."""
    which = random.random()

    def write(data: Data) -> Done:
        if (post := _pick(which, data, PostState.PUBLISHED)) is None:
            return None
        tags = () if post.tags else (TOPIC,)
        nums = tuple(data.tags[tag] for tag in tags)
        moved = replace(post, version=post.version + 1, tags=tags, tag_nums=nums, published_ms=now_ms)
        return _put(data, moved), PostEdited(post.id, post.author, moved=True)

    return write


def withdraw(random: Random) -> Write:
    """Unpublish or delete a post."""
    which, deleted = random.random(), random.random() < 0.5

    def write(data: Data) -> Done:
        if (post := _pick(which, data, PostState.PUBLISHED)) is None:
            return None
        state = PostState.DELETED if deleted else PostState.UNPUBLISHED
        return _put(data, replace(post, version=post.version + 1, state=state)), PostWithdrawn(
            post.id, post.author, deleted
        )

    return write


def again(random: Random) -> Write:
    """Publish an unpublished post again."""
    which = random.random()

    def write(data: Data) -> Done:
        post = _pick(which, data, PostState.UNPUBLISHED)
        if post is None or _there(data, post.author) is None:
            return None
        there = replace(post, version=post.version + 1, state=PostState.PUBLISHED)
        return _put(data, there), PostPublished(post.id, post.author)

    return write


def _changed(data: Data, user: User) -> Data:
    return replace(data, users={**data.users, user.id: user})


def rename(user: str) -> Write:
    """Give a user another name."""

    def write(data: Data) -> Done:
        if (found := _there(data, user)) is None:
            return None
        version = found.profile_version + 1
        name = facts.name(user, version)
        renamed = replace(found, name=name, version=found.version + 1, profile_version=version)
        return _changed(data, renamed), ProfileChanged(user)

    return write


def _set(data: Data, user: User, settings: Settings) -> Data:
    return _changed(data, replace(user, settings=settings, version=user.version + 1))


def privacy(user: str) -> Write:
    """Make a feed private, or public again."""

    def write(data: Data) -> Done:
        if (found := _there(data, user)) is None:
            return None
        to = "public" if found.settings.feed_visibility == "private" else "private"
        return _set(data, found, replace(found.settings, feed_visibility=to)), SettingsChanged(user, privacy=True)

    return write


def mute(user: str, author: str) -> Write:
    """Mute an author, or hear them again."""

    def write(data: Data) -> Done:
        if (found := _there(data, user)) is None or author == user:
            return None
        muted = set(found.settings.muted_authors) ^ {author}
        number = data.users[author].num
        left = (number,) if author in muted and number in data.follows.get(user, ()) else ()
        settings = replace(found.settings, muted_authors=tuple(sorted(muted)))
        return _set(data, found, settings), SettingsChanged(user, privacy=False, left=left)

    return write


def follow(user: str, source: int) -> Write:
    """Follow a source, or follow it no more."""

    def write(data: Data) -> Done:
        found = _there(data, user)
        gone = source < TAG and _there(data, data.name_of(source)) is None
        if found is None or gone or source == found.num:
            return None
        before = data.follows.get(user, frozenset())
        versions = {**data.follow_versions, user: data.follow_versions.get(user, 0) + 1}
        after = replace(data, follows={**data.follows, user: before ^ {source}}, follow_versions=versions)
        return after, FollowsChanged((user,), (source,) if source in before else ())

    return write


def invalidate(user: str | None, *, rolling: bool) -> Write:
    """Ask that something be forgotten."""
    return lambda data: (data, Invalidated(user, rolling and user is None))


def site(*, rolling: bool) -> Write:
    """Change the site."""

    def write(data: Data) -> Done:
        version = data.site.version + 1
        changed = replace(data.site, title=facts.site_title(version), version=version)
        return replace(data, site=changed), SiteChanged(rolling)

    return write


def deploy(edition: int) -> Write:
    """Say that another edition of the templates is current."""

    def write(data: Data) -> Done:
        changed = replace(data.site, template_version=editions.version(edition), version=data.site.version + 1)
        return replace(data, site=changed), SiteChanged(rolling=True)

    return write


def erase(user: str) -> Write:
    """Delete a user and all they wrote."""

    def write(data: Data) -> Done:
        if (found := _there(data, user)) is None:
            return None
        mine = [post for post in data.posts.values() if post.author == user]
        for post in mine:
            data = _put(data, replace(post, version=post.version + 1, state=PostState.DELETED))
        followers = tuple(sorted(name for name, drawn in data.follows.items() if found.num in drawn))
        follows = {name: drawn - {found.num} for name, drawn in data.follows.items() if name != user}
        versions = {**data.follow_versions, **{name: data.follow_versions.get(name, 0) + 1 for name in followers}}
        gone = replace(found, name="", state=UserState.DELETED, version=found.version + 1)
        data = replace(_changed(data, gone), follows=follows, follow_versions=versions)
        return data, UserDeleted(user, tuple(post.id for post in mine), followers)

    return write
