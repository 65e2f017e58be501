"""The client commands, as a person and a script use them: what they print, and how they end."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.running import Running, edgebake, up


def on(demo: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a client command against the demo."""
    return edgebake("--data-dir", str(demo.folder), *arguments, folder=demo.folder.parent)


def test_publish_returns_once_the_post_is_fresh_at_the_edge_in_all_formats(demo: Running) -> None:
    author = demo.found["users"][0]
    paths = [f"/feed/{author}", f"/feed/{author}/feed.json", f"/feed/{author}/feed.atom"]
    for path in paths:
        demo.read(path)
    published = on(demo, "publish", "--author", author, "--title", "Fresh from the shell", "--wait")
    assert published.returncode == 0, published.stderr
    accepted, sent, live = published.stdout.splitlines()
    assert accepted.startswith("accepted: post p-")
    assert sent.startswith("sent after ")
    assert live.startswith("live after ")
    assert ["Fresh from the shell" in demo.read(path).text for path in paths] == [True] * 3


def test_publish_as_json_is_for_scripts(demo: Running) -> None:
    author = demo.found["users"][0]
    published = on(demo, "publish", "--author", author, "--title", "For scripts", "--tag", "news", "--wait", "--json")
    answer = json.loads(published.stdout)
    assert answer["status"] == "accepted"
    assert answer["progress"]["state"] == "live"


def test_what_the_api_refuses_is_one_line_with_its_reason(demo: Running) -> None:
    refused = on(demo, "publish", "--author", "nobody-of-that-name", "--title", "x")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("edgebake: the API refused it (")
    assert "nobody-of-that-name" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_follow_brings_the_authors_posts(demo: Running) -> None:
    demo.until_live(
        demo.write("PUT", "/api/users/reader", {"name": "Reader"}),
        demo.write("PUT", "/api/users/writer", {"name": "Writer"}),
        demo.publish("writer", "Read by those who follow"),
    )
    assert "Read by those who follow" not in demo.read("/feed/reader").text
    followed = on(demo, "follow", "reader", "writer", "--wait")
    assert followed.returncode == 0, followed.stderr
    assert "Read by those who follow" in demo.read("/feed/reader").text


def test_following_a_tag_brings_its_posts(demo: Running) -> None:
    demo.until_live(
        demo.write("PUT", "/api/users/tagger", {"name": "Tagger"}),
        demo.write("PUT", "/api/users/engineer", {"name": "Engineer"}),
        demo.write("POST", "/api/posts", {"author": "engineer", "title": "Under a tag", "tags": ["tcp/ip"]}),
    )
    assert "Under a tag" not in demo.read("/feed/tagger").text
    followed = on(demo, "follow", "tagger", "--tag", "tcp/ip", "--wait")
    assert (followed.returncode, followed.stdout.splitlines()[0][:27]) == (0, "accepted: follows of tagger"), followed
    assert "Under a tag" in demo.read("/feed/tagger").text


def test_purge_leaves_what_is_in_use_and_says_how_much_went(demo: Running) -> None:
    reader = demo.found["users"][0]
    before = demo.read(f"/feed/{reader}").text
    purged = on(demo, "purge")
    assert purged.returncode == 0, purged.stderr
    assert purged.stdout == (
        "removed 0 timelines of users who were not active, 0 old posts, 0 leftovers of users without a timeline\n"
    )
    assert demo.read(f"/feed/{reader}").text == before


def test_invalidate_drops_one_user_and_no_other(demo: Running) -> None:
    one, other = "hermit", "recluse"
    for user in (one, other):
        demo.until_live(demo.write("PUT", f"/api/users/{user}", {"name": user.title()}))
        demo.read(f"/feed/{user}")
    assert on(demo, "invalidate", "--user", one, "--wait").returncode == 0
    assert demo.read(f"/feed/{one}").headers["x-cache"] == "Miss from cloudfront"
    assert demo.read(f"/feed/{other}").headers["x-cache"] == "Hit from cloudfront"


def test_a_rolling_invalidation_drops_everybody_and_says_how_far_it_is(tmp_path: Path) -> None:
    users = ["roller-1", "roller-2"]
    with up(tmp_path / "data") as alone:  # where many feeds were read, a roll takes a minute
        for user in users:
            alone.until_live(alone.write("PUT", f"/api/users/{user}", {"name": user.title()}))
            alone.read(f"/feed/{user}")
        rolled = on(alone, "invalidate", "--global", "--rolling", "--wait")
        assert rolled.returncode == 0, rolled.stderr
        said = rolled.stdout.splitlines()
        assert said[0].startswith("accepted: everything, change ")
        assert any(line.startswith("rolling: ") and line.endswith(" shards left") for line in said[1:-1]), said
        assert said[-1].startswith("live after ")
        assert all(alone.read(f"/feed/{user}").headers["x-cache"] == "Miss from cloudfront" for user in users)
        refused = on(alone, "invalidate", "--user", users[0], "--rolling")
    assert refused.returncode == 2
    assert "--rolling goes with --global" in refused.stderr


