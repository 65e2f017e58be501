"""Editions of the templates: the shipped ones, and others that say on each page which edition they are.

A process has the templates that it started with, and which are current is in the books: a rolling deploy.
"""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from baker.render import Renderer, template_version
from templates import FOLDER

FIRST = 1
LAST = 3
HEAD = "{% block head %}\n"


class Warm(Renderer):
    """A renderer that every process of an edition shares: it has no state but caches."""

    def warm(self) -> None:
        """Nothing: it is warm."""


@cache
def folder(edition: int) -> Path:
    """Return the folder of an edition."""
    made = Path(tempfile.mkdtemp(prefix="edition-")) / "templates"
    atexit.register(shutil.rmtree, made.parent, ignore_errors=True)
    shutil.copytree(FOLDER, made)
    page = made / "page.html"
    before = page.read_text(encoding="utf-8")
    after = before.replace(HEAD, f"{HEAD}<!-- edition-{edition} -->\n", 1)
    if after == before:
        raise ValueError(f"{page} has no {HEAD!r}: nothing would tell its editions apart")
    page.write_text(after, encoding="utf-8")
    return made


@cache
def version(edition: int) -> str:
    """Return the version of an edition, as the site names it."""
    return template_version(folder(edition))


@cache
def renderer(edition: int, public_url: str, image_hosts: frozenset[str]) -> Any:
    """Return the renderer of an edition."""
    made = Warm(folder(edition), public_url=public_url, image_hosts=image_hosts)
    Renderer.warm(made)
    return made
