"""How much of a version is chance, and how much depends on who was studied.

What belongs here: ``robustness_study``, which records what was found. What does not: fitting again
(``lifecycle.training.robustness``) and how it is shown (``reports.evidence_report``).
"""

from collections.abc import Sequence

import dagster as dg
from pydantic import Field

from readmission_platform.assets.model.evidence_metadata import study_metadata
from readmission_platform.assets.model.training import CANDIDATE
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import PLATFORM_TEAM, check_result
from readmission_platform.config.governance import GatePolicy
from readmission_platform.foundation.counting import percent
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.lifecycle.training.recorded_version import Recorded, gather
from readmission_platform.lifecycle.training.reproduction import record_of
from readmission_platform.lifecycle.training.robustness import Study
from readmission_platform.lifecycle.versions.evidence_document import evidence_document, policy_of, write_document
from readmission_platform.lifecycle.workspace import Platform

STUDY, STUDIED = "robustness_study", "version_studied"
SEEDS = 5
NEEDED_SHARE = 0.9
CHECK = "seeds_pass_candidate_gates"
RULE = f"The recipe passes the candidate gates with at least {percent(NEEDED_SHARE)} of the seeds."


class StudyConfig(dg.Config):
    """Which version to study, and with how many seeds."""

    version: str = Field(description="Version to study.")
    seeds: int = Field(default=SEEDS, ge=2, le=50, description="Number of seeds, beginning with the version's own.")


def study_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset that studies a version."""

    @model.asset(
            STUDY, group="validation", owners=[PLATFORM_TEAM], kinds={model.library}, deps=[CANDIDATE], pool="training",
            warning={CHECK: RULE},
            description="How stable a version is: fitted again with other seeds, and judged under other rules for "
            "who is studied. Says how figures, scores, the list of the flagged and the reasons move when only chance "
            "changes, and whether the result depends on the cohort rule. The recorded data and recipe are used; "
            "nothing is registered or promoted. The result goes into the ledger and into the version's report. "
            "Launch the study job, or use `readmission study VERSION`.",
    )  # fmt: skip
    def robustness_study(
        context: dg.AssetExecutionContext, config: StudyConfig, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        workspace = model.workspace(platform)
        with workspace.ledger() as ledger:
            record = record_of(ledger, config.version)
            events = ledger.events()
        recorded = gather(record, workspace)
        study = Study(recorded, workspace, _policy(events, recorded), context.log.info)
        found = {
            "run_id": context.run.run_id,
            "code_version": workspace.code_version,
            **study.with_seeds(config.seeds),
            "cohort_rules": study.under_rules(),
        }
        with workspace.ledger() as ledger:
            ledger.append(STUDIED, found, actor=workspace.actor, version=record.version)
            events, pointers = ledger.snapshot()
        document = evidence_document(record.version, events=events, pointers=pointers, workspace=workspace)
        gates = found["seeds"]["gates"]
        return dg.MaterializeResult(
            metadata=study_metadata(document, write_document(document, workspace)),
            tags={"model_version": record.version},
            check_results=[
                check_result(
                    CHECK, gates["passed"] >= NEEDED_SHARE * gates["of"], rule=RULE,
                    observed=f"{gates['passed']} of {gates['of']}",
                    action="The version may have passed by chance, or the gates are too close to what the recipe "
                    "reaches: look at which gates failed before you approve it.",
                ),
            ],
        )  # fmt: skip

    return robustness_study


def _policy(events: Sequence[Event], recorded: Recorded) -> GatePolicy:
    """Return the policy the version was judged by, or else the one in force."""
    validated = recorded.record.validated_payload or {}
    policy = policy_of(events, validated.get("policy_digest"))
    if policy is None:
        raise BadInput("no gate policy is in force; `readmission policy adopt` puts one into force")
    return policy
