"""One table of inputs: how systems write the same encounters, and what becomes of each.

Every file is delivered through a landing zone, taken in and scored; what is accepted has the score of the clean file.
"""

import gzip
from collections.abc import Callable
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


# ----------------------------------------------------------------------------------------------------------- dialects


def separated(by: str, cells: pd.DataFrame = CLEAN) -> bytes:
    return cells.to_csv(index=False, sep=by).encode()


def lines(change: Callable[[list[str]], list[str]], end: str = "\n") -> bytes:
    """The clean file with its lines changed; the first is the header."""
    return (end.join(change(csv(CLEAN).decode().splitlines())) + end).encode()


def renamed(change: Callable[[str], str]) -> bytes:
    return csv(CLEAN.rename(columns=change))


DIALECTS: dict[str, bytes] = {
    "semicolons": separated(";"),
    "tabs": separated("\t"),
    "vertical bars": separated("|"),
    "semicolons, packed.gz": gzip.compress(separated(";")),
    "separator at the end of every line": lines(lambda rows: [row + "," for row in rows]),
    "semicolon at the end of every line": separated(";").replace(b"\n", b";\n"),
    "three separators at the end of every line": lines(lambda rows: [row + ",,," for row in rows]),
    "separator at the end of the header alone": lines(lambda rows: [rows[0] + ",", *rows[1:]]),
    "separator at the end of every row, not of the header": lines(lambda rows: [rows[0], *(r + "," for r in rows[1:])]),
    "sep=, as Excel writes it": b"sep=,\r\n" + lines(lambda rows: rows, "\r\n"),
    "sep=; as Excel writes it": b"sep=;\n" + separated(";"),
    "SEP=, in quotation marks": b'"SEP=,"\n' + csv(CLEAN),
    "sep=, behind a byte order mark": b"\xef\xbb\xbfsep=,\n" + csv(CLEAN),
    "byte order mark": b"\xef\xbb\xbf" + csv(CLEAN),
    "lines end with CR": lines(lambda rows: rows, "\r"),
    "lines end with CRLF": lines(lambda rows: rows, "\r\n"),
    "blank lines": lines(lambda rows: [rows[0], "", *rows[1:3], "", *rows[3:], ""]),
    "last line without an end": csv(CLEAN)[:-1],
    "header in capitals": renamed(str.upper),
    "header in small letters": renamed(str.lower),
    "header with blanks": renamed(" {} ".format),
    "header with points for hyphens": renamed(lambda name: name.replace("-", ".")),
    "header with underscores for hyphens": renamed(lambda name: name.replace("-", "_")),
    "header with blanks for underscores": renamed(lambda name: name.replace("_", " ")),
    "header again and again": lines(lambda rows: [*rows[:2], rows[0], *rows[2:], rows[0]]),
    "columns in another order": csv(CLEAN[CLEAN.columns[::-1]]),
    "every cell in quotation marks": lines(lambda rows: [",".join(f'"{c}"' for c in row.split(",")) for row in rows]),
    "index of a data frame": CLEAN.to_csv().encode(),
    "index of a data frame read and written again": CLEAN.to_csv(index_label="Unnamed: 0").encode(),
    "labels of a data frame": CLEAN.set_axis(["a", "b", "c", "d"]).to_csv().encode(),
    "row names of R": lines(lambda rows: ['"",' + rows[0], *(f'"{n}",{row}' for n, row in enumerate(rows[1:], 1))]),
    "row names of R without a header": lines(
        lambda rows: [rows[0], *(f'"{number}",{row}' for number, row in enumerate(rows[1:], 1))]
    ),
    "break of a line in a cell with a list": lines(
        lambda rows: [rows[0], rows[1].replace("Female", '"Female\n"'), *rows[2:]]
    ),
    "Windows-1252 with a dash in the age": csv(CLEAN.assign(age="[70\u201380)")).decode().encode("cp1252"),
    "Windows-1252 with blanks that do not break": csv(CLEAN.assign(gender="Female\xa0")).decode().encode("cp1252"),
    "day in a column": csv(CLEAN.assign(discharge_date=DAY)),
    "day in a column in capitals": csv(CLEAN.assign(DISCHARGE_DATE=DAY)),
}  # fmt: skip


@pytest.mark.parametrize("name", list(DIALECTS))
def test_a_dialect_that_leaves_no_doubt_has_the_scores_of_the_clean_file(name: str, tmp_path: Path) -> None:
    assert_as_clean(deliver(tmp_path, DIALECTS[name], "d.csv.gz" if name.endswith("gz") else "d.csv"))


