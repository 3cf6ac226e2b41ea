"""The component ``GovernedModel``: everything that Dagster shows and runs of one model, from twelve lines of YAML.

What belongs here: putting together what the factories of ``assets`` and ``automation`` make of a model's entry. What
does not: any model, and what belongs to the environment as a whole (``definitions``).

``configs/models/<name>/defs.yaml`` is such a component; its folder gives the model's name.
"""

from collections.abc import Sequence

import dagster as dg

from readmission_platform.assets.daily.inference import predictions_asset, shadow_asset
from readmission_platform.assets.daily.work_list import work_list_asset
from readmission_platform.assets.feed.completeness import completeness_check
from readmission_platform.assets.feed.delivered import delivered_asset
from readmission_platform.assets.feed.ingestion import cohort_asset, raw_asset
from readmission_platform.assets.feed.outcomes import outcomes_asset
from readmission_platform.assets.model.features import features_asset, split_asset
from readmission_platform.assets.model.model_card import model_card_asset
from readmission_platform.assets.model.promotion import stage_assets
from readmission_platform.assets.model.recalibration import recalibrated_asset
from readmission_platform.assets.model.reproduction import reproduction_asset
from readmission_platform.assets.model.rollout import rollout_asset
from readmission_platform.assets.model.study import study_asset
from readmission_platform.assets.model.training import candidate_asset
from readmission_platform.assets.model.validation import validation_asset
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.monitoring.drift import drift_asset
from readmission_platform.assets.monitoring.figures import figures_asset
from readmission_platform.assets.monitoring.performance import performance_asset
from readmission_platform.assets.partitions import days_known
from readmission_platform.automation.arrivals import completeness_sensor, landing_sensor
from readmission_platform.automation.jobs import jobs_of
from readmission_platform.automation.retraining import regular_training_schedule, retraining_sensor
from readmission_platform.automation.rollbacks import automatic_rollback_sensor
from readmission_platform.automation.rollouts import rollout_sensor
from readmission_platform.automation.schedules import (
    daily_outcomes_schedule,
    daily_scoring_schedule,
    monitoring_schedule,
)
from readmission_platform.automation.sensors import (
    production_promotion_sensor,
    reconciliation_sensor,
    staging_promotion_sensor,
)
from readmission_platform.config.environment import Settings, settings
from readmission_platform.config.files import environment_config, monitoring_config
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.config.models import ModelEntry
from readmission_platform.lifecycle.days.progress import hospital_day
from readmission_platform.lifecycle.workspace import contract_of
from readmission_platform.storage.landing import Landing


class GovernedModel(dg.Component, dg.Model, dg.Resolvable):
    """One governed model: assets with their gates, jobs, sensors and schedules."""

    contract: str
    prefix: str
    owner: str
    cost_center: str
    example: bool = False

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the definitions of the model whose folder this is, in the environment of this process."""
        name = context.path.name if context.path.is_dir() else context.path.parent.name
        entry, current = ModelEntry(name=name, **self.model_dump()), settings()
        return model_definitions(entry, current, environment_config(current))


def model_definitions(
    entry: ModelEntry, current: Settings, rules: EnvironmentConfig, *, asked: Sequence[str] = ()
) -> dg.Definitions:
    """Return everything of one model but the resources, which belong to the environment with these rules.

    Parameters
    ----------
    asked
        Days that have a partition even where nothing was delivered for them.
    """
    contract = contract_of(entry.contract)
    landing, table = Landing(current.landing, contract.landing), current.lake / entry.name / contract.names.delivered
    today = hospital_day(rules)
    first, delivered_today = days_known(landing, table, today=today)
    model = ModelAssets(
        entry,
        rules.timezone,
        contract,
        first_day=min([first, *asked]),
        today=delivered_today or today.isoformat() in asked,
    )
    jobs = jobs_of(model)
    return dg.Definitions(
        assets=[
            raw_asset(model),
            cohort_asset(model),
            features_asset(model),
            split_asset(model),
            candidate_asset(model),
            recalibrated_asset(model),
            validation_asset(model),
            model_card_asset(model),
            reproduction_asset(model),
            study_asset(model),
            *stage_assets(model),
            rollout_asset(model),
            delivered_asset(model),
            shadow_asset(model),
            predictions_asset(model),
            work_list_asset(model),
            outcomes_asset(model),
            drift_asset(model),
            performance_asset(model),
            figures_asset(model),
        ],
        asset_checks=[completeness_check(model)],
        jobs=jobs.all(),
        schedules=[
            daily_scoring_schedule(model, jobs, rules),
            daily_outcomes_schedule(model, jobs, rules),
            monitoring_schedule(model, jobs, rules),
            regular_training_schedule(model, jobs, rules, monitoring_config(current, entry.name)),
        ],
        sensors=[
            staging_promotion_sensor(model, jobs, rules),
            production_promotion_sensor(model, jobs, rules),
            rollout_sensor(model, jobs, rules),
            automatic_rollback_sensor(model, jobs, rules),
            reconciliation_sensor(model, jobs, rules),
            landing_sensor(model, jobs, rules),
            completeness_sensor(model, jobs, rules),
            retraining_sensor(model, jobs, rules),
        ],
    )
