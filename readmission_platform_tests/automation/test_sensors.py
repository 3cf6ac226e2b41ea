"""The sensors: they look at the ledger alone, and ask once for what it says is due."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from readmission_platform_tests.support.homes import MODEL, Home


@contextmanager
def sensor_of(home: Home, name: str) -> Iterator[Callable[[], dg.RunRequest | dg.SkipReason]]:
    from readmission_platform.definitions import build_definitions

    with home.lived_in() as current, dg.DagsterInstance.ephemeral() as instance:
        definitions = build_definitions(current)
        sensor = definitions.get_repository_def().get_sensor_def(name)
        resources = {key: (definitions.resources or {})[key] for key in sensor.required_resource_keys}

        def tick() -> dg.RunRequest | dg.SkipReason:
            context = dg.build_sensor_context(instance=instance, resources=resources)
            data = sensor.evaluate_tick(context)
            return data.run_requests[0] if data.run_requests else dg.SkipReason(data.skip_message)

        yield tick


def test_the_newest_accepted_candidate_is_requested_once(challenged_home: Home):
    with sensor_of(challenged_home, "staging_promotion_sensor") as tick:
        first, second = tick(), tick()
    assert isinstance(first, dg.RunRequest)
    assert isinstance(second, dg.RunRequest)
    # Dagster launches one run per key, however often it is asked.
    assert first.run_key == second.run_key
    assert first.run_key.startswith("staging-2-")
    asked = first.run_config["ops"]["promote_version"]["config"]
    assert (asked["version"], asked["to_stage"]) == ("2", "staging")


def test_the_run_it_asks_for_promotes_to_staging(challenged_home: Home, changing: Callable[[Home], Home]):
    from readmission_platform.config.environment import settings
    from readmission_platform.definitions import build_definitions

    home = changing(challenged_home)
    with sensor_of(home, "staging_promotion_sensor") as tick:
        asked = tick()
    assert isinstance(asked, dg.RunRequest)
    with home.instance() as instance:
        job = build_definitions(settings()).resolve_job_def("promotion_job")
        assert job.execute_in_process(run_config=asked.run_config, instance=instance).success
    assert home.stages == {"staging": "2", "production": "1"}


def test_a_rejected_candidate_is_skipped(blocked_home: Home):
    with sensor_of(blocked_home, "staging_promotion_sensor") as tick:
        assert isinstance(tick(), dg.SkipReason)


def test_nothing_is_requested_when_the_newest_version_is_live_or_in_staging(lived_home: Home, shadowed_home: Home):
    for home in (lived_home, shadowed_home):
        with sensor_of(home, "staging_promotion_sensor") as tick:
            assert isinstance(tick(), dg.SkipReason)


def test_a_recorded_check_makes_no_candidate_of_a_rejected_version(
    blocked_home: Home, changing: Callable[[Home], Home]
):
    home = changing(blocked_home)
    with home.instance() as instance:
        for gate in ("discrimination_auroc", "other_gates"):
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey("validation_report"), check_name=gate, passed=True, metadata={}
                )
            )
    with sensor_of(home, "staging_promotion_sensor") as tick:
        assert isinstance(tick(), dg.SkipReason)


def test_an_empty_ledger_is_skipped_by_both(tmp_path: Path):
    home = Home.new(tmp_path / "home")
    for name in ("staging_promotion_sensor", "reconciliation_sensor"):
        with sensor_of(home, name) as tick:
            assert isinstance(tick(), dg.SkipReason)


def test_reconciliation_is_requested_only_while_the_registry_differs(
    lived_home: Home, changing: Callable[[Home], Home]
):
    home = changing(lived_home)
    with sensor_of(home, "reconciliation_sensor") as tick:
        assert isinstance(tick(), dg.SkipReason)
        home.registry().set_registered_model_alias(MODEL, "staging", "1")
        assert isinstance(tick(), dg.RunRequest)
    assert home.materialize("staging_model", "production_model").success
    assert home.aliases() == {"production": "1"}
    with sensor_of(home, "reconciliation_sensor") as tick:
        assert isinstance(tick(), dg.SkipReason)
