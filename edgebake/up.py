"""Everything on one machine: the embedded Valkey, the children, their events; stopped in order, restarted when dead."""

import asyncio
import json
import os
import shlex
import signal
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from edgebake import plan
from edgebake.beginning import Beginning, begin, make_current, settled
from edgebake.child import Child
from edgebake.console import Screen
from edgebake.errors import ChildFailed
from edgebake.folder import DEMO_DIR, DataFolder
from edgebake.forked import forked, prepare
from edgebake.listeners import url_of
from edgebake.lock import FileLock
from edgebake.readers import new_key
from edgebake.secret import Secret, SecretUrl
from edgebake.settings import Settings
from edgebake.valkey import EmbeddedValkey
from edgebake.wiring import opened_record

START_S = 60.0
STOP_S = 10.0
LOOK_S = 1.0
"""Seconds between two looks at whether Valkey lives and the templates are what they were."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `up` was asked for on its command line."""

    demo: bool
    as_json: bool
    command: str
    """How a person calls `edgebake` from where they are."""


class Up:
    """One `edgebake up`, from start to stop. The data folder is ours alone; see ``edgebake.folder``."""

    def __init__(self, settings: Settings, wishes: Wishes, folder: DataFolder, lock: FileLock) -> None:
        self._wishes = wishes
        self._folder = folder
        self._lock = lock
        self._screen = Screen(events=settings.events, steps=not wishes.as_json)
        self._varnish = plan.has_varnish(settings)
        if self._varnish:
            from edgebake.varnish import program

            program()
        self._sockets = plan.open_sockets(settings)
        self._valkey = (
            None if settings.redis_url else EmbeddedValkey(folder.path / "valkey", folder.secret("valkey-password"))
        )
        self._settings = self._completed(settings)
        self._front_page = folder.path / "front.html"
        self._planned = plan.children(self._sockets, self._front_page, varnish=self._varnish)
        self._children: dict[str, Child] = {}
        self._running: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self._found: dict[str, object] = {}
        self._template_version = ""

    def _completed(self, settings: Settings) -> Settings:
        token = settings.api_token or Secret(self._folder.secret("api-token"))
        redis_url = SecretUrl(self._valkey.url) if self._valkey is not None else settings.redis_url
        completed = replace(settings, data_dir=self._folder.path, api_token=token, redis_url=redis_url)
        completed = replace(completed, database_url=SecretUrl(completed.record_url))
        if not completed.signing_key and completed.edge == "local":
            key = Secret(self._folder.secret("signing-key", new_key))
            completed = replace(completed, signing_key=key, key_pair_id="KLOCAL")
        if self._varnish:
            secret = completed.varnish_secret or Secret(self._folder.secret("varnish-secret"))
            completed = plan.at_varnish(replace(completed, varnish_secret=secret))
        return plan.at_sockets(completed, self._sockets)

    async def run(self) -> None:
        """Start, watch, and stop when a signal says so. Raises CommandError where it cannot start."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        try:
            await self._unless_stopped(self._start())
            await self._unless_stopped(self._watch())
        finally:
            await self._stop_all()

    async def _unless_stopped(self, work: Awaitable[None]) -> None:
        """Await ``work``, but not after a signal."""
        working, stopped = asyncio.ensure_future(work), asyncio.create_task(self._stop.wait())
        await asyncio.wait([working, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not working.done():
            working.cancel()
        with suppress(asyncio.CancelledError):
            await working

    async def _start(self) -> None:
        prepare()
        if self._valkey is not None:
            self._valkey.start(pass_fds=[self._lock.fd])
        environ = plan.environ(self._settings)
        for planned in self._planned:
            words = (*planned.arguments, "--supervised")
            start = partial(forked, planned.name, words, environ, planned.sockets, kept=[self._lock.fd])
            self._children[planned.name] = child = Child(planned.name, start, self._screen.tell)
            self._running.append(asyncio.create_task(child.run()))
        beginning = await begin(self._settings, self._front_page, demo=self._wishes.demo)
        for child in self._children.values():
            child.begin()
        await self._until_ready()
        await settled(self._settings, beginning.changes)
        self._announce(beginning)
        self._template_version = beginning.template_version

    async def _until_ready(self) -> None:
        ready = asyncio.create_task(self._all_ready())
        await asyncio.wait([ready, *self._running], timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        self._raise_failures()
        if late := [name for name, child in self._children.items() if not child.ready.is_set()]:
            raise ChildFailed(f"{', '.join(late)} did not answer within {START_S:g} s")

    async def _all_ready(self) -> None:
        for child in self._children.values():
            await child.ready.wait()

    def _raise_failures(self) -> None:
        for running in self._running:
            if running.done():
                running.result()

    def _announce(self, beginning: Beginning) -> None:
        self._found = self._describe(beginning)
        self._folder.write_up(self._found)
        if self._wishes.as_json:
            print(json.dumps(self._found), flush=True)
        else:
            self._screen.banner(self._banner(beginning))
        self._screen.begin()

    def _describe(self, beginning: Beginning) -> dict[str, object]:
        urls = {name: url_of(opened) for name, opened in plan.public(self._sockets).items()}
        urls.setdefault("edge", self._settings.public)
        urls["origin"] = urls.pop("feeds")
        redis_url = self._valkey.tcp_url if self._valkey is not None else self._settings.redis_url.reveal()
        return {
            **urls,
            "redis": redis_url,
            "database": self._settings.record_url,
            "token": self._settings.api_token.reveal(),
            "users": list(beginning.users),
            "edge_kind": self._settings.edge,
            "varnish_secret": self._settings.varnish_secret.reveal(),
            "profile": self._settings.edge_profile,
            "metrics": {name: f"{url_of(self._sockets[f'{name}_ops'])}/metrics" for name in plan.OWN_OPS},
            "pids": self._pids(),
        }

    def _pids(self) -> dict[str, int | None]:
        pids = {name: child.pid for name, child in self._children.items()}
        if self._valkey is not None and self._valkey.process is not None:
            pids["valkey"] = self._valkey.process.pid
        return pids | {"up": os.getpid()}

    def _banner(self, beginning: Beginning) -> Mapping[str, str]:
        edge, user = self._settings.public, next(iter(beginning.users), "ada")
        command = self._wishes.command
        if self._folder.path not in (DEMO_DIR.absolute(), Settings().data_dir.absolute()):  # clients look there first
            command += f" --data-dir {shlex.quote(str(self._folder.path))}"
        first = {} if beginning.users else {"First user": f"{command} user {user}"}
        return {
            "Feeds at the edge": f"{edge}/",
            "One of them": f"{edge}/feed/{user}",
            **self._edge(),
            "Write API": f"{url_of(self._sockets['api'])}/api   token: {self._settings.api_token.reveal()}",
            "Health, metrics": f"{url_of(self._sockets['ops'])}/readyz, /metrics",
            **first,
            "Publish": f'{command} publish --author {user} --title "Hello, edge" --wait',
            "Stop": "Ctrl-C",
        }

    def _edge(self) -> dict[str, str]:
        """Return which edge it is, for people."""
        if self._settings.edge == "local":
            return {"Edge profile": f"{self._settings.edge_profile} (EDGEBAKE_EDGE_PROFILE)"}
        return {"Edge": f"{self._settings.edge} (EDGEBAKE_EDGE)"}

    async def _watch(self) -> None:
        """Start Valkey again when it died, and bring new templates in; the children watch themselves."""
        while True:
            await asyncio.sleep(LOOK_S)
            for running in self._running:
                if running.done():
                    running.result()
            if (
                self._valkey is not None
                and self._valkey.process is not None
                and self._valkey.process.poll() is not None
            ):
                self._screen.tell("valkey", {"level": "warning", "message": "ended and is started again"})
                self._valkey.start(pass_fds=[self._lock.fd])
            await self._follow_templates()
            if self._found["pids"] != (pids := self._pids()):
                self._found["pids"] = pids
                self._folder.write_up(self._found)

    async def _follow_templates(self) -> None:
        from baker.render import template_version
        from templates import FOLDER

        version = await asyncio.to_thread(template_version, FOLDER)
        if version != self._template_version:
            self._template_version = version
            self._screen.step(f"templates changed: version {version} is current from here on")
            self._children["feeds"].again()
            async with opened_record(self._settings) as record:
                await make_current(record, version)

    async def _stop_all(self) -> None:
        self._screen.stopping = True
        for group in plan.STOP_ORDER:
            stopping = [self._children[name] for name in group if name in self._children]
            if stopping:
                self._screen.step(f"stopping {', '.join(child.name for child in stopping)}")
                await asyncio.gather(*(child.stop(STOP_S) for child in stopping))
            self._close_sockets(group)
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._valkey is not None:
            self._screen.step("stopping valkey")
            self._valkey.stop(STOP_S)
        self._folder.up_json.unlink(missing_ok=True)
        self._screen.step("stopped")

    def _close_sockets(self, names: Sequence[str]) -> None:
        """Close the sockets of children that are gone: who still asks them is refused at once and does not wait."""
        for planned in self._planned:
            if planned.name in names:
                for opened in planned.sockets.values():
                    opened.close()
