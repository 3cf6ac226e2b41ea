"""What a table holds, and whether an honest model can be made of it.

What belongs here: telling kinds of columns, choosing groups and a baseline, and refusing. What does not: how good a
model of it is (``proposal``).

Nothing here prints a value of a row, nor a count from which a few people follow.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from readmission_platform.evaluation.leakage import outcome_told
from readmission_platform.foundation.errors import BadInput
from readmission_platform.intake.contract import RESERVED
from readmission_platform.intake.spellings import folded, is_missing
from readmission_platform.models.tabular.source import day_texts

# Fewer events and no figure of a model means anything: ten a fold.
LEAST_EVENTS = 50
# Fewer, and what is set aside for a replay does not fill one window of monitoring.
LEAST_ROWS = 500
# A text of more different values is free text or an identifier, and no category.
MOST_TEXTS = 40
# Texts of so few entities would tell of them: they are named nowhere, and count as missing.
FEW_ENTITIES = 10
LEAST_TIMES = 5
# Rows of a window of monitoring; and events of a fold, so many that hardly ever ten or fewer are in one.
WINDOW, FIFTHS, LEAST_SHOWN = 200, 5, 20
# An input that tells the outcome so well by itself is the outcome, or was written down after it.
TOLD_BY_ITSELF = 0.98
_IS_DATE = 0.95
_YES = frozenset({"1", "1.0", "yes", "y", "true", "t", "positive", "event"})
# A column of such a name numbers the rows, and any other that ends so may.
_OF_ROWS = re.compile(r"((row|record|visit|encounter|case|order|claim|event)_?)?(id|number|no|nr)", re.IGNORECASE)
_MAYBE_OF_ROWS = re.compile(r".*(id|number|no|nr|key)", re.IGNORECASE)
_GROUP_NAMES = re.compile(r"sex|gender|race|ethnic|age\b|age_|insur|payer|payor|language|region", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """What whoever makes a model says of the table.

    Attributes
    ----------
    target, entity, time
        Columns with the outcome, with whose row it is, and with when.
    row
        Column with the number of the row; None to look for one, and else to count rows.
    event
        Text of the outcome that means 1; None to take the usual word, or the rarer one.
    drop
        Columns to leave out.
    groups
        Columns whose groups fairness is judged for; none to choose some.
    """

    target: str
    entity: str
    time: str
    row: str | None = None
    event: str | None = None
    drop: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """A column whose groups are compared; a number is cut at ``cuts``, ascending."""

    column: str
    cuts: tuple[float, ...] = ()


@dataclass(frozen=True)
class Looked:
    """What a table holds, with everything that a package needs to know of its columns.

    Attributes
    ----------
    numbered
        Whether rows have no number of their own.
    events
        Texts of the outcome that mean 1.
    whole_numbers, numbers
        Lowest and highest value that is taken in, by column: those seen, with room.
    texts, open_texts
        Texts by column; and the columns that hold others besides, of few entities each.
    dates
        Columns of dates; the days from each to the row's own time are an input.
    missing
        Share of missing values of each input that has any.
    left_out
        Why columns are no inputs.
    groups, baseline, telling
        What fairness is judged for; the input that ranks best by itself, with its sign; and the inputs that tell most.
    """

    rows: int
    entities: int
    prevalence: float
    row: str
    entity: str
    time: str
    target: str
    numbered: bool
    entity_is_number: bool
    time_is_number: bool
    events: tuple[str, ...]
    whole_numbers: dict[str, tuple[int, int]]
    numbers: dict[str, tuple[float, float]]
    texts: dict[str, tuple[str, ...]]
    open_texts: tuple[str, ...]
    dates: tuple[str, ...]
    missing: dict[str, float]
    left_out: dict[str, str]
    groups: tuple[Group, ...]
    baseline: tuple[str, int]
    telling: tuple[str, ...]
    warnings: tuple[str, ...] = field(default=())

    @property
    def number_inputs(self) -> tuple[str, ...]:
        """Inputs that are numbers, the days since each date among them."""
        return (*self.whole_numbers, *self.numbers, *(days_since(name) for name in self.dates))


def days_since(column: str) -> str:
    """Return the name of the input made of a column of dates."""
    return f"days_since_{column}"


def look(table: pd.DataFrame, asked: Asked) -> Looked:
    """Look at a table of text.

    Raises
    ------
    BadInput
        When no honest model can be made of it: one line that says why, and what to do.
    """
    _check_names(table, asked)
    table = table.drop(columns=list(asked.drop))
    if len(table) < LEAST_ROWS:
        raise BadInput(f"the table has fewer than {LEAST_ROWS} rows: too few to judge and to watch a model")
    label, events = _outcome(table[asked.target], asked)
    table = table[label.notna()].reset_index(drop=True)
    labels = label.dropna().astype(int).to_numpy()
    _check_figures(labels)
    _check_keys(table, asked)
    row, numbered = _row_column(table, asked)
    columns = [str(name) for name in table if name not in {row, asked.entity, asked.time, asked.target}]
    empty = [name for name in columns if table[name].map(is_missing).all()]
    if empty:
        raise BadInput(f"the column {empty[0]} has no value at all; leave it out with --drop {empty[0]}")
    found = _Kinds()
    for name in columns:
        found.add(name, table[name], table[asked.time], table[asked.entity])
    if not found.values:
        raise BadInput("the table has no column to predict from besides its keys")
    inputs, names = pd.DataFrame(found.values), list(found.values)
    told = outcome_told(inputs, labels, table[asked.entity])
    if told.iloc[0] >= TOLD_BY_ITSELF:
        name = str(told.index[0]).removeprefix("days_since_")
        raise BadInput(f"the column {name} tells the outcome by itself (AUROC {told.iloc[0]:.2f}): it is the outcome, "
                       f"or was written down after it; leave it out with --drop {name}")  # fmt: skip
    warnings = [f"{name} tells much of the outcome by itself (AUROC {value:.2f}): make sure that it is known before it"
                for name, value in told.items() if value >= 0.9]  # fmt: skip
    ranked = {name: _rank_auroc(inputs[name], labels) for name in names if name not in found.texts}
    if not ranked:
        raise BadInput("no column is a number or a date, and a model has to beat one that ranks by such a column alone")
    best = max(ranked, key=lambda name: abs(ranked[name] - 0.5))
    time_is_number = bool(day_texts(table[asked.time]).map(lambda cell: cell.strip().isdigit()).all())
    return Looked(
        rows=len(table), entities=table[asked.entity].nunique(), prevalence=float(labels.mean()), row=row,
        entity=asked.entity, time=asked.time, target=asked.target, numbered=numbered,
        entity_is_number=_are_whole(table[asked.entity]), time_is_number=time_is_number, events=events,
        whole_numbers=found.whole, numbers=found.numbers, texts=found.texts,
        open_texts=tuple(found.open), dates=tuple(found.dates),
        missing={name: float(inputs[name].isna().mean()) for name in names if inputs[name].isna().any()},
        left_out=found.left_out, groups=_groups(inputs, found, asked), baseline=(best, 1 if ranked[best] > 0.5 else -1),
        telling=tuple(map(str, told.index[:3])),
        warnings=tuple(warnings),
    )  # fmt: skip


def _check_names(table: pd.DataFrame, asked: Asked) -> None:
    odd = [place for place, name in enumerate(table, start=1) if not str(name).isidentifier()]
    if odd:
        raise BadInput(
            f"column {odd[0]} of the table has no plain name (letters, digits, underscores); rename it there"
        )
    taken = sorted(RESERVED & set(map(str, table)))
    if taken:
        raise BadInput(f"the platform has a column {taken[0]} of its own; rename that of the table")
    given = [
        ("--target", asked.target),
        ("--entity", asked.entity),
        ("--time", asked.time),
        ("--row", asked.row),
        *(("--drop", name) for name in asked.drop),
        *(("--groups", name) for name in asked.groups),
    ]
    missing = [(option, name) for option, name in given if name is not None and name not in table]
    if missing:
        option, name = missing[0]
        raise BadInput(f"{option}: the table has no column {name}; it has {', '.join(map(str, table))}")
    named = [name for name in (asked.target, asked.entity, asked.time, asked.row) if name]
    if len(set(named)) < len(named):
        raise BadInput("target, entity, time and row have to be different columns: one of them would tell the outcome")
    needed = sorted(set(asked.drop) & set(named))
    if needed:
        raise BadInput(f"--drop: {needed[0]} is a key of the table and cannot be left out")


def _outcome(cells: pd.Series, asked: Asked) -> tuple[pd.Series, tuple[str, ...]]:
    """Return 0, 1 or missing, and the texts that mean 1."""
    known = cells.where(~cells.map(is_missing)).map(lambda cell: cell.strip(), na_action="ignore")
    texts = known.value_counts()
    if texts.empty:
        raise BadInput(f"the outcome {asked.target} has no value at all")
    if len(texts) == 1:
        raise BadInput(f"the outcome {asked.target} has one value only; a model needs rows with the event and without")
    if len(texts) > 2:
        raise BadInput(
            f"the outcome {asked.target} has {len(texts)} values; only a yes or no can be predicted: gates, "
            "calibration and drift that mean something for others do not exist here yet"
        )
    usual = [text for text in texts.index if folded(text) in _YES]
    event = asked.event or (usual[0] if len(usual) == 1 else str(texts.index[-1]))
    if event not in texts.index:
        raise BadInput(f"--event: the outcome {asked.target} never has this text")
    if texts[event] < LEAST_EVENTS:
        raise BadInput(f"there are fewer than {LEAST_EVENTS} rows with the event: too few to judge a model on")
    if len(known.dropna()) - texts[event] < LEAST_EVENTS:
        raise BadInput(f"there are fewer than {LEAST_EVENTS} rows without the event: too few to judge a model on")
    return (known == event).astype("float64").where(known.notna()), (event,)


def replay_share(rows: int) -> float:
    """Return the share of a table that is set aside, so that it fills a window of monitoring and some days."""
    return round(min(max(0.1, 1.3 * WINDOW / rows), 0.45), 3)


def _check_figures(labels: np.ndarray) -> None:
    """Refuse a table whose figures would tell of few people: a fifth of what is learnt from is judged by itself."""
    learnt = len(labels) * (1 - replay_share(len(labels)))
    if learnt / FIFTHS * min(labels.mean(), 1 - labels.mean()) < LEAST_SHOWN:
        raise BadInput("too few rows have the event, or lack it: figures of a fifth of them would tell of a few people")


def _check_keys(table: pd.DataFrame, asked: Asked) -> None:
    for option, name in (("entity", asked.entity), ("time", asked.time)):
        if table[name].map(is_missing).any():
            raise BadInput(f"the column {name} (--{option}) misses values; every row needs one")
    if table[asked.entity].nunique() < 2 * 10:
        raise BadInput(f"the column {asked.entity} (--entity) names too few entities to keep some of them apart")
    days = day_texts(table[asked.time])
    is_day = days.str.fullmatch(r"\d{4}-\d{2}-\d{2}") | days.str.fullmatch(r"\s*\d+\s*")
    if not is_day.all():
        raise BadInput(
            f"the column {asked.time} (--time) has cells that are no dates (2024-03-31) and no whole numbers"
        )
    if table[asked.time].nunique() < LEAST_TIMES:
        raise BadInput(f"the column {asked.time} (--time) hardly differs from row to row: nothing would be the future")


def _row_column(table: pd.DataFrame, asked: Asked) -> tuple[str, bool]:
    """Return the column of the rows' numbers, and whether rows have to be counted for want of one."""
    if asked.row is not None:
        _check_row_numbers(table[asked.row], asked.row)
        return asked.row, False
    keys = {asked.target, asked.entity, asked.time}
    for name in [str(name) for name in table if name not in keys]:
        if _OF_ROWS.fullmatch(name) and _are_whole(table[name]):
            _check_row_numbers(table[name], name)
            return name, False
        if _MAYBE_OF_ROWS.fullmatch(name) and _are_whole(table[name]) and not table[name].duplicated().any():
            return name, False
    if table.duplicated().any():
        raise BadInput("rows occur twice, the same in every column; take out the copies, or name the column with the "
                       "number of the row with --row")  # fmt: skip
    name = "row_id"
    if name in table:
        raise BadInput(f"the column {name} holds no whole numbers; name the one with the number of the row with --row")
    return name, True


