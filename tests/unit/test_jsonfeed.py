"""JSON Feed 1.1: its fields as the specification has them."""

from datetime import datetime
from typing import Any

import orjson
import pytest

from baker.card import Card, Page
from baker.splice import join
from tests.unit.cards import HOSTILE, PUBLIC_URL, card, hostile_card, page, renderer

_FEED_FIELDS = {
    *("version", "title", "home_page_url", "feed_url", "description", "user_comment", "next_url", "icon", "favicon"),
    *("authors", "language", "expired", "hubs", "items"),
}
_ITEM_FIELDS = {
    *("id", "url", "external_url", "title", "content_html", "content_text", "summary", "image", "banner_image"),
    *("date_published", "date_modified", "authors", "tags", "language", "attachments", "_edgebake"),
}
_render = renderer()


def feed(of: Page, *cards: Card) -> Any:
    return orjson.loads(join(_render.page("json", of, [_render.fragment("json", each, "en") for each in cards])))


@pytest.mark.parametrize("count", [0, 1, 2, 25])
def test_a_feed_follows_the_specification(count: int) -> None:
    cards = [card(post=f"p{n}", tags=("a",), content="<p>x</p>" * (n % 2)) for n in range(count)]
    document = feed(page(next_path="/feed/ada/after/p24"), *cards)
    assert set(document) <= _FEED_FIELDS
    assert document["version"] == "https://jsonfeed.org/version/1.1"
    assert document["authors"] == [{"name": "Ada Lovelace", "url": f"{PUBLIC_URL}/author/ada"}]
    assert document["language"] == "en"
    assert [item["id"] for item in document["items"]] == [f"{PUBLIC_URL}/post/p{n}" for n in range(count)]
    for item in document["items"]:
        assert set(item) <= _ITEM_FIELDS
        assert "content_html" in item or "content_text" in item
        assert datetime.fromisoformat(item["date_published"]).tzinfo is not None


def test_urls_lead_to_this_page_and_the_older_one() -> None:
    document = feed(page(path="/feed/ada/after/hn-1", next_path="/feed/ada/after/hn-2"))
    assert document["home_page_url"] == f"{PUBLIC_URL}/feed/ada/after/hn-1"
    assert document["feed_url"] == f"{PUBLIC_URL}/feed/ada/after/hn-1/feed.json"
    assert document["next_url"] == f"{PUBLIC_URL}/feed/ada/after/hn-2/feed.json"
    assert "next_url" not in feed(page())


def test_a_posts_own_url_is_its_permalink_and_a_post_without_one_has_ours() -> None:
    own, ours = feed(page(), card(url="https://example.org/a"), card(post="hn-2"))["items"]
    assert own["url"] == "https://example.org/a"
    assert ours["url"] == f"{PUBLIC_URL}/post/hn-2"


def test_text_stays_text_and_an_edit_shows_its_time() -> None:
    (item,) = feed(page(), card(content="a < b", content_type="text", edited_ms=1_604_685_052_000))["items"]
    assert item["content_text"] == "a < b"
    assert "content_html" not in item
    assert item["date_modified"] == "2020-11-06T17:50:52Z"


def test_a_hostile_card_stays_text_and_cleaned_html() -> None:
    document = feed(page(user_name=HOSTILE, about=HOSTILE), hostile_card(), card())
    item = document["items"][0]
    assert item["url"] == f"{PUBLIC_URL}/post/hn-1"
    assert item["title"].startswith('"><script>')  # a title is plain text, whoever shows it escapes
    assert "script" not in item["content_html"]
    assert "\0" not in item["title"] + document["title"]
    assert document["items"][1]["title"] == "On compilers"
