"""One table of inputs: how systems write the same encounters, and what becomes of each.

Every file is delivered through a landing zone, taken in and scored; what is accepted has the score of the clean file.
"""

from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from readmission_platform.encounters.contract import ENCOUNTERS, LANDING
from readmission_platform.intake.rows import Intake, take_in
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.features import EncounterEncoder
from readmission_platform.models.readmission_30d.watched_inputs import WATCHABLE, comparable
from readmission_platform.models.scoring import Scorer
from readmission_platform.storage.landing import Landing
from readmission_platform_tests.support.bad_deliveries import as_table, clean_rows, csv, in_parquet
from readmission_platform_tests.support.small_study import SmallStudy, make_small_study

DAY = "2024-03-01"
ROWS = 4
# What the table is about, as the clean file has it; each line of the table writes one of these otherwise.
USUAL = {
    "race": "AfricanAmerican", "gender": "Female", "age": "[70-80)", "diag_1": "38.9", "diag_2": "8.45",
    "diag_3": "250.6", "A1Cresult": ">8", "max_glu_serum": ">200", "insulin": "Steady", "change": "Ch",
    "diabetesMed": "Yes", "payer_code": "MC", "medical_specialty": "InternalMedicine", "num_medications": "12",
    "weight": "[75-100)", "metformin": "No", "number_inpatient": "0",
}  # fmt: skip
CLEAN = clean_rows(ROWS).assign(**USUAL)


@cache
def study() -> SmallStudy:
    return make_small_study(encounters=2_000, seed=11)


@cache
def scorer() -> Scorer:
    return Scorer(CONTRACT, study().fitted.model)


def deliver(root: Path, content: bytes, name: str = "d.csv") -> Intake:
    folder = root / "discharges" / DAY
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return take_in({DAY: Landing(root, LANDING).read_day(DAY)}, ENCOUNTERS)


def as_scored(accepted: pd.DataFrame) -> pd.DataFrame:
    return accepted.drop(columns="patient_nbr").assign(entity_key=accepted["patient_nbr"].map("patient {}".format))


def scores(accepted: pd.DataFrame) -> pd.DataFrame:
    """Risk, reasons and contributions by encounter."""
    rows = as_scored(accepted)
    return scorer().score(rows, study().development).set_index(rows["encounter_id"])