def _check_row_numbers(cells: pd.Series, name: str) -> None:
    if not _are_whole(cells):
        raise BadInput(f"the column {name}, the number of the row, has cells that are no whole numbers")
    if cells.str.strip().duplicated().any():
        raise BadInput(
            f"the column {name}, the number of the row, has numbers that occur twice; take out the copies, or name "
            "another column with --row"
        )


class _Kinds:
    """Columns by kind, and the values of inputs: numbers as float64, texts with None."""

    def __init__(self) -> None:
        self.whole: dict[str, tuple[int, int]] = {}
        self.numbers: dict[str, tuple[float, float]] = {}
        self.texts: dict[str, tuple[str, ...]] = {}
        self.open: list[str] = []
        self.dates: list[str] = []
        self.left_out: dict[str, str] = {}
        self.values: dict[str, pd.Series] = {}

    def add(self, name: str, cells: pd.Series, times: pd.Series, entities: pd.Series) -> None:
        known = cells[~cells.map(is_missing)].str.strip()
        number = pd.to_numeric(known, errors="coerce")
        if known.nunique() == 1 and len(known) == len(cells):
            self.left_out[name] = "is the same in every row"
        elif number.notna().all() and np.isfinite(number).all():
            whole = bool((number % 1 == 0).all()) and number.abs().max() < 2**53
            low, high = _with_room(float(number.min()), float(number.max()))
            if whole:
                self.whole[name] = (math.floor(low), math.ceil(high))
            else:
                self.numbers[name] = (low, high)
            self.values[name] = number.reindex(cells.index).astype("float64")
        elif _are_dates(known):
            self._add_date(name, cells, times)
        elif known.map(folded).nunique() <= MOST_TEXTS:
            self._add_texts(name, cells, known, entities)
        else:
            self.left_out[name] = f"has more than {MOST_TEXTS} different texts: free text, or an identifier"

    def _add_date(self, name: str, cells: pd.Series, times: pd.Series) -> None:
        days = (_days(times) - _days(cells)).dt.days
        if days.isna().all():
            self.left_out[name] = "is a date, and the rows have no date to count days to"
        elif (days < 0).mean() > 0.5:
            self.left_out[name] = "is mostly later than the row itself: nobody knew it then"
        else:
            self.dates.append(name)
            self.values[days_since(name)] = days.astype("float64")

    def _add_texts(self, name: str, cells: pd.Series, known: pd.Series, entities: pd.Series) -> None:
        # Of several spellings of one text the most frequent one stands for all.
        spelt = known.groupby(known.map(folded)).agg(lambda texts: texts.value_counts().index[0])
        texts = known.map(folded).map(spelt)
        of_many = entities[texts.index].groupby(texts).nunique() > FEW_ENTITIES
        common = sorted(of_many.index[of_many])
        if len(common) < 2:
            self.left_out[name] = "has no two texts that many entities have"
            return
        self.texts[name] = tuple(common)
        if len(common) < len(of_many):
            self.open.append(name)
        self.values[name] = texts[texts.isin(common)].reindex(cells.index).astype(object)


