"""The sensor that drives roll-outs: by the log it goes on, pauses or takes back, and never before its time."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from readmission_platform.config.environment import Settings
from readmission_platform.config.files import environment_config
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.rollouts.state import RolloutState, rollout_of
from readmission_platform.lifecycle.rollouts.baking import mark_of
from readmission_platform.lifecycle.versions.approval import waits_for_rollout
from readmission_platform.storage.tables import ModelLake
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.rollouts import rolled_out_by
from readmission_platform_tests.support.served import answered

Tick = Callable[[], dg.SensorResult | dg.SkipReason]
AT_ONCE = ("--min-samples", "100", "--bake-minutes", "0.0001", "--reason", "as planned")


class Rolling:
    """A home whose roll-out is driven by hand: what it has logged, and its sensor ticking."""

    def __init__(self, home: Home, tick: Tick, lake: ModelLake) -> None:
        self.home, self.tick, self.lake = home, tick, lake

    @property
    def state(self) -> RolloutState | None:
        with self.home.ledger() as ledger:
            return rollout_of(ledger.events())

    def answer(self, **figures: float) -> None:
        state = self.state
        assert state is not None
        answered(self.lake, state, seed=10 * state.step + state.plan_event, **figures)  # type: ignore[arg-type]


@pytest.fixture
def rolling(approved_home: Home, tmp_path: Path) -> Callable[..., "contextmanager[Rolling]"]:
    @contextmanager
    def started(*options: str) -> Iterator[Rolling]:
        from readmission_platform.definitions import build_definitions

        home = approved_home.copy(tmp_path / "home")
        outcome = home.command("rollout", "start", *AT_ONCE, *options)
        assert outcome.code == 0, outcome.err
        lake = home.lake
        with home.lived_in() as current, dg.DagsterInstance.ephemeral() as instance:
            definitions = build_definitions(current)
            sensor = definitions.get_repository_def().get_sensor_def("rollout_sensor")
            resources = {key: (definitions.resources or {})[key] for key in sensor.required_resource_keys}

            def tick() -> dg.SensorResult | dg.SkipReason:
                data = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, resources=resources))
                if not data.run_requests and not data.asset_events:
                    return dg.SkipReason(data.skip_message)
                return dg.SensorResult(run_requests=list(data.run_requests or []), asset_events=data.asset_events)

            yield Rolling(home, tick, lake)

    return started


def test_without_a_roll_out_there_is_nothing_to_do(approved_home: Home, lived_home: Home):
    from readmission_platform_tests.automation.test_sensors import sensor_of

    with sensor_of(lived_home, "rollout_sensor") as tick:
        assert isinstance(tick(), dg.SkipReason)


def test_a_canary_that_is_as_good_goes_on_to_everybody_and_asks_to_be_promoted(rolling):
    with rolling() as roll:
        assert isinstance(roll.tick(), dg.SkipReason)
        shares = []
        for _ in range(3):
            roll.answer()
            roll.tick()
            roll.tick()
            shares.append((roll.state.share, roll.state.status))
        assert shares == [(0.5, "running"), (1.0, "running"), (1.0, "completed")]
        (request,) = roll.tick().run_requests
        (again,) = roll.tick().run_requests
    assert request.run_key == again.run_key
    asked = request.run_config["ops"]["promote_version"]["config"]
    assert (asked["version"], asked["to_stage"], asked["replace"]) == ("2", "production", True)
    with roll.home.instance() as instance:
        from readmission_platform.config.environment import settings
        from readmission_platform.definitions import build_definitions

        job = build_definitions(settings()).resolve_job_def("promotion_job")
        assert job.execute_in_process(run_config=request.run_config, instance=instance).success
    assert roll.home.stages == {"staging": None, "production": "2"}
    assert roll.state is None


@pytest.mark.parametrize(
    ("figures", "test"),
    [
        ({"failed": 0.1}, "failed"),
        ({"withheld": 0.2}, "withheld"),
        ({"shift": 0.6}, "scores"),
        ({"slower_ms": 150.0}, "latency"),
    ],
)
def test_what_is_worse_is_taken_back_at_the_next_look(rolling, figures, test):
    with rolling("--bake-minutes", "60") as roll:
        roll.answer(**figures)
        result = roll.tick()
    assert isinstance(result, dg.SensorResult)
    assert result.run_requests == []
    assert roll.state is None
    with roll.home.ledger() as ledger:
        event = ledger.events()[-1]
    assert event.kind == "rollout_rolled_back"
    assert event.payload["figures"]["tests"][test]["verdict"] == "worse"
    assert event.payload["reason"]
    assert roll.home.stages == {"staging": "2", "production": "1"}


def test_what_is_worse_is_taken_back_also_while_it_is_paused(rolling):
    with rolling() as roll:
        roll.answer(failed=0.1)
        assert roll.home.command("rollout", "pause", "--reason", "looking").code == 0
        roll.tick()
    assert roll.state is None


def test_figures_that_allow_no_verdict_pause_it_until_a_person_decides(rolling):
    with rolling("--kind", "blue_green") as roll:
        roll.answer()  # nobody is left to compare with, and nothing was served before
        roll.tick()
        roll.tick()
        assert roll.state.status == "paused"
        assert isinstance(roll.tick(), dg.SkipReason)
        assert roll.state.share == 1.0


def test_a_shadow_ends_with_its_result_and_changes_nothing(rolling):
    with rolling("--kind", "shadow") as roll:
        roll.answer()
        roll.tick()
        roll.tick()
    assert roll.state is None
    assert roll.home.stages == {"staging": "2", "production": "1"}
    with roll.home.ledger() as ledger:
        assert ledger.events()[-1].kind == "rollout_completed"


def test_too_few_answers_keep_it_where_it_is(rolling):
    with rolling() as roll:
        roll.answer(patients=300)
        for _ in range(3):
            assert isinstance(roll.tick(), dg.SkipReason)
        assert (roll.state.status, roll.state.share) == ("running", 0.1)


def test_a_clock_that_jumps_brings_no_step_forward(rolling):
    with rolling("--bake-minutes", "60") as roll:
        roll.answer()
        roll.tick()
        with roll.home.workspace() as workspace, workspace.platform.operations() as operations:
            seen = json.loads(operations.mark(mark_of(MODEL)))
            operations.set_mark(mark_of(MODEL), json.dumps({**seen, "looked_at": "2020-01-01T00:00:00.000000Z"}))
        said = roll.tick()
        assert isinstance(said, dg.SkipReason)
        assert "watched for 2 of 60 minutes" in said.skip_message
        assert roll.state.share == 0.1


def test_the_answers_of_the_step_before_do_not_count_for_the_next(rolling):
    with rolling() as roll:
        roll.answer()
        roll.tick()
        roll.tick()
        assert roll.state.step == 1
        for _ in range(3):
            roll.tick()
        assert roll.state.step == 1


def test_the_sensors_of_promotion_leave_staging_and_production_alone_meanwhile(rolling):
    from readmission_platform_tests.automation.test_sensors import sensor_of

    with rolling() as roll:
        pass
    for name in ("staging_promotion_sensor", "production_promotion_sensor"):
        with sensor_of(roll.home, name) as tick:
            said = tick()
        assert isinstance(said, dg.SkipReason)
        assert "rolled out" in said.skip_message


@pytest.mark.parametrize("worse", [True, False])
def test_what_was_taken_back_is_not_promoted_behind_everybodys_back(rolling, worse):
    from readmission_platform_tests.automation.test_sensors import sensor_of

    with rolling("--bake-minutes", "60") as roll:
        if worse:
            roll.answer(failed=0.2)
            roll.tick()
        else:
            assert roll.home.command("rollout", "abort", "--reason", "not now").code == 0
        assert roll.state is None
    with sensor_of(roll.home, "production_promotion_sensor") as tick:
        said = tick()
        assert isinstance(said, dg.SkipReason)
        assert "given up in event" in said.skip_message
        assert roll.home.command("approve", "--version", "2", "--reason", "all the same").code == 0
        assert isinstance(tick(), dg.RunRequest)


def test_where_it_is_asked_for_an_approved_version_waits_for_its_roll_out(approved_home: Home, tmp_path: Path):
    from readmission_platform_tests.automation.test_sensors import sensor_of

    with sensor_of(approved_home, "production_promotion_sensor") as tick:
        assert isinstance(tick(), dg.RunRequest)
    waiting = approved_home.having(
        READMISSION_CONFIGS=rolled_out_by(tmp_path, lambda rollouts: rollouts.update(wait_for_rollout=True))
    )
    with sensor_of(waiting, "production_promotion_sensor") as tick:
        said = tick()
    assert isinstance(said, dg.SkipReason)
    assert "waits here for its roll-out" in said.skip_message


def test_whoever_approves_is_told_what_happens_next(
    shadowed_home: Home, changing: Callable[[Home], Home], tmp_path: Path
):
    home = changing(shadowed_home)
    waiting = home.having(
        READMISSION_CONFIGS=rolled_out_by(tmp_path, lambda rollouts: rollouts.update(wait_for_rollout=True))
    )
    approve = ("approve", "--version", "2", "--reason", "reviewed")
    assert "it goes live when the promotion sensor next looks" in home.command(*approve).out
    assert "it waits for its roll-out: `readmission rollout start`" in waiting.command(*approve).out
    assert waiting.command("rollout", "start", "--reason", "as agreed").code == 0
    assert waiting.command(*approve, "--json").json["next"] == "its roll-out goes on: `readmission rollout status`"


def test_a_first_version_has_no_roll_out_to_wait_for(shadowed_home: Home, tmp_path: Path):
    with shadowed_home.ledger() as ledger:
        rules = environment_config(Settings(environment="production")).rollouts
        assert rules.wait_for_rollout
        assert waits_for_rollout(ledger, rules)
    with Ledger(f"sqlite:///{tmp_path / 'none.db'}", model=MODEL, environment="production") as empty:
        assert not waits_for_rollout(empty, rules)


def test_the_ui_shows_plan_arms_and_figures(rolling):
    with rolling() as roll:
        roll.answer()
        roll.tick()
        result = roll.tick()
    (shown,) = result.asset_events
    assert shown.asset_key == dg.AssetKey("rollout")
    assert {"plan", "arms", "tests", "step", "share of the patients", "roll-outs"} <= set(shown.metadata)
    made = roll.home.materialize("rollout")
    assert made.success
    assert made.asset_materializations_for_node("rollout")
