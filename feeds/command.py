"""Commands: what a client asks the system of record to do. Validated here, once, for API, import and tests.

A batch of commands is one transaction. ``version`` is the *source's own* version of the subject: a command whose
version is not above the one last applied to the same subject is ignored (a team's events arrive twice and out of
order).
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from feeds.ids import PATTERN, RESERVED

MAX_CONTENT = 262_144
MAX_TAG = 64
"""Characters of a tag."""
MAX_COUNT = 2**53 - 1
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)
"""Any zone's spelling of a time between these has a year of four digits, as RFC 3339 demands."""

_unprintable = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]").search  # Unicode's Cc and Cs
_is_rfc3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
).fullmatch


def _printable(text: str) -> str:
    if found := _unprintable(text):
        raise ValueError(f"holds the control character U+{ord(found[0]):04X}")
    return text


def _one_line(text: str) -> str:
    if any(c in text for c in "\n\r\t\u2028\u2029"):
        raise ValueError("must be one line")
    return text


def _web_url(text: str) -> str:
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    if scheme not in ("http", "https") or not rest or rest[0] in "/?#" or any(c.isspace() for c in text):
        raise ValueError("must be an http:// or https:// URL without spaces")
    return f"{scheme}://{rest}"


def _rfc3339(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not _is_rfc3339(value):  # pydantic would take digits for seconds, and days for midnights
        raise ValueError("must be a time with its zone as RFC 3339 spells it, such as 2026-01-31T12:00:00Z")
    return datetime.fromisoformat(value.upper())


def _not_reserved(user: str) -> str:
    if user in RESERVED:
        raise ValueError(f"is reserved: /feed/{user} is no user's page")
    return user


def _in_range(moment: datetime) -> datetime:
    if not EARLIEST <= moment < LATEST:
        raise ValueError("must lie in the years 1970 to 9998")
    return moment


Id = Annotated[str, StringConstraints(pattern=PATTERN, max_length=64)]
UserId = Annotated[Id, AfterValidator(_not_reserved)]
Line = Annotated[str, AfterValidator(_printable), AfterValidator(_one_line)]
Name = Annotated[Line, Field(min_length=1, max_length=200)]
Title = Annotated[Line, Field(max_length=500)]
Text = Annotated[str, AfterValidator(_printable), Field(max_length=MAX_CONTENT)]
WebUrl = Annotated[Line, AfterValidator(_web_url), Field(max_length=2000)]
Tag = Annotated[
    str,
    # first, or it strips last
    StringConstraints(min_length=1, max_length=MAX_TAG, strip_whitespace=True, to_lower=True),
    AfterValidator(_printable),
    AfterValidator(_one_line),
]
Tags = Annotated[tuple[Tag, ...], Field(max_length=20)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT, strict=True)]
SourceVersion = Annotated[int, Field(ge=0, le=MAX_COUNT, strict=True)]
Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339), AfterValidator(_in_range)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: SourceVersion | None = None


class PutUser(_Command):
    """Create a user, or replace their profile."""

    kind: Literal["put_user"] = "put_user"
    user: UserId
    name: Name
    about: Annotated[Text, Field(max_length=2000)] = ""


class RenameUser(_Command):
    """Change a user's name and leave the rest."""

    kind: Literal["rename_user"] = "rename_user"
    user: Id
    name: Name


class DeleteUser(_Command):
    """Erase a user: posts, follows, settings, profile."""

    kind: Literal["delete_user"] = "delete_user"
    user: Id


class PutSettings(_Command):
    """Replace a user's settings; what is left out takes its default."""

    kind: Literal["put_settings"] = "put_settings"
    user: Id
    language: Language = "en"
    muted_authors: Annotated[tuple[Id, ...], Field(max_length=1000)] = ()
    muted_tags: Annotated[tuple[Tag, ...], Field(max_length=1000)] = ()
    page_size: Annotated[int, Field(ge=1, le=25, strict=True)] = 25
    order: Literal["newest", "ranked", "default"] = "default"
    feed_visibility: Literal["public", "private"] = "public"


class CreatePost(_Command):
    """Create a post; an id is made where none is given. ``published`` in the future appears on time."""

    kind: Literal["create_post"] = "create_post"
    post: Id | None = None
    author: Id
    title: Title = ""
    url: WebUrl | None = None
    content: Text = ""
    content_type: Literal["html", "text"] = "html"
    tags: Tags = ()
    published: Moment | None = None
    draft: bool = False
    likes: Count = 0
    comments: Count = 0
    views: Count = 0


