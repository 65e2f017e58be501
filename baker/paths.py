"""Paths: one spelling for each artifact, and nothing else.

The raw path is matched, before any percent-decoding: whatever is spelt otherwise is no artifact.
"""

import re
from typing import Literal, NamedTuple

from baker.card import ENDINGS, Format
from feeds.ids import PATTERN, shard_of

_ID = PATTERN.strip("^$")
_ENDINGS: dict[str, Format] = {ending: format for format, ending in ENDINGS.items()}
_list = re.compile(rf"/(feed|author)/({_ID})(?:/after/({_ID}))?(/feed\.json|/feed\.atom)?").fullmatch
_post = re.compile(rf"/post/({_ID})").fullmatch

Kind = Literal["feed", "author", "post"]


class Target(NamedTuple):
    """What a path asks for. ``subject`` is a user, or a post page's post; ``after`` is the place of an older page."""

    kind: Kind
    subject: str
    format: Format
    after: str | None

    @property
    def shard(self) -> int:
        """The shard whose fence and ledger the artifact belongs to."""
        return shard_of(self.subject)

    @property
    def page(self) -> str:
        """The path of the artifact's HTML."""
        after = f"/after/{self.after}" if self.after else ""
        return f"/{self.kind}/{self.subject}{after}"


def parse(path: str) -> Target | None:
    """Return what a raw path asks for, or None where it is the path of no artifact."""
    if found := _list(path):
        kind, subject, after, ending = found.groups()
        return Target("feed" if kind == "feed" else "author", subject, _ENDINGS[ending or ""], after)
    if found := _post(path):
        return Target("post", found[1], "html", None)
    return None
