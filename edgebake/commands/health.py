"""`edgebake health`: whether the process of this container lives, for its health check."""

import http.client

import typer

from edgebake.commands.options import settings_of
from edgebake.errors import CommandError

TIMEOUT_S = 3.0


def health(ctx: typer.Context) -> None:
    """Ask /healthz of the `serve` or `work` on this host; end with status 0 where one answers."""
    settings = settings_of(ctx)
    ports = (settings.ops_port, settings.work_port)
    if not any(map(answers, ports)):
        raise CommandError(f"nobody answers at /healthz on port {ports[0]} (serve) or {ports[1]} (work).")


def answers(port: int) -> bool:
    """Tell whether a process says on a port that it lives."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
