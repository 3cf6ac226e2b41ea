"""The replay: the set-aside latest part of a source, delivered day by day as the feed would.

What belongs here: writing landing files with simulated dates. What does not: taking them in (``assets.feed``).
The source has no dates; those assigned here are simulated, and say so wherever they are shown.
"""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from readmission_platform.foundation.counting import counted
from readmission_platform.foundation.errors import BadInput
from readmission_platform.intake.outcomes import has_matured
from readmission_platform.storage.home import replace_file
from readmission_platform.storage.lake import TableMissing
from readmission_platform.storage.landing import Landing
from readmission_platform.storage.tables import ModelLake

# Under this name the table of the cohort says which cohort its source makes, whatever has matured since.
SOURCE_COHORT = "source_cohort"


@dataclass(frozen=True)
class Replayed:
    """What a replay delivered: days written now, days that were there already, days with outcomes."""

    written: list[str]
    present: list[str]
    outcomes: list[str]


def replay(
    lake: ModelLake,
    landing: Landing,
    *,
    days: int,
    start: date | None,
    today: date,
    per_day: int,
    outcomes: bool,
    form: str = "csv",
) -> Replayed:
    """Deliver the next stretches of the replay stream as dated files; dates already delivered stay as they are.

    Parameters
    ----------
    today
        In the hospital: the last day delivered is before it, and the age of a day is counted from it.
    form
        One of the formats of the landing zone; outcomes are always CSV.

    Raises
    ------
    BadInput
        When the feed has no such format, nothing was ingested, the stream has run out, the dates are in the future or
        before those already delivered, or the landing zone holds a replay of other data.
    """
    contract = lake.contract
    if form not in landing.formats:
        raise BadInput(f"format: {form} is none of {', '.join(landing.formats)}")
    first = start or today - timedelta(days=days)
    if days < 1 or first + timedelta(days=days - 1) >= today:
        raise BadInput("a replay needs at least one day, and its last day has to be before today")
    dates = [(first + timedelta(days=offset)).isoformat() for offset in range(days)]
    stream, digest = _stream(lake)
    delivered = _delivered(landing, digest, per_day, contract.words.rows)
    wanted = [day for day in dates if day not in delivered]
    if wanted and delivered and wanted[0] < max(delivered):
        reached = date.fromisoformat(max(delivered))
        after = (today - reached).days - 1
        raise BadInput(
            f"the replay has reached {reached} and goes on from there: "
            + (f"ask for {counted(after, 'day')} or fewer" if after > 0 else "the next day can be delivered tomorrow")
            + ". Days of the past with their outcomes: `readmission demo-year` in a home of its own"
        )
    position = max(delivered.values(), default=-1) + 1
    if (position + len(wanted)) * per_day > len(stream):
        left = len(stream) // per_day - position
        raise BadInput(
            f"the replay stream holds {counted(left, 'more day')} of {per_day} {contract.words.rows}; "
            f"{counted(len(wanted), 'day')} asked for"
        )
    delivered |= {day: position + offset for offset, day in enumerate(wanted)}
    # The plan first, then the files: a replay that was interrupted delivers the rest under the same dates.
    content = {"data": digest, "per_day": per_day, "days": delivered}
    replace_file(manifest_of(landing), json.dumps(content, indent=1).encode())
    present = set(landing.days())
    for day in dates:
        if day not in present:
            landing.write_rows(day, _chunk(stream, delivered[day], per_day)[list(contract.feed.columns)], form)
    old = [day for day in dates if has_matured(day, today, contract.maturity_days)]
    for day in old if outcomes else []:
        landing.write_outcomes(day, _chunk(stream, delivered[day], per_day)[[contract.row, contract.outcome]])
    return Replayed(wanted, [day for day in dates if day not in wanted], old if outcomes else [])


def _stream(lake: ModelLake) -> tuple[pd.DataFrame, str]:
    """Return the replay stream in the order of time, as it is delivered and with the outcome, and the cohort's digest.

    The stream is what the source sets aside. Once the outcome of a row has matured it counts as development, and has
    its day; it remains part of the stream.
    """
    cohort = lake.names.cohort
    try:
        ordered = (lake.row, "part", "clock")
        stored = {field.name for field in lake.open(cohort).schema().fields}
        eligible = lake.read(cohort, columns=[name for name in (*ordered, lake.day) if name in stored])
        raw = lake.read(lake.names.raw)
        written = str(lake.commit_metadata(cohort)["readmission.digest"])
    except TableMissing as error:
        raise BadInput("there is nothing to replay yet: run training_job (`readmission train`) first") from error
    streamed = eligible["part"] == "replay"
    if lake.day in eligible:
        streamed |= eligible[lake.day].notna()
    order = eligible[streamed].sort_values("clock")[lake.row]
    delivered = lake.contract.data.as_delivered(raw).set_index(lake.row)
    stream = delivered.loc[order].reset_index()
    return stream, str(eligible.attrs.get(SOURCE_COHORT, written))


def check_continues(lake: ModelLake, landing: Landing, *, per_day: int) -> None:
    """Check that the replay in the landing zone, if there is one, can go on with the data trained on last.

    Raises
    ------
    BadInput
        When it delivered other data, or other numbers of rows a day, or nothing was ingested.
    """
    _, digest = _stream(lake)
    _delivered(landing, digest, per_day, lake.contract.words.rows)


def manifest_of(landing: Landing) -> Path:
    """Return where a replay writes down which of its days it delivered as which date."""
    return landing.root / f"replay_{landing.folders.rows}.json"


def simulated_days(landing: Landing) -> frozenset[str]:
    """Return the days whose files a replay has delivered: their dates are simulated."""
    return frozenset(_manifest(landing).get("days", {}))


def days_of_other_replays(landing: Landing, source_cohort: str) -> set[str]:
    """Return the days that were delivered by a replay of another source than the one that makes this cohort."""
    content = _manifest(landing)
    return set() if content.get("data") == source_cohort else set(content.get("days", {}))


def _manifest(landing: Landing) -> dict[str, Any]:
    manifest = manifest_of(landing)
    return dict(json.loads(manifest.read_text(encoding="utf-8"))) if manifest.exists() else {}


def _chunk(stream: pd.DataFrame, position: int, per_day: int) -> pd.DataFrame:
    return stream.iloc[position * per_day : (position + 1) * per_day]


def _delivered(landing: Landing, digest: str, per_day: int, rows: str) -> dict[str, int]:
    content = _manifest(landing)
    if not content:
        return {}
    if content["data"] != digest:
        raise BadInput(
            "this home holds a replay of other data than the last training used: train on those data again, use "
            "another home (READMISSION_HOME) or start over (make reset)"
        )
    if content["per_day"] != per_day:
        raise BadInput(f"this home replays {content['per_day']} {rows} a day, which cannot change midway")
    return dict(content["days"])
