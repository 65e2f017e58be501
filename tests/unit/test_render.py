"""The page: what a person reads, and what may not happen to them."""

import base64
import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from lxml import etree

from baker.card import Card, Format, Page
from baker.render import ENDINGS, Renderer, content_type, missing_content_type
from baker.splice import join, join_gzip
from templates import FOLDER
from tests.unit.cards import HOSTILE, HOSTILE_HTML, IMAGE_HOST, card, hostile_card, page, renderer

FORMATS: tuple[Format, ...] = ("html", "json", "atom")
LOCALES = sorted((FOLDER / "locales").glob("*.json"))
_render = renderer()


def body(of: Page, *cards: Card) -> str:
    fragments = [_render.fragment("html", each, of.language, full=of.kind == "post") for each in cards]
    return join(_render.page("html", of, fragments)).decode()


def shown(of: Page, *cards: Card) -> Any:
    return etree.HTML(body(of, *cards))


def texts(document: Any, path: str) -> list[str]:
    return [" ".join("".join(element.itertext()).split()) for element in document.iterfind(path)]


def hrefs(document: Any, path: str) -> list[str]:
    return [element.get("href") for element in document.iterfind(path)]


def test_a_feed_shows_its_posts_with_links_authors_dates_and_counts() -> None:
    post = card(url="https://www.example.org/a", tags=("compilers",), likes=1, comments=1204)
    document = shown(page(about="On engines"), post, card(post="hn-2", title="Note", content="<p>Hi</p>"))
    assert texts(document, ".//h1") == ["Ada Lovelace\u2019s feed"]
    assert texts(document, ".//h2") == ["On compilers example.org", "Note"]
    assert hrefs(document, ".//h2/a") == ["https://www.example.org/a", "/post/hn-2"]
    assert texts(document, ".//article[1]/footer/p") == ["6 November 2020 1 like 1,204 comments"]
    assert hrefs(document, ".//article[1]/footer/a") == ["/author/grace"]
    assert texts(document, ".//article[1]//li") == ["compilers"]
    assert document.find(".//time").get("datetime") == "2020-11-06T17:50:51Z"
    assert texts(document, ".//article[2]/div/p") == ["Hi"]


def test_a_feed_links_its_other_formats_and_the_older_page() -> None:
    document = shown(page(path="/feed/ada/after/hn-1", next_path="/feed/ada/after/hn-2"), card())
    here = "/feed/ada/after/hn-1"
    assert hrefs(document, ".//head/link[@rel='alternate']") == [here + ENDINGS["json"], here + ENDINGS["atom"]]
    assert hrefs(document, ".//header//nav/a") == [here + ENDINGS["json"], here + ENDINGS["atom"]]
    assert hrefs(document, ".//nav[@class='pages']/a") == ["/feed/ada", "/feed/ada/after/hn-2"]
    assert hrefs(document, ".//head/link[@rel='next']") == ["/feed/ada/after/hn-2"]
    assert hrefs(document, ".//head/link[@rel='canonical']") == [f"https://feeds.example.org{here}"]


def test_an_empty_feed_says_how_to_fill_it_and_an_empty_older_page_that_it_is_the_end() -> None:
    assert "edgebake follow ada grace" in body(page())
    end = body(page(path="/feed/ada/after/hn-1"))
    assert "edgebake follow" not in end
    assert "There are no older posts" in end
    assert "has not published anything yet" in body(page(kind="author", path="/author/ada"))


def test_the_same_page_is_the_same_bytes() -> None:
    of = page(next_path="/feed/ada/after/hn-1")
    first, second = renderer(), renderer()
    for format in FORMATS:
        one = [first.fragment(format, card(), "en")] * 25
        other = [second.fragment(format, card(), "en")] * 25
        assert join_gzip(first.page(format, of, one)) == join_gzip(second.page(format, of, other))


