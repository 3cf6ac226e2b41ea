"""Speed of the ledger with a long past: 200 versions and 5,000 events; an audit of 100,000 events.

The limits: a promotion under 1 s, a sensor tick under 100 ms, an audit
of 100,000 events under 5 s, on two cores with nothing else to do. Payloads are as large as real ones.
"""

from collections.abc import Iterator
from itertools import count

import pytest

from readmission_platform.automation.sensors import approved_in_staging, waiting_for_staging
from readmission_platform.governance.ledger import audit
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.promotion.decision import apply
from readmission_platform.governance.promotion.rollback import RollbackRequest, apply_rollback, decide_rollback
from readmission_platform.lifecycle.versions.stages import live_version
from readmission_platform_tests.benchmarks.past import EVENTS_PER_VERSION, write_past
from readmission_platform_tests.support.scenario import MODEL, Scenario

VERSIONS = 200
AUDITED = 100_000


def has_about(events: int, ledger: Ledger) -> bool:
    return events - 2 * EVENTS_PER_VERSION <= ledger.examine().events <= events + 2 * EVENTS_PER_VERSION


@pytest.fixture
def scenario(ledger_url: str) -> Iterator[Scenario]:
    """Version 200 is in production."""
    lived = write_past(ledger_url, versions=VERSIONS)
    assert has_about(VERSIONS * EVENTS_PER_VERSION, lived.ledger)
    yield lived
    lived.ledger.close()


def in_staging(scenario: Scenario, version: str) -> None:
    """Bring a version to where only the promotion to production is left."""
    scenario.train(version)
    scenario.validate(version)
    scenario.stage(version)
    scenario.approve("clinician", version)
    scenario.approve("second", version)
    live = scenario.ledger.pointers()["production"].version
    scenario.set_facts(has_champion=True, champion_version=live)


@pytest.mark.benchmark(group="audit")
def test_an_audit_of_100000_events_takes_less_than_5_seconds(benchmark, ledger_url):
    lived = write_past(ledger_url, versions=AUDITED // EVENTS_PER_VERSION)
    report = benchmark.pedantic(audit.verify, args=(lived.ledger,), rounds=3)
    assert report.ok
    assert has_about(AUDITED, lived.ledger)
    lived.ledger.close()
    assert benchmark.stats.stats.median < 5


@pytest.mark.benchmark(group="promotion")
def test_a_promotion_decided_and_applied_takes_less_than_a_second(benchmark, scenario):
    numbers = count(VERSIONS + 1)

    def prepare():
        version = str(next(numbers))
        in_staging(scenario, version)
        return (version,), {}

    def promote(version):
        apply(scenario.ledger, scenario.decide("production", version, replace=True))
        assert scenario.ledger.pointers()["production"].version == version

    benchmark.pedantic(promote, setup=prepare, rounds=5)
    assert benchmark.stats.stats.median < 1


@pytest.mark.benchmark(group="promotion")
def test_a_rollback_decided_and_applied_takes_less_than_a_second(benchmark, scenario):
    numbers = count(VERSIONS + 1)

    def prepare():
        for _ in range(2):
            version = str(next(numbers))
            in_staging(scenario, version)
            apply(scenario.ledger, scenario.decide("production", version, replace=True))
        return (), {}

    def roll_back():
        events, pointers = scenario.ledger.snapshot()
        records = version_records(events, pointers)
        decision = decide_rollback(
            RollbackRequest(None, "ops", "benchmark"),
            events=events,
            pointers=pointers,
            records=records,
            artifact_digests={version: record.artifact_digest for version, record in records.items()},
            environment_name="local",
            model=scenario.ledger.model,
            now=scenario.ledger.now(),
        )
        assert apply_rollback(scenario.ledger, decision) is not None

    benchmark.pedantic(roll_back, setup=prepare, rounds=5)
    assert benchmark.stats.stats.median < 1


@pytest.mark.benchmark(group="promotion")
def test_moving_pointers_alone_takes_less_than_50_milliseconds(benchmark, scenario):
    ledger = scenario.ledger

    def move():
        seen = ledger.pointers()
        ledger.move("moved", {}, actor="ops", version="1", moves={"production": "1"}, expected=seen)

    benchmark.pedantic(move, rounds=30)
    assert benchmark.stats.stats.median < 0.05


@pytest.mark.benchmark(group="sensor tick")
@pytest.mark.parametrize("waiting", ["nothing new", "a candidate", "an approved version"])
def test_what_sensors_ask_of_the_ledger_takes_less_than_100_milliseconds(benchmark, scenario, ledger_url, waiting):
    version = str(VERSIONS + 1)
    if waiting == "a candidate":
        scenario.train(version)
        scenario.validate(version)
    elif waiting == "an approved version":
        in_staging(scenario, version)

    def tick():
        with Ledger(ledger_url, model=MODEL, environment="local") as ledger:  # as a sensor does: opened for every tick
            found = waiting_for_staging(ledger), approved_in_staging(ledger, needed=2)
            live = live_version(ledger, "production")
            last = ledger.events(kind="difference_found")
        return found, live, last

    found, live, _ = benchmark.pedantic(tick, rounds=15)
    assert [each is not None for each in found] == [waiting == "a candidate", waiting == "an approved version"]
    assert live is not None
    assert live.version == str(VERSIONS)
    assert benchmark.stats.stats.median < 0.1


@pytest.mark.benchmark(group="snapshot")
def test_a_snapshot_of_everything(benchmark, scenario):
    events, _ = benchmark.pedantic(scenario.ledger.snapshot, rounds=7)
    assert len(events) > (VERSIONS - 1) * EVENTS_PER_VERSION
