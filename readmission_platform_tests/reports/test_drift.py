"""Drift in words: what is said of an alarm, what is hidden, and which pages are kept."""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from readmission_platform.evaluation.drift.windows import DriftLimits, judged, verdicts
from readmission_platform.models.readmission_30d.evidence import WORDS
from readmission_platform.reports.drift import PAGES_KEPT, alarm_sentence, keep_page, window_table

LIMITS = DriftLimits(0.2, 0.2, 0.1, 0.05, 1, 2, 3)


def rows_of(*rows: tuple[str, str, float, float, float], window: int = 4) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["column", "measure", "score", "observed", "reference"])
    days = {"first_day": "2026-03-01", "last_day": "2026-03-08"}
    return judged(frame.assign(window=window, rows=216, **days), LIMITS)


def line(*row: Any) -> dict[str, Any]:
    (found,) = window_table(rows_of(row))
    return found


def test_the_table_shows_score_reference_limit_and_what_drifted_the_worst_first():
    found = window_table(
        rows_of(
            ("age", "drift", 0.1, math.nan, math.nan),
            ("payer_code", "drift", 0.5, math.nan, math.nan),
            ("payer_code", "missing", 0.2, 0.25, 0.45),
            ("risk", "drift", 0.05, math.nan, math.nan),
        )
    )
    assert [(each["column"], each["drifted"]) for each in found] == [
        ("payer_code", "yes"),
        ("payer_code", "yes"),
        ("age", "no"),
        ("predicted risks", "no"),
    ]
    assert found[0] | {"measure": ""} == {"column": "payer_code", "measure": "", "score": "0.500",
                                          "reference": "training", "limit": "0.2", "drifted": "yes"}  # fmt: skip
    assert found[1]["reference"] == "45.0 %"


def test_a_share_that_stands_for_one_to_ten_people_is_hidden():
    assert line("payer_code", "unseen", 4 / 216, 4 / 216, 0.0)["score"] == "fewer than 11 people"
    assert line("payer_code", "missing", 0.4 - 3 / 216, 3 / 216, 0.4)["score"] == "fewer than 11 people"
    assert line("payer_code", "missing", 0.55, 213 / 216, 0.43)["score"] == "fewer than 11 people"
    assert line("payer_code", "unseen", 0.0, 0.0, 0.0)["score"] == "0.000"
    assert line("payer_code", "unseen", 30 / 216, 30 / 216, 0.0)["score"] == "0.139"


def test_what_cannot_be_judged_says_so_and_counts_as_drifted():
    found = line("risk", "drift", math.nan, math.nan, math.nan)
    assert (found["score"], found["drifted"]) == ("cannot be judged", "yes")


def test_the_alarm_names_version_window_columns_scores_limits_and_what_to_do():
    rows = rows_of(("age", "drift", 0.31, math.nan, math.nan), ("race", "drift", 0.01, math.nan, math.nan))
    said = alarm_sentence("7", "production", verdicts(rows, LIMITS), rows, WORDS)
    assert "Version 7 in production now sees encounters unlike those it was trained on" in said
    assert "window 4 (2026-03-01 to 2026-03-08): age (Evidently's stability index) 0.310, limit 0.2" in said
    assert "race" not in said
    assert "Look at" in said


def test_only_the_latest_pages_are_kept(tmp_path: Path):
    for day in range(1, 8):
        keep_page(tmp_path / "drift", f"2026-03-0{day}", f"2026-03-0{day}", b"<html>")
    kept = sorted(path.name for path in (tmp_path / "drift").iterdir())
    assert kept == [f"2026-03-0{day}_2026-03-0{day}.html" for day in range(8 - PAGES_KEPT, 8)]
