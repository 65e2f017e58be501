"""What becomes of a child when its parent is killed and cannot stop it."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def ends_with_parent() -> Callable[[], None] | None:
    """Return what a child runs before ``exec`` so that it gets SIGTERM when this process dies; None but on Linux.

    The kernel ties the signal to the *thread* that forks, so only the main thread may start such a child.
    """
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

    def arm() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the signal was armed
            os._exit(1)

    return arm
