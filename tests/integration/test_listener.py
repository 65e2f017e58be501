"""Invalidation by bare pub/sub: a message is a change, a malformed one is dropped with its reason and harms nothing."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from feeds import keys
from feeds.change import Invalidated, decode
from feeds.listener import MAX_MESSAGE, Listener
from tests.integration.house import House, until


async def changes(house: House) -> list[tuple[str, object]]:
    """Return the changes in the outbox: ids and what they are."""
    return [(row.id, decode(row.kind, row.body)) for row in await house.record.outbox_take(100)]


@asynccontextmanager
async def listening(house: House) -> AsyncIterator[None]:
    """Let a listener run, and return once it listens."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Listener(house.redis, house.record).run(stop))
        await until(lambda: house.redis.exists(keys.LISTENER_LEASE))
        try:
            yield
        finally:
            stop.set()
            await house.redis.publish(keys.INVALIDATE, "{}")


async def _has(house: House, number: int) -> bool:
    return len(await changes(house)) >= number


@pytest.mark.parametrize(
    ("message", "change"),
    [(b'{"scope": "global"}', Invalidated(None)), (b'{"scope": "user", "user": "ada"}', Invalidated("ada"))],
    ids=["global", "user"],
)
async def test_a_message_is_a_change(house: House, message: bytes, change: Invalidated) -> None:
    async with listening(house):
        await house.redis.publish(keys.INVALIDATE, message)
        await until(lambda: _has(house, 1))
    assert [found for _, found in await changes(house)] == [change]


async def test_a_message_names_its_change_and_a_repeat_does_nothing(house: House) -> None:
    message = b'{"scope": "user", "user": "ada", "id": "deploy-42"}'
    async with listening(house):
        for _ in range(3):
            await house.redis.publish(keys.INVALIDATE, message)
        await house.redis.publish(keys.INVALIDATE, b'{"scope": "global", "id": "last"}')
        await until(lambda: _has(house, 2))
    assert await changes(house) == [("deploy-42", Invalidated("ada")), ("last", Invalidated(None))]
    assert await house.board.of("deploy-42") is not None


MALFORMED = {
    "no JSON": (b"global", "Invalid JSON"),
    "half of it": (b'{"scope": "glo', "Invalid JSON"),
    "nothing": (b"", "Invalid JSON"),
    "no UTF-8": (b'{"scope": "user", "user": "\xff\xfe"}', "Invalid JSON"),
    "a list": (b'[{"scope": "global"}]', "message: "),
    "a number": (b"42", "message: "),
    "null": (b"null", "message: "),
    "no scope": (b'{"user": "ada"}', "scope: Field required"),
    "another scope": (b'{"scope": "galaxy"}', "scope: "),
    "a scope of another type": (b'{"scope": ["global"]}', "scope: "),
    "a user without their name": (b'{"scope": "user"}', "wants a user"),
    "everything and a user": (b'{"scope": "global", "user": "ada"}', "wants a user"),
    "a name outside the grammar": (b'{"scope": "user", "user": "Ada Lovelace"}', "user: "),
    "a newline in the name": (b'{"scope": "user", "user": "ada\\nx"}', "user: "),
    "a newline after the name": (b'{"scope": "user", "user": "ada\\n"}', "user: "),
    "a name of another type": (b'{"scope": "user", "user": 42}', "user: "),
    "a name that is too long": (b'{"scope": "user", "user": "' + b"a" * 65 + b'"}', "user: "),
    "an id outside the grammar": (b'{"scope": "global", "id": "Deploy 42"}', "id: "),
    "an unknown field": (b'{"scope": "global", "tags": ["g"]}', "tags: "),
    "too much": (b'{"scope": "global", "id": "' + b"x" * MAX_MESSAGE + b'"}', "at most 4096"),
    "too deep": (b"[" * 2000, "Invalid JSON"),
}


@pytest.mark.parametrize(("message", "reason"), MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_message_is_dropped_with_its_reason(
    house: House, message: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await Listener(house.redis, house.record).take(message) is None
    assert await changes(house) == []
    (logged,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert reason in logged
    assert "\n" not in logged
    assert len(logged) < 2000


async def test_malformed_messages_harm_no_other(house: House) -> None:
    async with listening(house):
        for message, _ in MALFORMED.values():
            await house.redis.publish(keys.INVALIDATE, message)
        await house.redis.publish(keys.INVALIDATE, b'{"scope": "global", "id": "good"}')
        await until(lambda: _has(house, 1))
    assert [name for name, _ in await changes(house)] == ["good"]


async def test_of_several_listeners_one_acts(house: House) -> None:
    async with listening(house), listening(house), listening(house):
        await until(lambda: _listen(house, 3))
        for number in range(5):
            await house.redis.publish(keys.INVALIDATE, b'{"scope": "user", "user": "u%d"}' % number)
        await until(lambda: _has(house, 5))
    assert [change for _, change in await changes(house)] == [Invalidated(f"u{number}") for number in range(5)]


async def _listen(house: House, number: int) -> bool:
    return (await house.redis.pubsub_numsub(keys.INVALIDATE))[0][1] == number


async def test_an_invalidation_of_a_user_drops_their_feed_at_the_edge(house: House) -> None:
    await house.leave(5, "g")
    change = await Listener(house.redis, house.record).take(b'{"scope": "global", "id": "deploy-42"}')
    assert change == "deploy-42"
    await house.loop()
    assert house.edge.items == ["g"]
    assert await house.state("deploy-42") == "live"