def test_a_list_shows_an_excerpt_of_a_long_post_and_its_page_the_whole() -> None:
    long = card(content="<h1>Part</h1><p>" + "word " * 400 + "end</p>")
    listed, alone = body(page(), long), body(page(kind="post", path="/post/hn-1", title="On compilers"), long)
    assert "Read on" in listed
    assert "end</p>" not in listed
    assert "end</p>" in alone
    assert "<h2>Part</h2>" in alone
    assert "<title>On compilers · Edgebake</title>" in alone
    assert alone.count("<h1") == 1


def test_an_untitled_post_is_headed_by_its_first_words_once() -> None:
    short, long = card(title="", content="Just a note"), card(title="", content="<p>" + "many words " * 20 + "</p>")
    assert texts(shown(page(), short), ".//h2") == ["Just a note"]
    assert body(page(), short).count("Just a note") == 1
    assert texts(shown(page(), long), ".//h2")[0].endswith("…")
    assert texts(shown(page(), card(title="")), ".//h2") == ["Untitled"]


def test_headings_are_in_order_and_landmarks_are_there() -> None:
    document = shown(page(next_path="/feed/ada/after/hn-1"), card(content="<h1>a</h1><h2>b</h2>"), card())
    levels = [int(element.tag[1]) for element in document.iter() if re.fullmatch("h[1-6]", str(element.tag))]
    assert levels == [1, 2, 3, 4, 2]
    assert [element.tag for element in document.iterfind("body/*")] == ["a", "header", "main", "nav"]
    assert hrefs(document, "body/a") == ["#main"]
    assert document.find("body/main").get("id") == "main"


def test_a_hostile_card_runs_nothing_and_breaks_nothing() -> None:
    for of in (page(), page(kind="post", path="/post/hn-1", title=HOSTILE), page(user_name=HOSTILE, about=HOSTILE)):
        text = body(of, hostile_card(), card(content=HOSTILE, content_type="text"))
        document = etree.HTML(text)
        tags = {str(element.tag) for element in document.iter()}
        assert not tags & {"script", "iframe", "svg", "form", "input", "object"}
        assert not [name for element in document.iter() for name in element.attrib if str(name).startswith("on")]
        assert "javascript:" not in text
        assert "\0" not in text
        assert text.count("</style>") == text.count("</title>") == text.count("<img") == 1
        assert "{{ 7*7 }}" in text
        assert len(list(document.iterfind(".//article"))) == 2


def test_names_cannot_turn_the_text_around_them() -> None:
    document = shown(page(user_name="\u202eevil"), card(title="\u202eevil", author_name="\u202eevil"))
    assert "\u202e" not in document.findtext(".//title")
    for element in document.iter():
        if "\u202e" in (element.text or ""):
            assert element.tag == "bdi" or element.getparent().get("dir") == "auto"


def test_braces_and_marks_of_holes_in_text_are_only_text() -> None:
    text = body(page(user_name="{user} \0title\0 %s {0}", about="{name}"), card(title="{{ title }}"))
    assert "{user} title %s {0}" in text
    assert "{{ title }}" in text


def test_a_page_of_25_posts_is_under_60_kB() -> None:
    cards = [
        card(post=f"hn-{n}", url=f"https://example.org/{n}", title="A title of some length, as they are " * 2,
             content="<p>" + "word " * 2000 + "</p>", tags=("one", "two", "three"), likes=n, comments=n, views=n)
        for n in range(25)
    ]  # fmt: skip
    assert len(body(page(next_path="/feed/ada/after/hn-1"), *cards).encode()) < 60_000


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    pages = [
        body(page(), card()),
        join(_render.missing(404, "html", "de", "Edgebake")).decode(),
        _render.home([("ada", HOSTILE)]).decode(),
    ]
    for text in pages:
        (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in _render.csp
        assert " style=" not in text
    assert _render.csp.startswith("default-src 'none'; ")
    assert f"img-src data: {IMAGE_HOST};" in _render.csp
    assert "unsafe" not in _render.csp


@pytest.mark.parametrize("host", ["evil.example; script-src *", "", "https://example.org", "*", "a b", "EXAMPLE.org"])
def test_an_image_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="image host is"):
        Renderer(FOLDER, public_url="https://example.org", image_hosts=frozenset({host}))


