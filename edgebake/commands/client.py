"""`edgebake user`, `publish`, `follow` and `invalidate`: clients of the write API."""

from typing import TYPE_CHECKING, Annotated

import typer

from edgebake.commands.options import loaded

if TYPE_CHECKING:
    from edgebake.client import Client

Wait = Annotated[bool, typer.Option("--wait", help="Return once the change is live at the edge.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer.")]


def user(
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(help="The user's id.")],
    name: Annotated[str | None, typer.Option(help="Their name; the id where left out.", show_default=False)] = None,
    about: Annotated[str, typer.Option(help="A line about them.", show_default=False)] = "",
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Create a user, or replace their profile."""
    from urllib.parse import quote

    body: dict[str, object] = {"name": name or user, "about": about}
    with opened(ctx) as client:
        client.write("PUT", f"/api/users/{quote(user, safe='')}", body, wait=wait, as_json=as_json)


def publish(
    ctx: typer.Context,
    author: Annotated[str, typer.Option(help="The author's id.", show_default=False)],
    title: Annotated[str, typer.Option(help="The title.")] = "",
    url: Annotated[str | None, typer.Option(help="Where it leads.", show_default=False)] = None,
    content: Annotated[str, typer.Option(help="HTML, or text with --text.", show_default=False)] = "",
    text: Annotated[bool, typer.Option("--text", help="The content is text.")] = False,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be repeated.", show_default=False)] = None,
    post: Annotated[str | None, typer.Option("--id", help="The post's id.", show_default=False)] = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Publish a post."""
    body: dict[str, object] = {"author": author, "title": title, "content": content, "tags": tag or []}
    body |= {"content_type": "text" if text else "html"}
    body |= {name: value for name, value in (("url", url), ("post", post)) if value is not None}
    with opened(ctx) as client:
        client.write("POST", "/api/posts", body, wait=wait, as_json=as_json)


def follow(
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(help="Who follows.")],
    author: Annotated[str | None, typer.Argument(help="Who is followed.", show_default=False)] = None,
    tag: Annotated[str | None, typer.Option(help="The tag that is followed, in place of an author.")] = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Let USER follow AUTHOR, or a tag."""
    from urllib.parse import quote

    if (author is None) == (tag is None):
        raise typer.BadParameter("give either an author or --tag.")
    followed = f"follows/{quote(author, safe='')}" if author is not None else f"tags/{quote(tag or '', safe='')}"
    with opened(ctx) as client:
        client.write("PUT", f"/api/users/{quote(user, safe='')}/{followed}", None, wait=wait, as_json=as_json)


def invalidate(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--global", help="Forget everything that is cached.")] = False,
    user: Annotated[str | None, typer.Option(help="Forget what is cached of this user.", show_default=False)] = None,
    rolling: Annotated[
        bool, typer.Option("--rolling", help="With --global: shard by shard, as the origin bears.")
    ] = False,
    name: Annotated[str | None, typer.Option("--id", help="Name the change: a repeat does nothing.")] = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Forget what is cached, of one user or of all, at the edge and in Redis."""
    if everything == (user is not None):
        raise typer.BadParameter("give either --global or --user.")
    if rolling and not everything:
        raise typer.BadParameter("--rolling goes with --global: one user is one item.")
    body: dict[str, object] = {"scope": "global"} if user is None else {"scope": "user", "user": user}
    body |= {"rolling": True} if rolling else {}
    with opened(ctx) as client:
        client.write("POST", "/api/invalidations", body | ({"id": name} if name else {}), wait=wait, as_json=as_json)


def opened(ctx: typer.Context) -> "Client":
    """Return a client of the API that the settings, or up.json, name."""
    from edgebake.client import Client
    from edgebake.running import with_api

    return Client(with_api(loaded(ctx)))