@pytest.mark.parametrize("name", ["d.tsv", "d.TSV", "d.csv", "discharges_20240305T050000.tsv"])
def test_the_separator_is_found_in_the_file_whatever_its_name_says(name: str, tmp_path: Path) -> None:
    assert_as_clean(deliver(tmp_path, separated("\t"), name))


SECRET = "Q7391-PATIENT"
COSTS_A_ROW: dict[str, tuple[bytes, str]] = {
    "cell of ten megabytes": (csv(CLEAN.assign(payer_code=["MC", "x" * 10 * 2**20, "MC", "MC"])), "unknown_code"),
    "decimal comma in a file of semicolons": (
        separated(";", CLEAN.assign(num_medications=["12", "12,0", "12", "12"])), "not_a_whole_number"),
    "thousands in a file of semicolons": (
        separated(";", CLEAN.assign(num_medications=["12", "1.000", "12", "12"])), "not_a_whole_number"),
    "exponent": (csv(CLEAN.assign(num_medications=["12", "4e1", "12", "12"])), "not_a_whole_number"),
    "break of a line in free text": (
        csv(CLEAN.assign(medical_specialty=["Internal Medicine", f"{SECRET}\nB", *["InternalMedicine"] * 2])),
        "unknown_code"),
    "breaks and commas in free text": (
        csv(CLEAN.assign(medical_specialty=["Internal Medicine", f"{SECRET},\n\nB, C", *["InternalMedicine"] * 2])),
        "unknown_code"),
    "quotation marks escaped by backslashes, too long": (
        csv(CLEAN.assign(payer_code=["MC", 'b"' * 60, "MC", "MC"])).replace(b'""', b'\\"'), "unknown_code"),
    "Latin-1 in free text": (
        csv(CLEAN.assign(medical_specialty=["InternalMedicine", f"K\xf6ln {SECRET}", *["InternalMedicine"] * 2]))
        .decode().encode("latin-1"), "not_utf8"),
    "no code among codes": (csv(CLEAN.assign(diag_1=["38.9", "E17.9", "38.9", "38.9"])), "not_icd9"),
    "row with a cell more": (lines(lambda rows: [*rows[:2], rows[2] + ",1", *rows[3:]]), "ragged_row"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(COSTS_A_ROW))
def test_one_bad_cell_costs_its_row_and_not_the_day(name: str, tmp_path: Path) -> None:
    content, code = COSTS_A_ROW[name]
    intake = deliver(tmp_path, content)
    assert_as_clean(intake, without=(2,))
    assert set(intake.quarantined["code"]) == {code}
    assert SECRET not in intake.quarantined.to_csv()


@pytest.mark.parametrize("end", [-40, -120])
def test_a_last_line_that_is_cut_costs_its_row_and_the_file_is_named_as_cut(end: int, tmp_path: Path) -> None:
    intake = deliver(tmp_path, csv(CLEAN)[:end])
    assert_as_clean(intake, without=(4,))
    assert intake.quarantined[["row", "code"]].to_numpy().tolist() == [[0, "file_truncated"], [4, "ragged_row"]]
    assert intake.accounts["files_quarantined"].tolist() == [1]


def test_quotation_marks_escaped_by_backslashes_are_read_as_those_that_are_doubled(tmp_path: Path) -> None:
    doubled = csv(CLEAN.assign(payer_code=["MC", 'M "x" C', "MC", "MC"], diag_3="\\N"))
    one, other = (deliver(tmp_path / name, content) for name, content in
                  (("doubled", doubled), ("escaped", doubled.replace(b'""', b'\\"'))))  # fmt: skip
    assert len(one.accepted) == ROWS
    pd.testing.assert_frame_equal(one.accepted, other.accepted)


def _stray(rows: list[str]) -> list[str]:
    return [rows[0], rows[1].replace("Female", '"Female'), rows[2], rows[3].replace("Female", 'Female"'), rows[4]]


REFUSED: dict[str, tuple[bytes, str, str]] = {
    "two kinds of separators": (lines(lambda rows: [rows[0].replace(",age", ";age"), *rows[1:]]), "dialect_unclear",
                                "line 1"),
    "rows between stray quotation marks": (lines(_stray), "quotes_unclear", "line 2"),
    "the same behind sep=": (b"sep=,\n" + lines(_stray), "quotes_unclear", "line 3"),
    "text behind a quotation mark": (lines(lambda rows: [*rows[:3], f'"{SECRET}"x' + rows[3], rows[4]]),
                                     "file_unreadable", "line 4"),
    "a quotation mark that is never closed": (lines(lambda rows: [*rows[:2], '"' + SECRET + rows[2], *rows[3:]]),
                                              "file_truncated", "line 3"),
    "UTF-16": (csv(CLEAN).decode().encode("utf-16"), "file_not_utf8", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_file_that_could_be_read_in_two_ways_is_refused_with_the_line_and_the_reason(
    name: str, tmp_path: Path
) -> None:
    content, code, line = REFUSED[name]
    intake = deliver(tmp_path, content)
    assert intake.accepted.empty
    assert intake.quarantined[["row", "column", "code"]].to_numpy().tolist() == [[0, line, code]]
    assert SECRET not in intake.quarantined.to_csv()


# ------------------------------------------------------------------------------------------------ ICD-10-CM

OF_ICD10 = {"diag_1": ["E11.9", "I50.9", "N18.6", "J44.1", "A41.9", "Z51.11"], "diag_2": "E119", "diag_3": "i10"}


def test_a_file_of_icd_10_is_accepted_whole_and_says_of_each_code_how_it_was_translated(tmp_path: Path) -> None:
    intake = deliver(tmp_path, csv(clean_rows(6).assign(**OF_ICD10)))
    assert len(intake.accepted) == 6
    assert intake.quarantined.empty
    assert intake.accepted["diag_1"].tolist() == ["250", "428.9", "585.6", "491.21", "38.9", "V58.11"]
    assert set(intake.accepted["diag_2"]) == {"250"}
    assert set(intake.accepted["diag_3"]) == {"401.9"}
    said = intake.translations
    assert list(said.columns) == ["discharge_date", "encounter_id", "column", "how"]
    assert len(said) == 18
    first = said[said["column"] == "diag_1"].set_index("encounter_id").loc[intake.accepted["encounter_id"], "how"]
    assert first.tolist() == ["approximate", "one_of_many", "exact", "one_of_many", "one_of_many", "exact"]


def test_encounters_in_icd_9_and_in_icd_10_have_the_same_scores_and_reasons_where_the_codes_say_the_same(
    tmp_path: Path,
) -> None:
    rows = clean_rows(6)
    ten = deliver(tmp_path / "ten", csv(rows.assign(**OF_ICD10))).accepted
    nine = {"diag_1": ["250.00", "428.0", "5856", "49121", "038.9", "V5811"], "diag_2": "25000", "diag_3": "401.9"}
    pd.testing.assert_frame_equal(scores(ten), scores(deliver(tmp_path / "nine", csv(rows.assign(**nine))).accepted))


def test_what_cannot_be_translated_is_missing_with_its_reason_and_its_row_stays(tmp_path: Path) -> None:
    rows = clean_rows(4).assign(diag_1=["U07.1", "I10", "428.0", "E876"], diag_2="486", diag_3="?")
    intake = deliver(tmp_path, csv(rows))
    assert len(intake.accepted) == 4
    assert intake.accepted["diag_1"].isna().tolist() == [True, False, False, True]
    assert intake.translations["how"].tolist() == ["no_map", "one_of_many", "in_doubt"]


def test_another_file_of_the_day_does_not_decide_what_system_a_code_is_of(tmp_path: Path) -> None:
    rows = clean_rows(2).assign(diag_1=["E876", "250"], diag_2="486", diag_3="?")
    other = clean_rows(2, first=900_000_000).assign(diag_1=["E876", "E11.9"], diag_2="J189", diag_3="?")
    deliver(tmp_path, csv(rows), "a.csv")
    intake = deliver(tmp_path, csv(other), "b.csv")
    assert intake.accepted["diag_1"].tolist() == ["E876", "250", "276.8", "250"]


def test_an_accepted_row_alone_is_told_of_and_no_code_is_kept_twice(tmp_path: Path) -> None:
    rows = clean_rows(3).assign(diag_1=["I10", "U99.9", "I10"], diag_2=["428.0", "I10", "I10"], diag_3="?")
    again = rows.iloc[[0]].assign(diag_1="4019", diag_2="4280")
    intake = deliver(tmp_path, csv(pd.concat([rows, again])))
    assert len(intake.accepted) == 2
    accepted = intake.accepted["encounter_id"].tolist()
    told = [(accepted[0], "diag_1"), (accepted[1], "diag_1"), (accepted[1], "diag_2")]
    assert list(zip(intake.translations["encounter_id"], intake.translations["column"], strict=True)) == told