class EditPost(_Command):
    """Change the fields of a post that are given (``model_fields_set``) and leave the others."""

    kind: Literal["edit_post"] = "edit_post"
    post: Id
    title: Title = ""
    url: WebUrl | None = None
    content: Text = ""
    content_type: Literal["html", "text"] = "html"
    tags: Tags = ()
    published: Moment | None = None
    likes: Count = 0
    comments: Count = 0
    views: Count = 0


class PublishPost(_Command):
    """Publish a draft or an unpublished post, at ``published`` or else at the time it had (a draft: now)."""

    kind: Literal["publish_post"] = "publish_post"
    post: Id
    published: Moment | None = None


class UnpublishPost(_Command):
    """Take a post out of all feeds, to be published again perhaps."""

    kind: Literal["unpublish_post"] = "unpublish_post"
    post: Id


class DeletePost(_Command):
    """Delete a post for good."""

    kind: Literal["delete_post"] = "delete_post"
    post: Id


class Follow(_Command):
    """``user`` follows ``author``."""

    kind: Literal["follow"] = "follow"
    user: Id
    author: Id


class Unfollow(_Command):
    """``user`` no longer follows ``author``."""

    kind: Literal["unfollow"] = "unfollow"
    user: Id
    author: Id


class FollowTag(_Command):
    """``user`` follows a tag."""

    kind: Literal["follow_tag"] = "follow_tag"
    user: Id
    tag: Tag


class UnfollowTag(_Command):
    """``user`` no longer follows a tag."""

    kind: Literal["unfollow_tag"] = "unfollow_tag"
    user: Id
    tag: Tag


class Reaction(BaseModel):
    """What a reader did with a post. The same again (post, kind, by and id) is not counted twice.

    ``undo`` takes it back for good: what comes later under the same identity is not counted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["like", "comment", "view"]
    by: Id | None = None
    id: Annotated[Line, Field(min_length=1, max_length=64)] | None = None
    undo: bool = False

    @model_validator(mode="after")
    def _has_an_identity(self) -> Self:
        if self.by is None and self.id is None:
            raise ValueError("wants by or id: without both it could not be told from the same one delivered twice")
        return self


class React(_Command):
    """Readers liked, commented on or viewed a post."""

    kind: Literal["react"] = "react"
    post: Id
    reactions: Annotated[tuple[Reaction, ...], Field(min_length=1, max_length=1000)]


class Block(_Command):
    """``user`` blocks ``blocked``: neither follows the other, nor can until unblocked."""

    kind: Literal["block"] = "block"
    user: Id
    blocked: Id


class Unblock(_Command):
    """``user`` no longer blocks ``blocked``."""

    kind: Literal["unblock"] = "unblock"
    user: Id
    blocked: Id


class PutSite(_Command):
    """Replace what every page shows of the site. ``template_version`` left out stays as it is."""

    kind: Literal["put_site"] = "put_site"
    title: Name
    language: Language = "en"
    home_page_url: WebUrl | None = None
    template_version: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{0,64}$")] | None = None


class Invalidate(_Command):
    """Forget what is cached: of ``user``, or of all. ``id`` names the change, so that a repeat does nothing.

    ``rolling``: of all, shard by shard, as fast as the origin can bear.
    """

    kind: Literal["invalidate"] = "invalidate"
    scope: Literal["global", "user"]
    user: Id | None = None
    id: Id | None = None
    rolling: bool = False

    @model_validator(mode="after")
    def _scope_and_user_agree(self) -> Self:
        if (self.scope == "user") != (self.user is not None):
            raise ValueError('wants a user where the scope is "user", and none where it is "global"')
        if self.rolling and self.scope == "user":
            raise ValueError('rolls where the scope is "global": one user is one item')
        return self


Command = Annotated[
    PutUser
    | RenameUser
    | DeleteUser
    | PutSettings
    | CreatePost
    | EditPost
    | PublishPost
    | UnpublishPost
    | DeletePost
    | Follow
    | Unfollow
    | FollowTag
    | UnfollowTag
    | React
    | Block
    | Unblock
    | PutSite
    | Invalidate,
    Field(discriminator="kind"),
]


def milliseconds(moment: datetime) -> int:
    """Return an aware datetime as Unix milliseconds."""
    return round(moment.timestamp() * 1000)
