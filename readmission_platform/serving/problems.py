"""What a client is told when a request is not answered: one shape for every error, and never a value that was sent.

What belongs here: errors with their status and code. What does not: when they are raised.
"""

from collections.abc import Mapping
from typing import Any


class Problem(Exception):
    """A request that is not answered: HTTP status, a code for programs, and a sentence for people."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})

    def body(self, request_id: str, **more: Any) -> dict[str, Any]:
        """Return what the client is sent."""
        return {"error": {"code": self.code, "message": self.message, **more}, "request_id": request_id}


def no_token() -> Problem:
    """Return what is raised for a request without a token that is valid."""
    wanted = {"www-authenticate": "Bearer"}
    return Problem(401, "no_valid_token", "send a valid token: Authorization: Bearer TOKEN", wanted)
