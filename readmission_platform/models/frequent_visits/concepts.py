"""How this example speaks of its inputs: concepts and their words for reasons, names and units for effects.

What belongs here: words. What does not: which of them are named for an enrolment (``boosting.reasons``).
"""

import pandas as pd

from readmission_platform.models.boosting.concepts import Concept, Row, counted, is_missing, named, never_said
from readmission_platform.models.boosting.effect_values import EffectValue, InputWords, category_values, number_values
from readmission_platform.models.frequent_visits.feed import INPUTS

_TEXTS = frozenset({"sex", "deductible_plan", "physical_limitation", "self_rated_health"})
NUMBERS = frozenset(INPUTS) - _TEXTS


def _earlier_years(row: Row) -> str | None:
    if is_missing(row["frequent_share_before"]):
        return None
    if row["frequent_year_before"] == 1:
        return "five visits or more in the year before"
    if row["frequent_share_before"] > 0:
        return "five visits or more in an earlier year"
    return "fewer than five visits in earlier years"


def _plan(row: Row) -> str:
    if row["deductible_plan"] == "yes":
        return "on a deductible plan"
    share = row["coinsurance"]
    return f"pays {share:g} % of each bill" if share else "care is free"


def _chronic(row: Row) -> str | None:
    share = row["chronic_diseases"]
    if is_missing(share):
        return None
    return f"{share:.0f} % of the chronic diseases asked about" if share else "no chronic disease of those asked about"


CONCEPTS = (
    Concept("earlier years", ("frequent_year_before", "frequent_share_before"), _earlier_years),
    Concept("plan", ("coinsurance", "deductible_plan", "maximum_expenditure"), _plan),
    Concept("incentive payment", ("incentive_payment",), never_said),
    Concept("age", ("age",), lambda row: f"age {row['age']:.0f}"),
    # It counts, and is given to nobody as a reason.
    Concept("sex", ("sex",), never_said),
    Concept("family", ("family_size",), lambda row: f"family of {counted(row['family_size'], 'person', 'persons')}"),
    Concept("chronic diseases", ("chronic_diseases",), _chronic),
    Concept("physical limitation", ("physical_limitation",),
            named("physical_limitation", {"yes": "physical limitation", "no": "no physical limitation"})),
    Concept("self-rated health", ("self_rated_health",), lambda row: f"health rated {row['self_rated_health']}"),
)  # fmt: skip


def effect_values(values: pd.Series) -> list[EffectValue]:
    """Return the values at which the effect of an input is worked out."""
    if values.name in NUMBERS:
        return number_values(values, pd.to_numeric(values, errors="coerce"))
    return category_values(values, str)


WORDS = InputWords(
    values=effect_values,
    numbers=NUMBERS,
    names={
        "frequent_year_before": "frequent visits in the year before",
        "frequent_share_before": "share of earlier years with frequent visits",
        "self_rated_health": "self-rated health",
    },
    units={
        "age": "years",
        "family_size": "persons",
        "coinsurance": "% of each bill",
        "incentive_payment": "dollars a year",
        "maximum_expenditure": "dollars a year",
        "chronic_diseases": "% of those asked about",
    },
)
