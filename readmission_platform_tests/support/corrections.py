"""Random sequences of corrections: files that change, and days that are scored in any order, by several at once.

Nothing is stored: the state between two steps is what the lake would hold. A run takes its days in, reads their rows,
and writes their predictions; of two runs the steps may alternate. What belongs here: a sequence, and what is wrong once
it is at rest. What does not: how many are tried (``test_corrections``, ``benchmarks.corrections``).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from random import Random

import pandas as pd

from readmission_platform.intake.contract import RowContract, RowWords
from readmission_platform.intake.files import Delivered
from readmission_platform.intake.rows import take_in
from readmission_platform.storage.landing import LandedFile

DAYS = ("2024-03-01", "2024-03-02", "2024-03-04", "2024-03-09")
MOST_ROUNDS = 30
# A feed of few columns, because judging each takes time, and what moves between days has nothing to do with them.
STAYS = RowContract(
    columns=("stay", "person", "age"), row="stay", entity="person", day="admitted_on", outcome="died",
    whole_numbers={"stay": (1, 10**9), "age": (0, 120)}, numbers={}, vocabularies={}, nullable=frozenset(), reasons={},
    excluded=(), words=RowWords(row="stay", rows="stays", events="deaths"),
)  # fmt: skip
_ROWS = 8
_BROKEN = "nonsense"
# The file of a day, and one that corrects rows of it.
_FILES = ("discharges.csv", "update.csv")


@dataclass
class File:
    """A file of a day: the age that it tells of each row, and when it was changed."""

    ages: dict[int, str] = field(default_factory=dict)
    changed: int = 0


@dataclass
class Feed:
    """What lies in the landing zone now, what was taken in of it, and what stands on the lists."""

    files: dict[tuple[str, str], File] = field(default_factory=dict)
    clock: int = 0
    version: int = 0
    taken: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    accepted: dict[str, dict[int, int]] = field(default_factory=dict)
    accepted_at: dict[str, int] = field(default_factory=dict)
    held: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    seen: dict[tuple[str, str], Delivered] = field(default_factory=dict)
    listed: dict[str, dict[int, int]] = field(default_factory=dict)
    listed_from: dict[str, int] = field(default_factory=dict)

    def change(self, rng: Random) -> None:
        """Change files as a source does: a row arrives, is corrected, moves to another day, breaks or is taken back."""
        row, (day, other) = rng.randrange(_ROWS), rng.sample(DAYS, 2)
        name = rng.choice((*_FILES, _FILES[0], _FILES[0]))
        what = rng.choice(("arrives", "arrives", "moves", "moves", "moves in two files", "breaks", "goes", "all go"))
        if what in ("arrives", "breaks"):
            self._set(day, name, row, _BROKEN if what == "breaks" else str(rng.randint(18, 99)))
        elif what == "goes":
            self._drop(day, row)
        elif what == "all go":
            for each in range(_ROWS):
                self._drop(day, each)
        else:
            self._set(other, name, row, str(rng.randint(18, 99)))
            if what == "moves":  # else the former day's file follows later, or never
                self._drop(day, row)

    def run(self, days: Collection[str]) -> Iterator[None]:
        """Score days in one run, a step at a time: whoever else is at work may come in between."""
        self.take_in(days)
        yield
        version, rows = self.version, {day: dict(self.accepted[day]) for day in days}
        yield
        for day in days:
            self.listed[day], self.listed_from[day] = rows[day], version

    def take_in(self, days: Collection[str]) -> None:
        """Take days in; nobody else does at the same moment."""
        before = {int(number): day for day, rows in self.accepted.items() for number in rows}
        landed = {day: files for day in sorted(days) if (files := list(self._landed(day)))}
        self.clock += 1
        found = take_in(landed, STAYS, accepted_before=before, delivered_before=self.seen, now=f"{self.clock:06d}")
        self.version += 1
        for day in days:
            of_day = found.accepted[found.accepted[found.day] == day] if day in landed else found.accepted.head(0)
            rows = dict(zip(of_day[STAYS.row], of_day["age"], strict=True))
            if self.accepted.get(day) != rows:
                self.accepted_at[day] = self.version
            self.accepted[day] = rows
            left = found.held[found.held[found.day] == day]
            self.held[day] = list(zip(left[STAYS.row], left["home"], strict=True))
            self.taken[day] = self._state(day)
            self.seen = {key: moment for key, moment in self.seen.items() if key[0] != day}
        told = found.files[[found.day, "file_digest", *Delivered._fields]].itertuples(index=False, name=None)
        self.seen |= {(day, digest): Delivered(*moments) for day, digest, *moments in told}

    def due(self) -> list[str]:
        """Return the days to score: files are new, a row left to another day is not there, or the list is old."""
        return [
            day for day in DAYS if self.is_changed(day) or self.is_old(day)
            or any(row not in self.accepted.get(home, ()) for row, home in self.held.get(day, ()))
        ]  # fmt: skip

    def is_changed(self, day: str) -> bool:
        """Tell whether the files of a day are others than those that were taken in."""
        return self._state(day) != self.taken.get(day, ())

    def is_old(self, day: str) -> bool:
        """Tell whether the list of a day was made before its rows changed last."""
        return self.listed_from.get(day, -1) < self.accepted_at.get(day, -1)

    def problems(self) -> list[str]:
        """Say what is wrong at rest: a sound row on no list or on several, in an old form, or that no file has."""
        on = [number for day in DAYS for number in self.listed.get(day, ())]
        sound = {_number(row) for file in self.files.values() for row, age in file.ages.items() if age != _BROKEN}
        return [
            *(f"{number} is lost" for number in sorted(sound - set(on))),
            *(f"{number} is on {on.count(number)} lists" for number in sorted(sound) if on.count(number) > 1),
            *(f"{number} is listed and in no file" for number in sorted(set(on) - sound)),
            *(f"{number} is listed as an older delivery had it" for day in DAYS
              for number, age in self.listed.get(day, {}).items()
              if number in sound and age != self._newest(day, number)),
        ]  # fmt: skip

    def _newest(self, day: str, number: int) -> int | None:
        moments = {self.seen[day, file.digest]: file for file in self._landed(day)}
        for moment in sorted(moments, reverse=True):
            cells = moments[moment].cells
            assert cells is not None
            age = dict(zip(cells["stay"], cells["age"], strict=True)).get(str(number), _BROKEN)
            if age != _BROKEN:
                return int(age)
        return None

    def _set(self, day: str, name: str, row: int, age: str) -> None:
        self.clock += 1
        file = self.files.setdefault((day, name), File())
        file.ages[row], file.changed = age, self.clock

    def _drop(self, day: str, row: int) -> None:
        for name in _FILES:
            file = self.files.get((day, name), File())
            if file.ages.pop(row, None) is not None:
                self.clock += 1
                file.changed = self.clock

    def _state(self, day: str) -> tuple[tuple[str, int], ...]:
        return tuple((name, self.files[day, name].changed) for name in _FILES if (day, name) in self.files)

    def _landed(self, day: str) -> Iterator[LandedFile]:
        for name, changed in self._state(day):
            ages = self.files[day, name].ages
            stays = {"stay": [str(_number(row)) for row in ages], "person": "p", "age": list(ages.values())}
            cells = pd.DataFrame(stays, dtype=object)
            yield LandedFile(name, f"sha256:{day}-{name}-{changed}", cells, modified_at=f"{changed:06d}")


def tried(seed: int, *, steps: int = 8, writers: int | None = None) -> list[str]:
    """Live through a random sequence and come to rest; returns what is wrong then.

    Parameters
    ----------
    writers
        How many runs may be at work at once; default: one in half of the sequences, else two or three.
    """
    rng, feed = Random(seed), Feed()
    most = rng.choice((1, 1, 2, 3)) if writers is None else writers
    at_work: list[Iterator[None]] = []
    for _ in range(steps * 3):
        feed.change(rng)
        if len(at_work) < most and rng.random() < 0.4:
            at_work.append(feed.run(rng.sample(DAYS, rng.choice((1, 1, 2, 3)))))
        if at_work:
            _goes_on(at_work, rng)
    for _ in range(MOST_ROUNDS * 3):
        due = feed.due()
        if not due and not at_work:
            return feed.problems()
        if due and len(at_work) < most:
            at_work.append(feed.run([rng.choice(due)]))
        _goes_on(at_work, rng)
    return ["it never comes to rest"]


def _goes_on(at_work: list[Iterator[None]], rng: Random) -> None:
    run = rng.choice(at_work)
    if next(run, run) is run:  # it has ended
        at_work.remove(run)


def _number(row: int) -> int:
    return 100 + row
