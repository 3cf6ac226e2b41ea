"""The same encounters as CSV, as Parquet and as FHIR resources, in every layout of files: equal rows, equal scores."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.encounters.cohort import CANNOT_BE_READMITTED, DRUG_COLUMNS
from readmission_platform.encounters.contract import ENCOUNTERS, RANGES
from readmission_platform.encounters.fhir.reading import read_fhir
from readmission_platform.encounters.fhir.resources import USED
from readmission_platform.encounters.synthetic import generate
from readmission_platform.intake.files import JsonFile, LandedFile
from readmission_platform.intake.rows import Intake, take_in
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.scoring import Scorer
from readmission_platform_tests.support.fhir import (
    DAY,
    Resource,
    assert_as_in_a_file,
    bundle,
    deliver,
    discharges,
    ndjson,
    resources_of,
    side_by_side,
    typed,
)
from readmission_platform_tests.support.small_study import make_small_study, text_cells

RAW = generate(encounters=200, seed=17)
ROWS = typed(text_cells(RAW[~RAW["discharge_disposition_id"].isin(CANNOT_BE_READMITTED)].head(60)))


def parquet(rows: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    rows.to_parquet(sink, index=False)
    return sink.getvalue()


def in_order(intake: Intake) -> pd.DataFrame:
    return intake.accepted.sort_values("encounter_id", ignore_index=True)


@pytest.fixture(scope="module")
def scores() -> Callable[[pd.DataFrame], pd.DataFrame]:
    study = make_small_study(encounters=2_000, seed=11)
    scorer = Scorer(CONTRACT, study.fitted.model)

    def score(accepted: pd.DataFrame) -> pd.DataFrame:
        entity = accepted["patient_nbr"].map("patient {}".format)
        return scorer.score(accepted.drop(columns="patient_nbr").assign(entity_key=entity), study.development)

    return score


def test_csv_parquet_and_fhir_deliveries_of_the_same_encounters_have_equal_scores_and_reasons(
    tmp_path: Path, scores: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    from_csv = deliver(tmp_path / "csv", {"d.csv": ROWS.to_csv(index=False).encode()})
    others = {
        "parquet": deliver(tmp_path / "parquet", {"d.parquet": parquet(ROWS)}),
        "fhir": deliver(tmp_path / "fhir", side_by_side(resources_of(ROWS))),
    }
    expected = scores(in_order(from_csv))
    assert len(expected) == len(ROWS)
    for other in others.values():
        pd.testing.assert_frame_equal(in_order(other), in_order(from_csv))
        pd.testing.assert_frame_equal(scores(in_order(other)), expected)


def absolute(resources: list[Resource]) -> list[Resource]:
    """The same with references that name the server and a version."""
    text = json.dumps(resources)
    for kind in USED:
        text = text.replace(f'"reference": "{kind}/', f'"reference": "https://ehr.example/r4/{kind}/')
    return list(json.loads(text))


def versioned(resources: list[Resource]) -> list[Resource]:
    return json.loads(json.dumps(absolute(resources)).replace('"}', '/_history/1"}'), object_hook=_only_references)  # type: ignore[no-any-return]


def _only_references(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value.replace("/_history/1", "") if name != "reference" and isinstance(value, str) else value
            for name, value in found.items()}  # fmt: skip


def by_uuid(resources: list[Resource]) -> list[Resource]:
    """One Bundle whose entries refer to each other by ``urn:uuid``."""
    text = json.dumps(resources)
    for kind in USED:
        text = text.replace(f'"reference": "{kind}/', '"reference": "urn:uuid:')
    return [bundle(json.loads(text), urls="urn:uuid:")]


def with_contained_patients(resources: list[Resource]) -> list[Resource]:
    """The same with each Patient inside the Encounters that refer to it."""
    patients = {each["id"]: each for each in resources if each["resourceType"] == "Patient"}
    found = []
    for each in resources:
        if each["resourceType"] == "Encounter":
            patient = patients[each["subject"]["reference"].partition("/")[2]]
            found.append({**each, "contained": [patient], "subject": {"reference": f"#{patient['id']}"}})
        elif each["resourceType"] not in ("Patient", "Coverage"):
            found.append(each)
    return found


LAYOUTS: dict[str, Callable[[list[Resource]], dict[str, bytes]]] = {
    "one file of mixed types": lambda each: {"discharges.ndjson": ndjson(each)},
    "one file packed": lambda each: {"discharges.ndjson.gz": gzip.compress(ndjson(each))},
    "a file for each type": side_by_side,
    "numbered files": lambda each: side_by_side(each, "{}.000.ndjson"),
    "packed files": lambda each: side_by_side(each, "{}.ndjson.gz"),
    "a type in two files": lambda each: {"a.000.ndjson": ndjson(each[::2]), "a.001.ndjson": ndjson(each[1::2])},
    "named jsonl": lambda each: {"discharges.jsonl": ndjson(each)},
    "a Bundle": lambda each: {"bundle.json": json.dumps(bundle(each), indent=1).encode()},
    "a Bundle in each line": lambda each: {"b.ndjson": ndjson([bundle(each[:50]), bundle(each[50:])])},
    "references to a server": lambda each: side_by_side(absolute(each)),
    "references to versions": lambda each: side_by_side(versioned(each)),
    "references by urn:uuid": lambda each: {"b.ndjson": ndjson(by_uuid(each))},
    "with a byte order mark and blank lines": lambda each: {"a.ndjson": b"\xef\xbb\xbf\n" + ndjson(each) + b"\n \n"},
    "with lines that end as on Windows": lambda each: {"a.ndjson": ndjson(each).replace(b"\n", b"\r\n")},
    "every resource twice but the Encounters": lambda each: {
        "a.ndjson": ndjson([*each, *(one for one in each if one["resourceType"] != "Encounter")])
    },
    "resources of other types beside": lambda each: {
        "a.ndjson": ndjson([*each, {"resourceType": "Practitioner", "id": "1"}])
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_resources_in_another_layout_are_the_same_rows(layout: str, tmp_path: Path) -> None:
    intake = deliver(tmp_path, LAYOUTS[layout](resources_of(ROWS)))
    assert list(intake.files["problem"].dropna()) == []
    assert intake.accounts.loc[0, ["received", "accepted"]].tolist() == [len(ROWS), len(ROWS)]
    expected = take_in({DAY: [LandedFile("d.csv", "sha256:d", text_cells(ROWS))]}, ENCOUNTERS)
    pd.testing.assert_frame_equal(in_order(intake), in_order(expected))


def test_a_bundle_in_a_request_is_the_same_rows() -> None:
    read = assert_as_in_a_file(bundle(resources_of(ROWS)))
    assert len([each for each in read if each.read.row]) == len(ROWS)


def test_codes_in_doubt_are_told_by_all_discharges_of_a_bundle(tmp_path: Path) -> None:
    rows = ROWS.head(2).assign(diag_1=["E876", "I50.9"], diag_2=None, diag_3=None)
    read = assert_as_in_a_file(bundle(resources_of(rows)))
    assert [each.read.row and each.read.row["diag_1"] for each in read] == ["276.8", "428.9"]


def test_a_patient_inside_the_encounter_is_as_good_as_one_beside_it(tmp_path: Path) -> None:
    rows = ROWS.assign(payer_code=None)
    intake = deliver(tmp_path, with_contained_patients(resources_of(rows)))
    expected = take_in({DAY: [LandedFile("d.csv", "sha256:d", text_cells(rows))]}, ENCOUNTERS)
    pd.testing.assert_frame_equal(in_order(intake), in_order(expected))


# ------------------------------------------------------------------------------------------------------ any row at all

_TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20)


def _sound(column: str, text: str) -> bool:
    cells = ENCOUNTERS.parse_text(pd.DataFrame({column: [text]}, dtype=object))
    return ENCOUNTERS.broken_rules(cells).empty and cells[column].tolist() == [text]


def column_of(name: str) -> st.SearchStrategy[Any]:
    values: st.SearchStrategy[Any]
    if name in RANGES:
        values = st.integers(*RANGES[name])
    elif name in ENCOUNTERS.vocabularies:
        values = st.sampled_from(ENCOUNTERS.vocabularies[name])
    elif name.startswith("diag_"):
        values = st.sampled_from(["38.9", "250.83", "428", "V45.81", "E849", "8.45"])
    else:
        values = _TEXT.filter(lambda text: _sound(name, text))
    return st.none() | values if name in ENCOUNTERS.nullable else values


# Many rows at a time need much room and show nothing more.
SMALL = {"num_lab_procedures": 12, "num_medications": 40, "num_procedures": 6}
ROW = st.fixed_dictionaries({
    name: st.integers(RANGES[name][0], SMALL[name]) if name in SMALL else column_of(name)
    for name in ENCOUNTERS.columns
})  # fmt: skip


def read(lines: list[Resource], day: str) -> pd.DataFrame:
    text = json.loads(json.dumps(lines))
    (file,) = read_fhir([JsonFile("a.ndjson", "sha256:a", text)], day)
    assert file.cells is not None
    assert not file.broken
    return file.cells


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=4), day=st.dates(pd.Timestamp(2020, 1, 1).date()).map(str))
def test_writing_and_reading_gives_back_every_cell_of_any_rows_of_the_contract(
    rows: list[dict[str, Any]], day: str
) -> None:
    frame = pd.DataFrame(rows, dtype=object)
    read_back = read(resources_of(frame, day), day)
    assert read_back.pop("discharge_date").tolist() == [day] * len(rows)
    expected = ENCOUNTERS.parse_text(text_cells(frame, list(ENCOUNTERS.columns)))
    pd.testing.assert_frame_equal(ENCOUNTERS.parse_text(read_back), expected)


@settings(max_examples=60, deadline=None)
@given(row=ROW)
def test_every_resource_that_is_written_is_valid(row: dict[str, Any]) -> None:
    from fhir.resources.R4B import get_fhir_model_class

    for each in resources_of(pd.DataFrame([row], dtype=object)):
        get_fhir_model_class(each["resourceType"]).model_validate(each)


def test_what_is_written_is_standard_where_fhir_can_say_it() -> None:
    written = resources_of(ROWS)
    extensions = {each["url"] for one in written if one["resourceType"] == "Encounter" for each in one["extension"]}
    stated = {url.rpartition("/")[2] for url in extensions}
    assert stated == {"number-outpatient", "number-emergency", "number-inpatient"}
    assert {one["resourceType"] for one in written} == USED - {"Medication"}
    assert len(DRUG_COLUMNS) == 23
    assert discharges(1)
