"""Checks on what was delivered: it is as much as usual, mostly sound, of the same series, and new.

What belongs here: saying so, for whoever is asked to look. What does not: the comparisons (``lifecycle.days.unusual``).
None of them stops a day: a list of whoever arrived is better than none.
"""

from collections.abc import Iterator

import dagster as dg

from readmission_platform.assets.presentation import check_result, hideable, table
from readmission_platform.config.monitoring import DeliveriesConfig
from readmission_platform.evaluation.disclosure import shown_cells
from readmission_platform.foundation.counting import counted
from readmission_platform.lifecycle.days.unusual import Unusual
from readmission_platform.models.contract import Words

SOUND, VOLUME, SERIES, NEW = "most_rows_accepted", "volume_as_usual", "numbers_continue", "rows_are_new"
RULES = {
    SOUND: "On no day is more than the agreed share of the rows set aside.",
    VOLUME: "No day has far fewer or far more rows than such a day of the week has had.",
    SERIES: "The numbers of a day's rows go on from those before.",
    NEW: "What is delivered was not trained on before.",
}


def delivery_checks(found: Unusual, limits: DeliveriesConfig, words: Words) -> Iterator[dg.AssetCheckResult]:
    """Yield the four checks; a day that was unusual is named for a week, or until it is delivered soundly."""
    yield _result(
        SOUND, found, found.set_aside, f"more than {limits.quarantined_share:.0%} set aside",
        "`readmission quarantine list` says why. Whoever is set aside is on no work list.",
    )  # fmt: skip
    described = [f"{day} ({how})" for day, how in found.volume.items()]
    yield _result(
        VOLUME, found, described, "unusual volume",
        "Ask the source whether the export was cut off or holds other days or wards; deliver the day again.",
    )  # fmt: skip
    yield _result(
        SERIES, found, found.jumped, "another series of numbers",
        f"Ask whether the record system has changed. {words.rows.capitalize()} are ordered by their days, so no history"
        f" is lost by it; if a {words.entity} has a new number too, join the two: `readmission identities merge`.",
    )  # fmt: skip
    many = [day for day, count in found.trained_on.items() if count > limits.trained_on_share * found.accepted[day]]
    cells = {f"{day}": count for day, count in found.trained_on.items()}
    shown = hideable(shown_cells(cells, total=sum(found.accepted[day] for day in cells)))
    yield _result(
        NEW, found, many, "many that the version in production was trained on",
        "Ask the source whether an old export was sent again. They are scored, and counted neither in live performance "
        "nor in retraining.",
        trained_on=table({"day": day, "trained on before": count} for day, count in shown.items()),
    )  # fmt: skip


def _result(
    name: str, found: Unusual, days: list[str], what: str, action: str, **more: dg.MetadataValue
) -> dg.AssetCheckResult:
    said = f"{what}: {', '.join(days)}"
    return check_result(
        name,
        not days,
        observed=said if days else f"{counted(len(found.judged), 'day')}, none unusual",
        rule=f"{RULES[name]} Here {said}." if days else RULES[name],
        action=action,
        severity=dg.AssetCheckSeverity.WARN,
        more={name.replace("_", " "): value for name, value in more.items()},
    )
