"""Jobs: the parts of a model's life that can be launched as one, from the UI or a schedule.

What belongs here: which assets run together. What does not: when (``schedules``, ``sensors``).
One job cannot span the unpartitioned assets and the daily ones, so training and scoring are two.
"""

from dataclasses import dataclass
from typing import TypeAlias

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from readmission_platform.assets.feed.completeness import COMPLETE_CHECK
from readmission_platform.assets.feed.ingestion import SourceConfig
from readmission_platform.assets.feed.replay import replay_job
from readmission_platform.assets.model.promotion import promotion_job
from readmission_platform.assets.model.recalibration import RECALIBRATED_MODEL
from readmission_platform.assets.model.reproduction import REPRODUCTION, ReproductionConfig
from readmission_platform.assets.model.rollback import rollback_job
from readmission_platform.assets.model.study import STUDY, StudyConfig
from readmission_platform.assets.model.validation import VALIDATION
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.storage.tables import OUTCOMES, PREDICTIONS

Job: TypeAlias = dg.JobDefinition | UnresolvedAssetJobDefinition


@dataclass(frozen=True)
class ModelJobs:
    """The jobs of one model."""

    training: Job
    recalibration: Job
    promotion: Job
    reproduction: Job
    study: Job
    projection: Job
    rollback: Job
    replay: Job
    scoring: Job
    completeness: Job
    outcomes: Job
    monitoring: Job

    def all(self) -> list[Job]:
        """Return every job."""
        return list(vars(self).values())


def jobs_of(model: ModelAssets) -> ModelJobs:
    """Return the jobs of a model."""
    groups = [model.group(name) for name in ("ingestion", "features", "training", "validation")]
    complete = dg.AssetSelection.checks(dg.AssetCheckKey(model.key(PREDICTIONS), COMPLETE_CHECK))
    words, contract = model.words, model.contract

    def assets(*names: str) -> dg.AssetSelection:
        return dg.AssetSelection.assets(*model.keys(*names))

    daily = assets(model.names.delivered, OUTCOMES)

    def job(name: str, part: str, selection: dg.AssetSelection, description: str, **configs: dg.Config) -> Job:
        ops = {model.op(asset): config for asset, config in configs.items()}
        return dg.define_asset_job(
            model.named(f"{name}_job"), selection=selection, description=description, tags=model.job_tags(part),
            # The operations alone: the launchpad shows whatever is given, empty or not.
            config={"ops": dg.RunConfig(ops=ops).to_config_dict()["ops"]} if ops else None,  # type: ignore[no-untyped-call]
        )  # fmt: skip

    return ModelJobs(
        training=job(
            "training",
            "training",
            # A version is reproduced and studied when somebody asks for it, and it has to be named.
            dg.AssetSelection.groups(*groups) - daily - assets(RECALIBRATED_MODEL, REPRODUCTION, STUDY),
            "Takes the data from the source to a judged candidate. Start here: 'Materialize all' cannot mix these "
            "assets with the daily ones. It loads the data that the last version was trained on; the launchpad "
            f"accepts another of the model's sources ({', '.join(contract.sources)}), one of which may need the path "
            "of an archive. If a gate fails, the run fails and nothing moves.",
            **{model.names.raw: SourceConfig()},
        ),
        recalibration=job(
            "recalibration",
            "training",
            assets(RECALIBRATED_MODEL, VALIDATION),
            "Keep the model of the version in production, or of the one named in the launchpad, and correct its risks "
            f"by the latest {words.rows} whose outcome is known. The resulting candidate is judged by every gate; "
            "nothing moves.",
        ),
        promotion=promotion_job(model),
        reproduction=job(
            "reproduction",
            "validation",
            assets(REPRODUCTION),
            "Refit a recorded version from its recorded data, code and seed, and compare its predictions. Name the "
            "version in the launchpad. Takes about as long as a training run; registers and promotes nothing.",
            **{REPRODUCTION: ReproductionConfig(version="1")},
        ),
        study=job(
            "study",
            "validation",
            assets(STUDY),
            "Refit a recorded version with other seeds and under other rules for who is studied, to see how much is "
            "due to chance. Name the version in the launchpad. Takes about as long as one training run per seed and "
            "two more; registers and promotes nothing.",
            **{STUDY: StudyConfig(version="1")},
        ),
        projection=job(
            "projection",
            "promotion",
            dg.AssetSelection.groups(model.group("promotion")),
            "Show what is in staging and production: verify the artifacts and align the registry's aliases with the "
            "ledger. Promotes nothing; that is the promotion job.",
        ),
        rollback=rollback_job(model),
        replay=replay_job(model),
        scoring=job(
            "scoring",
            "scoring",
            # Whether every day is complete is looked at on its own, not in the middle of filling them.
            assets(model.names.delivered) | dg.AssetSelection.groups(model.group("inference")) - complete,
            f"Take in a day of {words.delivery} and score it: the production version for the work list, the staging "
            f"version in shadow mode. Choose a day that has files in landing/{contract.landing.rows}; `readmission "
            "replay` writes some.",
        ),
        completeness=job(
            "completeness",
            "scoring",
            complete,
            "Check whether every day up to yesterday has landed, was taken in and was scored. The sensor starts it "
            "when something changes; it scores nothing by itself.",
        ),
        outcomes=job(
            "outcomes",
            "monitoring",
            assets(OUTCOMES),
            f"Take in which {words.rows} were {words.positive}, by day, from landing/{contract.landing.outcomes}. "
            f"Choose days that are at least {contract.maturity_days} days old; `readmission replay --outcomes` "
            "writes some.",
        ),
        monitoring=job(
            "monitoring",
            "monitoring",
            dg.AssetSelection.groups(model.group("monitoring")),
            "Monitor what was scored: drift from each version's training data, window by window, and performance on "
            "matured outcomes. It can be launched at any time and judges only what is new. It blocks nothing, but a "
            "version whose full windows were not judged does not reach production.",
        ),
    )
