"""Responses of JSON.

What belongs here: encoding. What does not: what is answered (``bodies``) and errors (``serving.problems``).
"""

from typing import Any

import msgspec
from starlette.responses import Response


class JsonResponse(Response):
    """A response of JSON, encoded in one step."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode; there is no NaN in JSON, and a risk is never one."""
        return msgspec.json.encode(content)
