"""What the evidence of this example holds besides labels and scores, and how pages speak of it."""

from readmission_platform.evaluation.estimates.schema import Attribute, Baseline, EvidenceSchema, InformationSource
from readmission_platform.evaluation.words import Words

SCHEMA = EvidenceSchema(
    attributes=(
        Attribute("sex", words="sex", gate="sex"),
        Attribute("self_rated_health", words="self-rated health", gate="health"),
        Attribute("plan", words="plan", gate="plan"),
    ),
    baselines=(
        Baseline(
            "year_before", words="frequent visits in the year before", required=True,
            note="Where the previous year is not known, an enrolment is ranked between those with frequent visits and "
            "those without.",
        ),
        Baseline(
            "chronic_diseases", words="chronic diseases", required=True,
            note="Children were not asked and count as having none.",
        ),
        Baseline(
            "logistic", words="logistic regression", probability=True, fitted=True,
            note="Fitted on the same inputs and folds as the model.",
        ),
    ),
    # Age and sex are none: no version has to draw on them.
    information=(
        InformationSource("earlier_years", "earlier years", ("frequent_year_before", "frequent_share_before")),
        InformationSource(
            "health", "health", ("chronic_diseases", "physical_limitation", "self_rated_health")
        ),
        InformationSource(
            "plan", "plan", ("coinsurance", "deductible_plan", "maximum_expenditure", "incentive_payment")
        ),
    ),
)  # fmt: skip
WORDS = Words(
    title="Five visits or more in the contract year",
    row="enrolment",
    rows="enrolments",
    entity="person",
    entities="persons",
    event="year of frequent visits",
    events="years of frequent visits",
    positive="seen by a physician five times or more",
    delivery="enrolments",
)
