"""Every interleaving of publish, follow, return, purge, drop and rebuild, on a model of one reader and one source.

The model has the atomic steps of the scripts and of the system of record. The orders that the code has lose no post;
each wrong order loses one, or the model would not see what it is for.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pytest

CLOSED = 99
"""The number of a timeline that is being created: above all that the log reaches."""


class Base(NamedTuple):
    """A timeline: its log number, and which posts are in it. ``posts`` None: it is dropped.

    ``noted``: the number of a drop that found it closed.
    """

    number: int
    posts: frozenset[str] | None
    noted: int = 0


class World(NamedTuple):
    """The record, and what Redis has of the reader and of the source's list of followers."""

    follows: bool = False
    known_active: bool = False  # by the record, since the purge's cutoff
    known_returned: bool = False
    cut_off: bool = False  # the purge's cutoff is above the reader's last activity
    posted: frozenset[str] = frozenset()
    log: int = 0
    active: bool = False
    returned: bool = False  # since the purge looked
    base: Base | None = None
    fresh: frozenset[tuple[str, int]] = frozenset()
    list: bool | str | None = None  # is the reader in it; or the token of its builder
    joined: bool = False


Memory = tuple[tuple[str, object], ...]
Step = Callable[[World, dict[str, object]], World]
Actor = tuple[str, Sequence[Step]]


def commit_post(post: str) -> Step:
    """Publish a post in the record."""
    return lambda world, _: world._replace(posted=world.posted | {post})


def take_log(world: World, own: dict[str, object]) -> World:
    """Take the next log number."""
    own["log"] = world.log + 1
    return world._replace(log=world.log + 1)


def read_list(world: World, own: dict[str, object]) -> World:
    """Read the follower list; ``told`` is None where it has to be built."""
    ready = isinstance(world.list, bool)
    own["told"] = (world.list or world.joined) if ready else None
    return world


def begin_list(token: str) -> Step:
    """Begin to build the list where it is missing; whoever joined before is in the record."""

    def step(world: World, own: dict[str, object]) -> World:
        return world._replace(list=token, joined=False) if own["told"] is None else world

    return step


def read_followers(world: World, own: dict[str, object]) -> World:
    """Read the record's active followers."""
    own.setdefault("found", world.follows and world.known_active)
    return world


def install_list(token: str) -> Step:
    """Install the list that was built, unless another began."""

    def step(world: World, own: dict[str, object]) -> World:
        if own["told"] is not None:
            return world
        own["told"] = own["found"]
        return world._replace(list=bool(own["found"])) if world.list == token else world

    return step


def push(post: str) -> Step:
    """Push a post to the reader, where the list has them and they are active."""

    def step(world: World, own: dict[str, object]) -> World:
        if not (own["told"] and world.active):
            return world
        return world._replace(fresh=world.fresh | {(post, int(str(own["log"])))})

    return step


def publish(post: str) -> Actor:
    """Publish as fan-out does."""
    steps = [commit_post(post), take_log, read_list, begin_list(post), read_followers, install_list(post), push(post)]
    return f"publish {post}", steps


def commit_follow(world: World, _: dict[str, object]) -> World:
    """Follow the source, in the record."""
    return world._replace(follows=True)


def enter(world: World, own: dict[str, object]) -> World:
    """Enter the list, where it exists and the reader draws from the source as far as they know."""
    if not own.get("draws", True) or world.list is None:
        return world
    return world._replace(joined=True)


def enter_if_active(world: World, own: dict[str, object]) -> World:
    """Enter as a change of follows does: for who is active."""
    return enter(world, own) if own.get("was_active") else world


def look_active(world: World, own: dict[str, object]) -> World:
    """See who is active."""
    own["was_active"] = world.active
    return world


def drop(world: World, own: dict[str, object]) -> World:
    """Drop the timeline at the log number that was taken."""
    number = int(str(own["log"]))
    if not own.get("was_active", True) or world.base is None:
        return world
    if world.base.number == CLOSED:
        return world._replace(base=world.base._replace(noted=number), fresh=above(world.fresh, number))
    if world.base.number >= number:
        return world
    return world._replace(base=Base(number, None), fresh=above(world.fresh, number))


def above(fresh: frozenset[tuple[str, int]], number: int) -> frozenset[tuple[str, int]]:
    """Return what was pushed under higher numbers."""
    return frozenset(one for one in fresh if one[1] > number)


