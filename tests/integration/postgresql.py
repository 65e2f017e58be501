"""A throw-away PostgreSQL for the tests: its own cluster, on a Unix socket alone, run by somebody who is not root."""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
"""Debian keeps the server's programs off PATH, a folder for each version."""

OPTIONS = "-c listen_addresses= -c fsync=off -c max_connections=60 -c unix_socket_directories={folder}"


def programs() -> Path | None:
    """Return the folder of PostgreSQL's server programs, or None where it is not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    return next((folder for folder in INSTALLED if (folder / "initdb").exists()), None)


class Cluster:
    """A cluster with a language's order of text by default, which is what ids must not be ordered by."""

    def __init__(self, bin_folder: Path) -> None:
        self._bin = bin_folder
        self._as: dict[str, Any] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="edgebake-pg-"))  # short: a socket's path has a limit of 107 bytes
        if os.getuid() == 0:
            owner = _unprivileged()
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self._as = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

    def start(self) -> None:
        """Make the cluster and wait until it answers."""
        self._run("initdb", "-D", self._data, "-U", "edgebake", "-A", "trust", "-E", "UTF8", "-N", *self._locale())
        options = OPTIONS.format(folder=self.folder)
        self._run("pg_ctl", "-D", self._data, "-w", "-o", options, "-l", f"{self.folder}/log", "start")

    def stop(self) -> None:
        """End the cluster and remove it."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder)

    def create(self, name: str, template: str = "template1") -> str:
        """Create a database and return its URL."""
        self._do(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return f"postgresql://edgebake@/{name}?host={self.folder}"

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected: thousands of its files would be left until the end."""
        self._do(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _do(self, statement: str) -> None:
        """Execute a statement, whether or not a loop runs in this thread."""
        with ThreadPoolExecutor(1) as other:
            other.submit(asyncio.run, self._execute(statement)).result()

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(user="edgebake", host=str(self.folder), database="postgres")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    @property
    def _data(self) -> str:
        return f"{self.folder}/data"

    def _locale(self) -> list[str]:
        version = self._run("initdb", "--version").split()[2]
        is_icu_there = int(version.split(".")[0]) >= 15
        return ["--locale=C", "--locale-provider=icu", "--icu-locale=en"] if is_icu_there else []

    def _run(self, program: str, *arguments: str) -> str:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=self.folder, **self._as)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")
        return str(done.stdout)


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres or nobody")