def test_an_import_keeps_what_it_can_and_says_the_rest(demo: Running, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("id,name\nimported-1,One\nNot An Id,Two\nimported-3,Three\n")
    imported = on(demo, "import", "users", str(tmp_path / "users.csv"))
    assert imported.returncode == 1
    assert imported.stdout.startswith("2 users imported, 1 rows refused")
    assert f"{tmp_path}/users.csv:3: " in imported.stderr
    assert demo.api.get("/api/users/imported-3").json()["name"] == "Three"


def test_an_import_of_followed_tags_is_in_feeds(demo: Running, tmp_path: Path) -> None:
    demo.until_live(
        demo.write("PUT", "/api/users/collector", {"name": "Collector"}),
        demo.write("PUT", "/api/users/typist", {"name": "Typist"}),
        demo.write("POST", "/api/posts", {"author": "typist", "title": "Typed", "tags": ["C#, mostly"]}),
    )
    assert "Typed" not in demo.read("/feed/collector").text
    (tmp_path / "tags.csv").write_text('user,tag\ncollector,"c#, mostly"\nnobody-there,c#\n')
    imported = on(demo, "import", "tag-follows", str(tmp_path / "tags.csv"), "--wait")
    assert imported.stdout.startswith("1 tag-follows imported, 1 rows refused")
    assert "Typed" in demo.read("/feed/collector").text


def test_discovery_is_there_and_nobody_can_take_its_name(demo: Running) -> None:
    assert "<article" in demo.read("/feed/explore").text
    refused = on(demo, "user", "explore")
    assert (refused.returncode, "is reserved" in refused.stderr) == (1, True), refused.stderr


def test_an_import_maps_ids_that_are_outside_the_grammar(demo: Running, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("id,name\nAda Lovelace,Ada\n")
    assert on(demo, "import", "users", str(tmp_path / "users.csv"), "--map-ids").returncode == 0
    mapped = edgebake("id", "Ada Lovelace", folder=tmp_path).stdout.strip()
    assert demo.api.get(f"/api/users/{mapped}").json()["name"] == "Ada"


def test_without_anything_that_runs_a_client_says_what_to_do(tmp_path: Path) -> None:
    refused = edgebake("publish", "--author", "ada", folder=tmp_path)
    assert refused.returncode == 1
    assert "no `edgebake up` runs with edgebake-data" in refused.stderr
    assert "EDGEBAKE_API_URL" in refused.stderr


def test_the_api_is_found_by_its_url_and_token_too(demo: Running, tmp_path: Path) -> None:
    known = {"API_URL": demo.found["api"], "API_TOKEN": demo.found["token"]}
    assert edgebake("invalidate", "--user", demo.found["users"][0], folder=tmp_path, **known).returncode == 0
    wrong = edgebake("invalidate", "--global", folder=tmp_path, API_URL=demo.found["api"], API_TOKEN="wrong")
    assert wrong.returncode == 1
    assert "(401)" in wrong.stderr


def test_serve_without_a_token_is_refused_with_the_remedy(tmp_path: Path) -> None:
    refused = edgebake("serve", folder=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("edgebake: EDGEBAKE_API_TOKEN is not set")


def test_serve_without_redis_is_refused_with_the_remedy(tmp_path: Path) -> None:
    refused = edgebake("--set", "feeds_port=0", "--set", "ops_port=0", "serve", "--only", "feeds", folder=tmp_path)
    assert refused.returncode == 1
    assert "EDGEBAKE_REDIS_URL is not set" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["publish"], "--author"),
        (["follow", "ada"], "either an author or --tag"),
        (["follow", "ada", "bob", "--tag", "rust"], "either an author or --tag"),
        (["invalidate"], "either --global or --user"),
        (["invalidate", "--global", "--user", "ada"], "either --global or --user"),
        (["serve", "--only", "everything"], "--only"),
        (["--set", "FEDE_TTL=1", "config"], "FEDE_TTL=1"),
        (["no-such-command"], "no-such-command"),
        (["import", "users", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_a_command_used_wrongly_ends_with_status_2_and_one_line(
    arguments: list[str], reason: str, tmp_path: Path
) -> None:
    refused = edgebake(*arguments, folder=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("edgebake: ")
    assert reason in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_wrong_settings_are_told_line_by_line(tmp_path: Path) -> None:
    refused = edgebake("config", folder=tmp_path, FEED_TTL="0", TIERS="9")
    assert refused.returncode == 1
    assert refused.stderr == (
        "edgebake: EDGEBAKE_FEED_TTL is '0': it must be at least 1 second, or every request reaches the origin.\n"
        "edgebake: EDGEBAKE_TIERS is '9': it must be 1 to 3.\n"
    )


def test_config_says_where_each_setting_came_from_and_hides_secrets(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("EDGEBAKE_FEED_TTL=60\n")
    shown = edgebake("--set", "max_pages=3", "config", folder=tmp_path, API_TOKEN="s3cret", FEDE_TTL="1")
    rows = {line.split()[0]: line.split()[1:3] for line in shown.stdout.splitlines()}
    assert rows["EDGEBAKE_FEED_TTL"] == ["60", ".env"]
    assert rows["EDGEBAKE_MAX_PAGES"] == ["3", "flag"]
    assert rows["EDGEBAKE_API_TOKEN"] == ["(hidden)", "environment"]
    assert rows["EDGEBAKE_EDGE"] == ["local", "default"]
    assert "s3cret" not in shown.stdout
    assert shown.stderr == "EDGEBAKE_FEDE_TTL is set and is no setting; did you mean EDGEBAKE_FEED_TTL?\n"


def test_the_version_is_printed(tmp_path: Path) -> None:
    printed = edgebake("--version", folder=tmp_path)
    assert (printed.returncode, printed.stdout.split()[0]) == (0, "edgebake")
