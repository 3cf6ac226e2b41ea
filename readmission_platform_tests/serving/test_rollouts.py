"""A roll-out and the service together: it obeys the ledger, its log decides, and the candidate comes and goes."""

from collections.abc import Callable
from typing import Any

import pytest

from readmission_platform.foundation.pseudonyms import pseudonym_of
from readmission_platform.governance.rollouts.assignment import arm_of
from readmission_platform.governance.rollouts.state import RolloutState, rollout_of
from readmission_platform.serving.journal import ship
from readmission_platform.storage.tables import SERVED
from readmission_platform_tests.serving.conftest import Served, delivered_rows, serving
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.running_service import wait_until

WHY = ("--reason", "as agreed")
START = ("rollout", "start", "--steps", "50,100", "--min-samples", "50", "--bake-minutes", "0.0001", *WHY)


@pytest.fixture
def approved(shadowed_home: Home, changing: Callable[[Home], Home]) -> Home:
    home = changing(shadowed_home)
    assert home.command("approve", "--version", "2", *WHY).code == 0
    return home


def _state(home: Home) -> RolloutState | None:
    with home.ledger() as ledger:
        return rollout_of(ledger.events())


def _versions(served: Served, rows: list[dict[str, Any]]) -> list[str]:
    return [each["version"] for each in served.score(rows)]


def _answers_by(served: Served, rows: list[dict[str, Any]], versions: set[str]) -> None:
    wait_until(lambda: set(_versions(served, rows)) == versions, f"the service never answered by {versions}")


def test_a_canary_answers_for_its_patients_goes_on_by_its_own_log_and_is_taken_back_at_once(approved: Home) -> None:
    rows = delivered_rows(approved)
    assert approved.command(*START).code == 0
    state = _state(approved)
    assert state is not None
    with serving(approved) as served:
        _answers_by(served, rows[:60], {"1", "2"})
        versions = _versions(served, rows)
        with approved.workspace() as workspace:
            contract, key = workspace.contract, workspace.pseudonym_key
        people = [pseudonym_of(row[contract.feed.entity], key, purpose=contract.words.entity) for row in rows]
        arms = [arm_of(state, person, key) for person in people]
        assert versions == ["2" if arm == "candidate" else "1" for arm in arms]
        assert _versions(served, rows) == versions

        ship(approved.path / "serving" / MODEL, approved.lake)
        assert set(approved.lake.read(SERVED)["arm"]) == {"candidate", "control"}
        figures = approved.command("rollout", "status", "--json").json["open"]
        assert figures["enough_samples"], figures
        assert figures["figures"]["verdict"] != "worse"
        done = approved.command("rollout", "promote", *WHY)
        assert done.code == 0, done.err
        _answers_by(served, rows, {"2"})

        assert approved.command("rollout", "abort", *WHY).code == 0
        _answers_by(served, rows, {"1"})


def test_a_shadow_is_logged_and_never_answers(approved: Home) -> None:
    rows = delivered_rows(approved, days=3)
    assert approved.command(*START, "--kind", "shadow").code == 0
    with serving(approved) as served:
        assert set(_versions(served, rows)) == {"1"}
        ship(approved.path / "serving" / MODEL, approved.lake)
    log = approved.lake.read(SERVED)
    assert set(log.loc[log["arm"] == "shadow", "model_version"]) == {"2"}
    assert set(log.loc[log["arm"] == "control", "model_version"]) == {"1"}
    assert (log["arm"] == "shadow").sum() == (log["arm"] == "control").sum() == len(rows)