FOLLOW: Actor = ("follow", [commit_follow, look_active, enter_if_active, take_log, drop])
DROP: Actor = ("drop", [take_log, drop])


def touch(world: World, own: dict[str, object]) -> World:
    """Note activity; whoever has a timeline, and had not been inactive for too long, is done."""
    own["existed"] = world.base is not None
    own["done"] = world.base is not None and (world.returned or not world.cut_off)
    return world._replace(active=True, returned=True)


def activate(world: World, _: dict[str, object]) -> World:
    """Let the record know."""
    return world._replace(known_active=True, known_returned=True)


def unless_done(step: Step) -> Step:
    """Do a step of a return where there was no timeline."""
    return lambda world, own: world if own["done"] else step(world, own)


def read_sources(world: World, own: dict[str, object]) -> World:
    """Read what the reader draws from."""
    own["draws"] = world.follows
    return world


def create(world: World, _: dict[str, object]) -> World:
    """Create the timeline, closed."""
    return world if world.base else world._replace(base=Base(CLOSED, None))


def open_it(world: World, own: dict[str, object]) -> World:
    """Open the timeline at the number that was taken after it was created."""
    if world.base is None or world.base.number != CLOSED:
        return world
    return world._replace(base=Base(max(int(str(own["log"])), world.base.noted), None))


def open_anyway(world: World, own: dict[str, object]) -> World:
    """Open the timeline, whoever dropped it since it was created."""
    if world.base is None or world.base.number != CLOSED:
        return world
    return world._replace(base=Base(int(str(own["log"])), None))


def drop_again(world: World, own: dict[str, object]) -> World:
    """Drop a timeline that was there before it was returned to."""
    return drop(world, own) if own["existed"] else world


def is_done(world: World, own: dict[str, object]) -> World:
    """Be content with a timeline that is there."""
    own["done"] = own["existed"]
    return world


def returning(*steps: Step, first: Sequence[Step] = (activate, touch)) -> Actor:
    """Return as an inactive user does, in these steps after the ``first``."""
    return "return", [*first, *map(unless_done, (*steps, take_log, drop_again))]


RETURN = returning(read_sources, enter, create, take_log, open_it)


def raise_cutoff(world: World, _: dict[str, object]) -> World:
    """Let the activity of before be over, for builders of lists. Activity since then counts."""
    return world._replace(known_active=world.known_active and world.known_returned, cut_off=not world.returned)


def retire(world: World, _: dict[str, object]) -> World:
    """Take away what is kept of who was not active since."""
    return world if world.returned else world._replace(active=False, base=None, fresh=frozenset())


PURGE: Actor = ("purge", [raise_cutoff, retire])


def see_log(world: World, own: dict[str, object]) -> World:
    """Read the log number."""
    own["log"] = world.log
    return world


def read_truth(world: World, own: dict[str, object]) -> World:
    """Read the posts that the reader draws."""
    own["posts"] = world.posted if world.follows else frozenset()
    return world


def install(world: World, own: dict[str, object]) -> World:
    """Install the timeline where there is one of no newer number."""
    number = int(str(own["log"]))
    if world.base is None or world.base.number > number:
        return world
    posts = own["posts"]
    assert isinstance(posts, frozenset)
    return world._replace(base=Base(number, posts), fresh=above(world.fresh, number))


REBUILD: Actor = ("rebuild", [see_log, read_truth, install])

READER = World(follows=True, known_active=True, active=True, base=Base(0, frozenset()), list=True)
STRANGER = READER._replace(follows=False, list=False)
SLEEPER = READER._replace(known_active=False, active=False, base=None, list=False)
AWAY = SLEEPER._replace(follows=False)
TWICE = (publish("p"), publish("q"))

RIGHT = {
    "publish, drop, rebuilds": (READER, (publish("p"), DROP, REBUILD, REBUILD)),
    "publish without a list, drop, rebuild": (READER._replace(list=None), (publish("p"), DROP, REBUILD)),
    "follow": (STRANGER, (publish("p"), FOLLOW, REBUILD, REBUILD)),
    "follow, no list": (STRANGER._replace(list=None), (*TWICE, FOLLOW)),
    "return": (SLEEPER, (publish("p"), RETURN, REBUILD, REBUILD)),
    "return, no list": (SLEEPER._replace(list=None), (*TWICE, RETURN)),
    "return and follow": (AWAY, (publish("p"), RETURN, FOLLOW, REBUILD)),
    "purge and return": (READER, (publish("p"), PURGE, RETURN, REBUILD)),
    "purge and return, no list": (READER._replace(list=None), (publish("p"), PURGE, RETURN, REBUILD)),
}

