"""Rules and signals: what an observation means by configs/alerts.yaml, and the wording of notifications."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.config.alerts import AlertRule, AlertsConfig
from readmission_platform.config.environment import settings
from readmission_platform.config.files import alerts_config
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event
from readmission_platform.operations.alerts.rules import (
    LONGEST_TEXT,
    Signal,
    never_fitting,
    signal_of_service,
    signals_of_event,
    signals_of_figures,
    signals_of_run,
    signals_of_ticks,
)
from readmission_platform.operations.alerts.states import Alert, content, message, raised, sound_again
from readmission_platform.operations.names import ModelNames
from readmission_platform.operations.observed_runs import AssetSeen, CheckSeen, RunSeen, StepFailed, TickSeen

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NAMES = ModelNames({"ours": "", "visits_model": "visits"})
RULE = AlertRule(about="check", severity="critical", channels=("log",), action="Look.", repeat_after_hours=4)


@pytest.fixture(scope="module")
def shipped() -> AlertsConfig:
    return alerts_config(settings())


def run_of(job: str = "scoring_job", *, model: str | None = "ours", **changes: object) -> RunSeen:
    seen = RunSeen(
        run_id="0a1b2c3d-0000",
        job=NAMES.of_job(job, model),
        status="success",
        started_at=NOON - timedelta(minutes=1),
        ended_at=NOON,
        actor="somebody",
        trigger="schedule",
    )
    return replace(seen, **changes)  # type: ignore[arg-type]


def failed_run(job: str = "scoring_job", error: str = "ValueError", **changes: object) -> RunSeen:
    failure = StepFailed("a_step", (NAMES.of_asset("an_asset"),), error)
    return run_of(job, status="failure", failures=(failure,), **changes)


def check_of(
    asset: str = "daily_discharges", *, passed: bool = False, severity: str = "ERROR", **changes: object
) -> CheckSeen:
    seen = CheckSeen(NAMES.of_asset(asset), "every_row_accounted_for", None, passed, severity, "None is lost.")  # type: ignore[arg-type]
    return replace(seen, **changes)  # type: ignore[arg-type]


def active(signals: list[Signal]) -> list[tuple[str | None, str | None]]:
    return [(signal.rule, signal.subject) for signal in signals if signal.active]


def active_of_models(signals: list[Signal]) -> list[tuple[str | None, str | None, str | None]]:
    return [(signal.model, signal.rule, signal.subject) for signal in signals if signal.active]


def only_rule(shipped: AlertsConfig, **rule: object) -> AlertsConfig:
    """The shipped channels with one rule."""
    complete = {"severity": "warning", "channels": ["log"], "action": "Look.", **rule}
    return AlertsConfig.model_validate(shipped.model_dump(mode="json") | {"rules": {"only": complete}})


# -------------------------------------------------------------------------------------------------- which rule applies


@pytest.mark.parametrize(
    ("check", "rule"),
    [
        (check_of(), "blocking_check_failed"),
        (check_of(severity="WARN"), "check_warns"),
        (check_of(check="every_day_complete"), "day_missing"),
        (check_of(check="no_drift_alarm", severity="WARN"), "drift_alarm"),
        (check_of("live_performance", severity="WARN"), "live_performance_worse"),
        (check_of("live_performance", check="outcomes_complete", severity="WARN"), "outcomes_missing"),
        (check_of("validation_report"), "gate_failed"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_particular_rule_applies_before_a_general_one(shipped: AlertsConfig, check: CheckSeen, rule: str):
    assert active(signals_of_run(shipped, run_of(checks=(check,)))) == [(rule, f"{check.asset.name}/{check.check}")]


def test_a_rule_without_channels_silences_what_it_fits(shipped: AlertsConfig):
    insufficient = check_of("validation_report", severity="WARN")
    assert active(signals_of_run(shipped, run_of(checks=(insufficient,)))) == []


def test_a_rule_that_is_switched_off_lets_the_next_one_apply(shipped: AlertsConfig):
    off = shipped.rules["day_missing"].model_copy(update={"enabled": False})
    config = shipped.model_copy(update={"rules": {**shipped.rules, "day_missing": off}})
    signals = signals_of_run(config, run_of(checks=(check_of(check="every_day_complete"),)))
    assert active(signals) == [("blocking_check_failed", "daily_discharges/every_day_complete")]


def test_one_check_on_many_days_is_one_signal_that_names_the_days(shipped: AlertsConfig):
    days = tuple(check_of(partition=f"2026-03-0{day}", passed=day == 2) for day in (1, 2, 3))
    (signal,) = (each for each in signals_of_run(shipped, run_of(checks=days)) if each.about == "check")
    assert signal.active
    assert "2026-03-01 to 2026-03-03" in signal.where


def test_a_check_that_passes_is_sound_again_and_a_skipped_one_says_nothing(shipped: AlertsConfig):
    passed = signals_of_run(shipped, run_of(checks=(check_of(passed=True),)))
    assert [(each.active, each.rule) for each in passed if each.about == "check"] == [(False, None)]
    skipped = signals_of_run(shipped, run_of(checks=(check_of(passed=True, judged=False),)))
    assert [each for each in skipped if each.about == "check"] == []


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (failed_run(), [("scoring_failed", "scoring_job")]),
        (failed_run("training_job"), [("run_failed", "training_job")]),
        (run_of(status="failure"), [("scoring_failed", "scoring_job")]),
        (failed_run(error="DagsterAssetCheckFailedError"), []),
        (failed_run(error="Refused"), []),
        (failed_run(error="BadInput"), [("scoring_failed", "scoring_job")]),
        (failed_run(error="BadInput", trigger="person"), []),
        (failed_run("__ASSET_JOB", planned=(NAMES.of_asset("another"),)),
         [("run_failed", "asset an_asset"), ("run_failed", "asset another")]),
        (failed_run(retried=True), []),
        (run_of(status="canceled"), []),
    ],
    ids=["scoring", "another job", "killed", "stopped by a check", "policy", "automation declined", "person declined",
         "by hand", "started again", "canceled"],
)  # fmt: skip
def test_a_run_alarms_when_something_broke(shipped: AlertsConfig, run: RunSeen, expected: list[tuple[str, str]]):
    assert active(signals_of_run(shipped, run)) == expected


def test_a_run_that_succeeds_shows_its_job_and_its_assets_to_work(shipped: AlertsConfig):
    made, skipped = NAMES.of_asset("staging_model"), NAMES.of_asset("production_model")
    run = run_of("projection_job", assets=(AssetSeen(made, "made"), AssetSeen(skipped, "skipped")))
    ended = [(each.about, each.subject, each.rule) for each in signals_of_run(shipped, run)]
    assert ended == [
        ("run", "projection_job", None),
        ("run", "asset staging_model", None),
        ("ledger", None, "difference_found"),
    ]


def event_of(kind: str, version: str | None = "3", *, model: str = "ours", **payload: object) -> Event:
    return Event(7, model, "2026-03-02T12:00:00.000000Z", kind, version, "somebody", dict(payload), "", "")


@pytest.mark.parametrize(
    ("event", "rule"),
    [
        (event_of("version_validated", verdict="fail"), "version_rejected"),
        (event_of("version_validated", verdict="pass"), None),
        (event_of("promotion_refused"), "promotion_refused"),
        (event_of("rollback_refused"), "promotion_refused"),
        (event_of("version_rolled_back"), "rolled_back"),
        (event_of("difference_found", None, differences=[]), "difference_found"),
        (event_of("version_promoted"), None),
        (event_of("rollout_rolled_back", by_plan=True), "rollout_taken_back"),
        (event_of("rollout_paused", by_plan=True), "rollout_waits"),
        (event_of("rollout_paused", by_plan=False), None),
        (event_of("rollout_refused"), "rollout_refused"),
        (event_of("rollout_started"), None),
        (event_of("rollout_advanced", by_plan=True), None),
        (event_of("run_failed", None), None),
    ],
    ids=lambda each: each.kind if isinstance(each, Event) else "",
)
def test_events_of_the_ledger_that_somebody_has_to_know_of(shipped: AlertsConfig, event: Event, rule: str | None):
    assert [name for name, _ in active(signals_of_event(shipped, event, NOON))] == ([rule] if rule else [])


def test_a_repaired_alias_ends_the_alert_about_the_difference(shipped: AlertsConfig):
    (ended,) = signals_of_event(shipped, event_of("alias_repaired", None), NOON)
    assert (ended.active, ended.rule, ended.subject) == (False, "difference_found", None)


@pytest.mark.parametrize("kind", ["rollout_resumed", "rollout_aborted", "rollout_rolled_back", "version_rolled_back"])
def test_whatever_ends_a_pause_ends_the_alert_about_it(shipped: AlertsConfig, kind: str):
    ended = [each.rule for each in signals_of_event(shipped, event_of(kind), NOON) if not each.active]
    assert ended == ["rollout_waits"]


def test_ticks_and_services_fail_and_work_again(shipped: AlertsConfig):
    broken = TickSeen(NAMES.of_instigator("landing_sensor"), "sensor", NOON, failed=True, error="OSError")
    assert active(signals_of_ticks(shipped, [broken])) == [("tick_failed", "landing_sensor")]
    assert not signals_of_ticks(shipped, [replace(broken, failed=False)])[0].active
    assert active(signal_of_service(shipped, "ledger", "It is gone.", NOON)) == [("service_unavailable", "ledger")]
    assert active(signal_of_service(shipped, "ledger integrity", "It differs.", NOON)) == [
        ("ledger_corrupt", "ledger integrity")
    ]
    assert not signal_of_service(shipped, "ledger", None, NOON)[0].active


@pytest.mark.parametrize(
    ("figure", "within", "outside"),
    [
        ("live_accuracy", 0.75, 0.7499),
        ("scoring_milliseconds", 1000, 1000.1),
        ("run_error_share", 0.05, 0.0501),
        ("drifted_share", 0.8, 0.81),
        ("disk_used_share", 0.9, 0.901),
        ("quarantined_share", 0.05, 0.06),
    ],
)
def test_the_limits_of_the_founding_documents_are_watched(
    shipped: AlertsConfig, figure: str, within: float, outside: float
):
    assert active(signals_of_figures(shipped, {"ours": {figure: within}}, NOON)) == []
    assert [subject for _, subject in active(signals_of_figures(shipped, {"ours": {figure: outside}}, NOON))] == [
        figure
    ]


def test_answers_that_fail_wake_somebody_who_is_not_told_how_many(shipped: AlertsConfig):
    assert active(signals_of_figures(shipped, {"ours": {"served_failed_share": 0.05}}, NOON)) == []
    (signal,) = [each for each in signals_of_figures(shipped, {"ours": {"served_failed_share": 0.0625}}, NOON)
                 if each.active]  # fmt: skip
    assert shipped.rules[str(signal.rule)].severity == "critical"
    assert "0.0625" not in signal.what


def test_limits_nobody_can_keep_are_switched_off_and_say_why(shipped: AlertsConfig):
    off = {name: rule for name, rule in shipped.rules.items() if not rule.enabled}
    assert {"precision_low", "recall_low", "drift_score_high", "few_rows"} == set(off)
    assert all(len(rule.why) > 40 for rule in off.values())
    honest = {"live_ppv_at_10": 0.27, "live_recall_at_10": 0.24}
    assert active(signals_of_figures(shipped, {"ours": honest}, NOON)) == []


@given(value=st.floats() | st.none())
def test_a_figure_alarms_exactly_when_it_is_a_number_beyond_its_limit(shipped: AlertsConfig, value: float | None):
    figures = {} if value is None else {"disk_used_share": value}
    beyond = value is not None and math.isfinite(value) and value > 0.9
    assert bool(active(signals_of_figures(shipped, {None: figures}, NOON))) is beyond


def test_every_rule_says_what_to_do_and_notifies_somebody(shipped: AlertsConfig):
    for name, rule in shipped.rules.items():
        assert len(rule.action) > 20 or not rule.enabled, name
        assert "log" in rule.channels or name == "gate_insufficient", name
        assert rule.severity != "critical" or not rule.enabled or "on_call" in rule.channels, name
        assert rule.about in {"ledger", "heartbeat"} or rule.repeat_after_hours or rule.severity == "info" or (
            name == "gate_failed" or not rule.enabled
        ), name  # fmt: skip


# ------------------------------------------------------------------------------------------------- models of a platform


def test_version_3_of_two_models_is_two_subjects(shipped: AlertsConfig):
    events = [event_of("version_validated", model=model, verdict="fail") for model in ("ours", "visits_model")]
    signals = [signal for event in events for signal in signals_of_event(shipped, event, NOON)]
    assert active_of_models(signals) == [
        ("ours", "version_rejected", "version_validated of version 3"),
        ("visits_model", "version_rejected", "version_validated of version 3"),
    ]


def test_an_event_of_the_environment_belongs_to_no_model(shipped: AlertsConfig):
    config = only_rule(shipped, about="ledger", match={"kind": "roles_adopted"})
    signals = signals_of_event(config, event_of("roles_adopted", None, model=ENVIRONMENT), NOON)
    assert active_of_models(signals) == [(None, "only", "roles_adopted")]


def test_rules_match_names_without_the_prefix_and_messages_show_the_name_in_dagster(shipped: AlertsConfig):
    run = failed_run("visits_scoring_job", model="visits_model")
    (signal,) = (each for each in signals_of_run(shipped, run) if each.active)
    assert (signal.model, signal.rule, signal.subject) == ("visits_model", "scoring_failed", "scoring_job")
    assert signal.where == "run 0a1b2c3d of visits_scoring_job"
    check = check_of("visits/live_performance", severity="WARN")
    (signal,) = (each for each in signals_of_run(shipped, run_of(checks=(check,))) if each.active)
    assert (signal.model, signal.rule) == ("visits_model", "live_performance_worse")
    assert signal.where.startswith("asset visits/live_performance")


def test_a_check_of_each_model_is_judged_by_itself(shipped: AlertsConfig):
    checks = (check_of(passed=True), check_of("visits/daily_discharges"))
    found = [(each.model, each.subject, each.active) for each in signals_of_run(shipped, run_of(checks=checks))
             if each.about == "check"]  # fmt: skip
    subject = "daily_discharges/every_row_accounted_for"
    assert found == [("ours", subject, False), ("visits_model", subject, True)]


def test_a_success_ends_alerts_of_its_own_model_only(shipped: AlertsConfig):
    run = run_of("visits_projection_job", model="visits_model")
    ended = [(each.model, each.subject, each.rule) for each in signals_of_run(shipped, run)]
    assert ended == [("visits_model", "projection_job", None), ("visits_model", None, "difference_found")]


@pytest.mark.parametrize(
    ("pattern", "models"),
    [
        ("visits_model", ["visits_model"]),
        ("*", ["ours", "visits_model", None]),
        ("?*", ["ours", "visits_model"]),
        ("", [None]),
    ],
)
def test_a_rule_can_be_about_one_model_about_any_or_about_none(
    shipped: AlertsConfig, pattern: str, models: list[str | None]
):
    runs = [failed_run("a_job", model=model) for model in ("ours", "visits_model", None)]
    config = only_rule(shipped, about="run", match={"model": pattern})
    assert [signal.model for run in runs for signal in signals_of_run(config, run) if signal.active] == models


def test_a_limit_can_be_that_of_one_model(shipped: AlertsConfig):
    figures = {"ours": {"live_accuracy": 0.7}, "visits_model": {"live_accuracy": 0.7}, None: {}}
    assert [signal.model for signal in signals_of_figures(shipped, figures, NOON) if signal.active] == [
        "ours",
        "visits_model",
    ]
    config = only_rule(shipped, about="figure", figure="live_accuracy", at_least=0.75, match={"model": "visits_model"})
    assert active_of_models(signals_of_figures(config, figures, NOON)) == [("visits_model", "only", "live_accuracy")]


def test_patterns_that_can_fit_nothing_are_named(shipped: AlertsConfig):
    assert never_fitting(shipped, NAMES) == []
    (unknown,) = never_fitting(only_rule(shipped, about="run", match={"model": ["visit", "visits_*"]}), NAMES)
    assert "model visit" in unknown
    (prefixed,) = never_fitting(only_rule(shipped, about="run", match={"job": "visits_scoring_job"}), NAMES)
    assert "write job: scoring_job" in prefixed
    (of_asset,) = never_fitting(only_rule(shipped, about="check", match={"asset": "visits/drift_report"}), NAMES)
    assert "write asset: drift_report" in of_asset
    recovers = {"job": "visits_projection_job"}
    (recovery,) = never_fitting(only_rule(shipped, about="ledger", recovers=recovers), NAMES)
    assert "write job: projection_job" in recovery


# ------------------------------------------------------------------------------------------------- the life of an alert


def signal_at(minutes: float, *, on: bool = True) -> Signal:
    at = NOON + timedelta(minutes=minutes)
    return Signal(
        "check", "m", "a/b", at, active=on, rule="r" if on else None, what="It broke.", where="here", run_id="1"
    )


def opened() -> Alert:
    change = raised(None, signal_at(0), RULE, now=NOON, quiet=False)
    assert change is not None
    return change.alert


@given(minutes=st.lists(st.integers(-60, 60), max_size=20))
def test_whatever_order_news_is_read_in_the_newest_decides(minutes: list[int]):
    """Even minutes are good news, odd ones bad: what is open at the end is what the newest says."""
    alert: Alert | None = None
    for at in minutes:
        if at % 2:
            change = raised(alert, signal_at(at), RULE, now=NOON, quiet=False)
        else:
            change = (
                sound_again(alert, signal_at(at, on=False), now=NOON) if alert and alert.resolved_at is None else None
            )
        alert = change.alert if change else alert
    bad = [at for at in minutes if at % 2]
    if bad and max(minutes) in bad:
        assert alert is not None
        assert alert.resolved_at is None


def test_old_news_neither_ends_nor_opens_an_alert():
    alert = opened()
    assert sound_again(alert, signal_at(-1, on=False), now=NOON) is None
    over = sound_again(alert, signal_at(5, on=False), now=NOON)
    assert over is not None
    assert raised(over.alert, signal_at(3), RULE, now=NOON, quiet=False) is None
    again = raised(over.alert, signal_at(6), RULE, now=NOON, quiet=False)
    assert again is not None
    assert (again.notice, again.alert.id, again.alert.times_seen) == ("raised", None, 1)


def notice_of(alert: Alert) -> dict[str, object]:
    return content(alert, "raised", environment="production", ui_url="https://dagster.example/", now=NOON)


def test_a_message_says_what_where_since_when_and_what_to_do():
    title, text = message([notice_of(replace(opened(), id=12))])
    assert title == "[critical] production: m: r: a/b"
    assert message([notice_of(replace(opened(), model=None))])[0] == "[critical] production: r: a/b"
    assert text.splitlines() == [
        "What: It broke.",
        "Where: here",
        "Since: 2026-03-02T12:00:00+00:00, seen once",
        "Do: Look.",
        "Run: https://dagster.example/runs/1",
        "Quiet it: readmission alerts ack 12 --reason TEXT",
    ]


def test_many_notices_are_one_message_of_bounded_length():
    title, text = message([notice_of(replace(opened(), id=number)) for number in range(40)])
    assert title == "production: 40 notices (40 critical)"
    assert text.count("What:") == 10
    assert text.endswith("and 30 more: readmission alerts list")


def test_a_text_without_end_is_cut(shipped: AlertsConfig):
    (signal, *_) = signals_of_run(shipped, run_of(checks=(check_of(description="x" * 10_000),)))
    assert len(signal.what) == LONGEST_TEXT
