"""The settings that a dossier's figures are recomputed with, bounded so that recomputing them ends.

What belongs here: their shape. What does not: recomputing (``lifecycle.versions.dossier_verification``).
"""

from typing import Annotated

from pydantic import ConfigDict, Field

from readmission_platform.evaluation.estimates.rows import InvalidEvidence
from readmission_platform.governance.ledger.shapes import Shape

Share = Annotated[float, Field(gt=0, lt=1)]
# Rows times replicates: twenty times what the published archive takes with 1,000 replicates.
MOST_RESAMPLED = 2 * 10**9


class EvaluationSettings(Shape):
    """As ``evaluation.estimates.evidence.evaluate`` takes them."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    flag_share: Share
    wide_flag_share: Share
    thresholds: list[Share] = Field(max_length=50)
    replicates: int = Field(ge=1, le=10_000)
    seed: int = Field(ge=0, lt=2**32)

    def within_reach(self, rows: int) -> "EvaluationSettings":
        """Return the settings themselves.

        Raises
        ------
        InvalidEvidence
            When so many rows cannot be resampled so often in reasonable time.
        """
        if rows * self.replicates > MOST_RESAMPLED:
            raise InvalidEvidence(f"{rows:,} rows cannot be resampled {self.replicates:,} times in reasonable time")
        return self
