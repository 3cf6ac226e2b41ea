"""The account of a day: what was received of it and what became of that, as it may be shown.

What belongs here: reading the counts, and hiding what would tell 1 to 10 people. What does not: counting on the way in
(``intake``), and the rule (``evaluation.operation.shown``).
"""

from collections.abc import Mapping, Sequence

from readmission_platform.evaluation.operation.shown import shown_counts
from readmission_platform.lifecycle.days.intake import ROW_COUNTS
from readmission_platform.storage.tables import ACCOUNTING, ModelLake


def shown_outputs(lake: ModelLake, outputs: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int | None]]:
    """Return how many rows of days were scored, withheld and flagged, as it may be shown.

    What was received and accepted of the days is shown elsewhere, and so has a say in it.

    Parameters
    ----------
    outputs
        By day: ``scored``, ``withheld``, ``flagged``.
    """
    taken_in = counts_taken_in(lake, list(outputs))
    return {
        day: {
            name: count for name, count in shown_counts({**taken_in.get(day, {}), **counts}).items() if name in counts
        }
        for day, counts in outputs.items()
    }


def counts_taken_in(lake: ModelLake, days: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return by day what was received, accepted, quarantined and a duplicate; without days not taken in."""
    if not lake.exists(ACCOUNTING):
        return {}
    rows = lake.read(ACCOUNTING, columns=[lake.day, *ROW_COUNTS], where={lake.day: list(days)})
    return {str(row[lake.day]): {name: int(row[name]) for name in ROW_COUNTS} for row in rows.to_dict("records")}
