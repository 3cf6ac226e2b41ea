"""Checks on what was delivered: it is as much as usual, mostly sound, of the same series, and new.

What belongs here: saying so, for whoever is asked to look. What does not: the comparisons (``lifecycle.days.unusual``).
None of them stops a day: a list of whoever arrived is better than none.
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from readmission_platform.assets.presentation import check_result, hideable, table
from readmission_platform.config.monitoring import DeliveriesConfig
from readmission_platform.evaluation.disclosure import shown_cells
from readmission_platform.foundation.counting import percent
from readmission_platform.lifecycle.days.unusual import NEW, SERIES, SOUND, VOLUME, Unusual
from readmission_platform.models.contract import Words

RULES = {
    SOUND: "On no day is more than the agreed share of the rows set aside.",
    VOLUME: "No day has far fewer or far more rows than is usual for that day of the week.",
    SERIES: "The numbers of a day's rows continue from those of the days before.",
    NEW: "No delivered row has been trained on before.",
}


def delivery_checks(
    named: pd.DataFrame, taken: Unusual, limits: DeliveriesConfig, words: Words, *, day: str
) -> Iterator[dg.AssetCheckResult]:
    """Yield the four checks.

    Parameters
    ----------
    named
        What stands of the days taken in lately (``lifecycle.days.unusual.named_days``), those of now among them.
    taken
        What was found of the days taken in now.
    day
        Name of the column with the day.
    """
    said = {
        SOUND: (f"more than {percent(limits.quarantined_share)} set aside",
                "`readmission quarantine list` says why. Anybody set aside is on no work list."),
        VOLUME: ("unusual volume",
                 "Ask the source whether the export was cut off or holds other days or wards; deliver the day again."),
        SERIES: ("another series of numbers",
                 f"Ask whether the record system has changed. {words.rows.capitalize()} are ordered by their days, so"
                 f" no history is lost by it; if a {words.entity} has a new number too, join the two: `readmission "
                 "identities merge`."),
        NEW: ("many that the version in production was trained on",
              "Ask the source whether an old export was sent again. They are scored, and counted neither in live "
              "performance nor in retraining."),
    }  # fmt: skip
    counts = hideable(shown_cells(taken.trained_on, total=sum(taken.accepted[each] for each in taken.trained_on)))
    more = {NEW: {"trained on before": table({"day": each, words.rows: count} for each, count in counts.items())}}
    for name, (what, action) in said.items():
        of_kind = named[named["kind"] == name]
        days = [f"{each} ({how})" if how else str(each) for each, how in zip(of_kind[day], of_kind["how"], strict=True)]
        listed = f"{what}: {', '.join(days)}"
        yield check_result(
            name, not days, observed=listed if days else "none unusual", action=action,
            rule=f"{RULES[name]} Here {listed}." if days else RULES[name],
            severity=dg.AssetCheckSeverity.WARN, more=more.get(name),
        )  # fmt: skip
