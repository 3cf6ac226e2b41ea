"""Jobs: the parts of a model's life that can be launched as one, from the UI or a schedule.

What belongs here: which assets run together. What does not: when (``schedules``, ``sensors``).
One job cannot span the unpartitioned assets and the daily ones, so training and scoring are two.
"""

import dagster as dg

from readmission_platform.assets.ingestion import SourceConfig

LIFECYCLE = "readmission/lifecycle"

training_job = dg.define_asset_job(
    "training_job",
    selection=dg.AssetSelection.groups("ingestion", "features", "training", "validation"),
    description="From encounters to a judged candidate. Start here: 'Materialize all' cannot mix these assets with the "
    "daily ones. The launchpad is filled in for the synthetic cohort; for real data set source to uci, and archive to "
    "a local copy if there is one. A failing gate fails the run, and nothing moves.",
    config=dg.RunConfig(ops={"raw_encounters": SourceConfig()}),
    tags={LIFECYCLE: "training"},
)

scoring_job = dg.define_asset_job(
    "scoring_job",
    selection=dg.AssetSelection.groups("inference"),
    description="Take in a day of discharges and score it: the production version for the work list, the staging "
    "version in the shadow. Choose a day that has files in landing/discharges; `readmission replay` writes some.",
    tags={LIFECYCLE: "scoring"},
)

projection_job = dg.define_asset_job(
    "projection_job",
    selection=dg.AssetSelection.groups("promotion"),
    description="Show what is in staging and production: verify the artifacts and align the registry's aliases with "
    "the ledger. Promotes nothing; that is promotion_job.",
    tags={LIFECYCLE: "promotion"},
)
