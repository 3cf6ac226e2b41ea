"""Every figure on the evidence page is what its label says: worked out again from the rows, by other means."""

import html
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from readmission_platform.evaluation.words import Wording
from readmission_platform.governance.policy.required import INFORMATION, MEASURED_AT_TRAINING
from readmission_platform.models.readmission_30d.evidence import SCHEMA, WORDS
from readmission_platform.reports.evidence_report import evidence_html
from readmission_platform_tests.support.homes import MODEL, Home

# Measured on model file, recipe, inputs and split, not on the evidence rows.
DRAWN_ON = {f"{INFORMATION}{source.name}" for source in SCHEMA.information}
ELSEWHERE = {Wording(WORDS, SCHEMA).label(metric) for metric in MEASURED_AT_TRAINING | DRAWN_ON}
# What the page calls the groups and the scores, by column.
ATTRIBUTES = {"age group": "age_band", "gender": "gender", "race": "race"}
WIDE, NARROW = 0.2, 0.1


@pytest.fixture(scope="module")
def rows(trained_home: Home) -> pd.DataFrame:
    return trained_home.lake.read("model_evidence")


@pytest.fixture(scope="module")
def document(trained_home: Home) -> dict[str, Any]:
    return json.loads((trained_home.path / "reports" / MODEL / "1" / "evidence.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(document: dict[str, Any]) -> str:
    return evidence_html(document)


def cells(page: str, heading: str) -> Iterator[list[str]]:
    """Yield the rows of the first table after a heading, as text."""
    table = re.search(r"<tbody>(.*?)</tbody>", page[page.index(heading):], re.DOTALL)  # fmt: skip
    assert table
    for row in re.findall(r"<tr>(.*?)</tr>", table[1], re.DOTALL):
        yield [
            html.unescape(re.sub(r"<[^>]+>", " ", cell)).strip()
            for cell in re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL)
        ]


def first_number(cell: str) -> float:
    found = re.match(r"[+-]?[\d,.]+", cell)
    assert found, cell
    return float(found[0].replace(",", ""))


def flagged(rows: pd.DataFrame, share: float) -> np.ndarray:
    """Say of each row whether it is among this share with the highest risks."""
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[np.argsort(-rows["score"].to_numpy(), kind="stable")[: round(share * len(rows))]] = True
    return chosen


def slope_and_intercept(rows: pd.DataFrame) -> tuple[float, float]:
    log_odds = np.log(rows["score"] / (1 - rows["score"])).to_numpy()[:, None]
    fit = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000, solver="newton-cholesky").fit(log_odds, rows["label"])
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def calibration_error(rows: pd.DataFrame) -> float:
    tenths = np.array_split(rows.sort_values("score", kind="stable"), 10)
    return sum(abs(each["label"].mean() - each["score"].mean()) * len(each) for each in tenths) / len(rows)


def latest_fifth(rows: pd.DataFrame) -> pd.DataFrame:
    begins = rows.groupby("entity_key")["clock"].min().sort_values(kind="stable")
    return rows[rows["entity_key"].isin(begins.index[len(begins) - round(0.2 * len(begins)):])]  # fmt: skip


def net_benefit(rows: pd.DataFrame, threshold: float) -> float:
    gained = 0.0
    for label, score in zip(rows["label"], rows["score"], strict=True):
        if score >= threshold:
            gained += 1 if label else -threshold / (1 - threshold)
    return gained / len(rows)


def groups_of(rows: pd.DataFrame, attribute: str) -> dict[str, pd.DataFrame]:
    return {str(name): group for name, group in rows.groupby(attribute)}


def rates(rows: pd.DataFrame, group: pd.DataFrame) -> tuple[float, float]:
    """Return the flagged shares of the positives and of the negatives of a group, everybody at the same threshold."""
    chosen = pd.Series(flagged(rows, NARROW), index=rows.index).loc[group.index]
    return float(chosen[group["label"] == 1].mean()), float(chosen[group["label"] == 0].mean())


def equalised_odds(rows: pd.DataFrame, attribute: str, *, every_group: bool) -> float:
    compared = [group for group in groups_of(rows, attribute).values() if every_group or group["label"].sum() >= 100]
    found, false = zip(*(rates(rows, group) for group in compared), strict=True)
    return max(max(found) - min(found), max(false) - min(false))


def auroc(rows: pd.DataFrame, column: str = "score") -> float:
    return float(roc_auc_score(rows["label"], rows[column]))


def auroc_gap(rows: pd.DataFrame, attribute: str) -> float:
    areas = [auroc(group) for group in groups_of(rows, attribute).values() if group["label"].sum() >= 100]
    return max(areas) - min(areas)


def observed_expected(rows: pd.DataFrame) -> float:
    return float(rows["label"].sum() / rows["score"].sum())


def at_flag(measure: Callable[..., float], share: float = NARROW) -> Callable[[pd.DataFrame], float]:
    return lambda rows: float(measure(rows["label"], flagged(rows, share)))


