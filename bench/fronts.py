"""What may stand before an origin: the local edge, Varnish with our VCL, nginx. Each as a user runs it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from bench.running import EDGEBAKE, environ
from edgebake.valkey import free_port

START_S = 30.0
STOP_S = 20.0
PROGRAMS = "/usr/sbin:/usr/local/sbin"

NGINX = """\
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes auto;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache levels=1:2 keys_zone=feeds:20m max_size=512m inactive=1h use_temp_path=off;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_cache feeds;
            proxy_cache_key $uri;
            proxy_cache_lock on;
            proxy_cache_use_stale error timeout updating;
            proxy_cache_background_update on;
        }}
    }}
}}
"""
"""As its guide has it: one request for a cold key, stale while updating. All else is nginx's own."""


@dataclass(frozen=True, slots=True)
class Front:
    """A cache that answers on a port."""

    name: str
    port: int
    pid: int

    def cpu_s(self) -> float:
        """Return the CPU time that its processes have used, in seconds."""
        return sum(_cpu_s(pid) for pid in [self.pid, *_below(self.pid)])


@contextmanager
def plain_origin() -> Iterator[int]:
    """Run the origin; yield its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.plain"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(STOP_S)
        process.stdout.close()


@contextmanager
def fronts(origin: int) -> Iterator[list[Front]]:
    """Run each that is installed, all before one origin."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="edgebake-bench-")))
        made = [stack.enter_context(_local(origin, folder))]
        if _found("varnishd"):
            made.append(stack.enter_context(_varnish(origin, folder)))
        if _found("nginx"):
            made.append(stack.enter_context(_nginx(origin, folder)))
        yield made


def _local(origin: int, folder: Path) -> AbstractContextManager[Front]:
    port = free_port()
    told = ("--origin", f"http://127.0.0.1:{origin}", "--port", str(port), "--api-port", str(free_port()))
    return _running("local edge", (*EDGEBAKE, "edge", *told), port, {"EDGEBAKE_DATA_DIR": str(folder / "local")})


def _varnish(origin: int, folder: Path) -> AbstractContextManager[Front]:
    port = free_port()
    told = ("--origin", f"http://127.0.0.1:{origin}", "--port", str(port))
    settings = {"EDGEBAKE_DATA_DIR": str(folder), "EDGEBAKE_VARNISH_SECRET": "bench", "EDGEBAKE_EDGE": "varnish"}
    return _running("Varnish", (*EDGEBAKE, "varnish", *told), port, settings)


def _nginx(origin: int, folder: Path) -> AbstractContextManager[Front]:
    port, own = free_port(), folder / "nginx"
    own.mkdir()
    user = "user root;" if os.getuid() == 0 else ""  # its workers write into our folder
    (own / "nginx.conf").write_text(NGINX.format(user=user, folder=own, origin=origin, port=port), encoding="ascii")
    program = shutil.which("nginx") or shutil.which("nginx", path=PROGRAMS) or "nginx"
    return _running(
        "nginx", (program, "-p", str(own), "-e", str(own / "early.log"), "-c", str(own / "nginx.conf")), port
    )


@contextmanager
def _running(
    name: str, command: Sequence[str], port: int, settings: Mapping[str, str] | None = None
) -> Iterator[Front]:
    process = subprocess.Popen(command, env=environ() | dict(settings or {}), stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + START_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(f"{name} did not start: {process.communicate()[1]}")
            time.sleep(0.05)
        yield Front(name, port, process.pid)
    finally:
        process.terminate()
        process.communicate(timeout=STOP_S)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/feed/hot-first", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _found(program: str) -> bool:
    return bool(shutil.which(program) or shutil.which(program, path=PROGRAMS))


def _below(pid: int) -> Iterator[int]:
    """Yield the processes that a process started, and those that these did."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text(encoding="ascii").split()):
            yield child
            yield from _below(child)


def _cpu_s(pid: int) -> float:
    """Return the CPU time of a process, 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
