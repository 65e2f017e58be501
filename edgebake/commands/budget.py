"""`edgebake budget`: what the edge's items cost this month, and what they will."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebake.commands.options import loaded
from edgebake.settings import Settings

if TYPE_CHECKING:
    from invalidator.budget import Forecast

UNBILLED = ("local", "varnish")
"""Accounts that are none: edges that take items for nothing."""
_AT_LIMIT = {"ttl": "then changes show when feeds expire (ttl)", "refuse": "then the API refuses writes (refuse)"}


def budget(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show this month's items, what they cost, what they will, and what is left of EDGEBAKE_MONTHLY_ITEMS."""
    from edgebake.running import with_redis

    found = asyncio.run(_forecast(with_redis(loaded(ctx))))
    if as_json:
        import json

        typer.echo(json.dumps(document(found)))
        return
    from rich.console import Console

    Console().print(table(found))


async def _forecast(settings: Settings) -> "Forecast":
    from edgebake.wiring import opened_record, opened_redis
    from invalidator.budget import Budget

    async with opened_record(settings) as record, opened_redis(settings, record) as redis:
        limit, at_limit = settings.item_limit, settings.at_limit
        budget = Budget(redis, record, settings.account, limit=limit, at_limit=at_limit)
        await budget.adopt()
        return await budget.forecast()


def document(found: "Forecast") -> dict[str, Any]:
    """Return the forecast as JSON has it. Money in US dollars."""
    return {
        "account": found.account,
        "billed": found.account not in UNBILLED,
        "month": found.counted.month,
        "items": found.counted.total,
        "first_items": found.counted.first,
        "second_taps": found.counted.taps,
        "cost": found.cost,
        "forecast_items": found.items_at_end,
        "forecast_cost": found.cost_at_end,
        "limit": found.limit or None,
        "left": found.left,
        "at_limit": found.at_limit,
    }


def table(found: "Forecast") -> object:
    """Return the forecast as a table for people."""
    from rich.table import Table
    from rich.text import Text

    from invalidator.budget import DOLLARS_AN_ITEM, FREE_ITEMS

    made = Table.grid(padding=(0, 2))
    account = found.account
    if account in UNBILLED:
        account += ": nobody bills this, CloudFront would"
    counted = found.counted
    limit = "none (EDGEBAKE_MONTHLY_ITEMS is 0)"
    if found.left is not None:
        limit = f"{found.limit:,} items, {found.left:,} left; {_AT_LIMIT[found.at_limit]}"
    rows = {
        "account": account,
        "month": f"{counted.month} (UTC)",
        "items": f"{counted.total:,}: {counted.first:,} first items, {counted.taps:,} second taps",
        "cost": f"${found.cost:,.2f} ({FREE_ITEMS:,} items a month are free, then ${DOLLARS_AN_ITEM} an item)",
        "forecast": f"{found.items_at_end:,} items, ${found.cost_at_end:,.2f} at the month's end",
        "limit": limit,
    }
    for name, value in rows.items():
        made.add_row(Text(name, "bold"), Text(value))
    return made
