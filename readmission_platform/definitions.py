"""The one place where everything comes together: assets, jobs, schedules, sensors and resources.

What belongs here: assembling. What does not: anything that takes time; loading this module imports no heavy library.
"""

import logging
from collections.abc import Mapping
from typing import Any

import dagster as dg

from readmission_platform.assets.daily import inference
from readmission_platform.assets.daily import work_list as worklist
from readmission_platform.assets.encounters import discharges, ingestion, outcomes
from readmission_platform.assets.encounters.days import every_day_complete
from readmission_platform.assets.encounters.replay import replay_job
from readmission_platform.assets.model import features, model_card, promotion, reproduction, study, training, validation
from readmission_platform.assets.model.rollback import rollback_job
from readmission_platform.assets.monitoring import drift, figures, performance
from readmission_platform.automation.arrivals import completeness_sensor, landing_sensor
from readmission_platform.automation.jobs import (
    completeness_job,
    monitoring_job,
    outcomes_job,
    projection_job,
    reproduction_job,
    scoring_job,
    study_job,
    training_job,
)
from readmission_platform.automation.observation import observation_sensor
from readmission_platform.automation.retraining import retraining_sensor, weekly_training_schedule
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
from readmission_platform.resources.environment import environment_resources
from readmission_platform.resources.lake import LakeIOManager

ASSET_MODULES = [
    *(ingestion, features, training, validation, promotion, discharges, inference, worklist),
    *(model_card, outcomes, drift, performance, figures, reproduction, study),
]
LOCATION = "readmission_platform"
TERMINAL_LOGGER = "terminal"


@dg.logger({}, description="Hands events to the terminal of whoever started the run from the command line.")
def terminal_logger(_context: dg.InitLoggerContext) -> logging.Logger:
    """Return the logger that the command line listens to."""
    logger = logging.getLogger(TERMINAL_LOGGER)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    return logger


def build_definitions(current: Settings, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Return the definitions of an environment.

    Parameters
    ----------
    current
        Settings of the environment.
    resource_overrides
        Resources to use instead of the ordinary ones, by key.
    """
    rules = environment_config(current)
    resources: dict[str, Any] = {
        "io_manager": LakeIOManager(root=str(current.lake)),
        "memory": dg.mem_io_manager,  # what an op hands back to its caller is not data
        **environment_resources(current)._asdict(),
        **(resource_overrides or {}),
    }
    return dg.Definitions(
        assets=dg.load_assets_from_modules(ASSET_MODULES),
        asset_checks=[every_day_complete],
        jobs=[
            training_job,
            promotion.promotion_job,
            reproduction_job,
            study_job,
            projection_job,
            rollback_job,
            replay_job,
            scoring_job,
            completeness_job,
            outcomes_job,
            monitoring_job,
        ],
        schedules=[
            daily_scoring_schedule(rules),
            daily_outcomes_schedule(rules),
            monitoring_schedule(rules),
            weekly_training_schedule(rules, monitoring_config(current)),
        ],
        sensors=[
            staging_promotion_sensor(rules),
            production_promotion_sensor(rules),
            reconciliation_sensor(rules),
            landing_sensor(rules),
            completeness_sensor(rules),
            observation_sensor(rules),
            retraining_sensor(rules),
        ],
        resources=resources,
        loggers={"console": dg.colored_console_logger, TERMINAL_LOGGER: terminal_logger},
        # One process per run: starting one per step costs more than the steps.
        executor=dg.in_process_executor,
    )


defs = build_definitions(settings())
