"""The cohorts that live performance is told for, by the names that tables and metrics of operation carry.

What belongs here: naming them, and which estimate of validation goes with one. What does not: who belongs to one
(``live``), and what pages call it (``evaluation.words``).
"""

from readmission_platform.evaluation.estimates.schema import Attribute, EvidenceSchema

# Everybody; of entities that the version was trained on, and of others.
ALL, SEEN, UNSEEN = "all", "seen", "unseen"


def group_cohort(attribute: Attribute, group: str) -> str:
    """Return the name of the cohort of a group: "gender: Female"."""
    return f"{attribute.gate}: {group}"


def validated_as(cohort: str, measure: str, schema: EvidenceSchema) -> str | None:
    """Return the name that an estimate of validation has for a measure of a cohort; None where there is no such name.

    Of groups, validation estimates observed over expected only, so that for other measures there is no such estimate.
    """
    if cohort == ALL:
        return measure
    for attribute in schema.attributes:
        beginning = group_cohort(attribute, "")
        if cohort.startswith(beginning):
            return f"{measure}.{attribute.name}.{cohort.removeprefix(beginning)}"
    return None
