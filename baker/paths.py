"""Paths: one spelling for each artifact, and nothing else.

The raw path is matched, before any percent-decoding: whatever is spelt otherwise is no artifact.
"""

import re
from typing import NamedTuple

from baker.card import ENDINGS, Format, Kind
from feeds.ids import PATTERN, shard_of

_ID = PATTERN.strip("^$")
_ENDINGS: dict[str, Format] = {ending: format for format, ending in ENDINGS.items()}
_list = re.compile(rf"/(feed|author)/({_ID})(?:/after/({_ID}))?(/feed\.json|/feed\.atom)?").fullmatch
_private = re.compile(rf"/private/({_ID})(/after/{_ID})?(/|/feed\.json|/feed\.atom)?").fullmatch
_explore = re.compile(rf"/feed/explore(?:/tag/({_ID}))?(?:/after/({_ID}))?(/feed\.json|/feed\.atom)?").fullmatch
_post = re.compile(rf"/post/({_ID})").fullmatch

EXPLORE = "explore"
"""The name under which discovery is found; no user may have it."""


class Target(NamedTuple):
    """What a path asks for. ``after`` is the place of an older page, ``private`` says under which tree a feed is.

    ``subject`` is a user, a post page's post, or a tag that is explored, as an id (``explore``: all posts).
    """

    kind: Kind
    subject: str
    format: Format
    after: str | None
    private: bool = False

    @property
    def shard(self) -> int:
        """The shard whose fence and ledger the artifact belongs to."""
        return shard_of(self.subject)

    @property
    def user(self) -> str:
        """Under whose path it is; "" for nobody's."""
        return self.subject if self.kind in ("feed", "author") else ""

    @property
    def page(self) -> str:
        """The path of the artifact's HTML."""
        after = f"/after/{self.after}" if self.after else ""
        if self.kind == "explore":
            return f"/feed/{EXPLORE}{'' if self.subject == EXPLORE else f'/tag/{self.subject}'}{after}"
        if self.private:  # with a slash at its end: a signature for /private/ada/* opens all of it, and not adam's
            return f"/private/{self.subject}{after or '/'}"
        return f"/{self.kind}/{self.subject}{after}"


def parse(path: str) -> Target | None:
    """Return what a raw path asks for, or None where it is the path of no artifact."""
    if found := _explore(path):
        tag, after, ending = found.groups()
        return None if tag == EXPLORE else Target("explore", tag or EXPLORE, _ENDINGS[ending or ""], after)
    if found := _list(path):
        kind, subject, after, ending = found.groups()
        return Target("feed" if kind == "feed" else "author", subject, _ENDINGS[ending or ""], after)
    if found := _private(path):
        return _private_target(*found.groups(""))
    if found := _post(path):
        return Target("post", found[1], "html", None)
    return None


def _private_target(user: str, after: str, ending: str) -> Target | None:
    """Return the target; the first page's HTML ends with a slash, an older one's does not."""
    if (ending == "/") is bool(after) and ending in ("", "/"):
        return None
    return Target("feed", user, _ENDINGS[ending.removesuffix("/")], after.removeprefix("/after/") or None, private=True)
