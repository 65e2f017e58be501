"""`edgebake recompute`: a full recalculation, run here; `work` runs those of the API and of the schedule."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebake.commands.options import loaded
from edgebake.errors import CommandError
from edgebake.settings import Settings

if TYPE_CHECKING:
    from feeds.jobs import Job
    from feeds.recompute import Recompute

STOPPED = 130
"""The exit status after Ctrl-C."""


def recompute(
    ctx: typer.Context,
    everybody: Annotated[bool, typer.Option("--all", help="All users; they are active from now on.")] = False,
    active: Annotated[bool, typer.Option("--active", help="Active users; so without any option.")] = False,
    users: Annotated[
        Path | None, typer.Option(help="The users in a file, an id a line.", exists=True, show_default=False)
    ] = None,
    resume: Annotated[str | None, typer.Option(metavar="JOB", help="Go on with a job.", show_default=False)] = None,
) -> None:
    """Rank timelines anew, on all cores of this machine. Ctrl-C stops; what is done stays done."""
    from edgebake.running import with_redis

    if sum((everybody, active, users is not None, resume is not None)) > 1:
        raise typer.BadParameter("--all, --active, --users and --resume exclude each other.")
    chosen: str | list[str] = "all" if everybody else "active"
    if users is not None:
        chosen = users.read_text(encoding="utf-8").split()
    job = asyncio.run(_run(with_redis(loaded(ctx)), chosen, resume))
    if job.state == "stopped":
        print(f"stopped after {job.done} of {job.total} shards; go on with: edgebake recompute --resume {job.id}")
        raise typer.Exit(STOPPED)
    if job.state != "done":
        raise CommandError(f"recalculation {job.id} is {job.state}: {job.error or 'somebody else runs or ended it'}")
    seconds = ((job.finished_ms or 0) - (job.started_ms or 0)) / 1000
    print(f"{job.result['timelines']} timelines in {seconds:.1f} s; ranking epoch {job.notes['epoch']}; job {job.id}")


async def _run(settings: Settings, chosen: str | list[str], resume: str | None) -> "Job":
    from edgebake.wiring import opened_record, opened_redis, recomputation
    from feeds.jobs import Jobs
    from feeds.recompute import KIND
    from feeds.runner import Runner

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    async with opened_record(settings) as record, opened_redis(settings, record) as redis:
        jobs, work = Jobs(redis), recomputation(settings, record, redis)
        job = await (jobs.again(resume) if resume else jobs.create(KIND, {"users": chosen}, here=True))
        if job is None or job.kind != KIND:
            raise CommandError(f"there is no recalculation {resume!r}, or it was over a week ago: start a new one.")
        with _shown(work):
            return await Runner(redis, work).perform(job.id, stop, here=True) or job


@contextmanager
def _shown(work: "Recompute") -> Iterator[None]:
    """Show how many shards are done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("shards"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("shards", total=None)
        work.on_shard = lambda done, total: bar.update(task, completed=done, total=total)
        work.say = lambda text: bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        yield
