"""Reading feeds as a client does: page after page, post ids in whatever format."""

import re

import httpx
import orjson

from tests.integration.baking import PUBLIC_URL, Baker

FORMATS = ("", "/feed.json", "/feed.atom")

_ENTRY = re.compile(r"<entry>.*?<id>([^<]*)</id>", re.DOTALL)
_ARTICLE = re.compile(r"<article\b.*?</article>", re.DOTALL)
_POST = re.compile(r'href="/post/([^"/]+)"')  # posts without a URL of their own
_NEXT = re.compile(r"""<(?:a|link)\b(?=[^>]*\brel="next")[^>]*\bhref="([^"]*)\"""")


def posts_on(answer: httpx.Response) -> list[str]:
    """Return the ids of the posts on a page, top down."""
    kind = answer.headers["content-type"]
    if "json" in kind:
        return [item["id"].rpartition("/")[2] for item in orjson.loads(answer.content)["items"]]
    if "atom" in kind:
        return [found.rpartition("/")[2] for found in _ENTRY.findall(answer.text)]
    return [_of_article(article) for article in _ARTICLE.findall(answer.text)]


def _of_article(article: str) -> str:
    found = _POST.search(article)
    assert found is not None, article
    return found[1]


def older_path(answer: httpx.Response) -> str | None:
    """Return the path of the older page that a page names."""
    if "json" in answer.headers["content-type"]:
        found = orjson.loads(answer.content).get("next_url")
        return None if found is None else str(found).removeprefix(PUBLIC_URL)
    match = _NEXT.search(answer.text)
    return None if match is None else match[1].removeprefix(PUBLIC_URL)


async def read_pages(baker: Baker, user: str, ending: str = "/feed.json", most: int = 10_000) -> list[list[str]]:
    """Return the ids on each page of a user's feed, from the first to the last, or of its first ``most`` pages."""
    pages: list[list[str]] = []
    path: str | None = f"/feed/{user}{ending}"
    while path is not None and len(pages) < most:
        answer = await baker.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        pages.append(posts_on(answer))
        path = older_path(answer)
    return pages