# A definition for each label; a label that is not here has none that a reader could go by.
DEFINITIONS: dict[str, Callable[[pd.DataFrame], float]] = {
    "AUROC: how well it separates high from low risk": auroc,
    "AUROC of the model in use, on its test patients": lambda rows: auroc(rows[rows["fold"] == 0]),
    "AUROC on the latest fifth of the patients": lambda rows: auroc(latest_fifth(rows)),
    "Average precision": lambda rows: float(average_precision_score(rows["label"], rows["score"])),
    "Average precision over prevalence": lambda rows: float(
        average_precision_score(rows["label"], rows["score"]) / rows["label"].mean()
    ),
    "Calibration slope: 1 is ideal": lambda rows: slope_and_intercept(rows)[0],
    "Calibration intercept: 0 is ideal": lambda rows: slope_and_intercept(rows)[1],
    "Observed / expected readmissions: 1 is ideal": observed_expected,
    "Observed / expected readmissions on the latest fifth of the patients: 1 is ideal": lambda rows: observed_expected(
        latest_fifth(rows)
    ),
    "Expected calibration error: ten groups of equal size, 0 is ideal": calibration_error,
    "Brier score: lower is better": lambda rows: float(brier_score_loss(rows["label"], rows["score"])),
    "Brier skill: compared with predicting the average risk for everybody": lambda rows: float(
        1 - brier_score_loss(rows["label"], rows["score"]) / rows["label"].var(ddof=0)
    ),
    "Recall at the flag (10 %): share of the readmissions found": at_flag(recall_score),
    "PPV at the flag (10 %): share of the flagged readmitted within 30 days": at_flag(precision_score),
    "Recall at the wide flag (20 %): share of the readmissions found": at_flag(recall_score, WIDE),
    "Accuracy at the flag (10 %): predicting no for everybody gives 1 minus the prevalence": at_flag(accuracy_score),
    "Precision at the flag (10 %)": at_flag(precision_score),
    "Recall at the flag (10 %)": at_flag(recall_score),
    "F1 at the flag (10 %)": at_flag(f1_score),
    **{
        f"Net benefit of following up at a risk of {percent} % or more": lambda rows, percent=percent: net_benefit(
            rows, percent / 100
        )
        for percent in (10, 15, 20, 30)
    },
    **{
        f"Equalised odds at the flag (10 %), {words}: 0 is equal": lambda rows, column=column: equalised_odds(
            rows, column, every_group=column != "race"
        )
        for words, column in ATTRIBUTES.items()
    },
    **{
        f"AUROC gap, {words}: 0 is equal": lambda rows, column=column: auroc_gap(rows, column)
        for words, column in ATTRIBUTES.items()
    },
}


def test_every_figure_is_what_its_label_says(page: str, rows: pd.DataFrame):
    shown = {}
    for row in re.findall(r'<tr><td class="label">(.*?)</td><td class="number">(.*?)</td>', page):
        label, value = (html.unescape(each) for each in row)
        shown[label] = value
    assert set(shown) - ELSEWHERE == set(DEFINITIONS)
    for label, definition in DEFINITIONS.items():
        digits = len(shown[label].split()[0].partition(".")[2])
        if label.startswith("AUROC gap"):  # no more exact than the figure of a group whose count is hidden
            digits = min(digits, 3)
        # Half a unit of the last digit; and a row is not flagged in part here, nor are close scores grouped.
        assert first_number(shown[label]) == pytest.approx(definition(rows), abs=0.5 * 10**-digits + 1e-4), label


def test_every_score_beside_the_model_has_the_auroc_that_is_shown(
    page: str, document: dict[str, Any], rows: pd.DataFrame
):
    columns = ["score", *(each["name"] for each in document["baselines"])]
    shown = [first_number(value) for _, value in cells(page, "Comparison with existing scores")]
    assert shown == pytest.approx([auroc(rows, column) for column in columns], abs=6e-4)
    pairs = [(one, other) for place, one in enumerate(columns) for other in columns[place + 1 :]]
    second = page[page.index("Comparison with existing scores") :].split("</table>", 1)[1]
    differences = [first_number(value) for *_, value in cells(second, "<table")]
    assert differences == pytest.approx([auroc(rows, one) - auroc(rows, other) for one, other in pairs], abs=6e-5)


def test_every_groups_figures_are_those_of_its_rows(page: str, document: dict[str, Any], rows: pd.DataFrame):
    named = [(attribute, name) for attribute, members in document["groups"].items() for name in members]
    shown = list(cells(page, '<th class="number">false alarms</th>'))
    assert len(shown) == len(named)
    looked_at = 0
    for (attribute, name), (_, n, positives, area, ratio, found, false) in zip(named, shown, strict=True):
        group = groups_of(rows, attribute)[name]
        computed = {n: len(group), positives: group["label"].sum(), area: auroc(group), ratio: observed_expected(group)}
        computed |= dict(zip((found, false), rates(rows, group), strict=True))
        for cell, value in computed.items():
            if cell not in ("hidden", "\N{EN DASH}"):
                looked_at += 1
                assert first_number(cell) == pytest.approx(value, abs=6e-4), (attribute, name, cell)
    assert looked_at > 5 * len(named) / 2


def test_the_counts_at_the_top_are_those_of_the_rows(page: str, rows: pd.DataFrame):
    n, patients, positives = len(rows), rows["entity_key"].nunique(), int(rows["label"].sum())
    assert f"{n:,} encounters of {patients:,} patients; {positives:,} ({100 * positives / n:.1f} %)" in page
