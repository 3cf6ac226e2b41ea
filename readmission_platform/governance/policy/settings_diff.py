"""What another file of settings would change: of monitoring, evaluation, promotion rules, roles.

What belongs here: comparing two. What does not: whether a change is for the better: a higher limit watches less closely
in one place and more closely in another, so no direction is claimed.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from readmission_platform.governance.policy.gates_diff import Difference


def diff_settings(before: BaseModel, after: BaseModel) -> list[Difference]:
    """Return every value that differs, by its path in the file."""
    old, new = dict(flattened(before)), dict(flattened(after))
    return [
        Difference(path, old.get(path, ""), new.get(path, ""), "not comparable")
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    ]


def flattened(settings: BaseModel) -> Iterator[tuple[str, str]]:
    """Yield path and value of every setting, in the order of the file."""
    yield from _flat(settings.model_dump(mode="json", exclude_none=True), "")


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield path, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        return
    for name, each in value.items():
        yield from _flat(each, f"{path}.{name}" if path else name)
