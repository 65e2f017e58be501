"""The environment of Stream-Framework: made on first use in the user's cache folder, kept there for the next time."""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


class NoPeer(Exception):
    """Stream-Framework could not be installed; the message says why."""


def cache() -> Path:
    """Return the folder of what the benches keep."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgebake-bench"


def folder() -> Path:
    """Return where the environment is. Its name follows from Python's version and the requirements: others, another."""
    name = hashlib.blake2b(sys.version.encode() + REQUIREMENTS.read_bytes(), digest_size=6).hexdigest()
    return cache() / f"stream-framework-{name}"


def python() -> Path:
    """Return the interpreter of the environment; make that where it is not there. Raises NoPeer."""
    if not folder().exists():
        _make(folder())
    return folder() / "bin" / "python"


def _make(folder: Path) -> None:
    """Install beside the folder, then put it in place: half an environment never has its name."""
    making = folder.with_name(f"{folder.name}.{os.getpid()}")
    venv.create(making, with_pip=True)
    pip = [str(making / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
    done = subprocess.run([*pip, "-r", str(REQUIREMENTS)], capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(making)
        raise NoPeer(f"pip could not install Stream-Framework: {done.stderr.strip()[-400:]}")
    making.rename(folder)