@pytest.mark.parametrize("status", [404, 410, 503])
def test_what_is_missing_is_said_in_the_format_that_was_asked_for(status: int) -> None:
    assert str(status) in join(_render.missing(status, "html", "fr-CA", HOSTILE)).decode()
    problem = orjson.loads(join(_render.missing(status, "json", "en", "Edgebake")))
    assert problem["status"] == status
    assert missing_content_type("json") == "application/problem+json"
    assert "<" not in join(_render.missing(status, "atom", "en", "Edgebake")).decode()


def test_every_format_names_its_content_type() -> None:
    assert [content_type(format).split(";")[0] for format in FORMATS] == [
        "text/html",
        "application/feed+json",
        "application/atom+xml",
    ]


def test_home_lists_feeds() -> None:
    document = etree.HTML(_render.home([("ada", "Ada"), ("grace", HOSTILE)]).decode())
    assert hrefs(document, ".//main//a") == ["/feed/ada", "/feed/grace"]


@pytest.mark.parametrize(("language", "date"), [("de-AT", "6. November 2020"), ("fr", "6 novembre 2020")])
def test_a_page_speaks_the_users_language(language: str, date: str) -> None:
    document = shown(page(language=language), card())
    assert document.get("lang") == language.split("-", maxsplit=1)[0]
    assert texts(document, ".//time") == [date]


def test_a_language_that_nobody_wrote_is_english() -> None:
    document = shown(page(language="tlh"), card())
    assert document.get("lang") == "en"
    assert texts(document, ".//time") == ["6 November 2020"]


@pytest.mark.parametrize("file", LOCALES, ids=lambda file: file.stem)
def test_every_language_says_everything(file: Path) -> None:
    english, own = (orjson.loads((path).read_bytes()) for path in (FOLDER / "locales" / "en.json", file))
    assert list(own) == list(english)
    assert len(own["months"]) == 12
    for key, text in english.items():
        if isinstance(text, str):
            assert sorted(re.findall(r"\{\w+\}", own[key])) == sorted(re.findall(r"\{\w+\}", text)), key


def test_a_language_may_leave_texts_to_english(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "templates")
    (folder / "locales" / "nl.json").write_bytes(b'{"older": "Oudere berichten"}')
    render = Renderer(folder, public_url="https://example.org")
    text = join(render.page("html", page(language="nl", next_path="/feed/ada/after/a"), [])).decode()
    assert "Oudere berichten" in text
    assert "Nothing here yet" in text


def test_a_changed_file_is_another_version(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "templates")
    same = Renderer(folder, public_url="https://example.org").version
    (folder / "locales" / "nl.json").write_bytes(b"{}")
    added = Renderer(folder, public_url="https://example.org").version
    assert same == _render.version
    assert added != same
    assert re.fullmatch("[a-z0-9]{16}", added)


def test_a_private_feed_asks_not_to_be_indexed() -> None:
    assert '<meta name="robots" content="noindex">' in body(page(path="/private/ada", private=True), card())
    assert "noindex" not in body(page(), card())


def test_a_page_uses_no_url_of_the_public_one_but_its_canonical_link() -> None:
    of = replace(page(next_path="/feed/ada/after/hn-1"), home_page_url="javascript:alert(1)")
    text = body(of, card(content=HOSTILE_HTML))
    assert text.count("https://feeds.example.org") == 1
    assert "javascript:" not in text


def _luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    shares = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_colours_can_be_told_from_their_ground_in_the_light_and_in_the_dark() -> None:
    style = (FOLDER / "style.css").read_text()
    themes = [dict(re.findall(r"--(\w+): (#\w{6})", line)) for line in style.splitlines() if "--paper:" in line]
    assert len(themes) == 2
    for theme in themes:
        for text in ("ink", "soft", "accent", "seen"):
            assert _contrast(theme[text], theme["paper"]) >= 4.5
        assert _contrast(theme["soft"], theme["tint"]) >= 4.5
    discs = re.findall(r"\.h\d \{ background: (#\w{6})", style)
    assert len(discs) == 8
    assert all(_contrast(disc, "#ffffff") >= 4.5 for disc in discs)
