"""The command line: what commands there are, and how each ends: 0 well, 1 failed, 2 used wrongly."""

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from edgebake.commands import (
    audit,
    budget,
    bulk,
    client,
    cookies,
    doctor,
    edge,
    health,
    ids,
    park,
    purge,
    recompute,
    release,
    report,
    serve,
    show,
    up,
    varnish,
    work,
)
from edgebake.errors import CommandError

app = typer.Typer(
    name="edgebake",
    help="Serves every user's feed from the CDN's edge: baked once, dropped exactly when it changed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up.up)
app.command()(serve.serve)
app.command()(work.work)
app.command()(edge.edge)
app.command()(varnish.varnish)
app.command("import")(bulk.import_)
app.command()(client.publish)
app.command()(client.user)
app.command()(client.follow)
app.command()(client.invalidate)
app.command()(cookies.cookies)
app.command()(recompute.recompute)
app.command()(purge.purge)
app.command()(audit.audit)
app.command()(budget.budget)
app.command()(report.report)
app.add_typer(park.app, name="park")
app.command("id")(ids.id_)
app.command()(doctor.doctor)
app.command()(release.release)
app.command()(show.config)
app.command()(health.health)


def print_version(asked: bool) -> None:
    """Print the version and end."""
    if asked:
        from importlib.metadata import version

        typer.echo(f"edgebake {version('edgebake')}")
        raise typer.Exit


@app.callback()
def everywhere(
    ctx: typer.Context,
    data_dir: Annotated[Path | None, typer.Option(help="The data folder.", show_default=False)] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting; see `edgebake config`.", show_default=False),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True)
    ] = False,
) -> None:
    """Keep the flags that go before a command."""
    ctx.obj = {"data_dir": data_dir, **dict(_pair(text) for text in sets or ())}


def _pair(text: str) -> tuple[str, str]:
    from edgebake.sources import BY_VARIABLE, PREFIX

    name, equals, value = text.partition("=")
    name = name.upper().removeprefix(PREFIX)
    if not equals or PREFIX + name not in BY_VARIABLE:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE with a setting's name; `edgebake config` lists them.")
    return name.lower(), value


def main() -> None:
    """Run the command line; a failure is one line on stderr."""
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()  # what cannot be written fails here, where it can be said
    except BrokenPipeError:
        status = _unwritten("")  # as `head` does; nobody is left to be told
    except OSError as error:
        status = _unwritten(f"stdout: {error.strerror}") if error.errno == errno.ENOSPC else tell(error)
    except Exception as error:
        status = tell(error)
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _unwritten(why: str) -> int:
    """Say why output was not written, and see that Python does not try again when it ends; return the status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if why:
        _say(why)
    return 1


def tell(error: BaseException) -> int:
    """Say what went wrong and return the exit status. Raises what is nobody's fault but ours."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if (usage := getattr(error, "format_message", None)) is not None:
        _say(usage())
        return 2
    if type(error).__name__ == "Abort":
        return 130
    if not _is_told(error):
        raise error
    for line in str(error).splitlines():
        _say(line)
    return 1


def _is_told(error: BaseException) -> bool:
    """Tell whether an error's message says it all."""
    from cdn.errors import EdgeError
    from edgebake.sources import SettingsError
    from edgebake.valkey import ValkeyError
    from feeds.errors import FeedsError

    ours = (CommandError, SettingsError, ValkeyError, FeedsError, EdgeError)
    return isinstance(error, ours) or type(error).__module__.startswith("redis.")


def _say(line: str) -> None:
    sys.stderr.write(f"edgebake: {line}\n")
