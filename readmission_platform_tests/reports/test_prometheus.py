"""The newest figures for Prometheus: a format it reads, current values only, and no cohort of a handful of people."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pandas as pd
from prometheus_client.parser import text_string_to_metric_families

from readmission_platform.evaluation.operation import figures as made
from readmission_platform.evaluation.operation.shown import shown
from readmission_platform.reports.prometheus import exposition, newest_rows


def samples_of(figures: pd.DataFrame) -> dict[str, dict[tuple[str, str, str], float]]:
    """Return the samples of one model by cohort, version and kind."""
    found: dict[str, dict[tuple[str, str, str], float]] = {}
    for name, samples in samples_of_all({"m": figures}).items():
        assert {labels["model"] for labels, _ in samples} == {"m"}
        found[name] = {
            (labels.get("cohort", ""), labels.get("version", ""), labels.get("kind", "")): value
            for labels, value in samples
        }
    return found


def samples_of_all(figures: Mapping[str, pd.DataFrame]) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(exposition(figures).decode()):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def figures(*rows: tuple[str, float, str, str, str]) -> pd.DataFrame:
    return made.long_table([
        made.single(name, value, first_day=day, last_day=day, version=version, cohort=cohort)
        for name, value, day, version, cohort in rows
    ])  # fmt: skip


def test_only_the_newest_day_is_reported_and_no_version_that_is_gone():
    samples = samples_of(figures(("drifted_share", 0.5, "2026-01-01", "1", "all"),
                                 ("drifted_share", 0.1, "2026-02-01", "2", "all")))  # fmt: skip
    assert samples["readmission_drifted_share"] == {("all", "2", "measured"): 0.1}


def test_cohorts_and_estimates_are_told_apart():
    table = figures(("live_auroc", 0.66, "2026-01-01", "1", "all"), ("live_auroc", 0.70, "2026-01-01", "1", "seen"))
    estimate = made.single(
        "live_auroc", 0.64, first_day="2026-01-02", last_day="2026-01-02", version="1", kind="estimate"
    )
    samples = samples_of(pd.concat([table, made.long_table([estimate])]))
    assert samples["readmission_live_auroc"] == {
        ("all", "1", "measured"): 0.66, ("seen", "1", "measured"): 0.70, ("all", "1", "estimate"): 0.64,
    }  # fmt: skip


def test_intervals_are_gauges_of_their_own_where_there_are_any():
    table = figures(("live_auroc", 0.66, "2026-01-01", "1", "all"), ("mean_risk", 0.1, "2026-01-01", "1", "all"))
    table.loc[table["figure"] == "live_auroc", ["low", "high"]] = [0.6, 0.7]
    samples = samples_of(table)
    assert samples["readmission_live_auroc_low"] == {("all", "1", "measured"): 0.6}
    assert samples["readmission_live_auroc_high"] == {("all", "1", "measured"): 0.7}
    assert "readmission_mean_risk_low" not in samples


def test_a_share_is_no_more_exact_than_on_the_page_where_a_day_is_hidden():
    scored = pd.DataFrame({"day": "2026-01-01", "model_version": "1", "risk": [0.1] * 148 + [0.4] * 40,
                           "band": ["low"] * 148 + ["high"] * 40, "flagged": False, "status": "scored"})  # fmt: skip
    volumes = pd.DataFrame({"day": ["2026-01-01"], "received": 190, "accepted": 188, "quarantined": 2, "duplicate": 0})
    table = made.long_table([*made.volumes(volumes), *made.scores(scored, ["low", "high"])])
    shares = samples_of(table)["readmission_risk_band_share"]
    visible = shown(table)
    on_page = visible[(visible["figure"] == "risk_band_share") & ~visible["hidden"]]
    assert sorted(shares.values()) == sorted(on_page["value"])
    assert 148 / 188 not in shares.values()


def test_how_new_a_figure_is_can_be_seen():
    ours = figures(("mean_risk", 0.1, "2026-01-01", "1", "all"))
    theirs = figures(("mean_risk", 0.1, "2026-01-05", "1", "all"))
    samples = samples_of_all({"ours": ours, "theirs": theirs})
    assert samples["readmission_newest_day_timestamp_seconds"] == [
        ({"model": "ours", "figure": "mean_risk"}, datetime(2026, 1, 1, tzinfo=UTC).timestamp()),
        ({"model": "theirs", "figure": "mean_risk"}, datetime(2026, 1, 5, tzinfo=UTC).timestamp()),
    ]


def test_models_are_told_apart_and_each_has_its_own_newest_day():
    ours = figures(("drifted_share", 0.5, "2026-01-01", "1", "all"))
    theirs = figures(("drifted_share", 0.1, "2026-02-01", "1", "all"))
    samples = samples_of_all({"ours": ours, "theirs": theirs})
    assert [(labels["model"], value) for labels, value in samples["readmission_drifted_share"]] == [
        ("ours", 0.5),
        ("theirs", 0.1),
    ]


def test_the_number_of_series_grows_with_models_and_neither_with_days_nor_with_versions():
    def series(models: int, days: int) -> int:
        table = figures(*((name, 0.1, f"2026-01-{day:02}", f"{day}", cohort) for day in range(1, days + 1)
                          for name, cohort in (("live_auroc", "all"), ("live_auroc", "patients seen"),
                                               ("mean_risk", "all"))))  # fmt: skip
        return sum(map(len, samples_of_all({f"model {number}": table for number in range(models)}).values()))

    assert series(models=1, days=1) == series(models=1, days=30)
    assert series(models=3, days=30) == 3 * series(models=1, days=1)


def test_nothing_makes_an_empty_exposition():
    assert samples_of_all({}) == samples_of_all({"m": made.long_table([])}) == {}
    assert newest_rows(made.long_table([])).empty


def test_an_odd_cohort_cannot_break_the_format():
    samples = samples_of(figures(("live_auroc", 0.5, "2026-01-01", "1", 'race: "a"\n{b}\\')))
    assert list(samples["readmission_live_auroc"]) == [('race: "a"\n{b}\\', "1", "measured")]
