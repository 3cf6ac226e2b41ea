"""EXAMPLE: whether an insured person sees a physician five times or more in the coming contract year.

It shows how a second model is made on other data, and is not for decisions about people. What belongs here: the
contract, put together from its parts; importing it is cheap. What does not: the parts.
"""

from readmission_platform.models.boosting.explanation import BoostingExplanation
from readmission_platform.models.contract import ModelContract, Source
from readmission_platform.models.frequent_visits.concepts import CONCEPTS
from readmission_platform.models.frequent_visits.concepts import WORDS as INPUT_WORDS
from readmission_platform.models.frequent_visits.data import EnrolmentData
from readmission_platform.models.frequent_visits.estimator import EnrolmentEstimator
from readmission_platform.models.frequent_visits.evidence import SCHEMA, WORDS
from readmission_platform.models.frequent_visits.feed import FEED, IDENTIFIERS, INPUTS, LANDING, MATURITY_DAYS, RAW
from readmission_platform.models.frequent_visits.published import load_published
from readmission_platform.models.frequent_visits.rows import ROWS
from readmission_platform.models.frequent_visits.synthetic import MINIMUM_ROWS, load_synthetic
from readmission_platform.models.frequent_visits.watch import EnrolmentWatch

_SOURCES = (
    Source(
        name="rand",
        words="RAND Health Insurance Experiment, 1974 to 1982, as it comes with statsmodels",
        limits="real",
        options=frozenset(),
        load=load_published,
    ),
    Source(
        name="synthetic",
        words="synthetic enrolments, generated with a known risk; nobody in them exists",
        limits="synthetic",
        options=frozenset({"rows", "seed"}),
        load=load_synthetic,
        least_rows=MINIMUM_ROWS,
    ),
)

CONTRACT = ModelContract(
    words=WORDS,
    purpose="When a contract year begins, the probability that the person sees a physician five times or more in it.",
    feed=FEED,
    raw=RAW,
    landing=LANDING,
    maturity_days=MATURITY_DAYS,
    sources={source.name: source for source in _SOURCES},
    inputs=INPUTS,
    identifiers=IDENTIFIERS,
    evidence=SCHEMA,
    data=EnrolmentData(),
    estimator=EnrolmentEstimator(),
    watch=EnrolmentWatch(),
    explain=BoostingExplanation(CONCEPTS, INPUT_WORDS, made_of={}),
    rows=ROWS,
)
