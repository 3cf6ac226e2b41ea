"""Deliveries of FHIR resources: a few discharges, and a landing zone that they are delivered through."""

import gzip
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from readmission_platform.encounters.contract import ENCOUNTERS, FHIR, LANDING
from readmission_platform.encounters.fhir.reading import read_fhir
from readmission_platform.encounters.fhir.writing import write_fhir
from readmission_platform.intake.files import JsonFile
from readmission_platform.intake.records import RecordRow, read_record
from readmission_platform.intake.rows import Intake, take_in
from readmission_platform.intake.single import RowReader
from readmission_platform.storage.landing import Landing
from readmission_platform_tests.support.bad_deliveries import clean_rows

DAY = "2024-03-01"
# A value that a fault can carry, and that must turn up nowhere.
SECRET = "Q7391-PATIENT"
Resource = dict[str, Any]


def typed(cells: pd.DataFrame) -> pd.DataFrame:
    """Text cells in the contract's types."""
    return ENCOUNTERS.parse_text(cells)


def resources_of(rows: pd.DataFrame, day: str = DAY) -> list[Resource]:
    return list(write_fhir(rows, day))


def discharges(count: int = 1, day: str = DAY) -> list[Resource]:
    """The resources of as many clean discharges."""
    return resources_of(typed(clean_rows(count)), day)


def of(resources: Iterable[Resource], kind: str) -> list[Resource]:
    return [each for each in resources if each["resourceType"] == kind]


def ndjson(resources: Iterable[Resource | str]) -> bytes:
    """Resources in lines; a text is a line as it is."""
    lines = (each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in resources)
    return "".join(line + "\n" for line in lines).encode()


def side_by_side(resources: Iterable[Resource], pattern: str = "{}.ndjson") -> dict[str, bytes]:
    """Files of one type each, as a bulk export writes them."""
    kinds = dict.fromkeys(each["resourceType"] for each in resources)
    files = {pattern.format(kind): ndjson(of(resources, kind)) for kind in kinds}
    return {name: gzip.compress(content, mtime=0) if name.endswith(".gz") else content
            for name, content in files.items()}  # fmt: skip


def bundle(resources: Iterable[Resource], *, urls: str = "") -> Resource:
    """A Bundle; with ``urls`` each entry has that and the resource's id for its ``fullUrl``."""
    entries = [{"resource": each} | ({"fullUrl": urls + each["id"]} if urls else {}) for each in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def put(root: Path, files: Mapping[str, bytes], day: str = DAY) -> Landing:
    folder = root / "discharges" / day
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return Landing(root, LANDING)


def deliver(root: Path, files: Mapping[str, bytes] | Iterable[Resource | str], day: str = DAY) -> Intake:
    """Put files (or the lines of one file) into the landing zone, and take the day in."""
    named = files if isinstance(files, Mapping) else {"all.ndjson": ndjson(files)}
    intake = take_in({day: put(root, named, day).read_day(day)}, ENCOUNTERS)
    counts = intake.files
    assert (counts["received"] == counts[["accepted", "quarantined", "duplicate"]].sum(axis=1)).all()
    assert SECRET not in intake.quarantined.to_csv()
    return intake


@cache
def _reader() -> RowReader:
    return RowReader(ENCOUNTERS)


def assert_as_in_a_file(record: Resource, day: str = DAY) -> list[RecordRow]:
    """Assert that a record that came alone is read as in a file that holds it alone; returns its rows."""
    read = read_record(record, FHIR, _reader(), day=day)
    intake = take_in({day: read_fhir([JsonFile("a.ndjson", "sha256:a", [record])], day)}, ENCOUNTERS)
    lines = intake.quarantined[["row", "column", "code", "reason"]].itertuples(index=False, name=None)
    assert sorted((each.number, *fault) for each in read for fault in each.read.faults) == sorted(lines)
    accepted = intake.accepted.astype(object).where(intake.accepted.notna(), None).to_dict("records")
    rows = [each.read.row for each in read if each.read.row is not None]
    assert [row for place, row in enumerate(rows) if row not in rows[:place]] == accepted
    return read
