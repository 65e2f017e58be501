"""A Varnish of our own: `varnishd` with our VCL, before a baker. It ends with the process that started it."""

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cdn.errors import EdgeBusy
from cdn.varnish import VarnishEdge
from edgebake.errors import CommandError
from edgebake.orphan import ends_with_parent
from edgebake.valkey import free_port

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where there is none: varnishd runs a C compiler, which looks there for its parts."""
LOOK_S = 0.05
STOP_S = 5.0
OPTIONS = (
    *("-j", "none"),  # as whoever started it: its folder is readable for them alone
    *("-s", "malloc,256m"),
    *("-T", "none"),
    *("-p", "vsl_space=1M"),
    *("-p", "thread_pool_min=50"),
    *("-p", "rush_exponent=1024"),  # who waited for what is not kept all go on at once, not three by three
)


@dataclass(frozen=True, slots=True)
class Site:
    """What differs from place to place: the lines of site.vcl, and where varnishd listens."""

    origin: str
    """The baker's URL."""
    host: str
    port: int
    secret: str
    origin_timeout_s: float
    max_ttl_s: float
    front_page: Path | None = None


def program() -> str:
    """Return the path of varnishd. Raises CommandError."""
    found = shutil.which("varnishd") or shutil.which("varnishd", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise CommandError(
            "varnishd is not on PATH: install Varnish 7 and varnish-modules (Debian: apt-get install varnish "
            "varnish-modules), or set EDGEBAKE_EDGE=local."
        )
    return found


def vcl_folder() -> Path:
    """Return the folder of edgebake.vcl and site.vcl: in the installed package, or in the repository."""
    packaged = Path(__file__).parent / "vcl"
    return packaged if packaged.exists() else Path(__file__).parents[1] / "deploy" / "varnish"


def site_vcl(example: str, site: Site, whole_port: int) -> str:
    """Return the example of site.vcl with this place's values. Raises ValueError where it has no line for one."""
    origin = urlsplit(site.origin)
    lines: Mapping[str, str] = {
        '.host = "127.0.0.1"; # a baker': f'.host = "{origin.hostname}"; # a baker',
        '.port = "8081";': f'.port = "{origin.port or 80}";',
        '.port = "6083";': f'.port = "{whole_port}";',
        'global_set("secret", "")': f'global_set("secret", "{site.secret}")',
        'global_set("origin_timeout", "2s")': f'global_set("origin_timeout", "{site.origin_timeout_s:g}s")',
        'global_set("max_ttl", "3600s")': f'global_set("max_ttl", "{site.max_ttl_s:g}s")',
        'global_set("front_page", "")': f'global_set("front_page", {{"{site.front_page or ""}"}})',
    }
    for line, ours in lines.items():
        if line not in example:
            raise ValueError(f"site.vcl has no {line!r}")
        example = example.replace(line, ours)
    return example


class Varnish:
    """A varnishd in a folder of its own, which only one may use at a time."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.url = f"http://127.0.0.1:{site.port}"
        self._folder = folder.absolute()
        self._site = site
        self._said: deque[str] = deque(maxlen=3)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Process]:
        """Start it, wait until it answers, and end it after. Raises CommandError with what varnishd said."""
        process = await self._start()
        listening = asyncio.create_task(self._listen(process))
        try:
            await self._until_it_answers(process)
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()
            await listening

    def ended(self, process: Process) -> CommandError:
        """Return what to say where it ended by itself."""
        said = " / ".join(self._said) or "it said nothing"
        return CommandError(f"varnishd ended with status {process.returncode}: {said}")

    async def _start(self) -> Process:
        site, whole = self._site, free_port()
        host = f"[{site.host}]" if ":" in site.host else site.host
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        example = (vcl_folder() / "site.vcl").read_text(encoding="utf-8")
        (self._folder / "site.vcl").touch(mode=0o600)
        (self._folder / "site.vcl").write_text(site_vcl(example, site, whole), encoding="utf-8")
        shutil.copyfile(vcl_folder() / "edgebake.vcl", self._folder / "edgebake.vcl")
        return await asyncio.create_subprocess_exec(
            *(program(), "-F", "-n", str(self._folder / "work"), "-f", str(self._folder / "edgebake.vcl")),
            *("-a", f"edge={host}:{site.port}", "-a", f"whole=127.0.0.1:{whole}", *OPTIONS),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env={"PATH": PATH} | os.environ,
            start_new_session=True,  # Ctrl-C in a terminal reaches us alone
            preexec_fn=ends_with_parent(),
        )

    async def _listen(self, process: Process) -> None:
        """Read what it says, or it would stop at a full pipe."""
        assert process.stdout is not None  # noqa: S101 - asked for above
        async for line in process.stdout:
            if text := line.decode(errors="replace").strip():
                self._said.append(text)

    async def _until_it_answers(self, process: Process) -> None:
        site = self._site
        timeout_s, ttl_s = site.origin_timeout_s, site.max_ttl_s
        edge = VarnishEdge("own", [self.url], site.secret, origin_timeout_s=timeout_s, max_ttl_s=ttl_s)
        try:
            while process.returncode is None:
                with suppress(EdgeBusy):
                    await edge.check()
                    return
                await asyncio.sleep(LOOK_S)
            raise self.ended(process)
        finally:
            await edge.close()
