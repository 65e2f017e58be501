"""What Stream-Framework 1.4.0 needs to be imported by a Python of today. Nothing in its package is written to.

It names parameters ``async``, which has been a keyword since Python 3.7, and looks for ``collections.Hashable``, which
moved. Runs in the environment that ``environment`` makes.
"""

import collections
import collections.abc
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

NAMES_ASYNC = "stream_framework.feed_managers.base"


class Renaming(SourceFileLoader):
    """Reads a module whose parameters are called ``async``; keeps no bytecode of it."""

    def source_to_code(  # type: ignore[override]  # static in one of its bases, not in the other
        self, data: Any, path: Any, *, _optimize: int = -1
    ) -> CodeType:
        renamed = re.sub(rb"\basync\b", b"async_", bytes(data))
        code: CodeType = compile(renamed, path, "exec", dont_inherit=True, optimize=_optimize)
        return code

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """Write nothing."""


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find the one module that has to be renamed in."""
        if name != NAMES_ASYNC:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return spec
        spec.loader = Renaming(name, spec.loader.path)
        return spec


def install() -> None:
    """Make Stream-Framework importable."""
    collections.Hashable = collections.abc.Hashable  # type: ignore[attr-defined]  # where it was until Python 3.9
    sys.meta_path.insert(0, _Finder())
