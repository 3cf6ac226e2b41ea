"""Which of the source's drugs a medication is, and what became of its dose.

What belongs here: medications and requests for one. What does not: which requests belong to a discharge (``reading``).
"""

import re
from collections.abc import Sequence
from typing import Any

from readmission_platform.encounters.cohort import DRUG_COLUMNS
from readmission_platform.encounters.fhir import terminology as terms
from readmission_platform.encounters.fhir.resources import Content

_INGREDIENT_OF = {code: name for name, codes in terms.INGREDIENTS.items() for code in codes}


def names_of(concept: Content) -> str:
    """Return what one medication is told from another by: its codes, else its text."""
    codes = sorted(f"{each.get('system', '')}|{each['code']}" for each in concept.get("coding", []) if "code" in each)
    return " ".join(codes) or " ".join(str(concept.get("text", "")).casefold().split())


def drug_columns(concept: Content) -> list[str]:
    """Return the columns of a medication: by RxNorm's codes of ingredients, else by ingredients named in its texts.

    Two ingredients that have a column together are that column.
    """
    codings = concept.get("coding", [])
    found = {_INGREDIENT_OF[each["code"]] for each in codings
             if each.get("system") == terms.RXNORM and each.get("code") in _INGREDIENT_OF}  # fmt: skip
    if not found:
        texts = [concept.get("text", ""), *(each.get("display", "") for each in codings)]
        words = set(re.findall(r"[a-z]+", " ".join(texts).casefold()))
        found = words & terms.INGREDIENTS.keys()
    together = terms.COMBINATIONS.get(frozenset(found))
    return [together] if together else [name for name in DRUG_COLUMNS if name in found]


def state_of(requests: Sequence[Content]) -> str:
    """Return what became of a dose from the first moment of ordering to the last: ``Up``, ``Down`` or ``Steady``.

    Compared are the highest doses of the two. Requests without a moment (``authoredOn``), doses without a number, and
    two in different units are not.
    """
    doses: dict[str, list[tuple[float, str]]] = {}
    for request in requests:
        dose = _dose(request)
        if dose is not None and "authoredOn" in request:
            doses.setdefault(request["authoredOn"], []).append(dose)
    if not doses:
        return "Steady"
    (first, unit), (last, other) = max(doses[min(doses)]), max(doses[max(doses)])
    if unit != other or first == last:
        return "Steady"
    return "Up" if last > first else "Down"


def _dose(request: Content) -> tuple[float, str] | None:
    rates: list[Any] = [rate for each in request.get("dosageInstruction", []) for rate in each.get("doseAndRate", [])]
    quantity: Content = next((rate["doseQuantity"] for rate in rates if "doseQuantity" in rate), {})
    return (float(quantity["value"]), quantity.get("code", quantity.get("unit", ""))) if "value" in quantity else None
