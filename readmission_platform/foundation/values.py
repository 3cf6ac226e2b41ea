"""What every configuration file is made of: frozen models, limits, and digests of values.

What belongs here: shapes that several files share. What does not: the files themselves.
"""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class ConfigurationError(Exception):
    """A configuration file or environment variable is wrong; the message says which and how."""


class Frozen(BaseModel):
    """Base of every configuration model: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(Frozen):
    """Limits on one estimate. ``between`` fails only when the whole 95 % interval lies outside."""

    at_least: float | None = None
    at_most: float | None = None
    lower_bound_at_least: float | None = None
    lower_bound_above: float | None = None
    upper_bound_at_most: float | None = None
    between: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Limits":
        if not self.model_fields_set or all(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("a gate needs at least one limit")
        return self


def canonical_json(value: Any) -> str:
    """Serialise to the one JSON text that digests and signatures are taken over (sorted, compact, no NaN)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """Return ``sha256:<hex>`` of a JSON value, or of a pydantic model's content."""
    content = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return "sha256:" + hashlib.sha256(canonical_json(content).encode()).hexdigest()
