"""The resources of a delivery: out of lines and Bundles, validated, and found again by reference.

What belongs here: what FHIR itself says of resources. What does not: what they mean for a discharge (``mapping``), and
which of them are rows (``reading``).

Validated are the types that are used, by the R4B classes of ``fhir.resources``: R4 and R4B are the same in them. Its
errors quote values; only the path of the element at fault is passed on.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from readmission_platform.intake.files import JsonFile

if TYPE_CHECKING:
    from fhir_core.fhirabstractmodel import FHIRAbstractModel

ENCOUNTER, PATIENT, CONDITION, PROCEDURE = "Encounter", "Patient", "Condition", "Procedure"
REQUEST, MEDICATION, OBSERVATION, COVERAGE = "MedicationRequest", "Medication", "Observation", "Coverage"
USED = frozenset({ENCOUNTER, PATIENT, CONDITION, PROCEDURE, REQUEST, MEDICATION, OBSERVATION, COVERAGE})
_HISTORY = re.compile(r"/_history/[^/]*$")

Content = Mapping[str, Any]


@dataclass(frozen=True)
class Resource:
    """A resource, the number of its file and its own in that file (from 1, those in Bundles counted), and its URL.

    Attributes
    ----------
    url
        The ``fullUrl`` that a Bundle gives it.
    fault
        Element and code of why it is not used; its content then is as it came, and may be anything.
    """

    content: Content
    file: int
    number: int
    url: str = ""
    fault: tuple[str, str] | None = None

    @property
    def type(self) -> str:
        """Its type; empty where it has none."""
        found = self.content.get("resourceType")
        return found if isinstance(found, str) else ""

    @property
    def key(self) -> str:
        """What references find it by: type and id, or the URL; empty where it has neither."""
        found = self.content.get("id")
        return f"{self.type}/{found}" if isinstance(found, str) and found else self.url


def resources_of(files: Sequence[JsonFile]) -> list[Resource]:
    """Return every resource of some files in order, those in Bundles one by one; what is none has a fault."""
    found = []
    for place, file in enumerate(files):
        unpacked = (each for line in file.lines for each in _unpacked(line))
        found += [_validated(Resource(content, place, number, url, fault))
                  for number, (content, url, fault) in enumerate(unpacked, start=1)]  # fmt: skip
    return found


def _unpacked(line: dict[str, Any] | str) -> Iterator[tuple[Content, str, tuple[str, str] | None]]:
    if isinstance(line, str):
        yield {}, "", ("", line)
    elif line.get("resourceType") != "Bundle":
        yield line, "", None
    elif not isinstance(line.get("entry", []), list):
        yield {}, "", ("Bundle.entry", "not_fhir")
    else:
        for entry in line.get("entry", []):
            if not isinstance(entry, dict) or not isinstance(entry.get("resource", {}), dict):
                yield {}, "", ("Bundle.entry", "not_fhir")
            elif "resource" in entry:  # else it tells of a request alone
                url = entry.get("fullUrl")
                yield entry["resource"], url if isinstance(url, str) else "", None


def _validated(resource: Resource) -> Resource:
    content = resource.content
    try:
        fault = resource.fault or _fault(content, resource.type)
        content = content if fault else _without_nulls(content)
    except RecursionError:  # elements within elements within elements
        fault = ("", "not_fhir")
    return Resource(content, resource.file, resource.number, resource.url, fault)


def _without_nulls(value: Any) -> Any:
    # An element that is null is none: the classes take it for one that is not there.
    if isinstance(value, Mapping):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value if part is not None] if isinstance(value, list) else value


def _fault(content: Content, kind: str) -> tuple[str, str] | None:
    from pydantic import ValidationError

    found = _class(kind)
    if found is None:
        return "resourceType", "resource_unknown"
    if kind not in USED:
        return None
    inside = content.get("contained") or []
    if not isinstance(inside, list) or not all(map(_is_sound_inside, inside)):
        return f"{kind}.contained", "not_fhir"
    try:
        # Of resources within one that have no known type, the classes raise errors of many kinds.
        found.model_validate({name: value for name, value in content.items() if name != "contained"})
    except ValidationError as error:
        return _path(kind, error), "not_fhir"
    # What changes the meaning of a resource in a way that is not known here forbids to use it.
    changed = next((name for name in ("modifierExtension", "implicitRules") if name in content), None)
    return (f"{kind}.{changed}", "meaning_changed") if changed else None


def _is_sound_inside(content: object) -> bool:
    """Tell whether a resource within another one can be used, or is of a type that is not."""
    kind = content.get("resourceType") if isinstance(content, dict) else None
    nested = isinstance(content, dict) and "contained" in content
    return isinstance(content, dict) and isinstance(kind, str) and not nested and _fault(content, kind) is None


def _path(kind: str, error: "Any") -> str:
    """Return the path of the first element at fault, without what the delivery itself put into it: names, values."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    told = first["loc"][:-1] if first["type"] == "extra_forbidden" else first["loc"]
    return ".".join([kind, *(str(part) for part in told)])


