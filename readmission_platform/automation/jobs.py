"""Jobs: the parts of a model's life that can be launched as one, from the UI or a schedule.

What belongs here: which assets run together. What does not: when (``schedules``, ``sensors``).
One job cannot span the unpartitioned assets and the daily ones, so training and scoring are two.
"""

import dagster as dg

from readmission_platform.assets.encounters.days import every_day_complete
from readmission_platform.assets.encounters.ingestion import SourceConfig
from readmission_platform.assets.model.reproduction import ReproductionConfig
from readmission_platform.assets.model.study import StudyConfig

LIFECYCLE = "readmission/lifecycle"

training_job = dg.define_asset_job(
    "training_job",
    # A version is reproduced and studied when somebody asks for it, and it has to be named.
    selection=dg.AssetSelection.groups("ingestion", "features", "training", "validation")
    - dg.AssetSelection.assets("reproduction", "robustness_study"),
    description="From encounters to a judged candidate. Start here: 'Materialize all' cannot mix these assets with the "
    "daily ones. The launchpad is filled in for the synthetic cohort; for real data set source to uci, and archive to "
    "a local copy if there is one. A failing gate fails the run, and nothing moves.",
    config=dg.RunConfig(ops={"raw_encounters": SourceConfig()}),
    tags={LIFECYCLE: "training"},
)

reproduction_job = dg.define_asset_job(
    "reproduction_job",
    selection=dg.AssetSelection.assets("reproduction"),
    description="Fit a recorded version once more from its recorded data, code and seed, and compare its predictions. "
    "Name the version in the launchpad. Takes about as long as a training; registers and promotes nothing.",
    config=dg.RunConfig(ops={"reproduction": ReproductionConfig(version="1")}),
    tags={LIFECYCLE: "validation"},
)

study_job = dg.define_asset_job(
    "study_job",
    selection=dg.AssetSelection.assets("robustness_study"),
    description="Fit a recorded version again with other seeds and under other rules for who is studied, to see how "
    "much of it is chance. Name the version in the launchpad. Takes about as long as a training for each seed and two "
    "more; registers and promotes nothing.",
    config=dg.RunConfig(ops={"robustness_study": StudyConfig(version="1")}),
    tags={LIFECYCLE: "validation"},
)

scoring_job = dg.define_asset_job(
    "scoring_job",
    # Whether every day is complete is looked at on its own, not in the middle of filling them.
    selection=dg.AssetSelection.groups("inference") - dg.AssetSelection.checks(every_day_complete),
    description="Take in a day of discharges and score it: the production version for the work list, the staging "
    "version in the shadow. Choose a day that has files in landing/discharges; `readmission replay` writes some.",
    tags={LIFECYCLE: "scoring"},
)

completeness_job = dg.define_asset_job(
    "completeness_job",
    selection=dg.AssetSelection.checks(every_day_complete),
    description="Look whether every day up to yesterday has landed, is taken in and is scored. The sensor starts it "
    "when something changes; it scores nothing by itself.",
    tags={LIFECYCLE: "scoring"},
)

outcomes_job = dg.define_asset_job(
    "outcomes_job",
    selection=dg.AssetSelection.assets("matured_outcomes"),
    description="Take in who was readmitted within 30 days, by day of discharge, from landing/outcomes. Choose days "
    "that are 30 and more days old; `readmission replay --outcomes` writes some.",
    tags={LIFECYCLE: "monitoring"},
)

# Not the whole group: matured_outcomes is daily, and one job cannot span both.
monitoring_job = dg.define_asset_job(
    "monitoring_job",
    selection=dg.AssetSelection.assets("drift_report", "live_performance", "monitoring_figures"),
    description="Look at what was scored: drift against the training data of each version, window by window, and "
    "performance on matured outcomes. It can be launched at any time and judges only what is new; nothing is blocked "
    "by it, but a version whose full windows were not judged does not reach production.",
    tags={LIFECYCLE: "monitoring"},
)

projection_job = dg.define_asset_job(
    "projection_job",
    selection=dg.AssetSelection.groups("promotion"),
    description="Show what is in staging and production: verify the artifacts and align the registry's aliases with "
    "the ledger. Promotes nothing; that is promotion_job.",
    tags={LIFECYCLE: "promotion"},
)
