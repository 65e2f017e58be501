"""Answers: the documents that the API gives, with the OpenAPI document made from the same types."""

from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from feeds.jobs import OVER, Job
from feeds.jobs import State as JobState
from feeds.model import Post, Site, User
from feeds.progress import State


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Written(_Answer):
    """What became of a write."""

    status: Literal["accepted", "unchanged", "ignored"] = Field(
        description="accepted: kept; unchanged: it was so already; ignored: its version is not above the last one."
    )
    change: str | None = Field(
        description="The change to ask after at /api/changes/{change}; null where no feed differs."
    )
    subject: str = Field(description="What was written, for people: post hn-1, user ada, follows of ada, site.")
    id: str = Field(description="The id of what was written, also where it was made.")
    version: int = Field(description="The version of what was written, in the system of record.")
    notes: tuple[str, ...] = Field((), description="What the caller should know.")


class WrittenBatch(_Answer):
    """What became of each command of a batch, in the order of the commands."""

    results: tuple[Written, ...]
    notes: tuple[str, ...] = ()


class UserAnswer(_Answer):
    """A user."""

    id: str
    name: str
    about: str
    version: int

    @classmethod
    def of(cls, user: User) -> Self:
        """Return a user as the API shows them."""
        return cls(id=user.id, name=user.name, about=user.about, version=user.version)


class SettingsAnswer(_Answer):
    """A user's settings."""

    user: str
    language: str
    muted_authors: tuple[str, ...]
    muted_tags: tuple[str, ...]
    page_size: int
    order: str
    feed_visibility: str
    version: int

    @classmethod
    def of(cls, user: User) -> Self:
        """Return a user's settings as the API shows them."""
        settings = user.settings
        return cls(
            user=user.id,
            language=settings.language,
            muted_authors=settings.muted_authors,
            muted_tags=settings.muted_tags,
            page_size=settings.page_size,
            order=settings.order,
            feed_visibility=settings.feed_visibility,
            version=user.version,
        )


class FollowsAnswer(_Answer):
    """Whom a user follows and which tags, each sorted."""

    user: str
    authors: tuple[str, ...]
    tags: tuple[str, ...]
    version: int


class PostAnswer(_Answer):
    """A post, in whatever state it is."""

    id: str
    author: str
    title: str
    url: str | None
    content: str
    content_type: str
    tags: tuple[str, ...]
    published: datetime
    edited: datetime
    state: str
    likes: int
    comments: int
    views: int
    version: int

    @classmethod
    def of(cls, post: Post) -> Self:
        """Return a post as the API shows it."""
        return cls(
            id=post.id,
            author=post.author,
            title=post.title,
            url=post.url,
            content=post.content,
            content_type=post.content_type,
            tags=post.tags,
            published=moment(post.published_ms),
            edited=moment(post.edited_ms),
            state=post.state.value,
            likes=post.likes,
            comments=post.comments,
            views=post.views,
            version=post.version,
        )


class SiteAnswer(_Answer):
    """What every page shows of the site."""

    title: str
    language: str
    home_page_url: str | None
    template_version: str
    version: int

    @classmethod
    def of(cls, site: Site) -> Self:
        """Return the site as the API shows it."""
        return cls(
            title=site.title,
            language=site.language,
            home_page_url=site.home_page_url,
            template_version=site.template_version,
            version=site.version,
        )


class Reached(_Answer):
    """When a change reached a state."""

    at: datetime
    ms: int = Field(description="Milliseconds since the change was accepted.")


class ParkedAnswer(_Answer):
    """A change that always failed and is tried no more, until an operator has it retried."""

    at: datetime
    ms: int = Field(description="Milliseconds since the change was accepted.")
    tries: int
    error: str


class ChangeAnswer(_Answer):
    """How far a change is: accepted, readable, sent, live. One that is parked stays where it is."""

    id: str
    kind: str
    subject: str
    state: State
    accepted: Reached
    readable: Reached | None
    sent: Reached | None
    live: Reached | None
    shards_left: int | None = Field(
        None, description="Shards of 64 that a rolling invalidation has still to reach; null where nothing rolls."
    )
    parked: ParkedAnswer | None = Field(
        None, description="Why it is tried no more, and comes no further, until an operator has it retried."
    )


class JobAnswer(_Answer):
    """A job as it stands."""

    id: str
    kind: str
    state: JobState
    done: int = Field(description="Parts that are done.")
    total: int = Field(description="Parts that there are; 0 where that is not known yet.")
    created: datetime
    started: datetime | None
    finished: datetime | None
    cancelling: bool = Field(description="Whether it was told to end and has not yet.")
    result: dict[str, Any] = Field(description="What came of it.")
    error: str = Field(description="Why it failed; empty where it did not.")

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return a job as the API shows it."""
        return cls(
            id=job.id,
            kind=job.kind,
            state=job.state,
            done=job.done,
            total=job.total,
            created=moment(job.created_ms),
            started=_moment_or_none(job.started_ms),
            finished=_moment_or_none(job.finished_ms),
            cancelling=job.cancelling and job.state not in OVER,
            result=dict(job.result),
            error=job.error,
        )


class Links(_Answer):
    """What there is below /api, as URI templates (RFC 6570)."""

    links: dict[str, str]


class Cookies(_Answer):
    """What opens a user's private feed."""

    user: str
    url: str = Field(description="Where the feed is; the cookies open this and everything below it.")
    until: datetime
    cookies: dict[str, str] = Field(description="The three cookies that CloudFront checks.")
    set_cookie: tuple[str, ...] = Field(
        description="The same as values of Set-Cookie; add Domain where your application has another host."
    )


class FieldProblem(_Answer):
    """One thing wrong with a request."""

    field: str
    value: object = None
    reason: str


class ProblemAnswer(_Answer):
    """Why a request was refused (RFC 9457). Nothing of it was kept."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = ()
    errors_omitted: int = 0


def moment(unix_ms: int) -> datetime:
    """Return Unix milliseconds as the time that RFC 3339 spells."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC)


def _moment_or_none(unix_ms: int | None) -> datetime | None:
    return None if unix_ms is None else moment(unix_ms)
