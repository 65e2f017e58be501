"""`edgebake cookies`: signed cookies for a private feed."""

from typing import Annotated

import typer

from edgebake.commands.client import opened


def cookies(
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(help="Whose private feed they open.")],
    seconds: Annotated[
        int | None,
        typer.Option(help="Their life; EDGEBAKE_COOKIE_TTL where left out.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer.")] = False,
) -> None:
    """Sign cookies that open a user's private feed, and print them as `curl --cookie` takes them."""
    import json
    from urllib.parse import quote

    with opened(ctx) as client:
        body: dict[str, object] = {} if seconds is None else {"seconds": seconds}
        answer = client.ask("POST", f"/api/users/{quote(user, safe='')}/cookies", body)
    if as_json:
        print(json.dumps(answer))
    else:
        print("; ".join(f"{name}={value}" for name, value in answer["cookies"].items()))
