"""How much of a version is chance, and how much depends on who was studied: measured by fitting it again.

What belongs here: fitting the recipe of a recorded version on its recorded data with several seeds and under other
rules for the cohort. What does not: the figures (``evaluation.estimates.seeds``), the rules (the contract's
robustness), and recording what was found (``assets.model.study``).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.config.governance import GatePolicy
from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.estimates.rows import digest_rows
from readmission_platform.evaluation.information import risks_moved
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.policy.gates import GateResult, evaluate_gates, verdict
from readmission_platform.governance.policy.required import MEASURED_AT_TRAINING, information_metrics
from readmission_platform.lifecycle.training.recorded_version import Recorded, settings_of
from readmission_platform.lifecycle.training.training_table import TrainingTable, evidence_of
from readmission_platform.lifecycle.versions.version_facts import estimates_of
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.models.contract import Reliance


@dataclass(frozen=True)
class Fit:
    """What one seed gave: out-of-fold risks, their gates, and what the model of fold 0 relies on."""

    scores: np.ndarray
    estimates: dict[str, Any]
    gates: list[GateResult]
    reliance: Reliance | None


class Study:
    """Fits the recipe of a recorded version on its data again and again.

    Parameters
    ----------
    policy
        The policy the version is judged by.
    tell
        Called with one line as each step is done.
    """

    def __init__(
        self, recorded: Recorded, workspace: Workspace, policy: GatePolicy, tell: Callable[[str], None]
    ) -> None:
        self.recorded, self.workspace, self.policy, self._tell = recorded, workspace, policy, tell
        self.contract, self.config = workspace.contract, workspace.config
        self.settings = settings_of(recorded.record)
        if recorded.record.seed is None:
            raise BadInput(f"the seed of version {recorded.record.version} was not recorded; train a new version")
        self.table = TrainingTable(
            recorded.features,
            recorded.features[self.contract.outcome].to_numpy(),
            recorded.folds,
            recorded.record.seed,
        )
        self.inputs = recorded.features[list(self.contract.inputs)]

    def with_seeds(self, count: int) -> dict[str, Any]:
        """Return ``seeds`` and ``reasons`` of the payload; reasons only of a model that explains itself."""
        used = [self.table.seed + step for step in range(count)]
        fits = []
        for number, seed in enumerate(used, start=1):
            fits.append(self._fit(seed))
            self._tell(f"seed {number} of {count} fitted")
        return {"seeds": self._seeds(used, fits), "reasons": self._reasons([fit.reliance for fit in fits])}

    def _reasons(self, reliances: Sequence[Reliance | None]) -> dict[str, Any] | None:
        from readmission_platform.evaluation.estimates.seeds import likeness_of_reasons

        known = [reliance for reliance in reliances if reliance is not None]
        if self.contract.explain is None or not known:
            return None
        contributions = [reliance.contributions for reliance in known]
        reasons = likeness_of_reasons(contributions, top=self.contract.explain.named_at_most, seed=self.table.seed)
        return {**reasons, "largest_difference_log_odds": max(reliance.adds_up for reliance in known)}

    def _seeds(self, used: list[int], fits: list["Fit"]) -> dict[str, Any]:
        from readmission_platform.evaluation.estimates.agreement import rank_correlation
        from readmission_platform.evaluation.estimates.seeds import between, likeness_of_scores, spread_of

        share = self.config.flag_share
        names = ["auroc", "brier_skill", "calibration_slope", "observed_expected", "recall_at_flag"]
        failed = Counter(gate.gate for fit in fits for gate in fit.gates if gate.blocks)
        losses = [fit.reliance.losses for fit in fits if fit.reliance is not None]
        pairs = [(one, other) for place, one in enumerate(losses) for other in losses[place + 1 :]]
        importance = between([rank_correlation(one, other) for one, other in pairs]) if pairs else None
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

    def _fit(self, seed: int) -> "Fit":
        schema, table, record = self.contract.evidence, self.table, self.recorded.record
        fitted = self.contract.estimator.cross_validate(
            self.inputs, table.labels, table.folds, self.settings, entities=table.entities, seed=seed
        )
        baselines = self.contract.data.baselines(self.inputs, table.labels, table.folds)
        rows = evidence_of(self.contract, table, fitted.scores, self.workspace.pseudonym_key, baselines=baselines)
        estimates = estimates_of(rows, digest_rows(rows, schema), self.config, schema)["estimates"]
        limit_set = self.workspace.limits_of(record.source)
        if limit_set is None:
            raise BadInput(f"version {record.version} was trained on an unknown source")
        score, test = partial(self.contract.estimator.score, fitted.model), self.inputs[table.test]
        moved = information_metrics(risks_moved(score, test, schema.information, seed=seed))
        gates = evaluate_gates(
            estimates | {metric: {"value": value} for metric, value in moved.items()}, self.policy,
            required=self.workspace.required, limit_set=limit_set, stages=("candidate",),
        )  # fmt: skip
        # What else is measured when a version is trained is not measured for every seed.
        judged = [gate for gate in gates if gate.metric not in MEASURED_AT_TRAINING]
        return Fit(fitted.scores, estimates, judged, self._reliance(fitted.model))

    def _reliance(self, model: Any) -> Reliance | None:
        """Measure what a fit relies on, on the same rows for every seed: what differs is the model."""
        if self.contract.explain is None:
            return None
        test = self.table.test
        entities = pd.factorize(self.table.frame["entity_key"][test])[0]
        return self.contract.explain.reliance(
            model, self.inputs[test], self.table.labels[test], entities, seed=self.table.seed
        )

    def under_rules(self) -> list[dict[str, Any]]:
        """Return ``cohort_rules`` of the payload: the shipped rule, narrower ones, and those that change training."""
        features, labels, scores = self.recorded.features, self.table.labels, self.recorded.scores
        everybody = np.ones(len(features), dtype=bool)
        rules = [self._rule("the shipped rule", "as validated", features, labels, scores, everybody)]
        other = self.contract.robustness
        if other is None:
            return rules
        for rule, kept in other.narrower(features).items():
            rules.append(self._rule(rule, "same model", features, labels, scores, kept))
        for cohort in other.refitted(
            features, labels, self.recorded.folds, self._raw(), key=self.workspace.pseudonym_key,
            replay_share=self.config.replay_share, fold_count=self.config.folds,
        ):  # fmt: skip
            table = cohort.table
            refitted = self.contract.estimator.cross_validate(
                table.frame[list(self.contract.inputs)], table.labels, table.folds, self.settings,
                entities=table.frame["entity_key"].to_numpy(), seed=self.table.seed,
            ).scores  # fmt: skip
            self._tell(f"{cohort.name} fitted")
            rules += [self._rule(rule, "refitted", table.frame, table.labels, refitted, kept)
                      for rule, kept in cohort.judged.items()]  # fmt: skip
        return rules

    def _raw(self) -> pd.DataFrame | None:
        """Return the raw rows that the version was made from, where that was recorded."""
        source = (self.recorded.record.trained.get("cohort") or {}).get("source")
        lake = self.workspace.lake
        return None if source is None else lake.read(lake.names.raw, version=source["table_version"])

    def _rule(
        self, rule: str, kind: str, frame: pd.DataFrame, labels: np.ndarray, scores: np.ndarray, kept: np.ndarray
    ) -> dict[str, Any]:
        from readmission_platform.evaluation.estimates.seeds import key_figures

        figures = key_figures(
            labels=labels[kept].astype(np.int64),
            scores=scores[kept],
            entities=pd.factorize(frame["entity_key"][kept])[0],
            flag_share=self.config.flag_share,
            replicates=self.config.bootstrap_replicates,
            seed=self.config.seed,
        )
        # Who is left out or added could be worked out from the shipped rule's counts.
        ours = self.table.labels
        apart = [abs(int(kept.sum()) - len(ours)), abs(int(labels[kept].sum()) - int(ours.sum()))]
        if any(0 < count < SMALLEST_SHOWN for count in apart):
            figures = {name: figure | {"n": None, "positives": None} for name, figure in figures.items()}
        counts = {name: figures["auroc"][name] for name in ("n", "positives")}
        return {"rule": rule, "kind": kind, **counts, "figures": figures}
