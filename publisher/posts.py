"""Posts: created, replaced, edited, published, unpublished, reacted to, deleted."""

from collections.abc import Sequence

from starlette.responses import Response

from feeds.command import Command, CreatePost, DeletePost, EditPost, PublishPost, React, UnpublishPost
from feeds.errors import Conflict
from feeds.model import Post, PostState
from feeds.record import Outcome
from publisher.answers import PostAnswer, Written
from publisher.endpoint import Call, Endpoint
from publisher.problem import FieldError, Problem
from publisher.writes import accepted, apply, shown, write, written

_REPLACED = ("title", "url", "content", "content_type", "tags", "likes", "comments", "views")


async def read_post(call: Call) -> Response:
    """Show a post in whatever state it is."""
    name = call.ids["post"]
    post = await call.backend.record.post(name)
    if post is None:
        raise Problem(404, f"post: there is no post {name!r}", [FieldError("post", name, "does not exist")])
    if post.state is PostState.DELETED:
        raise Problem(410, f"post: {name!r} was deleted", [FieldError("post", name, "was deleted")])
    return shown(PostAnswer.of(post))


async def put_post(call: Call) -> Response:
    """Create the post, or make the one that is there read as the body says."""
    command = call.document(CreatePost)
    try:
        outcomes = await apply(call, [command])
    except Conflict:
        # With a version the record replaces by itself; without one, creating what exists is a conflict.
        post = await call.backend.record.post(call.ids["post"])
        if post is None or post.author != command.author:
            raise
        outcomes = await apply(call, replacement(command, post))
    return accepted(written(command, _merged(outcomes)))


def replacement(wanted: CreatePost, there: Post) -> Sequence[Command]:
    """Return the commands that make the post that is there read as wanted."""
    fields = {name: getattr(wanted, name) for name in _REPLACED}
    if wanted.published is not None:
        fields["published"] = wanted.published
    edit = EditPost(post=there.id, **fields)
    shown_now = there.state in (PostState.PUBLISHED, PostState.SCHEDULED)
    if shown_now and wanted.draft:
        return (UnpublishPost(post=there.id), edit)  # first, so that the new text is never in a feed
    if not shown_now and not wanted.draft:
        return (edit, PublishPost(post=there.id, published=wanted.published))
    return (edit,)


def _merged(outcomes: Sequence[Outcome]) -> Outcome:
    last = outcomes[-1]
    change = next((outcome.change for outcome in outcomes if outcome.change is not None), None)
    changed = any(outcome.status == "accepted" for outcome in outcomes)
    return Outcome("accepted" if changed else last.status, change, last.subject_id, last.version)


_POST = "/api/posts/{post}"

ENDPOINTS = (
    Endpoint("POST", "/api/posts", "Create a post", write, Written, CreatePost, status=202),
    Endpoint("GET", _POST, "Read a post", read_post, PostAnswer),
    Endpoint("PUT", _POST, "Create or replace a post", put_post, Written, CreatePost, status=202),
    Endpoint("PATCH", _POST, "Edit a post", write, Written, EditPost, status=202),
    Endpoint("DELETE", _POST, "Delete a post for good", write, Written, DeletePost, True, 202),
    Endpoint("POST", _POST + "/publish", "Publish a post", write, Written, PublishPost, True, 202),
    Endpoint("POST", _POST + "/unpublish", "Take a post out of all feeds", write, Written, UnpublishPost, True, 202),
    Endpoint("POST", _POST + "/reactions", "Say what readers did with a post", write, Written, React, status=202),
)
