"""Reproduction: a recorded version is fitted once more from what the ledger names, and its predictions compared.

What belongs here: the asset. What does not: rebuilding and comparing (``lifecycle.training.reproduction``).
"""

from pathlib import Path

import dagster as dg
from pydantic import Field

from readmission_platform.assets.model.training import CANDIDATE
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import PLATFORM_TEAM, check_result
from readmission_platform.lifecycle.training.recorded_version import gather
from readmission_platform.lifecycle.training.reproduction import (
    TOLERANCE,
    compared,
    in_words,
    platform_facts,
    put_on_record,
    rebuilt_by,
    record_of,
)
from readmission_platform.lifecycle.workspace import Platform

REPRODUCTION = "reproduction"
CHECK = "predictions_reproduced"
RULE = "The model, refitted as recorded, gives the recorded predictions."


class ReproductionConfig(dg.Config):
    """Which version to reproduce, and how."""

    version: str = Field(description="Version to reproduce.")
    tolerance: float = Field(default=TOLERANCE, ge=0, lt=1, description="Largest accepted difference in a risk.")
    with_this_code: bool = Field(default=False, description="Use the running code if it differs from the recorded one.")
    keep: str | None = Field(default=None, description="New folder for the rebuilt model and both sets of scores.")


def reproduction_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset that reproduces a version."""

    @model.asset(
            REPRODUCTION, group="validation", owners=[PLATFORM_TEAM], kinds={model.library}, deps=[CANDIDATE],
            pool="training", blocking={CHECK: RULE},
            description="A recorded version, refitted from its recorded data, split, settings, seed and code. "
            f"The out-of-fold risks are compared with the evidence rows, those of the test {model.words.entities} with "
            "the stored model's. On the same kind of machine they are identical; otherwise the largest difference is "
            "held against a tolerance. The result goes into the ledger. Launch the reproduction job with a version, or "
            "use `readmission reproduce VERSION`.",
    )  # fmt: skip
    def reproduction(
        context: dg.AssetExecutionContext, config: ReproductionConfig, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            record = record_of(ledger, config.version)
        recorded = gather(record, workspace)
        rebuilt, code = rebuilt_by(recorded, workspace, with_this_code=config.with_this_code, progress=context.log.info)
        found = compared(recorded, rebuilt, tolerance=config.tolerance) | {
            "run_id": context.run.run_id,
            "code": {"recorded": record.code_version, **code},
            "platform": platform_facts(model.contract.estimator.artifact.packages),
        }
        put_on_record(found, recorded, rebuilt, workspace, keep_in=Path(config.keep) if config.keep else None)
        return dg.MaterializeResult(
            metadata={"model version": record.version, "result": found["result"].replace("_", " "),
                      "largest difference": found["largest_difference"], "tolerance": config.tolerance,
                      "artifact": found["artifact"], "code": found["code"], "platform": found["platform"]},
            tags={"model_version": record.version},
            check_results=[
                check_result(CHECK, found["result"] != "differs", observed=in_words(found), rule=RULE,
                             action="Compare platform and code in the ledger; on the same machine and code, find out "
                             "what was left to chance. Until it is explained, this version's evidence stands on its "
                             "record."),
            ],
        )  # fmt: skip

    return reproduction
