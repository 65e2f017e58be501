"""`edgebake id`: how any id is mapped into the grammar."""

from typing import Annotated

import typer


def id_(text: Annotated[str, typer.Argument(help="An id of your own, of up to 38 bytes.")]) -> None:
    """Print the id under which Edgebake knows TEXT, as `edgebake import --map-ids` does."""
    from feeds.ids import map_id

    typer.echo(map_id(text))
