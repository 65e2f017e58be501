"""JSON Feed 1.1 (https://www.jsonfeed.org/version/1.1/)."""

from collections.abc import Mapping
from typing import Any

import orjson

from baker import clean
from baker.card import Card, Page, in_format
from baker.moment import rfc3339

VERSION = "https://jsonfeed.org/version/1.1"
CONTENT_TYPE = "application/feed+json; charset=utf-8"


class JsonFeed:
    """Writes JSON Feed; ``cleaned`` cleans HTML and ``public_url`` begins every URL of ours."""

    def __init__(self, public_url: str, cleaned: clean.Cleaner) -> None:
        self._public_url = public_url
        self._cleaned = cleaned

    def item(self, card: Card) -> bytes:
        """Return the item of a post."""
        permalink = f"{self._public_url}/post/{card.post}"
        item: dict[str, Any] = {"id": permalink, "url": clean.web_url(card.url) or permalink}
        if card.title:
            item["title"] = clean.text(card.title)
        if card.content and card.content_type == "html":
            item["content_html"] = self._cleaned(card.content)
        else:
            item["content_text"] = clean.text(card.content)  # the format wants one of the two, be it empty
        item["date_published"] = rfc3339(card.published_ms)
        if card.edited_ms > card.published_ms:
            item["date_modified"] = rfc3339(card.edited_ms)
        item["authors"] = [self._author(card.author, card.author_name)]
        if card.tags:
            item["tags"] = [clean.text(tag) for tag in card.tags]
        item["_edgebake"] = {"likes": card.likes, "comments": card.comments, "views": card.views}
        return orjson.dumps(item)

    def head(self, page: Page, title: str) -> bytes:
        """Return what comes before the items."""
        feed: dict[str, Any] = {
            "version": VERSION,
            "title": title,
            "home_page_url": f"{self._public_url}{page.path}",
            "feed_url": f"{self._public_url}{page.at('json')}",
            "language": page.language,
        }
        if page.kind != "explore":
            feed["authors"] = [self._author(page.user, page.user_name)]
        if page.about:
            feed["description"] = clean.text(page.about)
        if page.next_path is not None:
            feed["next_url"] = f"{self._public_url}{in_format(page.next_path, 'json')}"
        return orjson.dumps(feed)[:-1] + b',"items":['

    def tail(self) -> bytes:
        """Return what comes after the items."""
        return b"]}\n"

    def _author(self, user: str, name: str) -> dict[str, str]:
        return {"name": clean.text(name) or user, "url": f"{self._public_url}/author/{user}"}


def problem(status: int, title: str) -> bytes:
    """Return problem details (RFC 9457)."""
    details: Mapping[str, object] = {"type": "about:blank", "title": title, "status": status}
    return orjson.dumps(details) + b"\n"
