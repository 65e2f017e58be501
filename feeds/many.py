"""Many values in one parameter: a list of any length is one JSON text or array, so the statement stays the same.

``IN (?, ?, …)`` is written anew for each length, which for 5,000 ids takes longer than to run it, and a driver has a
limit on parameters.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    String,
    Subquery,
    TableValuedAlias,
    any_,
    bindparam,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.database import is_postgresql

THESE = "these"


def among(conn: AsyncConnection, column: ColumnElement[Any], values: Iterable[str | int]) -> ColumnElement[bool]:
    """Return the condition that ``column``, of ids or of numbers, is one of ``values``."""
    if is_postgresql(conn):
        kind = BigInteger if isinstance(column.type, Integer) else String
        return column == any_(literal(list(values), ARRAY(kind)))
    return column.in_(select(listed(conn, values).c.value))


def is_of_these(postgresql: bool, column: ColumnElement[Any], name: str = THESE) -> ColumnElement[bool]:
    """Return the condition that ``column`` is one of the values that a statement is executed with (``these``).

    Such a statement is made once. To make one takes longer than to run it where it asks for a row or two.
    """
    if postgresql:
        kind = BigInteger if isinstance(column.type, Integer) else String
        return column == any_(bindparam(name, type_=ARRAY(kind)))
    return column.in_(select(numbers(postgresql, name).c.value))


def numbers(postgresql: bool, name: str) -> TableValuedAlias:
    """Return the numbers that a statement is executed with (``these``) as a table of one column, ``value``."""
    if postgresql:
        return func.unnest(bindparam(name, type_=ARRAY(BigInteger))).table_valued("value").render_derived()
    return func.json_each(bindparam(name, type_=String)).table_valued("value")


def these(conn: AsyncConnection, values: Iterable[str | int], name: str = THESE) -> dict[str, Any]:
    """Return the values of a statement of ``is_of_these`` or ``numbers``, as its parameter."""
    found = list(values)
    return {name: found if is_postgresql(conn) else orjson.dumps(found).decode()}


def listed(conn: AsyncConnection, ids: Iterable[str | int]) -> TableValuedAlias:
    """Return ``ids``, all of them texts or all of them numbers, as a table of one column, ``value``."""
    values = list(ids)
    if is_postgresql(conn):
        kind = BigInteger if values and isinstance(values[0], int) else String
        return func.unnest(literal(values, ARRAY(kind))).table_valued("value").render_derived()
    return _json_each(values)


def table_of(conn: AsyncConnection, rows: Iterable[Sequence[str | int]], *kinds: type[str] | type[int]) -> Select[Any]:
    """Return a query of ``rows``, to insert from or to join; its columns, of these kinds, are ``c0``, ``c1``, …"""
    values = list(rows)
    places = range(len(kinds))
    cells: list[ColumnElement[Any]]
    if is_postgresql(conn):
        each = func.jsonb_array_elements(literal(values, JSONB)).table_valued("value")
        texts = [each.c.value.op("->>")(place) for place in places]
        cells = [cast(text, BigInteger) if kind is int else text for text, kind in zip(texts, kinds, strict=True)]
    else:
        each = _json_each(values)
        cells = [func.json_extract(each.c.value, f"$[{place}]") for place in places]
    query = select(*(cell.label(f"c{place}") for place, cell in enumerate(cells)))
    return query.where(literal(1) == 1)  # or SQLite takes an ON CONFLICT after it for the condition of a join


def tally_of(conn: AsyncConnection, counts: Mapping[str, int]) -> Subquery:
    """Return ``counts`` as a table of two columns, ``key`` and ``value``. SQLite reads it 4 times as fast as rows."""
    if is_postgresql(conn):
        each = func.jsonb_each_text(literal(dict(counts), JSONB)).table_valued("key", "value")
        return select(each.c.key, cast(each.c.value, BigInteger).label("value")).subquery()
    each = func.json_each(orjson.dumps(counts).decode()).table_valued("key", "value")
    return select(each.c.key, each.c.value).where(literal(1) == 1).subquery()


def _json_each(values: list[Any]) -> TableValuedAlias:
    return func.json_each(orjson.dumps(values).decode()).table_valued("value")