@cache
def _class(kind: str) -> "type[FHIRAbstractModel] | None":
    """Return the class of a type of resources; None where FHIR has no such type."""
    from fhir.resources.R4B import get_fhir_model_class
    from fhir.resources.R4B.resource import Resource as AnyResource

    try:
        found = get_fhir_model_class(kind)
    except ValueError:
        return None
    return found if issubclass(found, AnyResource) else None


class Resources:
    """The sound resources of a delivery, found by type and by reference.

    Of one that came several times alike one counts. Where several of the same type and id differ, the one changed last
    (``meta.lastUpdated``) counts; if nothing says which that is, ``contradicted`` has its key.
    """

    def __init__(self, found: Sequence[Resource]) -> None:
        self._by_key: dict[str, Resource] = {}
        self._without_key: list[Resource] = []
        self._keys: dict[str, str] = {}
        self.contradicted: set[str] = set()
        for each in found:
            if not each.key:
                self._without_key.append(each)
                continue
            self._keys |= {each.url: each.key} if each.url else {}
            known = self._by_key.setdefault(each.key, each)
            if known is each or known.content == each.content:
                continue
            older, newer = sorted((known, each), key=_changed_at)
            if _changed_at(older) == _changed_at(newer):
                self.contradicted.add(each.key)
            self._by_key[each.key] = newer

    def of_type(self, kind: str) -> list[Resource]:
        """Return the resources of a type, each once, in order."""
        return [each for each in (*self._by_key.values(), *self._without_key) if each.type == kind]

    def find(self, key: str) -> Resource | None:
        """Return the resource with a key; None where the delivery has none."""
        return self._by_key.get(key)

    def key(self, reference: object, kind: str) -> str:
        """Return the key that a reference leads to, whether or not there is such a resource; empty where to none.

        Relative, absolute, of a version (``_history``) and by ``urn:uuid`` (of a Bundle's entry, else the id). Not
        followed are references by identifier alone, and to another type. For those within a resource see ``contained``.
        """
        said = reference.get("reference") if isinstance(reference, Mapping) else None
        if not isinstance(said, str) or not said or said.startswith("#"):
            return ""
        url = _HISTORY.sub("", said)
        if url in self._keys:
            return self._keys[url] if self._by_key[self._keys[url]].type == kind else ""
        if url.startswith("urn:"):
            return f"{kind}/{url.rpartition(':')[2]}"
        *_, named, identifier = ["", *url.split("/")]
        return f"{kind}/{identifier}" if named == kind else ""


def contained(owner: Content, reference: object, kind: str) -> Content | None:
    """Return the resource within another one that a reference of it leads to (``#id``); None where there is none."""
    said = reference.get("reference") if isinstance(reference, Mapping) else None
    inside = owner.get("contained") or []
    return next((each for each in inside if isinstance(said, str) and said == f"#{each.get('id')}"
                 and each.get("resourceType") == kind), None)  # fmt: skip


def _changed_at(resource: Resource) -> float:
    meta = resource.content.get("meta") or {}
    try:
        return datetime.fromisoformat(meta["lastUpdated"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return 0.0
