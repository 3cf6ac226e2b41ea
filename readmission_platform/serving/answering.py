"""From rows as they were asked to answers, and to the lines of the prediction log.

What belongs here: reading rows, finding the past, choosing the version, scoring, and saying what came of it. What does
not: HTTP (``routes``), and loading versions (``following``).
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from readmission_platform.foundation.pseudonyms import pseudonym_of
from readmission_platform.governance.rollouts.assignment import arm_of
from readmission_platform.intake.records import read_record
from readmission_platform.intake.single import Fault, ReadRow, RowReader
from readmission_platform.intake.sources import ResourceFormat
from readmission_platform.lifecycle.days.scoring import band_of
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.models.contract import RowScore
from readmission_platform.models.scoring import SCORED, WITHHELD
from readmission_platform.serving.following import Snapshot
from readmission_platform.serving.logs import log_error
from readmission_platform.serving.problems import Problem
from readmission_platform.serving.versions import ReadyVersion

REFUSED: Final = "refused"
FAILED: Final = "failed"
# The arm of a row that production answered because the candidate, whose turn it was, had failed.
FALLBACK: Final = "fallback"
Status = Literal["scored", "withheld", "refused", "failed"]


@dataclass(frozen=True)
class Answer:
    """What is answered of one row.

    Attributes
    ----------
    row
        Its identifier as it was read; None where it could not be.
    status
        ``scored``; ``withheld`` where the model cannot be asked about such a row; ``refused`` where the row breaks the
        contract; ``failed`` where the version did not answer.
    faults
        What is wrong with a refused row: column, code and reason, never a value.
    """

    row: object
    status: Status
    risk: float | None = None
    band: str | None = None
    reasons: str | None = None
    contributions: str | None = None
    withheld_because: str | None = None
    faults: tuple[Fault, ...] = ()
    version: str | None = None


@dataclass(frozen=True)
class Answered:
    """An answer, and the lines that the prediction log keeps of it."""

    answer: Answer
    lines: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Asked:
    """A row that was asked about: its identifier as it was sent, and what was read of it."""

    number: object
    read: ReadRow


@dataclass(frozen=True)
class Request:
    """Who asks, under which number, and how much of an answer is wanted."""

    number: str
    client: str
    explain: bool = True


class Answering:
    """Answers for one model; safe to use from several threads."""

    def __init__(self, workspace: Workspace) -> None:
        contract = workspace.contract
        self._contract, self._key = contract, workspace.pseudonym_key
        self._reader = RowReader(contract.feed)
        self._zone = ZoneInfo(workspace.rules.timezone)

    def read(self, rows: Sequence[Mapping[str, object]]) -> list[Asked]:
        """Read rows as they were sent: those of one day together, as those of one file."""
        feed, today = self._contract.feed, self._today()
        days = [_day(row.get(feed.day), today) for row in rows]
        found: dict[int, ReadRow] = {}
        for day in dict.fromkeys(days):
            places = [place for place, of in enumerate(days) if of == day]
            if day is None:
                found |= dict.fromkeys(places, self._reader.refused(feed.day, "day_mismatch"))
            else:
                found |= zip(places, self._reader.read_all([rows[at] for at in places], day=day), strict=True)
        return [Asked(_number(row.get(feed.row)), found[place]) for place, row in enumerate(rows)]

    def record_format(self, body: Mapping[str, Any]) -> ResourceFormat | None:
        """Return the format of the feed that a body is a record of; None of one that is none."""
        resources = self._contract.landing.resources
        return resources if resources is not None and resources.is_one(body) else None

    def read_record(self, record: Mapping[str, Any], resources: ResourceFormat, day: str | None) -> list[Asked]:
        """Read the rows of a record in the format of the feed, such as a FHIR bundle.

        Raises
        ------
        Problem
            422 where the day is none, or there is no row of that day in it.
        """
        on = _day(day, self._today())
        if on is None:
            raise Problem(422, "no_day", "day is a date, YYYY-MM-DD")
        read = read_record(record, resources, self._reader, day=on)
        if not read:
            raise Problem(422, "no_rows", f"there is no {self._contract.words.row} of {on} in it")
        row = self._contract.feed.row
        return [Asked(each.read.row[row] if each.read.row else None, each.read) for each in read]

    def answers(self, rows: Iterable[Asked], snapshot: Snapshot, request: Request) -> Iterator[Answered]:
        """Answer rows one after the other, all by one snapshot."""
        for row in rows:
            yield self._answer(row, snapshot, request)

    def _today(self) -> str:
        return datetime.now(self._zone).date().isoformat()

    def _answer(self, asked: Asked, snapshot: Snapshot, request: Request) -> Answered:
        feed, read = self._contract.feed, asked.read
        if read.row is None:
            return Answered(Answer(asked.number, REFUSED, faults=read.faults), ())
        row = dict(read.row)
        key = pseudonym_of(row.pop(feed.entity), self._key, purpose=self._contract.words.entity)
        entity = snapshot.identities.kept.get(key, key)
        known_by = {**row, "entity_key": entity}
        answer, lines = None, []
        cells = None if snapshot.cells is None else json.dumps(snapshot.cells.of(row))
        for arm, version in self._versions(snapshot, entity):
            if arm == FALLBACK and answer is not None and answer.status != FAILED:
                continue
            began = time.perf_counter()
            found = self._scored(known_by, version, snapshot, request)
            spent = (time.perf_counter() - began) * 1000
            lines.append({**self._line(found, version, snapshot, request, spent), feed.row: row[feed.row],
                          feed.day: row[feed.day], "entity_key": key, "arm": arm, "cells": cells})  # fmt: skip
            answer = found if answer is None or arm == FALLBACK else answer
        return Answered(answer or Answer(row[feed.row], FAILED), tuple(lines))

    def _versions(self, snapshot: Snapshot, entity_key: str) -> list[tuple[str | None, ReadyVersion]]:
        """Return the versions that score a row of an entity, each with its arm; the first one answers.

        Where a candidate fails, the version in production answers in its place.
        """
        rollout = None if snapshot.dividing is None else snapshot.dividing.now()
        production = snapshot.versions[snapshot.production]
        candidate = snapshot.versions.get(rollout.candidate_version) if rollout else None
        if rollout is None or candidate is None:
            return [(None, production)]
        if rollout.plan.kind == "shadow":
            return [("control", production), ("shadow", candidate)]
        arm = arm_of(rollout, entity_key, self._key)
        return [(arm, candidate), (FALLBACK, production)] if arm == "candidate" else [(arm, production)]

    def _scored(self, row: dict[str, Any], version: ReadyVersion, snapshot: Snapshot, request: Request) -> Answer:
        number = row[self._contract.row]
        past = snapshot.known[version.cohort_version].of(row["entity_key"])
        try:
            found: RowScore = version.scorer.score(row, past, explain=request.explain)
        except Exception as error:  # noqa: BLE001 - whatever a version raises is its failure, logged and judged as one
            log_error("scoring failed", error, version=version.version, request_id=request.number)
            return Answer(number, FAILED, version=version.version, withheld_because=type(error).__name__)
        if found.risk is None:
            return Answer(number, WITHHELD, withheld_because=found.withheld_because, version=version.version)
        return Answer(
            number, SCORED, risk=found.risk, band=band_of(found.risk, snapshot.bands), reasons=found.reasons,
            contributions=found.contributions, version=version.version,
        )  # fmt: skip

    def _line(
        self, answer: Answer, version: ReadyVersion, snapshot: Snapshot, request: Request, spent: float
    ) -> dict[str, Any]:
        """Return a line of the prediction log, but for whose row it is."""
        read = snapshot.read[version.cohort_version]
        failed = answer.status == FAILED
        return {
            "request_id": request.number,
            "at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "model_version": version.version,
            "artifact_digest": version.artifact_digest,
            "rollout": snapshot.dividing.state.plan_event if snapshot.dividing else None,
            "status": answer.status,
            "risk": answer.risk,
            "band": answer.band,
            "withheld_because": None if failed else answer.withheld_because,
            "reasons": answer.reasons,
            "contributions": answer.contributions,
            "error": answer.withheld_because if failed else None,
            "latency_ms": round(spent, 4),
            "delivered_version": read.delivered,
            "cohort_version": read.cohort,
            "outcomes_version": read.outcomes,
            "identities_event": read.identities.event,
            "client": request.client,
        }


def _day(given: object, today: str) -> str | None:
    """Return the day that a row is of, today where none is given; None where it is no day."""
    if given is None or given == "":
        return today
    try:
        return str(given) if date.fromisoformat(str(given)).isoformat() == given else None
    except ValueError:
        return None


def _number(given: object) -> object:
    """Return an identifier as it was sent, None of what is no number: it may be anything, a name too."""
    return given if isinstance(given, int | str) and str(given).isdecimal() else None
