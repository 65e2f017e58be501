"""What a command says when it cannot go on. The other errors of the roof are beside what raises them.

CommandError       one line for a person; the command ends with status 1
├── FolderInUse    another process uses the data folder
├── ForeignHost    another host uses the SQLite file
├── ApiAway        the API does not answer now; it may be asked again
└── ChildFailed    a process of `up` did not start
"""


class CommandError(Exception):
    """A command cannot go on; the message says what failed and what to do."""


class FolderInUse(CommandError):
    """Another process uses the data folder."""


class ForeignHost(CommandError):
    """Another host uses the SQLite file."""


class ApiAway(CommandError):
    """The API is away, or cannot answer now (Redis or the database is away); it may be asked again after so long."""

    def __init__(self, message: str, after_s: float) -> None:
        super().__init__(message)
        self.after_s = after_s


class ChildFailed(CommandError):
    """A process of `up` did not start."""
