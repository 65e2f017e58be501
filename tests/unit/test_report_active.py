"""Who was active: the readers in a log, what their pages showed, and nobody twice at once."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cdn.logs.request import Outcome, Request
from edgebake.errors import CommandError
from edgebake.report.active import BATCH, Active, is_bot
from edgebake.report.origin import Origin

T = 1_795_132_800
BROWSER = b"Mozilla/5.0%20(X11;%20Linux%20x86_64)%20Firefox/145.0"


class Api:
    """What was told, request by request."""

    def __init__(self) -> None:
        self.told: list[Sequence[Mapping[str, Any]]] = []

    def __call__(self, visits: Sequence[Mapping[str, object]]) -> Mapping[str, Any]:
        self.told.append(visits)
        return {"noted": len(visits), "old": 0, "unknown": []}

    @property
    def visits(self) -> dict[str, tuple[str, Any]]:
        """When each user was said to have been there, and what they were shown."""
        return {visit["user"]: (visit["at"][11:19], visit["shown"]) for visits in self.told for visit in visits}


def read(path: str, *, at: int = T, status: int = 200, method: bytes = b"GET", agent: bytes = BROWSER) -> Request:
    """Return a request of the log."""
    return Request(at, path.encode(), method, status, Outcome.HIT, b"Hit", 100, b"0.1", agent)


def active(api: Api, *requests: Request, origin: Origin | None = None, held: int = 100) -> Active:
    """Tell who was active by these requests."""
    made = Active(api, origin, held=held)
    for request in requests:
        made.add(request)
    made.flush()
    return made


def test_whoever_read_a_page_of_their_feed_was_active_then() -> None:
    api = Api()
    found = active(
        api,
        read("/feed/ada", at=T + 60),
        read("/feed/ada/after/p-1/feed.json", at=T + 30),
        read("/feed/bob/feed.atom", status=304),
        read("/private/eve/", at=T + 5),
    )
    assert api.visits == {"ada": ("00:01:00", []), "bob": ("00:00:00", []), "eve": ("00:00:05", [])}
    assert found.document() == {"noted": 3, "old": 0, "unknown": 0, "requests_of_bots": 0}


@pytest.mark.parametrize(
    "request_",
    [
        read("/author/ada"),
        read("/feed/explore"),
        read("/post/p-1"),
        read("/feed/ada", method=b"HEAD"),
        read("/feed/ada", status=404),
        read("/feed/ada", status=0),
        read("/feed/ada/nothing"),
    ],
    ids=lambda request: f"{request.method.decode()} {request.path.decode()} {request.status}",
)
def test_nothing_else_makes_anybody_active(request_: Request) -> None:
    api = Api()
    active(api, request_)
    assert api.told == []


@pytest.mark.parametrize(
    ("agent", "bot"),
    [
        (BROWSER, False),
        (b"Feedly/1.0%20(+http://www.feedly.com/fetcher.html;%2012%20subscribers)", False),
        (b"Mozilla/5.0%20(compatible;%20Googlebot/2.1)", True),
        (b"python-httpx/0.28", True),
        (b"curl/8.5.0", True),
        (b"-", True),
    ],
)
def test_programs_that_say_so_make_nobody_active(agent: bytes, bot: bool) -> None:
    assert is_bot(agent) is bot
    api = Api()
    assert active(api, read("/feed/ada", agent=agent)).bots == bot
    assert bool(api.told) is not bot


def test_many_are_told_in_batches_and_no_more_are_held_than_allowed() -> None:
    api = Api()
    found = active(api, *[read(f"/feed/user-{number}") for number in range(2 * BATCH + 10)], held=BATCH + 50)
    assert [len(visits) for visits in api.told] == [BATCH, 50, BATCH - 40]
    assert found.noted == 2 * BATCH + 10


def test_what_was_shown_is_of_the_last_bake_before_the_page_was_read(tmp_path: Path) -> None:
    bakes = [
        ("/feed/ada", 0, ["p-1"]),
        ("/feed/ada", 40, ["p-2", "p-1"]),
        ("/feed/ada/feed.json", 50, ["p-3"]),  # another path
        ("/feed/ada", 70, ["p-4"]),  # after it was read
        ("/feed/bob", 10, None),  # newest first: nothing is noted
        ("/feed/eve", 10, ["p-1"]),  # was not read
    ]
    lines = [
        {"time": datetime.fromtimestamp(T + at, UTC).isoformat(), "event": "bake", "path": path, "status": 200}
        | ({"shown": shown} if shown else {})
        for path, at, shown in bakes
    ]
    (tmp_path / "serve.log").write_text("\n".join(map(json.dumps, lines)))
    api = Api()
    requests = [read("/feed/ada", at=T + 60), read("/feed/ada/after/p-1", at=T + 90), read("/feed/bob", at=T + 60)]
    active(api, *requests, origin=Origin([tmp_path]))
    assert api.visits == {"ada": ("00:01:30", ["p-2", "p-1"]), "bob": ("00:01:00", [])}


def test_an_api_that_refuses_is_told_nothing_more_and_fails_no_reading() -> None:
    told: list[int] = []

    def refuse(visits: Sequence[Mapping[str, object]]) -> Mapping[str, Any]:
        told.append(len(visits))
        raise CommandError("the API does not answer")

    made = Active(refuse, held=5)
    for number in range(20):
        made.add(read(f"/feed/user-{number}"))
    made.flush()
    assert told == [5]
    assert str(made.failed) == "the API does not answer"
