"""Findings: what doctor says of something that is not as it should be."""

from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. ``code`` names its kind for programs and for docs/doctor.md.

    An error breaks collapsing, tags, freshness or privacy; a warning costs money or speed, or hides something.
    """

    code: str
    severity: Severity
    where: str
    """What it was found in: a behaviour, a policy, an origin, Redis, the database."""
    found: str
    """What is wrong, with the value."""
    why: str
    """What it breaks."""
    to_do: str
    """What to change."""

    def document(self) -> dict[str, str]:
        """Return it as JSON has it."""
        return asdict(self)
