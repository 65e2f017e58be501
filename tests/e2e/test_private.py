"""A private feed on a laptop, as behind CloudFront: the edge checks the cookies, and keeps the feed like any other."""

from collections.abc import Iterator

import pytest

from tests.e2e.running import Running, edgebake, up

PRIVATE, PUBLIC = {"feed_visibility": "private"}, {"feed_visibility": "public"}
PATHS = ("/private/ada/", "/private/ada/feed.json", "/private/ada/feed.atom")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An `edgebake up` in which ada's feed is private, and eve's too."""
    with up(tmp_path_factory.mktemp("private") / "data") as running:
        for user in ("ada", "eve"):
            running.until_live(running.write("PUT", f"/api/users/{user}", {"name": user.title()}))
            running.until_live(running.write("PUT", f"/api/users/{user}/settings", PRIVATE))
        yield running


def cookies_of(running: Running, user: str) -> str:
    """Return the cookies that the command makes for a user."""
    done = edgebake("--data-dir", str(running.folder), "cookies", user, folder=running.folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def asked(running: Running) -> float:
    """Return how many answers the origin has given."""
    lines = running.ops.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("edgebake_answers_total"))


@pytest.mark.parametrize("path", PATHS)
def test_without_a_signature_or_with_somebody_elses_the_edge_refuses_and_asks_nobody(
    running: Running, path: str
) -> None:
    before = asked(running)
    for headers in ({}, {"cookie": cookies_of(running, "eve")}, {"cookie": "CloudFront-Key-Pair-Id=KLOCAL"}):
        assert running.edge.get(path, headers=headers).status_code == 403
    assert asked(running) == before


@pytest.mark.parametrize("path", PATHS)
def test_with_its_cookies_a_private_feed_is_read_and_kept_at_the_edge(running: Running, path: str) -> None:
    headers = {"cookie": cookies_of(running, "ada")}
    found = [running.edge.get(path, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in found] == [200, 200]
    assert [answer.headers["x-cache"].partition(" ")[0] for answer in found] == ["Miss", "Hit"]
    assert "private" in found[1].headers["cache-control"]
    assert "Ada" in found[1].text


def test_a_feed_is_under_one_of_the_two_trees_at_any_time(running: Running) -> None:
    headers = {"cookie": cookies_of(running, "ada")}
    for settings, private, public in ((PUBLIC, 404, 200), (PRIVATE, 200, 404)):
        running.until_live(running.write("PUT", "/api/users/ada/settings", settings))
        assert running.edge.get("/private/ada/", headers=headers).status_code == private
        assert running.edge.get("/feed/ada").status_code == public
