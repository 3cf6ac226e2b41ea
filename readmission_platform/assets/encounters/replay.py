"""The replay: the set-aside last tenth of the encounters, delivered day by day as a hospital would.

What belongs here: writing landing files with simulated dates. What does not: taking them in
(``assets.daily.inference``). The source has no dates; those assigned here are simulated, and say so wherever they are
shown.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pandas as pd
from pydantic import Field

from readmission_platform.assets.encounters.outcomes import hospital_day
from readmission_platform.encounters.cohort import DISCHARGE_COLUMNS, MATURITY_DAYS
from readmission_platform.encounters.contract import LANDING
from readmission_platform.foundation.errors import BadInput
from readmission_platform.intake.outcomes import has_matured
from readmission_platform.lifecycle.days.scoring import DAY, ENCOUNTERS_TABLE
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.storage.home import replace_file
from readmission_platform.storage.lake import Lake, TableMissing
from readmission_platform.storage.landing import Landing

MANIFEST = "replay.json"
# Under this name the table of eligible encounters says which cohort its source makes, whatever has matured since.
SOURCE_COHORT = "source_cohort"


class ReplayConfig(dg.Config):
    """How much to replay, and as which dates."""

    days: int = Field(default=14, description="Days to deliver.")
    start: str | None = Field(
        default=None, description="First date, YYYY-MM-DD; default: so that the last is yesterday."
    )
    outcomes: bool = Field(default=False, description="Also deliver outcomes of days that are 30 and more days old.")


@dataclass(frozen=True)
class Replayed:
    """What a replay delivered: days written now, days that were there already, days with outcomes."""

    written: list[str]
    present: list[str]
    outcomes: list[str]


def replay(
    lake: Lake,
    landing: Landing,
    *,
    days: int,
    start: date | None,
    today: date,
    per_day: int,
    outcomes: bool,
    hospital: date | None = None,
) -> Replayed:
    """Deliver the next stretches of the replay stream as dated files; dates already delivered stay as they are.

    Parameters
    ----------
    today
        The last day delivered is before it.
    hospital
        The date in the hospital's time zone, which the age of a day is counted in; default: ``today``.

    Raises
    ------
    BadInput
        When nothing was ingested, the stream has run out, the dates are in the future or before those already
        delivered, or the landing zone holds a replay of other data.
    """
    first = start or today - timedelta(days=days)
    if days < 1 or first + timedelta(days=days - 1) >= today:
        raise BadInput("a replay needs at least one day, and its last day has to be before today")
    dates = [(first + timedelta(days=offset)).isoformat() for offset in range(days)]
    stream, digest = _stream(lake)
    delivered = _delivered(landing, digest, per_day)
    wanted = [day for day in dates if day not in delivered]
    if wanted and delivered and wanted[0] < max(delivered):
        reached = date.fromisoformat(max(delivered))
        after = (today - reached).days - 1
        raise BadInput(
            f"the replay has reached {reached} and goes on from there: "
            + (f"ask for {after} days or fewer" if after > 0 else "the next day can be delivered tomorrow")
        )
    position = max(delivered.values(), default=-1) + 1
    if (position + len(wanted)) * per_day > len(stream):
        left = len(stream) // per_day - position
        raise BadInput(
            f"the replay stream holds {left} more days of {per_day} encounters, {len(wanted)} were asked for"
        )
    delivered |= {day: position + offset for offset, day in enumerate(wanted)}
    # The plan first, then the files: a replay that was interrupted delivers the rest under the same dates.
    content = {"data": digest, "per_day": per_day, "days": delivered}
    replace_file(landing.root / MANIFEST, json.dumps(content, indent=1).encode())
    present = set(landing.days())
    for day in dates:
        if day not in present:
            landing.write_rows(day, _chunk(stream, delivered[day], per_day)[DISCHARGE_COLUMNS])
    matured = [day for day in dates if has_matured(day, hospital or today, MATURITY_DAYS)] if outcomes else []
    for day in matured:
        chunk = _chunk(stream, delivered[day], per_day)
        landing.write_outcomes(day, chunk[["encounter_id", "readmitted_30d"]])
    return Replayed(wanted, [day for day in dates if day not in wanted], matured)


def _stream(lake: Lake) -> tuple[pd.DataFrame, str]:
    """Return the replay stream in clock order, in the source's columns with the outcome, and the digest of the cohort.

    The stream is what the source sets aside. Once the outcome of a discharge has matured it counts as development, and
    has its date; of the stream it stays a part.
    """
    try:
        stored = {field.name for field in lake.open(ENCOUNTERS_TABLE).schema().fields}
        eligible = lake.read(ENCOUNTERS_TABLE, columns=[n for n in ("encounter_id", "part", DAY) if n in stored])
        raw = lake.read("raw_encounters")
        written = str(lake.commit_metadata(ENCOUNTERS_TABLE)["readmission.digest"])
    except TableMissing as error:
        raise BadInput("there is nothing to replay yet: run training_job (`readmission train`) first") from error
    streamed = eligible["part"] == "replay"
    if DAY in eligible:
        streamed |= eligible[DAY].notna()
    stream = raw[raw["encounter_id"].isin(eligible.loc[streamed, "encounter_id"])]
    stream = stream.assign(readmitted_30d=(stream["readmitted"] == "<30").astype("int8"))
    return stream.sort_values("encounter_id", ignore_index=True), str(eligible.attrs.get(SOURCE_COHORT, written))


def days_of_other_replays(landing: Landing, source_cohort: str) -> set[str]:
    """Return the days that were delivered by a replay of another source than the one that makes this cohort."""
    manifest = landing.root / MANIFEST
    if not manifest.exists():
        return set()
    content = json.loads(manifest.read_text(encoding="utf-8"))
    return set() if content["data"] == source_cohort else set(content["days"])


def _chunk(stream: pd.DataFrame, position: int, per_day: int) -> pd.DataFrame:
    return stream.iloc[position * per_day : (position + 1) * per_day]


def _delivered(landing: Landing, digest: str, per_day: int) -> dict[str, int]:
    manifest = landing.root / MANIFEST
    if not manifest.exists():
        return {}
    content = json.loads(manifest.read_text(encoding="utf-8"))
    if content["data"] != digest:
        raise BadInput(
            "this home holds a replay of other data than was trained on last: train on that again, use another home "
            "(READMISSION_HOME) or start over (make reset)"
        )
    if content["per_day"] != per_day:
        raise BadInput(f"this home replays {content['per_day']} encounters a day, which cannot change midway")
    return dict(content["days"])


def today_utc() -> date:
    """Return the current date in UTC, which simulated dates are counted from."""
    return datetime.now(UTC).date()


@dg.op(
    description="Write landing files of the replay stream with simulated dates.",
    out=dg.Out(list, io_manager_key="memory"),
)
def deliver_replay(
    context: dg.OpExecutionContext, config: ReplayConfig, project: ProjectResource, lake: LakeResource
) -> Sequence[str]:
    """Deliver the replay and return its dates."""
    try:
        start = date.fromisoformat(config.start) if config.start else None
    except ValueError as error:
        raise BadInput(f"start: {config.start} is not a date of the form YYYY-MM-DD") from error
    delivered = replay(
        lake.open(),
        Landing(project.settings.landing, LANDING),
        days=config.days,
        start=start,
        today=today_utc(),
        per_day=project.model.daily_encounters,
        outcomes=config.outcomes,
        hospital=hospital_day(project.environment_rules),
    )
    context.add_output_metadata({"written": len(delivered.written), "present": len(delivered.present)})
    return sorted(delivered.written + delivered.present)


@dg.job(
    description="Deliver days of the set-aside encounters to the landing zone, with simulated dates ending yesterday. "
    "This is how the daily part is tried out without a hospital's interface.",
    tags={"readmission/lifecycle": "replay"},
)
def replay_job() -> None:
    """Deliver days of the replay stream."""
    deliver_replay()