@cache
def clean_intake() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The clean file as it is accepted, and its scores."""
    from readmission_platform.intake.files import LandedFile

    accepted = take_in({DAY: [LandedFile("d.csv", "sha256:d", CLEAN)]}, ENCOUNTERS).accepted
    assert len(accepted) == ROWS
    return accepted, scores(accepted)


def assert_as_clean(intake: Intake, *, without: tuple[int, ...] = ()) -> None:
    """Assert that the rows (1 is the first), but for some, are accepted as in the clean file, with its scores."""
    accepted, scored = clean_intake()
    left = accepted.drop(index=[row - 1 for row in without]).reset_index(drop=True)
    pd.testing.assert_frame_equal(intake.accepted, left)
    assert set(intake.quarantined["row"]) - {0} == set(without)
    pd.testing.assert_frame_equal(scores(intake.accepted), scored.loc[left["encounter_id"]])


# --------------------------------------------------------------------------------------------------------- spellings

SPELLINGS = [
    *(("diag_1", text) for text in ("038.9", "0389", "38.90", "038.90", "03890", " 38.9 ", "0389.0")),
    *(("diag_2", text) for text in ("008.45", "00845", "08.45", "8.45\u00a0")),
    *(("diag_3", text) for text in ("250.60", "25060", "2506", "25060.0")),
    *(("age", text) for text in ("70-80", "[70\u201380)", "[70 - 80)", "70-79", "[70, 80)", "[70;80[")),
    *(("A1Cresult", text) for text in ("\uff1e8", "\u203a8", "> 8", "&gt;8", ">8%")),
    *(("max_glu_serum", text) for text in ("\uff1e200", "> 200", "&gt;200")),
    *(("gender", text) for text in ("F", "f", "female", "FEMALE", " Female ")),
    *(("race", text) for text in ("African American", "African-American", "AFRICANAMERICAN")),
    *(("insulin", text) for text in ("steady", "STEADY", "Steady ")),
    *(("metformin", text) for text in ("NO", "no")),
    *(("change", text) for text in ("ch", "Yes", "TRUE", "1", "Changed")),
    *(("diabetesMed", text) for text in ("yes", "Y", "True", "1", "1.0")),
    *(("payer_code", text) for text in ("mc", " MC")),
    *(("medical_specialty", text) for text in ("Internal Medicine", "INTERNALMEDICINE", "internalmedicine ")),
    *(("weight", text) for text in ("[75 \u2013 100)",)),
    *(("num_medications", text) for text in ("12.0", "12.00", " 12", "012", "+12", "12.000000")),
    *(("number_inpatient", text) for text in ("0.0", "00")),
]


@pytest.mark.parametrize(("column", "text"), SPELLINGS)
def test_another_spelling_has_the_score_and_the_reasons_of_the_clean_file(
    column: str, text: str, tmp_path: Path
) -> None:
    cells = CLEAN.copy()
    cells.loc[1, column] = text
    assert_as_clean(deliver(tmp_path, csv(cells)))


@pytest.mark.parametrize("column", ["encounter_id", "patient_nbr"])
def test_identifiers_as_a_data_frame_with_gaps_writes_them_are_the_same_identifiers(
    column: str, tmp_path: Path
) -> None:
    assert_as_clean(deliver(tmp_path, csv(CLEAN.assign(**{column: CLEAN[column] + ".0"}))))


CODES = {
    "38.9": ("038.9", "0389", "38.9", "38.90", "03890"), "8.45": ("008.45", "00845", "8.45"),
    "250": ("250", "250.0", "250.00", "25000", "2500", "25000.0"), "428": ("428", "428.0", "4280", "428.00"),
    "V45.81": ("V45.81", "v45.81", "V4581", "v 4581"), "V08": ("V08", "v8", "V08.0", "V080"),
    "E849": ("E849", "e849.0", "E8490"), "38": ("038", "38", "38.0", "0380"),
}  # fmt: skip


@pytest.mark.parametrize("column", ["diag_1", "diag_2", "diag_3"])
def test_every_spelling_of_a_diagnosis_gives_the_same_features_score_reasons_and_drift_category(column: str) -> None:
    encoder: EncounterEncoder = study().fitted.model.classifier[0]
    for spellings in CODES.values():
        cells = CLEAN.iloc[[0] * len(spellings)].assign(**{column: spellings}).reset_index(drop=True)
        # Of as many patients: of one, each encounter would be part of the history of the next.
        read = ENCOUNTERS.parse_text(cells.assign(**dict.fromkeys(["encounter_id", "patient_nbr"], cells.index + 1)))
        inputs = CONTRACT.data.inputs_of(as_scored(read), study().development)
        features = pd.DataFrame(encoder.transform(inputs), columns=encoder.feature_names())
        assert len(features.drop_duplicates()) == 1
        assert len(comparable(inputs, list(WATCHABLE)).drop_duplicates()) == 1
        assert len(scores(read).drop_duplicates()) == 1


# ------------------------------------------------------------------------------------------------------------ missing


@pytest.mark.parametrize("mark", ["", " ", "NA", "N/A", "nan", "NaN", "null", "NULL", "None", "-", "--", "\u2014",
                                  "#N/A", "<NA>", "\\N", "."])  # fmt: skip
def test_whatever_says_that_there_is_no_value_scores_like_the_mark_of_the_source(mark: str, tmp_path: Path) -> None:
    columns = ["race", "weight", "payer_code", "medical_specialty", "diag_2", "diag_3"]
    marked, usual = (deliver(tmp_path / name, csv(CLEAN.assign(**dict.fromkeys(columns, text))))
                     for name, text in (("marked", mark), ("usual", "?")))  # fmt: skip
    assert len(marked.accepted) == ROWS
    assert marked.accepted[columns].isna().all(axis=None)
    pd.testing.assert_frame_equal(marked.accepted, usual.accepted)
    pd.testing.assert_frame_equal(scores(marked.accepted), scores(usual.accepted))


# ------------------------------------------------------------------------------------------------- types in Parquet

COUNT = "num_medications"


@pytest.mark.parametrize(
    ("column", "kind"),
    [(COUNT, kind) for kind in (pa.int8(), pa.int64(), pa.uint16(), pa.float32(), pa.float64(), pa.decimal128(22, 3),
                                pa.decimal128(38, 0), pa.string(), pa.large_string())]
    + [(name, kind) for name in ("encounter_id", "patient_nbr")
       for kind in (pa.int32(), pa.int64(), pa.uint64(), pa.float64(), pa.decimal128(38, 0), pa.string())]
    + [("diag_1", pa.float64()), ("diag_3", pa.float64())],
)  # fmt: skip
def test_a_type_that_holds_the_numbers_has_the_scores_of_the_clean_file(
    column: str, kind: pa.DataType, tmp_path: Path
) -> None:
    table = as_table(CLEAN)
    values = pd.to_numeric(CLEAN[column]).tolist()
    typed = pa.array([str(value) for value in values] if pa.types.is_string(kind) or pa.types.is_large_string(kind)
                     else values).cast(kind)  # fmt: skip
    content = in_parquet(table.set_column(table.column_names.index(column), column, typed))
    assert_as_clean(deliver(tmp_path, content, "d.parquet"))
