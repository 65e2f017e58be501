"""A Varnish of our own: its site.vcl, its port, the settings that follow from it, and who has none installed."""

import shutil
import socket
from pathlib import Path

import pytest

from cdn.varnish import VarnishEdge
from edgebake.errors import CommandError
from edgebake.plan import at_varnish, children, has_varnish, open_sockets
from edgebake.secret import Secret
from edgebake.settings import Settings
from edgebake.sources import SettingsError, load
from edgebake.varnish import Site, program, site_vcl, vcl_folder
from edgebake.workers import driver

VARNISH = Settings(edge="varnish", edge_port=0, feeds_port=0, api_port=0, ops_port=0)


def test_every_value_of_the_example_is_replaced_by_this_places() -> None:
    example = (vcl_folder() / "site.vcl").read_text(encoding="utf-8")
    site = Site("http://10.0.0.7:9001", "0.0.0.0", 80, "s3cret", 1.5, 60, Path("/data/front.html"))  # noqa: S104
    made = site_vcl(example, site, 7083)
    for value in (
        '.host = "10.0.0.7"; # a baker',
        '.port = "9001";',
        '.port = "7083";',
        '"secret", "s3cret"',
        '"origin_timeout", "1.5s"',
        '"max_ttl", "60s"',
        '"front_page", {"/data/front.html"}',
    ):
        assert value in made
    for value in ("8081", '"6083"', '"2s"', '"3600s"'):
        assert value not in made


def test_an_example_that_lost_a_line_is_noticed() -> None:
    with pytest.raises(ValueError, match=r"site.vcl has no .*8081"):
        site_vcl('.host = "127.0.0.1"; # a baker', Site("http://a:1", "", 1, "s", 1, 1), 1)


def test_the_examples_secret_lets_nobody_in() -> None:
    assert 'var.global_set("secret", "");' in (vcl_folder() / "site.vcl").read_text(encoding="utf-8")
    assert 'var.global_get("secret") == ""' in (vcl_folder() / "edgebake.vcl").read_text(encoding="utf-8")


def test_where_varnish_is_not_installed_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(CommandError, match="apt-get install varnish varnish-modules"):
        program()


def test_up_starts_a_varnish_where_none_is_named_and_tells_everybody_its_url() -> None:
    assert has_varnish(VARNISH)
    assert not has_varnish(Settings(edge="varnish", varnish_urls=("http://10.0.0.1",)))
    assert not has_varnish(Settings())
    settings = at_varnish(VARNISH)
    assert settings.edge_port
    assert settings.varnish_urls == (settings.public_url,) == (f"http://127.0.0.1:{settings.edge_port}",)
    sockets = open_sockets(VARNISH)
    planned = {child.name: child for child in children(sockets, Path("front.html"), varnish=True)}
    assert planned["edge"].arguments[0] == "varnish"
    assert planned["edge"].sockets == {}
    for opened in sockets.values():
        opened.close()


def test_a_port_that_is_taken_is_told_with_its_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"EDGEBAKE_EDGE_PORT is '{port}'"):
            at_varnish(Settings(edge="varnish", edge_port=port))


def test_varnish_is_one_tier_told_at_once_and_its_items_cost_nothing() -> None:
    settings = Settings(edge="varnish", monthly_items=100)
    assert (settings.edge_tiers, settings.taps_all, settings.is_instant) == (1, False, True)
    assert (settings.seconds_between_calls, settings.origin_timeout_s) == (0.01, 2.0)
    assert (settings.account, settings.item_limit) == ("varnish", 0)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"EDGEBAKE_VARNISH_URLS": "http://a,b:80"}, "'b:80': it must be an http:// or https:// URL"),
        ({"EDGEBAKE_VARNISH_URLS": "http://a/"}, "'http://a/': it must be"),
        ({"EDGEBAKE_VARNISH_SECRET": 'a"b'}, "letters, digits and"),
    ],
)
def test_what_would_not_do_is_refused_at_start(variables: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        load({}, variables, {})


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        (Settings(edge="varnish", varnish_secret=Secret("s")), "EDGEBAKE_VARNISH_URLS"),
        (Settings(edge="varnish", varnish_urls=("http://a",)), "EDGEBAKE_VARNISH_SECRET"),
    ],
)
def test_a_worker_that_is_not_told_where_varnish_is_says_what_to_set(settings: Settings, missing: str) -> None:
    with pytest.raises(CommandError, match=f"{missing} is not set"):
        driver(settings)


async def test_a_worker_that_is_has_the_driver_varnish() -> None:
    edge = driver(Settings(edge="varnish", varnish_urls=("http://a",), varnish_secret=Secret("s")))
    assert isinstance(edge, VarnishEdge)
    await edge.close()
