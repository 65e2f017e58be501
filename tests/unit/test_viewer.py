"""What a client learns from an answer's headers."""

import httpx
import orjson
import pytest

from cdn.errors import EdgeMisconfigured
from invalidator.audit import Answer
from invalidator.viewer import Viewer

FEED = orjson.dumps({"authors": [{"url": "http://edge/author/bob", "name": "Bob"}], "items": []})


async def read(status: int = 200, **headers: str) -> Answer:
    """Read a feed of which the edge answers so, at the first second of time, when an edge may keep it for 30."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    transport = httpx.MockTransport(lambda request: httpx.Response(status, content=FEED, headers=named))
    async with httpx.AsyncClient(transport=transport) as http:
        return await Viewer(http, "http://edge", 30, lambda: 1000).read("bob")


async def test_an_answer_has_a_count_and_a_time_until_which_it_may_be_kept() -> None:
    answer = await read(Edgebake_Count="5:17", Age="10")
    assert (answer.count, answer.until_ms, answer.late) == (17, 21_000, False)
    assert (await read(Edgebake_Count="5:17", Edgebake_Late="1")).late


@pytest.mark.parametrize(("count", "age"), [("5:x", "1"), ("", "1"), ("5:17", "soon"), ("5:17", "1, 2"), ("5:-1", "1")])
async def test_headers_that_are_no_numbers_say_nothing(count: str, age: str) -> None:
    assert (await read(Edgebake_Count=count, Age=age)).count is None


async def test_an_edge_that_keeps_the_count_back_is_told_of() -> None:
    with pytest.raises(EdgeMisconfigured, match="Edgebake-Count"):
        await read()
    assert (await read(503)).count is None
