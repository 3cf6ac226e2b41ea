"""The tables of a model: their names, once, and the lake that holds them.

What belongs here: names of tables, and of the columns that the platform adds. What does not: names that a model gives
its own rows (``models.contract``). Every model has a folder of its own in the lake, so no two share a table.
"""

from pathlib import Path

from readmission_platform.models.contract import AssetNames, ModelContract
from readmission_platform.storage.lake import Lake

EVIDENCE = "model_evidence"
PREDICTIONS = "daily_predictions"
SHADOW = "shadow_predictions"
# What the service answered, request by request; lines of the arm ``shadow`` were not the answer.
SERVED = "served_predictions"
# Its partitions: the day of the answer in UTC.
SERVED_ON = "served_on"
OUTCOMES = "matured_outcomes"
DRIFT = "drift_report"
PERFORMANCE = "live_performance"
# What became of delivered files and rows.
ACCOUNTING, FILES, QUARANTINE = "intake_accounting", "intake_files", "quarantined_rows"
HELD, CORRECTIONS, CODE_TRANSLATIONS = "rows_left_to_another_day", "corrected_rows", "code_translations"
UNUSUAL = "unusual_days"
OUTCOME_ACCOUNTING, OUTCOME_QUARANTINE = "outcome_accounting", "quarantined_outcomes"
OUTCOME_FILES, OUTCOME_CORRECTIONS = "outcome_files", "corrected_outcomes"

# By these, and by the key of a row, rows are looked for among all days.
SOUGHT = ("file_digest", "first_taken_in", "found_at", "model_version", "problem", "version")

# What scoring the same day again changes although every score stays the same.
CIRCUMSTANCES = ["run_id", "scored_at", "delivered_version", "cohort_version", "outcomes_version", "identities_event"]


class ModelLake(Lake):
    """The tables of one model, and the names of its key columns."""

    def __init__(self, root: Path, contract: ModelContract) -> None:
        super().__init__(root, sought=[contract.row, *SOUGHT])
        self.contract = contract

    @property
    def names(self) -> AssetNames:
        """Names of the tables that speak of the model's own rows."""
        return self.contract.names

    @property
    def row(self) -> str:
        """Column that identifies a row."""
        return self.contract.row

    @property
    def day(self) -> str:
        """Column with the day of a row: the partition of daily tables."""
        return self.contract.day

    @property
    def outcome(self) -> str:
        """Column with the outcome, 0 or 1."""
        return self.contract.outcome
