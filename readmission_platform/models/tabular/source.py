"""The sources of a model of one table: the table itself, and rows generated after its columns.

What belongs here: reading and checking the file, and generating. What does not: which columns there are.
"""

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.intake.contract import RowContract
from readmission_platform.intake.sources import Loaded, Source, SourceRequest

FOLDER = "tables"
MINIMUM_ROWS = 200
# The generated clock: so many rows a day.
_ROWS_A_DAY = 20
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_FIRST_DAY = np.datetime64("2020-01-01")
# Of generated values, and how strongly an input moves the log odds.
_MISSING, _EFFECT, _PERSONAL = 0.05, 0.7, 0.5


def read_table(path: Path) -> pd.DataFrame:
    """Read a table as text, CSV or Parquet by the end of its name; a missing value is an empty cell.

    Raises
    ------
    BadInput
        When the file cannot be read as a table.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path.name}: cannot be read ({error.strerror})") from error
    return _parsed(content, path.name)


def _parsed(content: bytes, name: str) -> pd.DataFrame:
    try:
        if name.endswith(".parquet"):
            frame = pd.read_parquet(io.BytesIO(content))
            return frame.astype(str).where(frame.notna(), "")
        header = content.split(b"\n", 1)[0]
        separator = max((b",", b";", b"\t"), key=header.count).decode()
        return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, sep=separator)
    except (ValueError, OSError) as error:  # errors of parsing and of encoding are ValueErrors
        raise BadInput(f"{name}: is no table (CSV with a header, or Parquet)") from error


@dataclass(frozen=True)
class Table:
    """A file of rows with their outcomes.

    Attributes
    ----------
    raw
        Contract of its rows: those of the feed, and the outcome.
    time
        The column that orders rows.
    digest
        SHA-256 of the file that the model was made from. A newer export is another file: name its digest here.
    kept
        Name of the copy that the home keeps.
    numbered
        Whether the file has no numbers of its rows, which are then counted from 1 in its order.
    events
        Texts of the outcome that mean 1, the others mean 0; none where the file has 0 and 1.
    """

    raw: RowContract
    time: str
    digest: str
    kept: str
    numbered: bool = False
    events: tuple[str, ...] = ()

    def load(self, request: SourceRequest) -> Loaded:
        """Read the file that was named, or the copy that the home keeps.

        Raises
        ------
        BadInput
            When there is none, it is no table, or lacks a column.
        """
        path = request.archive or (request.cache / FOLDER / self.kept if request.cache is not None else None)
        if path is None or not path.is_file():
            raise BadInput(f"{self.kept}: this home keeps no copy of the table; name it with --archive")
        content = path.read_bytes()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        frame = self.rows(_parsed(content, path.name))
        return Loaded(frame, digest, expected_digest=self.digest, origin=path.name)

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a table of text by the raw contract; raises ``BadInput`` when a column is missing."""
        raw = self.raw
        if self.numbered:
            table = table.assign(**{raw.row: [str(number) for number in range(1, len(table) + 1)]})
        missing = [name for name in raw.columns if name not in table.columns]
        if missing:
            raise BadInput(f"the table has no column {', '.join(missing)}")
        told = {self.time: day_texts(table[self.time])}
        if self.events:
            told[raw.outcome] = outcome_texts(table[raw.outcome], self.events)
        return raw.parse_text(table.assign(**told)[list(raw.columns)])


def day_texts(times: pd.Series) -> pd.Series:
    """Return dates and moments as text YYYY-MM-DD; what is no date stays as it is, whole numbers too."""
    texts = times.astype(object)
    if texts.map(lambda cell: not cell.strip() or cell.strip().isdigit()).all():
        return texts
    days = pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=True).dt.strftime("%Y-%m-%d")
    return days.astype(object).where(days.notna(), texts)


def day_text(text: str) -> str | None:
    """Return a date or moment as text YYYY-MM-DD; None for what is neither."""
    (day,) = day_texts(pd.Series([text]))
    return str(day) if _DAY.fullmatch(day) else None


def outcome_texts(outcomes: pd.Series, events: tuple[str, ...]) -> pd.Series:
    """Return "1" for the texts that mean the event, "0" for others, an empty one where the outcome is missing."""
    meant = {"": "", **dict.fromkeys(events, "1")}
    return outcomes.map(lambda cell: meant.get(cell.strip(), "0"))


