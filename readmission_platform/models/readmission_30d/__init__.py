"""The readmission model: whether a patient is an inpatient again within 30 days of discharge.

What belongs here: the contract, put together from its parts; importing it is cheap. What does not: the parts.
"""

from readmission_platform.encounters.cohort import MATURITY_DAYS
from readmission_platform.encounters.contract import ENCOUNTERS, ENCOUNTERS_WITH_OUTCOME, LANDING
from readmission_platform.encounters.sources import SYNTHETIC, UCI
from readmission_platform.models.contract import ModelContract
from readmission_platform.models.readmission_30d.data import ReadmissionData
from readmission_platform.models.readmission_30d.estimator import ReadmissionEstimator
from readmission_platform.models.readmission_30d.evidence import SCHEMA, WORDS
from readmission_platform.models.readmission_30d.explanation import EXPLANATION
from readmission_platform.models.readmission_30d.inputs import IDENTIFIERS, MODEL_INPUTS
from readmission_platform.models.readmission_30d.robustness import ReadmissionRobustness
from readmission_platform.models.readmission_30d.rows import ROWS
from readmission_platform.models.readmission_30d.watched_inputs import ReadmissionWatch

CONTRACT = ModelContract(
    words=WORDS,
    purpose="At discharge, the probability that the patient is an inpatient again within 30 days.",
    feed=ENCOUNTERS,
    raw=ENCOUNTERS_WITH_OUTCOME,
    landing=LANDING,
    maturity_days=MATURITY_DAYS,
    sources={source.name: source for source in (SYNTHETIC, UCI)},
    inputs=tuple(MODEL_INPUTS),
    identifiers=IDENTIFIERS,
    evidence=SCHEMA,
    data=ReadmissionData(),
    estimator=ReadmissionEstimator(),
    watch=ReadmissionWatch(),
    explain=EXPLANATION,
    robustness=ReadmissionRobustness(),
    rows=ROWS,
)
