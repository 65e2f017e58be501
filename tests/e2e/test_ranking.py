"""Ranked feeds through the whole loop: readers react, a recalculation runs, and a browser reads at the edge."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.running import Running, until


def titles(demo: Running, user: str) -> list[str]:
    """Return the titles in a user's feed, in their order."""
    return [item["title"] for item in demo.read(f"/feed/{user}/feed.json").json()["items"]]


def make_reader(demo: Running, reader: str, writer: str, order: str) -> None:
    """Create a writer with a post of two hours ago and a new one, and a reader of theirs."""
    published = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    settings = {"order": order}
    demo.until_live(
        demo.write("PUT", f"/api/users/{reader}", {"name": reader}),
        demo.write("PUT", f"/api/users/{writer}", {"name": writer}),
        demo.write("PUT", f"/api/users/{reader}/follows/{writer}"),
        demo.write("PUT", f"/api/users/{reader}/settings", settings),
        demo.write("PUT", f"/api/posts/{writer}-1", {"author": writer, "title": "Older", "published": published}),
        demo.write("PUT", f"/api/posts/{writer}-2", {"author": writer, "title": "Newer"}),
    )


def like(demo: Running, post: str, times: int) -> None:
    """Let many readers like a post, and wait until that is live."""
    reactions = [{"kind": "like", "id": f"like-{at}"} for at in range(times)]
    demo.until_live(demo.write("POST", f"/api/posts/{post}/reactions", {"reactions": reactions}))


def recompute(demo: Running, *users: str) -> dict[str, Any]:
    """Have timelines ranked anew, and return the job once it is over."""
    location = demo.api.post("/api/recompute", json={"users": users}).headers["location"]
    until(lambda: demo.api.get(location).json()["state"] not in ("queued", "running"), f"{location} is over")
    job: dict[str, Any] = demo.api.get(location).json()
    return job


def test_what_readers_like_stands_first_for_those_who_want_it_ranked(demo: Running) -> None:
    for reader, order in (("by-rank", "ranked"), ("by-time", "newest")):
        make_reader(demo, reader, f"author-{reader}", order)
        like(demo, f"author-{reader}-1", 1000)
    assert titles(demo, "by-rank")[:2] == ["Older", "Newer"]
    assert titles(demo, "by-time")[:2] == ["Newer", "Older"]


def test_a_recalculation_over_the_api_is_done_and_drops_nothing_at_the_edge(demo: Running) -> None:
    make_reader(demo, "recalculated", "author-recalculated", "ranked")
    before = titles(demo, "recalculated")
    assert demo.api.put("/api/users/recalculated/activity").status_code == 204
    job = recompute(demo, "recalculated")
    assert (job["state"], job["done"], job["result"]["timelines"]) == ("done", 1, 1), job
    answer = demo.read("/feed/recalculated/feed.json")
    assert answer.headers["x-cache"] == "Hit from cloudfront"
    assert [item["title"] for item in answer.json()["items"]] == before
