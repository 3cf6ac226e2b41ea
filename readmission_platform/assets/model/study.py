"""How much of a version is chance and how much hangs on who was studied: measured by fitting it again.

What belongs here: ``robustness_study``, which fits the recipe of a recorded version on its recorded data with several
seeds and under other cohort rules, and records what it found. What does not: the figures
(``evaluation.estimates.seeds``), the rules (``models.readmission_30d.robustness``) and how it is shown
(``reports.evidence_report``).
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from pydantic import Field

from readmission_platform.assets.model.evidence_metadata import study_metadata
from readmission_platform.assets.model.reproduction import record_of
from readmission_platform.assets.presentation import PLATFORM_TEAM, check_result
from readmission_platform.config.governance import GatePolicy
from readmission_platform.config.model import ModelConfig
from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.policy.gates import GateResult, evaluate_gates, verdict
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.governance.promotion.decision import limit_set_of
from readmission_platform.lifecycle.training.recorded_version import Recorded, gather, settings_of
from readmission_platform.lifecycle.training.training_record import RAW_TABLE
from readmission_platform.lifecycle.versions.evidence_document import evidence_document, policy_of, write_document
from readmission_platform.models.contract import Reliance
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.evidence import SCHEMA
from readmission_platform.models.readmission_30d.explanation import EXPLANATION
from readmission_platform.models.readmission_30d.robustness import ReadmissionRobustness
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.resources.tracking import TrackingResource
from readmission_platform.storage.lake import Lake

STUDIED = "version_studied"
SEEDS = 5
NEEDED_SHARE = 0.9
CHECK = "seeds_pass_candidate_gates"
RULE = f"The recipe passes the candidate gates with at least {NEEDED_SHARE:.0%} of the seeds."


class StudyConfig(dg.Config):
    """Which version to study, and with how many seeds."""

    version: str = Field(description="Version to study.")
    seeds: int = Field(default=SEEDS, ge=2, le=50, description="Number of seeds, beginning with the version's own.")


@dataclass(frozen=True)
class Fit:
    """What one seed gave: out-of-fold risks, their gates, and how the model of fold 0 explains itself."""

    scores: np.ndarray
    estimates: dict[str, Any]
    gates: list[GateResult]
    relied_on: Reliance


@dg.asset(
    group_name="validation",
    owners=[PLATFORM_TEAM],
    kinds={"scikitlearn"},
    code_version="1",
    pool="training",
    deps=["candidate_model"],
    check_specs=[dg.AssetCheckSpec(CHECK, asset="robustness_study", description=RULE)],
)
def robustness_study(
    context: dg.AssetExecutionContext,
    config: StudyConfig,
    project: ProjectResource,
    tracking: TrackingResource,
    lake: LakeResource,
) -> dg.MaterializeResult:
    """How stable a version is: fitted again with other seeds, and judged under other rules for who is studied.

    Says how figures, scores, the list of the flagged and the reasons move when only chance changes, and whether the
    result hangs on the cohort rule. The recorded data and recipe are used; nothing is registered or promoted. The
    result goes into the ledger and into the version's report. Launch study_job, or use `readmission study VERSION`.
    """
    with project.ledger() as ledger:
        record = record_of(ledger, config.version)
        events = ledger.events()
    recorded = gather(record, lake.open(), tracking.root, project.pseudonym_key)
    study = _Study(recorded, project, _policy(events, recorded), context)
    found = {
        "run_id": context.run.run_id,
        "code_version": project.code_version,
        **study.with_seeds(config.seeds),
        "cohort_rules": study.under_rules(lake.open()),
    }
    with project.ledger() as ledger:
        ledger.append(STUDIED, found, actor=project.actor, version=record.version)
        events, pointers = ledger.snapshot()
    document = evidence_document(record.version, events=events, pointers=pointers, project=project, lake=lake.open())
    report = write_document(document, project)
    gates = found["seeds"]["gates"]
    return dg.MaterializeResult(
        metadata=study_metadata(document, report),
        tags={"model_version": record.version},
        check_results=[
            check_result(
                CHECK, gates["passed"] >= NEEDED_SHARE * gates["of"], rule=RULE,
                observed=f"{gates['passed']} of {gates['of']}",
                action="The version passed by luck, or the gates are too close to what the recipe reaches: look at "
                "which gates failed before you approve it.",
            ),
        ],
    )  # fmt: skip


def _policy(events: list[Any], recorded: Recorded) -> GatePolicy:
    """Return the policy the version was judged by, or else the one in force."""
    validated = recorded.record.validated_payload or {}
    policy = policy_of(events, validated.get("policy_digest"))
    if policy is None:
        raise BadInput("no gate policy is in force; `readmission policy adopt` puts one into force")
    return policy


class _Study:
    """Fits the recipe of a recorded version on its data again and again."""

    def __init__(
        self, recorded: Recorded, project: ProjectResource, policy: GatePolicy, context: dg.AssetExecutionContext
    ) -> None:
        self.recorded, self.project, self.policy = recorded, project, policy
        self.model: ModelConfig = project.model
        self.labels = recorded.features["readmitted_30d"].to_numpy()
        self.settings = {"target_smoothing": None, **settings_of(recorded.record, self.model)}
        if recorded.record.seed is None:
            raise BadInput(f"the seed of version {recorded.record.version} was not recorded; train a new version")
        self.seed: int = recorded.record.seed
        self._tell = context.log.info

    def with_seeds(self, count: int) -> dict[str, Any]:
        """Return ``seeds`` and ``reasons`` of the payload."""
        from readmission_platform.evaluation.estimates.seeds import likeness_of_reasons

        used = [self.seed + step for step in range(count)]
        fits = []
        for number, seed in enumerate(used, start=1):
            fits.append(self._fit(seed))
            self._tell(f"seed {number} of {count} fitted")
        reasons = likeness_of_reasons(
            [fit.relied_on.contributions for fit in fits], top=EXPLANATION.named_at_most, seed=self.seed
        )
        adds_up = max(fit.relied_on.adds_up for fit in fits)
        return {
            "seeds": self._seeds(used, fits),
            "reasons": {**reasons, "largest_difference_log_odds": adds_up},
        }

    def _seeds(self, used: list[int], fits: list[Fit]) -> dict[str, Any]:
        from readmission_platform.evaluation.estimates.agreement import rank_correlation
        from readmission_platform.evaluation.estimates.seeds import between, likeness_of_scores, spread_of

        share = self.model.flag_share
        names = ["auroc", "brier_skill", "calibration_slope", "observed_expected", "recall_at_flag"]
        failed = Counter(gate.gate for fit in fits for gate in fit.gates if gate.blocks)
        pairs = [(one, other) for place, one in enumerate(fits) for other in fits[place + 1 :]]
        importance = between([rank_correlation(one.relied_on.losses, other.relied_on.losses) for one, other in pairs])
        return {
            "used": used,
            "flag_share": share,
            "own_seed_difference": float(np.abs(fits[0].scores - self.recorded.scores).max()),
            "figures": [{"name": name, **spread_of([fit.estimates[name]["value"] for fit in fits])} for name in names],
            **likeness_of_scores([fit.scores for fit in fits], flag_share=share),
            "importance_rank_correlation": importance,
            "gates": {
                "passed": sum(verdict(fit.gates) == "pass" for fit in fits),
                "of": len(fits),
                "failed": [{"gate": gate, "seeds": times} for gate, times in sorted(failed.items())],
            },
        }

    def _fit(self, seed: int) -> Fit:
        from readmission_platform.assets.model.training import evidence_of
        from readmission_platform.evaluation.estimates.rows import digest_rows
        from readmission_platform.lifecycle.versions.version_facts import estimates_of

        features, folds = self.recorded.features, self.recorded.folds
        fitted = CONTRACT.estimator.cross_validate(features, self.labels, folds, self.settings, seed=seed)
        rows = evidence_of(features, self.labels, folds, fitted.scores, self.project.pseudonym_key)
        estimates = estimates_of(rows, digest_rows(rows, SCHEMA), self.model)["estimates"]
        limit_set = limit_set_of(self.recorded.record.source)
        if limit_set is None:
            raise BadInput(f"version {self.recorded.record.version} was trained on an unknown source")
        gates = evaluate_gates(
            estimates, self.policy, required=required_gates(SCHEMA), limit_set=limit_set, stages=("candidate",)
        )
        # The same encounters and the same shuffle for every seed: what differs is the model.
        test = np.flatnonzero(folds == 0)
        patients = pd.factorize(features["entity_key"].iloc[test])[0]
        relied_on = EXPLANATION.reliance(fitted.model, features.iloc[test], self.labels[test], patients, seed=self.seed)
        return Fit(fitted.scores, estimates, gates, relied_on)

    def under_rules(self, lake: Lake) -> list[dict[str, Any]]:
        """Return ``cohort_rules`` of the payload: the shipped rule, narrower ones, and those that change training."""
        features, scores = self.recorded.features, self.recorded.scores
        everybody = np.ones(len(features), dtype=bool)
        rules = [self._rule("the shipped rule", "as validated", features, self.labels, scores, everybody)]
        robustness = ReadmissionRobustness()
        for rule, kept in robustness.narrower(features).items():
            rules.append(self._rule(rule, "same model", features, self.labels, scores, kept))
        others = robustness.refitted(
            features, self.labels, self.recorded.folds, self._raw(lake), key=self.project.pseudonym_key,
            replay_share=self.model.replay_share, fold_count=self.model.folds,
        )  # fmt: skip
        for other in others:
            table = other.table
            scores = CONTRACT.estimator.cross_validate(
                table.frame, table.labels, table.folds, self.settings, seed=self.seed
            ).scores
            self._tell(f"{other.name} fitted")
            rules += [self._rule(rule, "refitted", table.frame, table.labels, scores, kept)
                      for rule, kept in other.judged.items()]  # fmt: skip
        return rules

    def _raw(self, lake: Lake) -> pd.DataFrame | None:
        """Return the encounters the cohort was selected from; None where the source was not recorded."""
        source = (self.recorded.record.trained.get("cohort") or {}).get("source")
        return None if source is None else lake.read(RAW_TABLE, version=source["table_version"])

    def _rule(
        self, rule: str, kind: str, frame: pd.DataFrame, labels: np.ndarray, scores: np.ndarray, kept: np.ndarray
    ) -> dict[str, Any]:
        from readmission_platform.evaluation.estimates.seeds import key_figures

        figures = key_figures(
            labels=labels[kept].astype(np.int64),
            scores=scores[kept],
            patients=pd.factorize(frame["entity_key"][kept])[0],
            flag_share=self.model.flag_share,
            replicates=self.model.bootstrap_replicates,
            seed=self.model.seed,
        )
        # Who is left out or added could be worked out from the shipped rule's counts.
        apart = [abs(int(kept.sum()) - len(self.labels)), abs(int(labels[kept].sum()) - int(self.labels.sum()))]
        if any(0 < count < SMALLEST_SHOWN for count in apart):
            figures = {name: figure | {"n": None, "positives": None} for name, figure in figures.items()}
        counts = {name: figures["auroc"][name] for name in ("n", "positives")}
        return {"rule": rule, "kind": kind, **counts, "figures": figures}
