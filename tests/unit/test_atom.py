"""Atom: it validates against RFC 4287's grammar and a real client reads it."""

from pathlib import Path

import feedparser  # type: ignore[import-untyped]  # it has no stubs
import pytest
from lxml import etree

from baker.card import Card, Page
from baker.splice import join
from tests.unit.cards import HOSTILE, PUBLIC_URL, card, hostile_card, page, renderer

_grammar = etree.RelaxNG(etree.parse(Path(__file__).parents[1] / "data" / "atom.rng"))
_render = renderer()


def feed(of: Page, *cards: Card) -> bytes:
    """Return an Atom document that is valid."""
    body = join(_render.page("atom", of, [_render.fragment("atom", each, "en") for each in cards]))
    _grammar.assertValid(etree.fromstring(body))
    return body


def read(body: bytes) -> feedparser.FeedParserDict:
    found = feedparser.parse(body, response_headers={"content-type": "application/atom+xml; charset=utf-8"})
    assert not found.bozo
    return found


def test_the_grammar_refuses_what_is_no_feed() -> None:
    with pytest.raises(etree.DocumentInvalid):
        _grammar.assertValid(etree.fromstring(b'<feed xmlns="http://www.w3.org/2005/Atom"><title>x</title></feed>'))


def test_a_client_reads_what_was_published() -> None:
    posts = [card(post=f"p{n}", title=f"Post {n}", tags=("a", "b"), url=f"https://example.org/{n}") for n in range(25)]
    found = read(feed(page(about="On engines", language="de"), *posts))
    assert found.version == "atom10"
    assert found.feed.title == "Feed von Ada Lovelace"
    assert found.feed.language == "de"
    assert found.feed.updated == "2020-11-06T17:50:51Z"
    assert [entry.id for entry in found.entries] == [f"{PUBLIC_URL}/post/p{n}" for n in range(25)]
    first = found.entries[0]
    assert (first.title, first.link, first.author) == ("Post 0", "https://example.org/0", "Grace Hopper")
    assert [tag.term for tag in first.tags] == ["a", "b"]


def test_pages_share_an_id_and_lead_to_each_other() -> None:
    first = read(feed(page(next_path="/feed/ada/after/hn-1"))).feed
    older = read(feed(page(path="/feed/ada/after/hn-1", next_path="/feed/ada/after/hn-2"))).feed
    links = {link.rel: link.href for link in older.links}
    assert first.id == older.id == f"{PUBLIC_URL}/feed/ada/feed.atom"
    assert links == {
        "self": f"{PUBLIC_URL}/feed/ada/after/hn-1/feed.atom",
        "alternate": f"{PUBLIC_URL}/feed/ada/after/hn-1",
        "first": f"{PUBLIC_URL}/feed/ada/feed.atom",
        "next": f"{PUBLIC_URL}/feed/ada/after/hn-2/feed.atom",
    }


def test_an_empty_feed_is_valid_and_has_no_time_of_its_own() -> None:
    body = feed(page())
    assert body == feed(page())
    assert read(body).entries == []


def test_content_comes_as_it_was_given() -> None:
    html, text = read(
        feed(page(), card(content="<p>a &amp; <b>b</b></p>"), card(content="a < b\n & c", content_type="text"))
    ).entries
    assert html.content[0].value == "<p>a &amp; <b>b</b></p>"
    assert (text.content[0].type, text.content[0].value) == ("text/plain", "a < b\n & c")


def test_a_hostile_card_is_text_and_cleaned_html() -> None:
    body = feed(page(user_name=HOSTILE, about=HOSTILE, language="en"), hostile_card(), card())
    document = etree.fromstring(body)
    names = {etree.QName(element).localname for element in document.iter()}
    assert "script" not in names
    content = document.find(".//{*}content")
    assert content is not None
    assert "script" not in (content.text or "")
    assert read(body).entries[0].link == f"{PUBLIC_URL}/post/hn-1"
