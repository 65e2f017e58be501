"""Fragments: each post rendered once in each format, kept under the headers of the copies that it shows."""

from baker.card import Card, Format
from baker.render import Renderer
from baker.shelf import MOST_BYTES, Row
from cdn import tags
from feeds.copies import body_of, read_post, read_user
from feeds.model import Post, User

Key = tuple[Format, str, bool, bytes, bytes]


class Fragments:
    """The fragments of a process: forgotten all at once when they would take more than ``most_bytes``."""

    def __init__(self, renderer: Renderer, most_bytes: int = MOST_BYTES) -> None:
        self._renderer = renderer
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: dict[Key, Row] = {}

    def language(self, format: Format, language: str) -> str:
        """Return the language that fragments are in for one that a user wishes: there are as many as translations."""
        return self._renderer.fragment_language(format, language)

    def get(self, format: Format, language: str, post: bytes, author: bytes, *, full: bool = False) -> Row:
        """Return the post of these copies (``<header> <JSON>``), rendering it where it is not kept."""
        language = self.language(format, language)
        key = (format, language, full, post[: post.index(b" ")], author[: author.index(b" ")])
        if (found := self._kept.get(key)) is None:
            found = self._render(format, language, post, author, full=full)
            if self._bytes + found.size > self._most_bytes:
                self._kept.clear()
                self._bytes = 0
            self._kept[key] = found
            self._bytes += found.size
        return found

    def _render(self, format: Format, language: str, post: bytes, author: bytes, *, full: bool) -> Row:
        shown = read_post(body_of(post))
        card = card_of(shown, read_user(body_of(author)))
        part = self._renderer.fragment(format, card, language, full=full)
        return Row(
            post=shown.id,
            num=shown.num,
            author=shown.author,
            part=part,
            edited_ms=shown.edited_ms,
            tag=tags.post_tag(shown.id),
            author_tag=tags.author_tag(shown.author),
        )


def card_of(post: Post, author: User) -> Card:
    """Return what a post shows."""
    return Card(
        post=post.id,
        author=post.author,
        author_name=author.name,
        title=post.title,
        url=post.url,
        content=post.content,
        content_type=post.content_type,
        tags=post.tags,
        published_ms=post.published_ms,
        edited_ms=post.edited_ms,
        likes=post.likes,
        comments=post.comments,
        views=post.views,
    )
