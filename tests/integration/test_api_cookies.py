"""Cookies over the API: they open one user's private feed at an edge that trusts the key, and nothing else."""

from collections.abc import AsyncIterator
from dataclasses import replace
from time import time

import pytest

from cdn.signing import Request, check
from edgebake.readers import new_key, signing, trusted
from edgebake.secret import Secret
from edgebake.settings import Settings
from tests.integration.api import Api, open_api

SETTINGS = replace(
    Settings(), signing_key=Secret(new_key()), key_pair_id="KTEST", public_url="https://feeds.example.com"
)


@pytest.fixture
async def api(record_url: str) -> AsyncIterator[Api]:
    """An API that signs."""
    async with open_api(record_url, signing=signing(SETTINGS)) as api:
        await api.client.put("/api/users/ada", json={"name": "Ada"})
        yield api


def opens(cookies: dict[str, str], path: str, now: float) -> bool:
    """Tell whether an edge that trusts the key lets the cookies pass."""
    request = Request(f"https://feeds.example.com{path}", "192.0.2.1", {}, cookies)
    return check(request, trusted(SETTINGS), now) is None


@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("/private/ada/", True),
        ("/private/ada/feed.json", True),
        ("/private/ada/after/p1/feed.atom", True),
        ("/private/adam/", False),  # whose name begins alike
        ("/private/ada", False),  # outside of what the pattern covers
        ("/private/bob/feed.json", False),
    ],
)
async def test_cookies_open_a_users_own_tree_and_no_other(api: Api, path: str, is_open: bool) -> None:
    answer = await api.client.post("/api/users/ada/cookies")
    assert answer.status_code == 200
    assert opens(answer.json()["cookies"], path, time()) is is_open


async def test_cookies_open_nothing_after_their_time(api: Api) -> None:
    cookies = (await api.client.post("/api/users/ada/cookies", json={"seconds": 60})).json()["cookies"]
    assert opens(cookies, "/private/ada/", time() + 50)
    assert not opens(cookies, "/private/ada/", time() + 61)


async def test_the_lines_for_a_browser_stay_below_the_users_path(api: Api) -> None:
    found = (await api.client.post("/api/users/ada/cookies")).json()
    assert found["url"] == "https://feeds.example.com/private/ada/"
    assert len(found["set_cookie"]) == len(found["cookies"]) == 3
    for line in found["set_cookie"]:
        assert line.endswith("; Path=/private/ada/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure")


@pytest.mark.parametrize("seconds", [0, 86_401, "soon"])
async def test_a_life_out_of_bounds_is_refused(api: Api, seconds: object) -> None:
    answer = await api.client.post("/api/users/ada/cookies", json={"seconds": seconds})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "seconds"


async def test_nobody_gets_cookies_for_who_is_not_there(api: Api) -> None:
    assert (await api.client.post("/api/users/nobody/cookies")).status_code == 404


async def test_without_a_key_the_api_says_what_to_set(record_url: str) -> None:
    async with open_api(record_url, signing=signing(Settings())) as api:
        await api.client.put("/api/users/ada", json={"name": "Ada"})
        answer = await api.client.post("/api/users/ada/cookies")
    assert answer.status_code == 503
    assert "EDGEBAKE_SIGNING_KEY" in answer.json()["detail"]
