"""Which version answers: what the ledger says, if it was properly said and is what was judged."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.serving.following import Follower
from readmission_platform.serving.versions import load_version
from readmission_platform.storage.artifacts import ArtifactRefused
from readmission_platform_tests.serving.conftest import altered
from readmission_platform_tests.support.homes import ACTOR, Home

Changing = Callable[[Home], Home]


@pytest.fixture
def home(succeeded_home: Home, changing: Changing) -> Home:
    """Version 2 is in production, and version 1 was before."""
    return changing(succeeded_home)


@pytest.fixture
def follower(home: Home) -> Iterator[Follower]:
    with home.workspace() as workspace:
        found = Follower(workspace)
        found.look()
        yield found


def answers(follower: Follower) -> str:
    assert follower.snapshot is not None, follower.standing()
    return follower.snapshot.production


def roll_back(home: Home) -> None:
    done = home.command("rollback", "--to-version", "1", "--reason", "a trial")
    assert done.code == 0, done.err


def test_the_version_in_production_answers(follower: Follower) -> None:
    assert answers(follower) == "2"
    assert follower.standing().problem is None


def test_a_look_that_finds_nothing_new_changes_nothing(follower: Follower) -> None:
    before = follower.snapshot
    assert follower.look() is False
    assert follower.snapshot is before


def test_after_a_rollback_the_former_version_answers_and_the_other_stays_ready(home: Home, follower: Follower) -> None:
    roll_back(home)
    assert follower.look() is True
    assert answers(follower) == "1"
    assert follower.snapshot is not None
    assert follower.snapshot.before == "2"
    assert set(follower.snapshot.versions) == {"1", "2"}


def test_a_move_that_nobody_approved_is_not_followed(home: Home, follower: Follower) -> None:
    with home.ledger() as ledger:
        ledger.move("version_promoted", {"to_stage": "production"}, actor=ACTOR, version="1",
                    moves={"production": "1"}, expected=ledger.pointers())  # fmt: skip
    follower.look()
    assert answers(follower) == "2"
    assert "was not properly put into production" in str(follower.standing().problem)


@pytest.mark.parametrize("name", ["artifact", "rows"])
def test_a_version_whose_file_was_changed_never_answers(home: Home, follower: Follower, name: str) -> None:
    roll_back(home)
    altered(home, "1", name)
    follower.look()
    assert answers(follower) == "2"
    assert "not the one recorded in the ledger" in str(follower.standing().problem)


def test_a_version_whose_file_is_gone_never_answers(home: Home, follower: Follower) -> None:
    roll_back(home)
    (home.path / "mlartifacts" / str(record(home, "1").artifact_path)).unlink()
    follower.look()
    assert answers(follower) == "2"
    assert "is missing" in str(follower.standing().problem)


def record(home: Home, version: str) -> VersionRecord:
    with home.ledger() as ledger:
        return version_records(*ledger.snapshot())[version]


def test_a_version_that_gives_other_risks_than_at_training_is_refused(home: Home, follower: Follower) -> None:
    kept = record(home, "1")
    assert load_version(follower.workspace, kept).compiled
    rows: dict[str, Any] = dict(kept.rows or {})
    for probes in ([risk and risk + 1e-9 for risk in rows["probes"]], [None, *rows["probes"][1:]], rows["probes"][1:]):
        other = replace(kept, trained={**kept.trained, "rows": {**rows, "probes": probes}})
        with pytest.raises(ArtifactRefused, match="other risks here"):
            load_version(follower.workspace, other)


def test_most_probes_are_scored_and_some_have_a_past(home: Home) -> None:
    rows = record(home, "1").rows or {}
    assert sum(risk is not None for risk in rows["probes"]) >= 8
    assert len(set(rows["probes"])) > 8


def test_with_the_ledger_gone_the_last_version_goes_on_and_what_is_put_back_is_followed(
    home: Home, follower: Follower
) -> None:
    ledger, away = home.path / "ledger.db", home.path / "away.db"
    ledger.rename(away)
    follower.look()
    assert answers(follower) == "2"
    assert follower.standing().problem is not None
    away.rename(ledger)
    roll_back(home)
    follower.look()
    assert answers(follower) == "1"
    assert follower.standing().problem is None


def test_what_a_day_delivers_is_known_at_the_next_look(home: Home, follower: Follower) -> None:
    lake = follower.workspace.lake
    table = lake.read(lake.names.delivered)
    stay = table.tail(1)
    key, day = str(stay["entity_key"].iloc[0]), str(stay[lake.day].iloc[0])
    known = past(follower, key)
    further = stay.assign(encounter_id=980_000_000)
    lake.write(lake.names.delivered, pd.concat([table[table[lake.day] == day], further]), partition=(lake.day, [day]))
    follower.look()
    assert len(past(follower, key)) == len(known) + 1


def past(follower: Follower, key: str) -> list[dict[str, Any]]:
    assert follower.snapshot is not None
    version = follower.snapshot.versions[follower.snapshot.production]
    return follower.snapshot.known[version.cohort_version].of(key)


def test_what_is_held_in_memory_is_what_scoring_a_day_reads(home: Home, follower: Follower) -> None:
    """For every entity of a day, the past held in memory is the one that the day's own run reads from the lake."""
    from readmission_platform.lifecycle.days.scoring import known_rows
    from readmission_platform.models.single_rows import plain

    assert follower.snapshot is not None
    lake = follower.workspace.lake
    delivered = lake.read(lake.names.delivered).tail(60)
    cohort = follower.snapshot.versions["2"].cohort_version
    read = plain(known_rows(lake, delivered, follower.snapshot.read[cohort]))
    for key in set(delivered["entity_key"]):
        expected = [row for row in read if row["entity_key"] == key]
        held = past(follower, key)
        assert sorted(held, key=str) == sorted(expected, key=str)


def test_nobody_is_known_by_a_name_that_is_not_there(follower: Follower, tmp_path: Path) -> None:
    assert past(follower, "nobody") == []
