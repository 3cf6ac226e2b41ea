"""Random sequences of corrections: files of days that change, and days that are taken in, in any order.

Nothing is stored: the state between two runs is what the lake would hold. What belongs here: a sequence, and what is
wrong once it is at rest. What does not: how many are tried (``test_corrections``, ``benchmarks.corrections``).
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from random import Random

import pandas as pd

from readmission_platform.intake.contract import RowContract, RowWords
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
_CELLS = pd.DataFrame({"stay": [str(100 + place) for place in range(8)], "person": "p", "age": "71"}, dtype=object)


@dataclass
class Feed:
    """What each day's file holds now (row to whether it is sound), and what was taken in of it."""

    files: dict[str, dict[int, bool]] = field(default_factory=lambda: {day: {} for day in DAYS})
    revision: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DAYS, 0))
    taken: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, list[int]] = field(default_factory=dict)
    held: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def change(self, rng: Random) -> None:
        """Change files as a source does: a row arrives, moves to another day, is broken, mended or taken back."""
        row, (day, other) = rng.randrange(len(_CELLS)), rng.sample(DAYS, 2)
        what = rng.choice(("arrives", "moves", "moves", "moves in two files", "breaks", "goes"))
        if what == "arrives":
            self._set(day, row, sound=True)
        elif what == "breaks":
            self._set(day, row, sound=False)
        elif what == "goes":
            self._drop(day, row)
        else:
            self._set(other, row, sound=True)
            if what == "moves":  # else the former day's file follows later, or never
                self._drop(day, row)

    def take_in(self, days: Collection[str]) -> None:
        """Take days in, in one run."""
        before = {int(number): day for day, rows in self.accepted.items() for number in rows}
        landed = {day: [self._file(day)] for day in sorted(days)}
        found = take_in(landed, STAYS, accepted_before=before)
        for day in days:
            self.accepted[day] = found.accepted.loc[found.accepted[found.day] == day, STAYS.row].tolist()
            left = found.held[found.held[found.day] == day]
            self.held[day] = list(zip(left[STAYS.row], left["home"], strict=True))
            self.taken[day] = self.revision[day]

    def due(self) -> list[str]:
        """Return the days to take in: their file is new, or a row that was left to another day is there no more."""
        return [day for day in DAYS if self.taken.get(day) != self.revision[day]
                or any(row not in self.accepted.get(home, ()) for row, home in self.held.get(day, ()))]  # fmt: skip

    def problems(self) -> list[str]:
        """Say what is wrong at rest: a sound row on no list or on several, or a listed one that no file has."""
        listed = [number for day in DAYS for number in self.accepted.get(day, ())]
        sound = {_number(row) for held in self.files.values() for row, is_sound in held.items() if is_sound}
        return [
            *(f"{number} is lost" for number in sorted(sound - set(listed))),
            *(f"{number} is on {listed.count(number)} lists" for number in sorted(sound) if listed.count(number) > 1),
            *(f"{number} is listed and in no file" for number in sorted(set(listed) - sound)),
        ]

    def _set(self, day: str, row: int, *, sound: bool) -> None:
        self.files[day][row] = sound
        self.revision[day] += 1

    def _drop(self, day: str, row: int) -> None:
        if self.files[day].pop(row, None) is not None:
            self.revision[day] += 1

    def _file(self, day: str) -> LandedFile:
        held = self.files[day]
        cells = _CELLS.iloc[list(held)].copy()
        cells.loc[[not sound for sound in held.values()], "age"] = "nonsense"
        return LandedFile("discharges.csv", f"sha256:{day}-{self.revision[day]}", pd.DataFrame(cells))


def tried(seed: int, *, steps: int = 8) -> list[str]:
    """Live through a random sequence and come to rest; returns what is wrong then."""
    rng, feed = Random(seed), Feed()
    for _ in range(steps):
        feed.change(rng)
        if rng.random() < 0.6:
            feed.take_in(rng.sample(DAYS, rng.choice((1, 1, 2, 3))))
    for _ in range(MOST_ROUNDS):
        if not (due := feed.due()):
            return feed.problems()
        feed.take_in([rng.choice(due)])
    return ["it never comes to rest"]


def _number(row: int) -> int:
    return int(_CELLS[STAYS.row].iloc[row])
