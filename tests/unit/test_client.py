"""The client of the write API: whoever waits for a change outlives an API that is away for a while."""

from collections.abc import Sequence

import httpx
import pytest

from edgebake.client import Client
from edgebake.errors import CommandError
from edgebake.secret import Secret
from edgebake.settings import Settings


def away(seconds: int) -> httpx.Response:
    """Return what an API says that cannot answer now: come back after so long."""
    return httpx.Response(503, json={"detail": "Redis does not answer"}, headers={"Retry-After": str(seconds)})


def progress(state: str) -> httpx.Response:
    """Return how far a change is."""
    steps = dict.fromkeys(("sent", "live"), {"ms": 5} if state == "live" else None)
    return httpx.Response(200, json={"state": state, **steps})


class Api:
    """An API that answers as a test says, its last answer again and again; None: the connection is refused."""

    def __init__(self, *answers: httpx.Response | None) -> None:
        self.answers: Sequence[httpx.Response | None] = answers
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.asked.append(f"{request.method} {request.url.path}")
        answer, *others = self.answers
        self.answers = others or self.answers
        if answer is None:
            raise httpx.ConnectError("refused", request=request)
        return answer


def client_of(api: Api) -> Client:
    """Return a client of this API."""
    settings = Settings(api_url="http://127.0.0.1:1", api_token=Secret("token"))
    return Client(settings, httpx.MockTransport(api))


def test_who_waits_for_a_change_asks_again_where_the_api_was_away() -> None:
    api = Api(progress("accepted"), away(0), None, away(0), progress("live"))
    with client_of(api) as client:
        assert client.until_live("c-1")["state"] == "live"
    assert api.asked == ["GET /api/changes/c-1"] * 5


def test_an_api_that_is_away_for_too_long_is_told_with_its_reason() -> None:
    with client_of(Api(away(1000))) as client, pytest.raises(CommandError, match=r"503.*Redis does not answer"):
        client.until_live("c-1")


def test_what_the_api_refuses_for_good_is_asked_once() -> None:
    api = Api(httpx.Response(404, json={"detail": "there is no such change"}))
    with client_of(api) as client, pytest.raises(CommandError, match=r"404.*no such change"):
        client.until_live("c-1")
    assert len(api.asked) == 1


def test_a_write_is_not_sent_again() -> None:
    api = Api(away(1))
    with client_of(api) as client, pytest.raises(CommandError, match="503"):
        client.write("POST", "/api/posts", {}, wait=True, as_json=False)
    assert len(api.asked) == 1
