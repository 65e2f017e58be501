"""Secrets: values that hide in ``repr``, in messages and in logs, and are revealed where they are used."""

import re

_PASSWORD = re.compile(r"(?<=:)[^:@/]*(?=@)")


class Secret:
    """A text that is not printed by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself."""
        return self._value

    def __str__(self) -> str:
        return "(hidden)" if self._value else ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.reveal() == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class SecretUrl(Secret):
    """A URL that may hold a password; everything but the password is shown."""

    def __str__(self) -> str:
        return _PASSWORD.sub("(hidden)", self.reveal(), count=1)
