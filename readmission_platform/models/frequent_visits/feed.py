"""The feed of this example: one enrolment is one contract year of one insured person.

What belongs here: its columns and what each may hold, which of them the model sees, and the folders it arrives in. What
does not: where enrolments come from (``published``, ``synthetic``).
"""

from dataclasses import replace

import pandas as pd

from readmission_platform.intake.contract import Excluded, RowContract, RowWords, Why
from readmission_platform.intake.rules import LARGEST_EXACT
from readmission_platform.intake.sources import LandingFolders
from readmission_platform.intake.spellings import yes_or_no

ROW, PERSON, YEAR, DAY, OUTCOME = "person_year_id", "person_id", "contract_year", "start_date", "frequent_visits"
VISITS = "visits"
# So many visits to a physician in a contract year are frequent: one person in five has them.
FREQUENT = 5
# The year has to be over before its visits can be counted.
MATURITY_DAYS = 365

COLUMNS = (
    *(ROW, PERSON, YEAR, "age", "sex", "family_size"),
    *("coinsurance", "deductible_plan", "incentive_payment", "maximum_expenditure"),
    *("physical_limitation", "chronic_diseases", "self_rated_health"),
)
HISTORY_COLUMNS = ("frequent_year_before", "frequent_share_before")
# Which year of the contract it is would be the clock in another form: it orders rows and is no input.
IDENTIFIERS = frozenset({ROW, PERSON, YEAR, DAY, "entity_key", "clock", "part", "fold"})
INPUTS = (*(name for name in COLUMNS if name not in IDENTIFIERS), *HISTORY_COLUMNS)

HEALTH = ("excellent", "good", "fair", "poor")
YES_NO = ("no", "yes")
SEX = ("female", "male")
# Inputs that are texts, each in the order that they stand for.
ORDERED = {
    "sex": SEX,
    "deductible_plan": YES_NO,
    "physical_limitation": YES_NO,
    "self_rated_health": HEALTH,
}

LANDING = LandingFolders(rows="enrolments", outcomes="visits")


def in_the_first_year_of_life(enrolments: pd.DataFrame) -> "pd.Series[bool]":
    """Tell which enrolments are of infants, whose check-ups follow a schedule whatever their health."""
    return pd.to_numeric(enrolments["age"], errors="coerce") < 1


FEED = RowContract(
    columns=COLUMNS,
    row=ROW,
    entity=PERSON,
    day=DAY,
    outcome=OUTCOME,
    whole_numbers={
        ROW: (1, LARGEST_EXACT),
        PERSON: (1, LARGEST_EXACT),
        YEAR: (1, 50),
        "age": (0, 120),
        "family_size": (1, 40),
        "coinsurance": (0, 100),
    },
    numbers={"incentive_payment": (0, 10_000), "maximum_expenditure": (0, 10_000), "chronic_diseases": (0, 100)},
    vocabularies=ORDERED,
    spellings={
        "sex": {"f": "female", "m": "male"},
        **dict.fromkeys(("deductible_plan", "physical_limitation"), yes_or_no(yes="yes", no="no")),
    },
    nullable=frozenset({"incentive_payment", "maximum_expenditure", "physical_limitation", "chronic_diseases"}),
    reasons={
        "first_year_of_life": Why(
            "in the first year of life, whose check-ups follow a schedule",
            "Nothing: the model is not made for them. If the age is wrong, have the source correct it.",
        ),
    },
    excluded=(Excluded("age", "first_year_of_life", in_the_first_year_of_life),),
    words=RowWords(row="enrolment", rows="enrolments", events="visits"),
)

# A source also says how many visits there were.
RAW = replace(FEED, columns=(*COLUMNS, VISITS), whole_numbers={**FEED.whole_numbers, VISITS: (0, 1000)})
