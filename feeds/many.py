"""Many values in one parameter: a list of any length is one JSON text or array, so the statement stays the same.

``IN (?, ?, …)`` is written anew for each length, which for 5,000 ids takes longer than to run it, and a driver has a
limit on parameters.
"""

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import ARRAY, ColumnElement, Select, String, TableValuedAlias, any_, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.database import is_postgresql


def among(conn: AsyncConnection, column: ColumnElement[str], ids: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that ``column`` is one of ``ids``."""
    if is_postgresql(conn):
        return column == any_(literal(list(ids), ARRAY(String)))
    return column.in_(select(listed(conn, ids).c.value))


def listed(conn: AsyncConnection, ids: Iterable[str]) -> TableValuedAlias:
    """Return ``ids`` as a table of one column, ``value``."""
    if is_postgresql(conn):
        return func.unnest(literal(list(ids), ARRAY(String))).table_valued("value").render_derived()
    return _json_each(list(ids))


def pairs(conn: AsyncConnection, rows: Iterable[tuple[str, str]]) -> Select[Any]:
    """Return a query of ``rows``, to insert from."""
    if is_postgresql(conn):
        each = func.jsonb_array_elements(literal(list(rows), JSONB)).table_valued("value")
        return select(each.c.value.op("->>")(0), each.c.value.op("->>")(1))
    each = _json_each(list(rows))
    query = select(func.json_extract(each.c.value, "$[0]"), func.json_extract(each.c.value, "$[1]"))
    return query.where(literal(1) == 1)  # or SQLite takes an ON CONFLICT after it for the condition of a join


def _json_each(values: list[Any]) -> TableValuedAlias:
    return func.json_each(orjson.dumps(values).decode()).table_valued("value")
