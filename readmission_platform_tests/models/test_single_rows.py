"""Single rows: a compiled model, the artifact and the batch give the same answer, and one that differs is noticed."""

import importlib
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from readmission_platform.models.conformance.random_rows import random_rows
from readmission_platform.models.conformance.single_rows import promises
from readmission_platform.models.conformance.subject import Subject, make_subject
from readmission_platform.models.contract import ModelContract, RowScore, RowScorer
from readmission_platform.models.frequent_visits import CONTRACT as ENROLMENTS
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.scoring import Scorer
from readmission_platform.models.single_rows import ArtifactRowScorer, answers, known_columns, plain, rows_differ
from readmission_platform_tests.models.test_conformance import SETTINGS
from readmission_platform_tests.support.small_study import SmallStudy

DAY = CONTRACT.day


@pytest.fixture(scope="module")
def compiled(small_study: SmallStudy) -> RowScorer:
    assert CONTRACT.rows is not None
    return CONTRACT.rows.load(CONTRACT.rows.compiled(small_study.fitted.model))


def arrived(study: SmallStudy) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The replay part as discharges of two days, and all that is known of these patients."""
    rows = study.replayed.assign(**{DAY: np.where(np.arange(len(study.replayed)) % 2, "2024-01-01", "2024-01-20")})
    rows["previous_return"] = None
    known = pd.concat([study.development.assign(**{DAY: None, "previous_return": None}),
                       rows.assign(readmitted=None, readmitted_30d=np.nan)], ignore_index=True)  # fmt: skip
    return rows.drop(columns=["readmitted", "readmitted_30d", "clock", "part"]), known[known_columns(CONTRACT)]


def test_discharges_of_a_stream_get_one_by_one_what_they_get_together(small_study: SmallStudy, compiled: RowScorer):
    rows, known = arrived(small_study)
    together = Scorer(CONTRACT, small_study.fitted.model).score(rows, known)
    alone = list(answers(CONTRACT, compiled, rows, known))
    assert [each.risk for each in alone] == together["risk"].tolist()
    assert [each.reasons for each in alone] == together["reasons"].tolist()
    assert [each.contributions for each in alone] == together["contributions"].tolist()
    assert rows_differ(CONTRACT, small_study.fitted.model, compiled, rows, known) == 0


def test_rows_of_the_source_that_have_no_day_are_answered_as_in_training(small_study: SmallStudy, compiled: RowScorer):
    rows = small_study.development
    last = rows[~rows["entity_key"].duplicated(keep="last") & rows["entity_key"].duplicated()].tail(200)
    asked = last.drop(columns=["readmitted", "readmitted_30d"])
    inputs = small_study.inputs.loc[last.index]
    assert (inputs["prior_encounters"] > 0).all()
    found = [each.risk for each in answers(CONTRACT, compiled, asked, rows)]
    risk = CONTRACT.estimator.score(small_study.fitted.model, inputs)
    because = CONTRACT.estimator.unsound(small_study.fitted.model, inputs, risk)
    assert found == [None if why else each for each, why in zip(risk.tolist(), because, strict=True)]
    assert rows_differ(CONTRACT, small_study.fitted.model, compiled, asked, rows) == 0
    artifact = ArtifactRowScorer(CONTRACT, small_study.fitted.model)
    assert rows_differ(CONTRACT, small_study.fitted.model, artifact, asked.head(5), rows) == 0


def test_a_version_recalibrated_to_certainty_is_explained_alike(small_study: SmallStudy):
    model = small_study.fitted.model.further(30.0, 70.0)
    rows, known = random_rows(CONTRACT, count=300, seed=5)
    scorer = CONTRACT.rows.load(CONTRACT.rows.compiled(model))
    risks = [each.risk for each in answers(CONTRACT, scorer, rows, known) if each.risk is not None]
    assert max(risks) == 1
    assert rows_differ(CONTRACT, model, scorer, rows, known) == 0


def test_whoever_does_not_ask_for_reasons_gets_the_same_risk_and_none(small_study: SmallStudy, compiled: RowScorer):
    rows, known = random_rows(CONTRACT, count=60, seed=3)
    for scorer in (compiled, ArtifactRowScorer(CONTRACT, small_study.fitted.model)):
        for row in plain(rows.head(6)):
            past = plain(known[known["entity_key"] == row["entity_key"]])
            with_reasons, without = (scorer.score(row, past, explain=explain) for explain in (True, False))
            assert without == replace(with_reasons, reasons=None, contributions=None)


def test_a_withheld_row_has_a_reason_and_nothing_else(small_study: SmallStudy, compiled: RowScorer):
    rows, _ = arrived(small_study)
    (row,) = plain(rows.head(1).assign(discharge_disposition_id=29, diag_1=None, diag_2=None, diag_3=None))
    expected = "the discharge disposition does not occur in the training data; no diagnosis is recorded"
    for scorer in (compiled, ArtifactRowScorer(CONTRACT, small_study.fitted.model)):
        assert scorer.score(row, []) == RowScore(None, expected)


def test_what_a_file_brings_along_gets_into_no_reason(small_study: SmallStudy, compiled: RowScorer):
    rows, known = arrived(small_study)
    strange = rows.assign(medical_specialty="qzxv")
    said = [each.reasons or "" for each in answers(CONTRACT, compiled, strange, known)]
    assert any(said)
    assert not any("qzxv" in each for each in said)


def test_several_threads_get_the_answers_of_one(compiled: RowScorer):
    rows, known = random_rows(CONTRACT, count=200, seed=9)
    asked = [(row, plain(known[known["entity_key"] == row["entity_key"]])) for row in plain(rows)]
    expected = [compiled.score(*each) for each in asked]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert list(pool.map(lambda each: compiled.score(*each), asked)) == expected


class RoundsRisks:
    def __init__(self, honest: RowScorer) -> None:
        self._honest = honest

    def score(self, row: Mapping[str, Any], past: Sequence[Mapping[str, Any]], *, explain: bool = True) -> RowScore:
        answer = self._honest.score(row, past, explain=explain)
        return self.spoilt(answer, past) if answer.risk is not None else answer

    def spoilt(self, answer: RowScore, past: Sequence[Mapping[str, Any]]) -> RowScore:
        return replace(answer, risk=float(np.nextafter(answer.risk, 1)))


class GivesAnotherReason(RoundsRisks):
    def spoilt(self, answer: RowScore, past: Sequence[Mapping[str, Any]]) -> RowScore:
        return replace(answer, reasons=f"{answer.reasons}; so be it")


class ScoresWhatIsWithheld(RoundsRisks):
    def score(self, row: Mapping[str, Any], past: Sequence[Mapping[str, Any]], *, explain: bool = True) -> RowScore:
        answer = self._honest.score(row, past, explain=explain)
        return replace(answer, withheld_because=None)


class ForgetsThePast(RoundsRisks):
    def score(self, row: Mapping[str, Any], past: Sequence[Mapping[str, Any]], *, explain: bool = True) -> RowScore:
        return self._honest.score(row, [], explain=explain)


@pytest.mark.parametrize("other", [RoundsRisks, GivesAnotherReason, ScoresWhatIsWithheld, ForgetsThePast])
def test_answers_that_differ_are_counted(small_study: SmallStudy, compiled: RowScorer, other: type[RoundsRisks]):
    rows, known = random_rows(CONTRACT, count=150, seed=4)
    assert rows_differ(CONTRACT, small_study.fitted.model, compiled, rows, known) == 0
    assert rows_differ(CONTRACT, small_study.fitted.model, other(compiled), rows, known) > 10


@pytest.mark.parametrize("contract", [CONTRACT, ENROLMENTS], ids=lambda contract: contract.row)
def test_random_rows_keep_the_contract_and_hold_what_it_allows(contract: ModelContract):
    rows, known = random_rows(contract, count=500, seed=2)
    feed = contract.feed
    assert len(rows) == 500
    assert rows[contract.row].is_unique
    assert feed.broken_rules(rows[[name for name in rows if name in feed.columns]]).empty
    assert not any(excluded.rows(rows).any() for excluded in feed.excluded)
    missing = rows.isna().any()
    assert all(missing[name] for name in feed.columns if name != feed.entity and feed.may_miss(name))
    assert known[contract.day].isna().any()
    assert known[contract.day].notna().any()
    assert known[contract.row].duplicated().any()
    assert rows["entity_key"].isin(known["entity_key"]).mean() > 0.5
    assert (~rows["entity_key"].isin(known["entity_key"])).mean() > 0.1
    assert (rows[[contract.row, "entity_key"]].merge(known[[contract.row, "entity_key"]])).shape[0] > 20


@cache
def subject() -> Subject:
    return make_subject(ENROLMENTS, SETTINGS["frequent_visits"], rows=800, seed=1)


def problem(contract: ModelContract, promise: str) -> str | None:
    return dict(promises(replace(subject(), contract=contract)))[promise]


@dataclass(frozen=True)
class Changed:
    """The row part of the example with one thing wrong."""

    file: str = "rows.safetensors"

    def compiled(self, model: Any) -> bytes:
        return ENROLMENTS.rows.compiled(model)

    def load(self, content: bytes) -> RowScorer:
        return ENROLMENTS.rows.load(content)


class AnswersSomethingElse(Changed):
    def load(self, content: bytes) -> RowScorer:
        return RoundsRisks(super().load(content))


class BelievesAnything(Changed):
    def compiled(self, model: Any) -> bytes:
        return pickle.dumps(super().compiled(model))

    def load(self, content: bytes) -> RowScorer:
        try:
            return super().load(pickle.loads(content))
        except (pickle.UnpicklingError, EOFError) as error:
            raise ValueError from error


class IsStampedWithATime(Changed):
    def compiled(self, model: Any) -> bytes:
        return super().compiled(model.further(1.0, np.random.default_rng().random() * 1e-9))


@pytest.mark.parametrize(
    ("part", "promise"),
    [
        (AnswersSomethingElse, "a compiled model answers a row bit for bit as the batch does"),
        (BelievesAnything, "bytes that are no compiled model are refused"),
        (IsStampedWithATime, "a model is compiled into the same bytes each time"),
    ],
)
def test_a_broken_row_part_is_noticed(part: type[Changed], promise: str):
    assert problem(ENROLMENTS, promise) is None
    assert problem(replace(ENROLMENTS, rows=part()), promise) is not None


def test_a_model_that_is_not_compiled_promises_less():
    named = [name for name, _ in promises(replace(subject(), contract=replace(ENROLMENTS, rows=None)))]
    assert named == ["the artifact answers a single row as it does many"]


def test_a_compiled_model_of_another_kind_is_refused(small_study: SmallStudy):
    foreign = CONTRACT.rows.compiled(small_study.fitted.model)
    with pytest.raises(ValueError, match="the compiled model"):
        ENROLMENTS.rows.load(foreign)


@pytest.mark.parametrize("package", ["readmission_30d", "frequent_visits"])
def test_loading_and_answering_needs_no_library_that_fits_models(package: str, small_study: SmallStudy, tmp_path: Path):
    contract = importlib.import_module(f"readmission_platform.models.{package}").CONTRACT
    model = small_study.fitted.model if contract is CONTRACT else subject().fitted.model
    (tmp_path / "model").write_bytes(contract.rows.compiled(model))
    rows, known = random_rows(contract, count=20, seed=1)
    pd.to_pickle((plain(rows), plain(known)), tmp_path / "rows")
    script = f"""
import pickle, sys
from pathlib import Path
from readmission_platform.models.{package} import CONTRACT
scorer = CONTRACT.rows.load(Path({str(tmp_path / "model")!r}).read_bytes())
rows, known = pickle.loads(Path({str(tmp_path / "rows")!r}).read_bytes())
answers = [scorer.score(row, [past for past in known if past["entity_key"] == row["entity_key"]]) for row in rows]
heavy = ("sklearn", "skops", "mlflow", "dagster", "matplotlib", "deltalake", "scipy.stats", "scipy.optimize")
print(sum(answer.risk is not None for answer in answers), [name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    scored, _, heavy = done.stdout.strip().partition(" ")
    assert int(scored) > 0
    assert heavy == "[]"
