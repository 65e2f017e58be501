"""Sockets that listen: opened here, so that a wrong address is told before anything starts, or inherited from `up`.

`up` keeps the sockets of its children open, so requests that arrive while a child is started again wait for it.
"""

import errno
import os
import socket
from collections.abc import Mapping, Sequence

from edgebake.errors import CommandError

BACKLOG = 2048


def listen(host: str, port: int, variable: str) -> socket.socket:
    """Return a socket that listens. Raises CommandError, with the variable to change."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else str(error)
        todo = " Choose another port, or end what listens there." if number == errno.EADDRINUSE else ""
        raise CommandError(f"{variable} is '{port}': {host}:{port} cannot be listened on: {reason}.{todo}") from error


def inherited(pairs: Sequence[str]) -> dict[str, socket.socket]:
    """Return the sockets that `up` handed down, as ``name=descriptor``."""
    split = [pair.partition("=") for pair in pairs]
    return {name: socket.socket(fileno=int(descriptor)) for name, _, descriptor in split}


def handed_down(sockets: Mapping[str, socket.socket]) -> list[str]:
    """Return the arguments with which a child finds its sockets."""
    return [word for name, opened in sockets.items() for word in ("--inherit", f"{name}={opened.fileno()}")]


def url_of(opened: socket.socket) -> str:
    """Return the URL at which a socket answers on this host."""
    host, port = opened.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not listened on
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
