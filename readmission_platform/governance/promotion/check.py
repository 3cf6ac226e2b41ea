"""What a verification says of one thing that it looked at.

What belongs here: the type. What does not: what is looked at (``verification``, ``approved``).
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["pass", "fail", "not applicable"]
Kind = Literal["integrity", "policy"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; ``detail`` is one sentence."""

    name: str
    kind: Kind
    result: Outcome
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return the check as plain JSON values."""
        return asdict(self)