EARLY_NUMBER: Actor = (
    "publish p",
    [take_log, commit_post("p"), read_list, begin_list("p"), read_followers, install_list("p"), push("p")],
)
DROP_FIRST: Actor = ("follow", [commit_follow, look_active, take_log, drop, enter_if_active])
READ_FIRST: Actor = ("rebuild", [read_truth, see_log, install])
CREATE_FIRST = returning(read_sources, create, take_log, open_it, enter)
NUMBER_FIRST = returning(read_sources, enter, take_log, create, open_it)
OPEN_ANYWAY = returning(read_sources, enter, create, take_log, open_anyway)
KNOWN_LAST = returning(read_sources, enter, activate, create, take_log, open_it, first=(touch,))
CONTENT = returning(read_sources, enter, create, take_log, open_it, first=(activate, touch, is_done))
BUILD_LATE: Actor = (
    "publish p",
    [commit_post("p"), take_log, read_list, read_followers, begin_list("p"), install_list("p"), push("p")],
)

WRONG = {
    "the number is taken before the post is there": (READER, (EARLY_NUMBER, REBUILD)),
    "the truth is read before the number": (READER, (publish("p"), READ_FIRST)),
    "the list is entered after the drop": (STRANGER, (publish("p"), DROP_FIRST, REBUILD)),
    "the list is entered after the timeline is created": (SLEEPER, (publish("p"), CREATE_FIRST, REBUILD)),
    "the number is taken before the timeline is created": (AWAY, (publish("p"), NUMBER_FIRST, FOLLOW, REBUILD)),
    "it is opened below a drop": (AWAY, (publish("p"), OPEN_ANYWAY, FOLLOW, REBUILD)),
    "the record knows after the list": (SLEEPER._replace(list=None), (*TWICE, KNOWN_LAST, REBUILD)),
    "who is there still begins not anew": (READER._replace(list=None), (publish("p"), PURGE, CONTENT)),
    "the list is begun after the record is read": (
        SLEEPER._replace(list=None),
        (BUILD_LATE, publish("q"), RETURN, REBUILD),
    ),
}


def endings(world: World, actors: Sequence[Actor]) -> Iterator[tuple[World, tuple[str, ...]]]:
    """Yield every world that the actors can end in, with one order of their steps that leads there."""
    at: tuple[int, ...] = (0,) * len(actors)
    nothing: tuple[Memory, ...] = ((),) * len(actors)
    seen = {(world, at, nothing)}
    waiting: list[tuple[World, tuple[int, ...], tuple[Memory, ...], tuple[str, ...]]] = [(world, at, nothing, ())]
    while waiting:
        world, at, memories, order = waiting.pop()
        if all(place == len(steps) for place, (_, steps) in zip(at, actors, strict=True)):
            yield world, order
        for which, (name, steps) in enumerate(actors):
            if at[which] == len(steps):
                continue
            own = dict(memories[which])
            after = steps[at[which]](world, own)
            places = (*at[:which], at[which] + 1, *at[which + 1 :])
            kept = (*memories[:which], tuple(sorted(own.items())), *memories[which + 1 :])
            if (after, places, kept) not in seen:
                seen.add((after, places, kept))
                waiting.append((after, places, kept, (*order, name)))


def lost(world: World) -> frozenset[str]:
    """Return the posts that a bake would not find: its timeline says that it is complete, and lacks them."""
    if world.base is None or world.base.posts is None or not world.follows:
        return frozenset()
    return world.posted - world.base.posts - {post for post, _ in world.fresh}


@pytest.mark.parametrize("scene", RIGHT)
def test_no_order_of_events_loses_a_post(scene: str) -> None:
    found = list(endings(*RIGHT[scene]))
    assert found
    assert [order for world, order in found if lost(world)] == []


@pytest.mark.parametrize("scene", RIGHT)
def test_what_is_dropped_in_the_end_can_be_rebuilt(scene: str) -> None:
    for world, order in endings(*RIGHT[scene]):
        assert world.base is None or world.base.number <= world.log, order
        assert world.active or not world.fresh, order


@pytest.mark.parametrize("scene", WRONG)
def test_another_order_of_steps_loses_one(scene: str) -> None:
    assert any(lost(world) for world, _ in endings(*WRONG[scene]))
