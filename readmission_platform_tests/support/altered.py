"""A configuration with something else in it: what tests of plans and cards start from."""

from typing import Any, TypeVar

from pydantic import BaseModel

Content = TypeVar("Content", bound=BaseModel)


def altered(content: Content, **changes: Any) -> Content:
    """Return a configuration with other values; a name says the path, parts separated by two underscores."""
    plain = content.model_dump(mode="json")
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = plain
        for parent in parents:
            place = place[parent]
        place[last] = value
    return type(content).model_validate(plain)
