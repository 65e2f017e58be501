"""The data folder: what makes it ours, who uses it, the secrets kept in it, and where clients find what runs."""

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgebake.errors import CommandError, FolderInUse
from edgebake.lock import FileLock, Held

DEMO_DIR = Path("edgebake-demo")
"""The data folder of `up --demo`, unless another is given."""
MARKER = ".edgebake"
"""The file that says that the folder is ours, and so that `--fresh` may empty it."""
LOCKS = ("up.lock", "all.lock")


class DataFolder:
    """A data folder of Edgebake's."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def up_json(self) -> Path:
        """Where the URLs and the token of what runs are."""
        return self.path / "up.json"

    def make(self) -> None:
        """Make the folder, or see that it is ours. Raises CommandError for one that is not, or cannot be."""
        try:
            if self.path.is_dir() and any(self.path.iterdir()) and not (self.path / MARKER).exists():
                raise CommandError(f"{self.path} holds files that are not ours: give EDGEBAKE_DATA_DIR another folder.")
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.path / MARKER).touch()
        except OSError as error:
            reason = error.strerror or error
            raise CommandError(
                f"EDGEBAKE_DATA_DIR is '{self.path}', which cannot be a folder of ours: {reason}. Give another one."
            ) from error

    def empty(self) -> None:
        """Remove everything in it but the marker and the locks, one of which we hold."""
        for entry in self.path.iterdir():
            if entry.name in (MARKER, *LOCKS):
                continue
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Hold the folder for one `up`. Raises FolderInUse with the process that has it."""
        lock = FileLock(self.path / LOCKS[0])
        try:
            lock.take()
        except Held as held:
            raise FolderInUse(
                f"{self.path} is in use by process {held.note} (`edgebake up`): stop that one, or give "
                "EDGEBAKE_DATA_DIR another folder."
            ) from held
        try:
            yield
        finally:
            lock.release()

    def lock_of_all(self) -> FileLock:
        """Return the lock that `up` shares with all its children: it is free once the last of them is gone."""
        return FileLock(self.path / LOCKS[1])

    def secret(self, name: str, make: Callable[[], str] = secrets.token_urlsafe) -> str:
        """Return a secret that is kept in the folder, made once."""
        file = self.path / name
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return file.read_text(encoding="ascii").strip()
        with os.fdopen(descriptor, "w", encoding="ascii") as made:
            made.write(make() + "\n")
        return file.read_text(encoding="ascii").strip()

    def write_up(self, found: Mapping[str, object]) -> None:
        """Write up.json, readable for us alone, in one step."""
        fresh = self.path / "up.json.new"
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            json.dump(found, out)
        fresh.replace(self.up_json)

    def read_up(self) -> dict[str, Any] | None:
        """Return what up.json says, None where nothing runs. Raises CommandError where it cannot be read."""
        try:
            found: dict[str, Any] = json.loads(self.up_json.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise CommandError(f"{self.up_json} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise CommandError(
                f"{self.up_json} is damaged ({error}): start `edgebake up` again, which writes it anew, or remove it."
            ) from error
        return found
