"""Where enrolments come from: the published file, and a generator with a known risk."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from readmission_platform.foundation.errors import BadInput
from readmission_platform.intake.sources import Loaded, SourceRequest
from readmission_platform.models.frequent_visits import CONTRACT, published
from readmission_platform.models.frequent_visits.synthetic import generate, generate_with_truth


@pytest.fixture(scope="module")
def rand() -> Loaded:
    return CONTRACT.sources["rand"].load(SourceRequest())


def test_the_published_file_is_the_pinned_one_and_keeps_the_contract(rand: Loaded) -> None:
    assert rand.digest == rand.expected_digest
    assert len(rand.frame) == 20_190
    assert rand.frame["person_id"].nunique() == 5_912
    assert CONTRACT.raw.broken_rules(rand.frame).empty


def test_a_person_has_one_enrolment_a_year_and_five_at_most(rand: Loaded) -> None:
    assert not rand.frame.duplicated(["person_id", "contract_year"]).any()
    assert set(rand.frame["contract_year"]) == {1, 2, 3, 4, 5}
    # One in five: the question has an answer worth predicting.
    assert (rand.frame["visits"] >= 5).mean() == pytest.approx(0.2, abs=0.001)


def test_where_the_file_fills_in_a_mean_the_value_is_missing(rand: Loaded) -> None:
    diseases, limited = rand.frame["chronic_diseases"], rand.frame["physical_limitation"]
    assert diseases.isna().mean() == pytest.approx(0.396, abs=0.001)
    # Of 23 or 29 diseases asked about, in percent with one decimal.
    possible = {round(100 * count / of, 1) for of in (23, 29) for count in range(of + 1)}
    assert set(diseases.dropna()) <= possible
    assert set(limited.dropna()) == {"yes", "no"}
    assert limited.isna().sum() == 1_052
    assert diseases[rand.frame["age"] < 14].isna().mean() > 0.99


def test_health_is_one_answer_of_four(rand: Loaded) -> None:
    shares = rand.frame["self_rated_health"].value_counts(normalize=True)
    assert shares.round(2).to_dict() == {"excellent": 0.55, "good": 0.36, "fair": 0.08, "poor": 0.01}


def test_a_file_that_is_another_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / published.FILE
    file.parent.mkdir(parents=True)
    monkeypatch.setattr(published, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    with pytest.raises(BadInput, match="cannot be read"):
        CONTRACT.sources["rand"].load(SourceRequest())
    file.write_text("zper,year\n1,1\n")
    with pytest.raises(BadInput, match="sha256 is"):
        CONTRACT.sources["rand"].load(SourceRequest())
    monkeypatch.setattr(published, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="not installed"):
        CONTRACT.sources["rand"].load(SourceRequest())


def test_reading_the_file_imports_nothing_of_statsmodels() -> None:
    assert importlib.util.find_spec("statsmodels") is not None
    import subprocess
    import sys

    script = (
        "import sys; from readmission_platform.models.frequent_visits import CONTRACT; "
        "from readmission_platform.intake.sources import SourceRequest; "
        "CONTRACT.sources['rand'].load(SourceRequest()); print('statsmodels' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_same_seed_generates_the_same_enrolments_and_another_seed_others() -> None:
    one, again, other = generate(rows=500, seed=3), generate(rows=500, seed=3), generate(rows=500, seed=4)
    pd.testing.assert_frame_equal(one, again)
    assert not one.equals(other)
    assert len(one) == 500


@pytest.mark.parametrize(("rows", "seed"), [(199, 1), (500, -1)])
def test_what_cannot_be_generated_is_refused(rows: int, seed: int) -> None:
    with pytest.raises(BadInput):
        CONTRACT.sources["synthetic"].load(SourceRequest(rows=rows, seed=seed))


def test_generated_outcomes_come_as_often_as_the_known_risk_says() -> None:
    frame, truth = generate_with_truth(rows=40_000, seed=1)
    frequent = (frame["visits"] >= 5).to_numpy()
    assert ((truth > 0) & (truth < 1)).all()
    for tenth in np.array_split(np.argsort(truth), 10):
        expected, spread = truth[tenth].mean(), np.sqrt((truth[tenth] * (1 - truth[tenth])).sum()) / len(tenth)
        assert abs(frequent[tenth].mean() - expected) < 4 * spread


def test_generated_enrolments_resemble_the_published_ones(rand: Loaded) -> None:
    made = generate(rows=20_000, seed=2)
    for frame in (made, rand.frame):
        assert 0.18 < (frame["visits"] >= 5).mean() < 0.22
        assert frame.groupby("person_id").size().max() <= 5
    for name in ("sex", "coinsurance", "self_rated_health", "deductible_plan"):
        ours, theirs = (frame[name].value_counts(normalize=True) for frame in (made, rand.frame))
        assert (ours - theirs).abs().max() < 0.05, name
    for name in ("chronic_diseases", "physical_limitation"):
        assert made[name].isna().mean() == pytest.approx(rand.frame[name].isna().mean(), abs=0.03), name
