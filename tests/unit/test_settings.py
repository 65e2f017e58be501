"""The table of settings: where values come from, and what is said of wrong ones."""

from dataclasses import astuple, fields
from pathlib import Path

import pytest

from edgebake.secret import Secret, SecretUrl
from edgebake.settings import Settings
from edgebake.sources import TABLE, SettingsError, load, parse, to_environ
from feeds.ranking import Weights


def problems_with(**environ: str) -> list[str]:
    """Return what is said of these variables."""
    with pytest.raises(SettingsError) as raised:
        load({}, {f"EDGEBAKE_{name}": text for name, text in environ.items()}, {})
    return raised.value.problems


def test_each_source_wins_over_the_one_before() -> None:
    dotenv: dict[str, str | None] = {f"EDGEBAKE_{name}": "60" for name in ("FEED_TTL", "MAX_PAGES", "MEMORY_MB")}
    environ = {"EDGEBAKE_MAX_PAGES": "61", "EDGEBAKE_MEMORY_MB": "61"}
    loaded = load({"memory_mb": 62}, environ, dotenv)
    settings = loaded.settings
    assert (settings.feed_ttl, settings.max_pages, settings.memory_mb) == (60, 61, 62)
    assert loaded.sources == {"feed_ttl": ".env", "max_pages": "environment", "memory_mb": "flag"}


def test_a_flag_that_is_not_given_changes_nothing() -> None:
    assert load({"feed_ttl": None}, {}, {}).settings == Settings()


def test_the_defaults_pass_their_own_checks() -> None:
    assert [row.name for row in TABLE if row.check is not None and row.check(row.default) is not None] == []


def test_every_problem_is_told_at_once() -> None:
    assert problems_with(FEED_TTL="0", MAX_PAGES="many", EDGE="fastly") == [
        "EDGEBAKE_EDGE is 'fastly': it must be local or cloudfront or varnish.",
        "EDGEBAKE_FEED_TTL is '0': it must be at least 1 second, or every request reaches the origin.",
        "EDGEBAKE_MAX_PAGES is 'many': it must be a whole number.",
    ]


@pytest.mark.parametrize(
    ("variable", "text", "reason"),
    [
        ("FEED_TTL", "3601", "at most EDGEBAKE_MAX_TTL (3600)"),  # the policy would cut it and the horizon be wrong
        ("EXPLORE_TTL", "3601", "at most EDGEBAKE_MAX_TTL (3600)"),
        ("TIMELINE_CAP", "24", "25 to 1000"),  # less than a page
        ("RANK_TAU", "59", "60 to 864000"),
        ("RANK_LIKES", "-0.5", "0 to 100"),
        ("RANK_SHOWN", "nan", "must be a number"),  # no comparison would refuse it
        ("RANK_VIEWS", "inf", "must be a number"),
        ("RANK_IN_A_ROW", "0", "at least 1"),
        ("RESCORE", "-0.1", "0 to 10"),
        ("PULL_FOLLOWERS", "0", "at least 1 follower"),
        ("POST_DAYS", "1", "at least 2 days"),
        ("ACTIVATIONS", "-1", "at least 0"),
        ("FEED_ORDER", "oldest", "newest or ranked"),
        ("RERANK", "all", "ttl or shards or items"),
        ("MAX_PAGES", "1" * 400, "whole number"),  # no float holds it, and no column
        ("EDGE_PORT", "65536", "0 to 65535"),
        ("FEEDS_PORT", "8080", "another port setting has it too"),
        ("OWN_POSTS", "perhaps", "true or false"),
        ("CALL_INTERVAL", "-1", "at least 0"),
        ("TIERS", "4", "1 to 3"),
        ("PUBLIC_URL", "https://feeds.example:99999", "its port not 0 to 65535"),
        ("VARNISH_URLS", "http://[::1", "its host is no address"),
        ("PUBLIC_URL", "https://feeds.example/", "without a path or a slash"),  # every path would begin with two
        ("REDIS_URL", "localhost:6379", "redis://"),
        ("REDIS_URL", "redis://:secret@a:99999", "is (hidden): its host is no address, or its port"),
        ("DATABASE_URL", "mysql://localhost/x", "postgresql://"),
        ("DATABASE_URL", "postgresql://a:secret@b:99999/c", "is (hidden): its host is no address, or its port"),
        ("DATABASE_URL", "postgresql://a:secret@b:port/c", "is (hidden): its host is no address, or its port"),
        ("TAG_HEADER", "Cache Tag", "name of a header"),
        ("ROBOTS", "noindex\r\nSet-Cookie: a=b", "printable ASCII"),
        ("IMAGE_HOSTS", "img.example, *", "'*' must be a host name"),
        ("API_TOKEN", "two words", "without spaces"),
    ],
)
def test_a_wrong_value_is_refused_with_its_reason(variable: str, text: str, reason: str) -> None:
    (problem,) = problems_with(**{variable: text})
    assert problem.startswith(f"EDGEBAKE_{variable} is ")
    assert reason in problem


