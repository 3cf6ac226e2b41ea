"""Who is answered by which version while one is rolled out, by the service as it runs.

The home has version 1 in production and version 2, approved, in staging.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from readmission_platform.foundation.pseudonyms import pseudonym_of
from readmission_platform.governance.rollouts.assignment import arm_of
from readmission_platform.governance.rollouts.state import RolloutState, rollout_of
from readmission_platform.models.contract import RowScore
from readmission_platform.serving.journal import ship
from readmission_platform.storage.tables import SERVED
from readmission_platform_tests.serving.conftest import Served, altered, delivered_rows, serving
from readmission_platform_tests.support.homes import MODEL, SECRET, Home
from readmission_platform_tests.support.running_service import load, running, wait_until

WHY = ("--reason", "as agreed")
AT_ONCE = ("--min-samples", "100", "--bake-minutes", "0.0001")
KEY = bytes.fromhex(SECRET)


@pytest.fixture
def home(approved_home: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(approved_home)


def many_rows(home: Home, patients: int = 600) -> list[dict[str, Any]]:
    """Return rows of as many patients, all with another number."""
    rows = delivered_rows(home)
    several = [rows[place % len(rows)] for place in range(patients)]
    return [{**row, "encounter_id": str(700_000_000 + place), "patient_nbr": str(600_000_000 + place)}
            for place, row in enumerate(several)]  # fmt: skip


def act(home: Home, *arguments: str) -> None:
    done = home.command("rollout", *arguments, *WHY)
    assert done.code == 0, done.err


def state_of(home: Home) -> RolloutState:
    with home.ledger() as ledger:
        state = rollout_of(ledger.events())
    assert state is not None
    return state


def look(served: Served) -> None:
    served.service.models[MODEL].follower.look()


def arms_by_key(home: Home, rows: list[dict[str, Any]]) -> list[str]:
    state = state_of(home)
    return [arm_of(state, pseudonym_of(int(row["patient_nbr"]), KEY, purpose="patient"), KEY) for row in rows]


def kept(home: Home) -> pd.DataFrame:
    ship(home.path / "serving" / MODEL, home.lake)
    return home.lake.read(SERVED)


@contextmanager
def rolled_out(home: Home, *plan: str) -> Iterator[Served]:
    act(home, "start", *plan)
    with serving(home) as served:
        look(served)
        dividing = served.service.models[MODEL].snapshot().dividing
        assert dividing is not None
        wait_until(lambda: dividing.now().share == dividing.state.share, "it does not take effect")
        yield served


def test_a_canary_answers_for_its_share_and_each_patient_keeps_their_version(home: Home) -> None:
    rows = many_rows(home)
    with rolled_out(home, "--kind", "canary", "--steps", "10,50,100", *AT_ONCE) as served:
        arms = arms_by_key(home, rows)
        answers = [served.score([row], explain=False)[0] for row in rows]
        assert [answer["version"] for answer in answers] == ["2" if arm == "candidate" else "1" for arm in arms]
        assert 20 < arms.count("candidate") < 120
        again = [served.score([row], explain=False)[0]["version"] for row in rows[:50]]
        assert again == [answer["version"] for answer in answers[:50]]
        served.service.models[MODEL].journal.turn()
        lines = kept(home)
    lines = lines.drop_duplicates("encounter_id").set_index("encounter_id")
    assert [lines.loc[int(row["encounter_id"]), "arm"] for row in rows] == arms
    assert set(lines["rollout"]) == {state_of(home).plan_event}


def test_in_the_shadow_every_answer_is_productions_and_the_candidates_is_kept_beside_it(home: Home) -> None:
    rows = many_rows(home, 60)
    with rolled_out(home, "--kind", "shadow") as served:
        assert {answer["version"] for answer in served.score(rows)} == {"1"}
        served.service.models[MODEL].journal.turn()
        lines = kept(home)
    by_arm = lines.groupby("arm")["model_version"].agg(set).to_dict()
    assert by_arm == {"control": {"1"}, "shadow": {"2"}}
    assert lines["arm"].value_counts().to_dict() == {"control": 60, "shadow": 60}


def test_what_is_aborted_answers_for_nobody_from_the_next_look_on(home: Home) -> None:
    rows = many_rows(home, 60)
    with rolled_out(home, "--kind", "blue_green", *AT_ONCE) as served:
        assert {answer["version"] for answer in served.score(rows)} == {"2"}
        act(home, "abort")
        look(served)
        assert {answer["version"] for answer in served.score(rows)} == {"1"}
        assert {"1"} <= set(served.service.models[MODEL].snapshot().versions)


def test_the_services_own_log_decides_whether_a_roll_out_goes_on(home: Home) -> None:
    rows = delivered_rows(home)
    with rolled_out(home, "--steps", "50,100", "--min-samples", "50", "--bake-minutes", "0.0001") as served:
        served.score(rows)
        served.service.models[MODEL].journal.turn()
        assert set(kept(home)["arm"]) == {"candidate", "control"}
        figures = home.command("rollout", "status", "--json").json["open"]
        assert figures["enough_samples"], figures
        assert figures["figures"]["verdict"] != "worse"
        act(home, "promote")
        wait_until(lambda: {answer["version"] for answer in served.score(rows[:60])} == {"2"}, "it does not go on")


class Failing:
    """A version that breaks on every row."""

    def score(self, row: Any, past: Any, *, explain: bool = True) -> RowScore:
        raise KeyError(row["encounter_id"])


def test_where_the_candidate_fails_production_answers_and_the_failure_is_kept(home: Home) -> None:
    rows = many_rows(home, 40)
    with rolled_out(home, "--kind", "blue_green", *AT_ONCE) as served:
        follower = served.service.models[MODEL].follower
        snapshot = served.service.models[MODEL].snapshot()
        broken = replace(snapshot.versions["2"], scorer=Failing())
        follower.snapshot = replace(snapshot, versions={**snapshot.versions, "2": broken})
        answers = served.score(rows)
        assert {(answer["status"], answer["version"]) for answer in answers} == {("scored", "1")}
        served.service.models[MODEL].journal.turn()
        lines = kept(home)
    counted = lines.groupby(["arm", "status", "model_version"]).size().to_dict()
    assert counted == {("candidate", "failed", "2"): 40, ("fallback", "scored", "1"): 40}
    assert set(lines["error"].dropna()) == {"KeyError"}


def test_a_roll_out_that_nobody_properly_started_is_not_obeyed(home: Home) -> None:
    act(home, "start", "--kind", "blue_green", *AT_ONCE)
    with home.ledger() as ledger:
        started = ledger.events(kind="rollout_started")[-1]
        act(home, "abort")
        forged = {**started.payload, "approvals": []}
        ledger.append("rollout_started", forged, actor="intruder", version="2")
    with serving(home) as served:
        look(served)
        assert {answer["version"] for answer in served.score(many_rows(home, 20))} == {"1"}
        assert served.service.state()["models"][MODEL]["problem"] is not None


@pytest.mark.parametrize("name", ["artifact", "rows"])
def test_a_candidate_whose_file_was_changed_answers_nobody_and_production_does(home: Home, name: str) -> None:
    act(home, "start", "--kind", "blue_green", *AT_ONCE)
    altered(home, "2", name)
    with serving(home) as served:
        assert {answer["version"] for answer in served.score(many_rows(home, 20))} == {"1"}
        assert "not the one recorded" in served.service.state()["models"][MODEL]["problem"]
        act(home, "abort")
        look(served)
        assert served.service.state()["models"][MODEL]["problem"] is None


@pytest.mark.slow
def test_a_canary_goes_to_production_under_load_without_a_failed_or_wrong_answer(home: Home, tmp_path: Path) -> None:
    rows = many_rows(home, 3000)
    with running(home, tmp_path / "log", workers=2) as server:
        act(home, "start", "--kind", "canary", "--steps", "50,100", *AT_ONCE)
        plan = state_of(home).plan_event
        with load(server, rows) as asking:
            wait_until(lambda: versions(asking) == {"1", "2"}, "the candidate answers nobody")
            wait_until(lambda: enough(home, plan), "the arms stay empty", seconds=120)
            act(home, "promote")
            wait_until(lambda: newest(asking) == {"2"}, "it does not answer everybody")
            act(home, "abort")
            wait_until(lambda: newest(asking) == {"1"}, "it is not taken back")
        assert set(asking.statuses) == {"200"}
        server.stop()
    lines = kept(home)
    answered = lines.set_index("request_id")["model_version"].to_dict()
    assert {number: [answered[number]] for number in asking.answered} == asking.answered
    of_plan = lines[lines["rollout"] == plan].sort_values("at")
    # Whoever was given the candidate keeps it for as long as the roll-out is open.
    first = of_plan[of_plan["model_version"] == "2"].drop_duplicates("entity_key").set_index("entity_key")["at"]
    later = of_plan[of_plan["entity_key"].isin(first.index)]
    later = later[later["at"].to_numpy() >= first.loc[later["entity_key"]].to_numpy()]
    assert set(later["model_version"]) == {"2"}
    with home.ledger() as ledger:
        ledger.verify()


def enough(home: Home, plan: int) -> bool:
    lines = kept(home)
    lines = lines[lines["rollout"] == plan].drop_duplicates("entity_key")
    return bool(lines["arm"].value_counts().reindex(["candidate", "control"], fill_value=0).min() > 150)


def versions(asking: Any) -> set[str]:
    with asking._lock:
        return {version for found in asking.answered.values() for version in found}


def newest(asking: Any) -> set[str]:
    with asking._lock:
        return {version for found in list(asking.answered.values())[-40:] for version in found}
