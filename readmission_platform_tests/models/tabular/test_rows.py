"""Single rows of a table: the answers of the batch, also for texts and dates that nobody expected."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from readmission_platform.models.single_rows import plain
from readmission_platform.models.tabular.columns import Columns
from readmission_platform.models.tabular.estimator import TableEstimator
from readmission_platform.models.tabular.explanation import explanation_of
from readmission_platform.models.tabular.groups import days_since
from readmission_platform.models.tabular.rows import days_between, table_rows

COLUMNS = Columns(("level", "marker"), {"ward": ("east", "north", "west"), "kind": ("a", "b")})
ROWS = 400


@pytest.fixture(scope="module")
def inputs() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        "level": rng.normal(size=ROWS),
        "marker": np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(size=ROWS)),
        "ward": rng.choice(["east", "north", "west", None], ROWS),
        "kind": rng.choice(["a", "b"], ROWS),
    })  # fmt: skip


def fitted(inputs: pd.DataFrame, kind: str | None = None) -> tuple[TableEstimator, object]:
    rng = np.random.default_rng(1)
    labels = (rng.random(ROWS) < 1 / (1 + np.exp(1 - inputs["level"] - (inputs["ward"] == "west")))).astype("int8")
    estimator = TableEstimator(COLUMNS, kind=kind) if kind else TableEstimator(COLUMNS)
    settings = {"parameters": {} if kind else {"max_iter": 20, "min_samples_leaf": 10}}
    return estimator, estimator.cross_validate(
        inputs, labels.to_numpy(), np.arange(ROWS) % 3, settings, entities=np.arange(ROWS), seed=0
    ).model


def test_rows_are_answered_bit_for_bit_as_in_the_batch(inputs: pd.DataFrame) -> None:
    estimator, model = fitted(inputs)
    explanation = explanation_of(COLUMNS, unsaid=frozenset({"kind"}))
    part = table_rows(lambda row, past: row, explanation)
    odd = pd.DataFrame({
        "level": [9e5, np.nan, 0.0, -3.0],
        "marker": [np.nan, 2.5, 9e5, np.nan],
        "ward": ["qzxv", None, "west", "east"],
        "kind": ["a", "nothing of the kind", None, "b"],
    })  # fmt: skip
    both = pd.concat([inputs, odd], ignore_index=True)
    risk = estimator.score(model, both)
    because = estimator.unsound(model, both, risk)
    said, accounts = explanation.explainer(model)(both, risk)
    scorer = part.load(part.compiled(model))
    for place, row in enumerate(plain(both)):
        answer = scorer.score(row, [])
        assert answer.withheld_because == because[place]
        if because[place] is None:
            assert (answer.risk, answer.reasons, answer.contributions) == (risk[place], said[place], accounts[place])
    assert sum(each is not None for each in because) == 2


def test_an_estimator_that_is_no_boosting_is_not_compiled(inputs: pd.DataFrame) -> None:
    _, model = fitted(inputs, "sklearn.linear_model.LogisticRegression")
    with pytest.raises(TypeError, match="only gradient boostings"):
        table_rows(lambda row, past: row, explanation_of(COLUMNS)).compiled(model)


TEXTS = st.one_of(st.none(), st.dates(date(1800, 1, 1), date(2100, 1, 1)).map(str),
                  st.sampled_from(["9999-12-31", "1500-01-01", "2023-02-29", "none"]))  # fmt: skip


@given(earlier=TEXTS, later=TEXTS)
@example("1677-09-22", "1700-01-01")
@example("1677-09-21", "1700-01-01")
@example("2262-04-11", "2262-04-11")
@example("2262-04-12", "2262-04-11")
def test_days_between_two_dates_are_those_of_the_batch(earlier: str | None, later: str | None) -> None:
    expected = days_since(pd.Series([earlier], dtype=object), pd.Series([later], dtype=object)).iloc[0]
    found = days_between(earlier, later)
    assert np.isnan(expected) if found is None else found == expected