def _days(cells: pd.Series) -> pd.Series:
    return pd.to_datetime(day_texts(cells), errors="coerce", format="%Y-%m-%d")


def _are_dates(known: pd.Series) -> bool:
    dated = known.str.contains("-", regex=False)
    return bool(dated.mean() > _IS_DATE) and bool(_days(known).notna().mean() > _IS_DATE)


def _are_whole(cells: pd.Series) -> bool:
    return bool(cells.str.strip().str.fullmatch(r"\d{1,15}").all())


def _with_room(low: float, high: float) -> tuple[float, float]:
    """Return limits somewhat beyond what was seen: a number below zero only where there were some."""
    room = max(high - low, 1.0)
    return (0.0 if low >= 0 else _round(low - room)), _round(high + room)


def _round(number: float) -> float:
    """Return a number of two digits, no nearer to zero."""
    if number == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(number))) - 1)
    return float(f"{math.copysign(math.ceil(abs(number) / step) * step, number):.2g}")


def _rank_auroc(values: pd.Series, labels: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, values.fillna(values.median())))


def _groups(inputs: pd.DataFrame, found: _Kinds, asked: Asked) -> tuple[Group, ...]:
    """Return whose groups are compared: what was asked for, or columns whose names speak of people, or some column."""
    named: Sequence[str] = asked.groups
    if not named:
        dates = {days_since(name) for name in found.dates}
        able = [name for name in found.values if name not in dates and _splits(inputs[name], found)]
        named = [name for name in able if _GROUP_NAMES.search(name)][:3] or able[:1]
    if not named:
        raise BadInput("no column divides the rows into groups whose fairness could be judged; name one with --groups")
    unfit = [name for name in named if name not in inputs or not _splits(inputs[name], found)]
    if unfit:
        raise BadInput(f"--groups: {unfit[0]} does not divide the rows into two to twelve groups")
    return tuple(Group(name, () if name in found.texts else _cuts(inputs[name])) for name in named)


def _splits(values: pd.Series, found: _Kinds) -> bool:
    return 2 <= values.nunique() <= 12 if values.name in found.texts else len(_cuts(values)) > 0


def _cuts(values: pd.Series) -> tuple[float, ...]:
    """Return where a number is cut into thirds, at values with rows on both sides."""
    known: Iterable[float] = np.unique(np.quantile(values.dropna(), [1 / 3, 2 / 3]))
    return tuple(float(cut) for cut in known if (values < cut).any() and (values >= cut).any())
