"""What the system of record keeps of the items that an account was billed for."""

import asyncio

from feeds.items import Items
from feeds.record import Record


async def test_a_months_count_rises_and_never_goes_back(record: Record) -> None:
    await record.raise_items("acme", Items("2026-11", 10, 2, 1000))
    await record.raise_items("acme", Items("2026-11", 7, 3, 2000))
    assert await record.items("acme") == [Items("2026-11", 10, 3, 1000)]


async def test_months_and_accounts_are_counted_apart(record: Record) -> None:
    for account, month in (("acme", "2026-12"), ("acme", "2026-11"), ("other", "2026-11")):
        await record.raise_items(account, Items(month, 1, 0, 5))
    assert [items.month for items in await record.items("acme")] == ["2026-11", "2026-12"]
    assert await record.items("nobody") == []


async def test_of_many_that_raise_a_count_at_once_the_highest_stays(record: Record) -> None:
    counts = [Items("2026-11", count, 100 - count, 1) for count in range(1, 21)]
    await asyncio.gather(*(record.raise_items("acme", counted) for counted in counts))
    assert await record.items("acme") == [Items("2026-11", 20, 99, 1)]


async def test_counting_items_wakes_no_relay(record: Record) -> None:
    wakes: list[int] = []
    record.on_commit = lambda: wakes.append(1)
    await record.raise_items("acme", Items("2026-11", 1, 0, 1))
    assert wakes == []
