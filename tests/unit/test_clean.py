"""Untrusted text: what is let through and what is not."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from baker import clean
from tests.unit.cards import HOSTILE_HTML, IMAGE_HOST

cleaned = clean.cleaner(frozenset({IMAGE_HOST}))
without_images = clean.cleaner(frozenset())


def test_hostile_html_keeps_its_text_and_loses_its_teeth() -> None:
    result = cleaned(HOSTILE_HTML)
    rel = 'rel="nofollow noopener noreferrer"'
    assert "<p>Hello <b>there</b></p>" in result
    assert f'<a href="https://example.org/?a=1&amp;b=2" {rel}>four</a>' in result
    assert f"<a {rel}>one</a><a {rel}>two</a><a {rel}>three</a>" in result
    for attack in ("script", "alert", "evil.example", "onerror", "style", "svg", "form", "target", "\x0b", "\0"):
        assert attack not in result


@pytest.mark.parametrize(
    "content",
    ["<table><tr><td>one</td><td>two</td></tr></table>", "<TABLE><TR><TD>one<TD>two</TABLE>", "<div>one</div>two"],
)
def test_words_that_a_removed_tag_parted_stay_apart(content: str) -> None:
    assert cleaned(content).split() == ["one", "two"]


def test_only_images_of_allowed_hosts_are_kept() -> None:
    result = cleaned(HOSTILE_HTML)
    assert result.count("<img") == 1
    assert f'src="https://{IMAGE_HOST}/ok.png"' in result
    assert "<img" not in without_images(HOSTILE_HTML)


def test_an_image_that_is_removed_takes_a_greater_than_in_its_text_along() -> None:
    attack = '<img alt="x><script>alert(1)</script>" src="https://evil.example/">after'
    assert cleaned(attack) == "after"


@given(st.text(), st.sampled_from(["<p>{}</p>", "<a href='{}'>x</a>", "<img alt='{}' src='{}'>", "<{}>", "{}"]))
def test_whatever_was_written_becomes_html_that_cleans_to_itself(text: str, around: str) -> None:
    once = cleaned(around.replace("{}", text))
    assert cleaned(once) == once


@pytest.mark.parametrize(
    "value",
    [
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "//example.org/",
        "/post/hn-1",
        "https://",
        "https://exa mple.org/",
        "https://example.org/\nx: y",
        'https://example.org/"onclick="x',
        "https://[::1/",
        "https://example.org:99999/",
        "",
    ],
)
def test_what_is_no_web_url_is_refused(value: str) -> None:
    assert clean.web_url(value) is None


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://www.example.org/a?b=c", "example.org"),
        ("http://user:secret@example.org:8080/", "example.org:8080"),
        ("https://EXAMPLE.org/", "example.org"),
        ("https://\u0430\u0440\u0440\u04cf\u0435.com/", "xn--80ak6aa92e.com"),  # Cyrillic that reads like "apple"
    ],
)
def test_a_domain_is_shown_as_dns_spells_it(url: str, domain: str) -> None:
    assert clean.web_url(url) == url
    assert clean.domain(url) == domain


@given(st.text())
def test_text_can_be_held_by_xml_and_utf8(value: str) -> None:
    etree.fromstring(f"<x>{html.escape(clean.text(value))}</x>".encode())


def test_a_line_has_no_breaks_and_no_marks_of_direction() -> None:
    assert clean.line(" a\u202eb\n\u2066c\u2069\t d\x00 ") == "ab c d"


def test_plain_text_becomes_paragraphs_and_breaks() -> None:
    assert clean.paragraphs("one <b>\r\ntwo\n\n \nthree\n") == "<p>one &lt;b&gt;<br>two</p><p>three</p>"


def test_headings_move_below_those_of_the_page() -> None:
    assert clean.headings("<h1>a</h1><h2>b</h2><h6>c</h6>", 3) == "<h3>a</h3><h4>b</h4><h6>c</h6>"
    assert clean.headings("<h4>a</h4>", 2) == "<h2>a</h2>"
    assert clean.headings("<p>a</p>", 2) == "<p>a</p>"


def test_an_excerpt_is_cut_between_words() -> None:
    assert clean.excerpt("<h1>Head</h1><p>one &amp; two</p><p>three four</p>", 17) == "Head one & two…"
    assert clean.excerpt("<p>short</p>", 17) == "short"
    assert clean.excerpt("x" * 30, 17) == "x" * 17 + "…"
