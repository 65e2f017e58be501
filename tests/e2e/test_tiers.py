"""Edgebake behind two locations and a regional cache that is cleared after them: what they fetch back does not stay."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import Running, up

LOCATIONS = ("FRA56-P1", "NRT12-C1")
FEED = "/feed/bob"


@pytest.fixture
def tiered(tmp_path: Path) -> Iterator[Running]:
    """An `edgebake up` whose locations drop at once what the regional cache drops a second later."""
    settings = {"EDGE_LOCATIONS": ",".join(LOCATIONS), "TIERS": "2", "EDGE_EFFECTS": "regional=1"}
    with up(tmp_path / "data", others=None, **settings) as running:
        yield running


def read(running: Running, location: str) -> str:
    """Read the feed at a location."""
    answer = running.edge.get(FEED, headers={"X-Edge-Location": location})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-amz-cf-pop"] == location
    return answer.text


def test_what_a_location_fetched_back_from_an_inner_tier_is_gone_once_a_change_is_live(tiered: Running) -> None:
    tiered.until_live(
        tiered.write("PUT", "/api/users/ada", {"name": "Ada"}),
        tiered.write("PUT", "/api/users/bob", {"name": "Bob"}),
        tiered.write("PUT", "/api/users/bob/follows/ada"),
    )
    stale = 0
    for n in range(2):
        assert all(read(tiered, location) for location in LOCATIONS)  # held at both, and between them
        title = f"Post number {n}"
        change = tiered.publish("ada", title)
        while (state := tiered.api.get(f"/api/changes/{change}").json()["state"]) != "live":
            old = sum(title not in read(tiered, location) for location in LOCATIONS)
            stale += old if state == "sent" else 0
        assert all(title in read(tiered, location) for location in LOCATIONS)
    assert stale  # else no location fetched back what it had dropped