@dataclass(frozen=True)
class Generator:
    """Rows by the raw contract from a seed, with a known risk; nobody is behind them.

    Numbers are spread over their range and texts over their list, one as often as the other. The log odds rise or fall
    with each input by an amount that its name decides, so that they are the same for every seed, and with a trait of
    the entity that stands in no column.
    """

    raw: RowContract
    time: str
    inputs: tuple[str, ...]
    prevalence: float

    def load(self, request: SourceRequest) -> Loaded:
        """Generate rows; raises ``BadInput`` for fewer than 200 or a negative seed."""
        if request.rows < MINIMUM_ROWS:
            raise BadInput(f"a generated table needs at least {MINIMUM_ROWS} rows, not {request.rows}")
        if request.seed < 0:
            raise BadInput(f"the seed of a generated table must not be negative, but is {request.seed}")
        frame = self.generate(rows=request.rows, seed=request.seed)
        digest = frame_digest(frame)
        origin = f"{request.rows:,} generated rows, seed {request.seed}"
        return Loaded(frame, digest, expected_digest=digest, origin=origin)

    def generate(self, *, rows: int, seed: int) -> pd.DataFrame:
        """Return so many rows; the same arguments give the same ones on every machine."""
        raw, rng = self.raw, np.random.Generator(np.random.PCG64(seed))
        entities = rng.integers(0, max(rows // 2, 1), rows)
        log_odds = _PERSONAL * rng.standard_normal(max(rows // 2, 1))[entities]
        made: dict[str, object] = {}
        for name in raw.columns:
            if name not in self.inputs:
                continue
            values, standard = _drawn(raw, name, rng, rows)
            log_odds = log_odds + _EFFECT * _weight(name) * standard
            made[name] = values
        risk = 1 / (1 + np.exp(-(log_odds - _shift(log_odds, self.prevalence))))
        made[raw.row] = np.arange(1, rows + 1)
        made[raw.entity] = _entities(raw, entities)
        days = _FIRST_DAY + np.arange(rows) // _ROWS_A_DAY
        made[self.time] = (np.arange(rows) + 1) if self.time in raw.whole_numbers else days.astype(str).astype(object)
        made[raw.outcome] = (rng.random(rows) < risk).astype("float64" if raw.may_miss(raw.outcome) else "int64")
        # What is no input and not named here is empty: the feed lets it be.
        rest = {name: np.full(rows, None, dtype=object) for name in raw.columns if name not in made}
        return raw.typed(pd.DataFrame(made | rest)[list(raw.columns)])


def _drawn(raw: RowContract, name: str, rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a column and, for the risk, the same on a scale of spread 1; missing ones are 0 there."""
    share = rng.beta(2, 3, rows)
    values: np.ndarray
    if name in raw.vocabularies or name in raw.usual_texts:
        texts = raw.vocabularies.get(name) or raw.usual_texts[name]
        place = np.minimum((share * len(texts)).astype(int), len(texts) - 1)
        values, share = np.array(texts, dtype=object)[place], place / max(len(texts) - 1, 1)
    elif name in raw.patterns:
        values = (_FIRST_DAY - (1 + 700 * share).astype(int)).astype(str).astype(object)
    else:
        low, high = raw.whole_numbers.get(name) or raw.numbers[name]
        values = low + share * (high - low)
        values = np.round(values).astype("int64") if name in raw.whole_numbers else np.round(values, 3)
    standard = (share - share.mean()) / (share.std() or 1.0)
    if raw.may_miss(name):
        gone = rng.random(rows) < _MISSING
        values = values.astype(object)
        values[gone] = None
        standard = np.where(gone, 0.0, standard)
    return values, standard


def _weight(name: str) -> float:
    """Return a number from -1 to 1 that the name decides."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**31 - 1


def _shift(log_odds: np.ndarray, prevalence: float) -> float:
    """Return what to take from log odds so that their mean risk is the prevalence."""
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if np.mean(1 / (1 + np.exp(-(log_odds - middle)))) > prevalence else (low, middle)
    return (low + high) / 2


def _entities(raw: RowContract, entities: np.ndarray) -> np.ndarray:
    return entities + 1 if raw.entity in raw.whole_numbers else np.array([f"E{code:06d}" for code in entities], object)


def sources_of(table: Table, generator: Generator, *, words: str) -> Mapping[str, Source]:
    """Return the sources of a model of one table: the table first."""
    return {
        "table": Source(name="table", words=words, limits="real", options=frozenset({"archive"}), load=table.load),
        "synthetic": Source(
            name="synthetic", words="rows generated after the columns of the table; nobody in them exists",
            limits="synthetic", options=frozenset({"rows", "seed"}), load=generator.load, least_rows=MINIMUM_ROWS,
        ),
    }  # fmt: skip
