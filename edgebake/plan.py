"""What `up` runs: which children, with which sockets and settings, and in which order they stop."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgebake.listeners import listen, url_of
from edgebake.settings import Settings
from edgebake.sources import PREFIX, to_environ

STOP_ORDER = (("edge",), ("feeds", "api"), ("relay", "fanout", "invalidator", "recompute"))
"""First nobody reads any more, then nobody writes, then what was written is carried no further."""


OWN_OPS = ("api", "relay", "fanout", "invalidator", "recompute")
"""Children with metrics of their own, on free ports; the baker's are at the ops URL."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A child: its name, its arguments, and the sockets that it serves, by what it serves there."""

    name: str
    arguments: tuple[str, ...]
    sockets: Mapping[str, socket.socket] = field(default_factory=dict)


def open_sockets(settings: Settings) -> dict[str, socket.socket]:
    """Return the sockets of all children. Raises CommandError with the variable to change."""
    wanted = ["feeds", "api", "ops"] + (["edge", "edge_api"] if settings.edge == "local" else [])
    sockets = {
        name: listen(settings.host, getattr(settings, f"{name}_port"), f"{PREFIX}{name.upper()}_PORT")
        for name in wanted
    }
    for name in OWN_OPS:
        sockets[f"{name}_ops"] = listen("127.0.0.1", 0, f"the port of /metrics of {name}")
    return sockets


def public(sockets: Mapping[str, socket.socket]) -> dict[str, socket.socket]:
    """Return the sockets that have a setting for their port."""
    return {name: opened for name, opened in sockets.items() if not name.endswith("_ops")}


def has_varnish(settings: Settings) -> bool:
    """Tell whether a Varnish of our own is wanted, for none is named."""
    return settings.edge == "varnish" and not settings.varnish_urls


def at_varnish(settings: Settings) -> Settings:
    """Return the settings with the port that our Varnish will take, for it takes no sockets. Raises CommandError."""
    with listen(settings.host, settings.edge_port, f"{PREFIX}EDGE_PORT") as probe:
        url = url_of(probe)
        return replace(
            settings,
            edge_port=probe.getsockname()[1],
            varnish_urls=(url,),
            public_url=settings.public_url or url,
        )


def at_sockets(settings: Settings, sockets: Mapping[str, socket.socket]) -> Settings:
    """Return the settings with the ports that were taken, and the URLs that follow from them."""
    ports = {f"{name}_port": opened.getsockname()[1] for name, opened in public(sockets).items()}
    settings = replace(settings, **ports)
    if "edge" not in sockets:
        return settings
    return replace(
        settings,
        edge_api_url=settings.edge_api_url or url_of(sockets["edge_api"]),
        public_url=settings.public_url or url_of(sockets["edge"]),
    )


def children(sockets: Mapping[str, socket.socket], front_page: Path, *, varnish: bool) -> list[Planned]:
    """Return the children; ``varnish``: a Varnish of our own is one of them."""
    feeds = {"feeds": sockets["feeds"], "ops": sockets["ops"]}
    api = {"api": sockets["api"], "ops": sockets["api_ops"]}
    planned = [
        Planned("feeds", ("serve", "--only", "feeds"), feeds),
        Planned("api", ("serve", "--only", "api"), api),
    ]
    for name in STOP_ORDER[-1]:
        planned.append(Planned(name, ("work", "--only", name), {"ops": sockets[f"{name}_ops"]}))
    told = ("--origin", url_of(sockets["feeds"]), "--front-page", str(front_page))
    if "edge" in sockets:
        planned.append(Planned("edge", ("edge", *told), {name: sockets[name] for name in ("edge", "edge_api")}))
    if varnish:
        planned.append(Planned("edge", ("varnish", *told)))
    return planned


def environ(settings: Settings) -> dict[str, str]:
    """Return the environment of the children: ours, with exactly these settings."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return ours | to_environ(settings)