def test_a_timeline_outlives_the_answers_that_were_baked_from_it() -> None:
    (problem,) = problems_with(ACTIVE_DAYS="1", FEED_TTL="86400", MAX_TTL="86400")
    assert problem.startswith("EDGEBAKE_ACTIVE_DAYS is '1': it must exceed the 87060 s ")


def test_answers_linger_for_the_horizon_of_all_tiers_and_in_memory() -> None:
    assert Settings(feed_ttl=300, stale_if_error=60, tiers=2).linger_ms == (2 * 360 + 600 + 60) * 1000
    assert Settings(feed_ttl=300, stale_if_error=600, max_ttl=400, tiers=1).linger_ms == (400 + 600 + 60) * 1000


def test_the_weights_are_those_of_ranking_unless_set() -> None:
    assert Settings().weights == Weights()
    named = {f"rank_{field.name}": at for at, field in enumerate(fields(Weights), 1) if field.name != "tau_s"}
    assert astuple(Settings(rank_tau=100, **named).weights) == (100, 2, 3, 4, 5, 6, 7, 8)  # type: ignore[arg-type]  # names that the test makes


def test_cloudfront_wants_a_distribution() -> None:
    assert problems_with(EDGE="cloudfront") == [
        "EDGEBAKE_DISTRIBUTION_ID is '': EDGEBAKE_EDGE=cloudfront needs it, such as 'E2EXAMPLE1'."
    ]


def test_a_secret_is_not_in_what_is_said_of_it() -> None:
    (problem,) = problems_with(API_TOKEN="wrong because of spaces")
    assert "wrong because" not in problem


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    settings = load({}, {"EDGEBAKE_API_TOKEN_FILE": str(tmp_path / "token")}, {}).settings
    assert settings.api_token.reveal() == "from-a-file"


def test_a_secret_file_that_is_missing_is_said() -> None:
    assert problems_with(API_TOKEN_FILE="/nowhere/token") == [
        "EDGEBAKE_API_TOKEN_FILE is '/nowhere/token': it cannot be read: No such file or directory."
    ]


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one")
    assert problems_with(API_TOKEN="two", API_TOKEN_FILE=str(tmp_path / "token")) == [
        "EDGEBAKE_API_TOKEN and EDGEBAKE_API_TOKEN_FILE are both set: set one."
    ]


def test_secrets_hide_in_print() -> None:
    settings = Settings(api_token=Secret("s3cret"), redis_url=SecretUrl("redis://user:s3cret@host:6379/0"))
    assert "s3cret" not in repr(settings)
    assert "redis://user:(hidden)@host:6379/0" in repr(settings)


def test_another_process_loads_the_same_settings_from_the_environment() -> None:
    settings = Settings(
        data_dir=Path("/data"), api_token=Secret("t"), image_hosts=("a.example", "b.example"), own_posts=False, tiers=3
    )
    assert load({}, to_environ(settings), {}).settings == settings


def test_every_row_says_what_it_means_and_holds() -> None:
    assert [row.name for row in TABLE if not row.help.endswith(".") or not row.words] == []


def test_numbers_that_depend_on_the_edge_follow_it() -> None:
    local, slow = Settings(), Settings(edge_profile="cloudfront")
    cloudfront = Settings(edge="cloudfront", distribution_id="E2EXAMPLE1")
    assert [s.edge_tiers for s in (local, slow, cloudfront)] == [1, 1, 2]
    assert [s.seconds_between_calls for s in (local, slow, cloudfront)] == [0.01, 2.0, 2.0]


def test_a_list_is_split_at_commas() -> None:
    row = next(row for row in TABLE if row.name == "image_hosts")
    assert parse(row, "A.example, b.example:8080,") == ("a.example", "b.example:8080")


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("", Path("edgebake-data/edgebake.db")),
        ("sqlite:////var/lib/edgebake.db", Path("/var/lib/edgebake.db")),
        ("sqlite+aiosqlite:///here.db", Path("here.db")),
        ("postgresql://host/name", None),
    ],
)
def test_the_file_of_the_record_is_known_where_it_is_one(url: str, file: Path | None) -> None:
    assert Settings(database_url=SecretUrl(url)).sqlite_file == file
