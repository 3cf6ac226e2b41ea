"""The one place where everything comes together: models, jobs, schedules, sensors and resources.

What belongs here: assembling. What does not: anything that takes time; loading this module imports no heavy library.
"""

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import dagster as dg

from readmission_platform.automation.observation import observation_sensor
from readmission_platform.components import model_definitions
from readmission_platform.config.environment import Settings, settings
from readmission_platform.config.files import environment_config
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.resources.lake import LakeIOManager
from readmission_platform.storage.home import prepare_process

LOCATION = "readmission_platform"
TERMINAL_LOGGER = "terminal"


@dg.logger({}, description="Hands events to the terminal of whoever started the run from the command line.")
def terminal_logger(_context: dg.InitLoggerContext) -> logging.Logger:
    """Return the logger that the command line listens to."""
    logger = logging.getLogger(TERMINAL_LOGGER)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    return logger


def build_definitions(current: Settings, *, asked: Sequence[str] = ()) -> dg.Definitions:
    """Return the definitions of an environment: everything of each model in use, and what belongs to all of them.

    Days are those from the first delivered to yesterday, or to today once something was delivered for it, and those
    ``asked`` for.

    A model whose files are wrong is left out and raises an alert.

    Neither platform nor lake can be configured from a run: the launchpad has no say in who acts and which rules hold.
    """
    platform = Platform(current)
    resources: dict[str, Any] = {
        "platform": platform,
        "io_manager": LakeIOManager(platform),
        "memory": dg.mem_io_manager,  # what an op hands back to its caller is not data
    }
    rules, broken = environment_config(current), dict(platform.broken)
    models = []
    for workspace in platform.workspaces:
        try:
            models.append(model_definitions(workspace.entry, current, rules, asked=asked))
        except ConfigurationError as error:  # of this model; the others keep their day
            broken[workspace.name] = str(error)
    for name, problem in broken.items():
        dg.get_dagster_logger().error(f"nothing of {name} is loaded: {problem}")
    environment = dg.Definitions(
        sensors=[observation_sensor(rules, broken)],
        resources=resources,
        loggers={"console": dg.colored_console_logger, TERMINAL_LOGGER: terminal_logger},
        # One process per run: starting one per step costs more than the steps.
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(environment, *models)


# Two parameters that Dagster may still change: the lock pins the release that has them as we use them, and the second
# is one that Dagster gives to itself. Said for every asset at every start and run, they hide whatever else is said.
warnings.filterwarnings("ignore", message=".*`(backfill_policy|owners)` .*currently in beta", category=dg.BetaWarning)
# The daemon starts its code server anew every minute, and the web server when definitions are reloaded. The one before
# ends because nobody asks after it any more, with this warning. One that is out of reach is told by whoever needs it.
logging.getLogger("dagster.code_server").addFilter(
    lambda record: not record.getMessage().startswith("No heartbeat received in ")
)
prepare_process(settings())
defs = build_definitions(settings())
