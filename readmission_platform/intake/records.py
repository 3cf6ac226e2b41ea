"""The rows of one record of JSON that is no row yet, such as a Bundle of FHIR resources, while somebody waits.

What belongs here: handing a record to the format of a feed, and its rows to the reader of single rows. What does not:
any format (the package of a feed has it) and the records of a day's files (``storage.landing``).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from readmission_platform.intake.files import JsonFile
from readmission_platform.intake.single import ReadRow, RowReader
from readmission_platform.intake.sources import ResourceFormat


class RecordRow(NamedTuple):
    """A row of a record, and the number (from 1) of the resource that it was made of; 0 is the record as a whole."""

    number: int
    read: ReadRow


def read_record(
    record: Mapping[str, Any], resources: ResourceFormat, reader: RowReader, *, day: str
) -> list[RecordRow]:
    """Read the rows of a record as intake reads them in a file that holds it alone: one delivery, and nothing else.

    Parameters
    ----------
    record
        A value of JSON, best parsed with ``Decimal`` for numbers with a point.
    resources
        The format of the feed (``LandingFolders.resources``).
    day
        The day that the rows are of (YYYY-MM-DD).

    Returns
    -------
    Rows in the order of the record, those that are not accepted among them. Empty where the record holds no row at all.
    """
    (file,) = resources.read([JsonFile("", "", [dict(record)])], day)
    if file.cells is None:
        return [RecordRow(0, reader.refused("", file.problem or "file_unreadable"))]
    broken = file.faults
    names, rows = list(file.cells.columns), file.cells.to_numpy().tolist()
    cells = {number: dict(zip(names, row, strict=True)) for number, row in zip(file.row_numbers, rows, strict=True)}
    sound = [number for number in cells if number not in broken]
    read = dict(zip(sound, reader.read_all((cells[number] for number in sound), day=day), strict=True))
    return [RecordRow(number, reader.refused(*broken[number]) if number in broken else read[number])
            for number in cells]  # fmt: skip
