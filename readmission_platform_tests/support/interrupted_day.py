"""A day that is delivered anew again and again while its scoring is disturbed, and days that share encounters.

What belongs here: the deliveries, and what readers must never see. What does not: who disturbs (``interruption``).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import pandas as pd

from readmission_platform.encounters.contract import LANDING
from readmission_platform.storage.landing import Landing
from readmission_platform.storage.tables import CIRCUMSTANCES
from readmission_platform_tests.support.bad_deliveries import clean_rows
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.interruption import run_until

TABLES = ("daily_discharges", "intake_accounting", "quarantined_rows", "daily_predictions")
# Which files a partition was made from is content; which run made it, and how often it was made, is not.
INCIDENTAL = [*CIRCUMSTANCES, "revision", "times_taken_in"]


Written = dict[str, pd.DataFrame]


@dataclass
class Day:
    """A day of a home whose files are replaced again and again, by one of two deliveries.

    Attributes
    ----------
    complete
        What undisturbed runs make of either delivery.
    """

    home: Home
    day: str
    deliveries: dict[str, pd.DataFrame]
    complete: dict[str, Written] = field(default_factory=dict)

    @classmethod
    def of(cls, home: Home, day: str) -> "Day":
        """Return a day with two deliveries: one with a broken row, and a longer one that corrects it."""
        whole = pd.DataFrame(Landing(home.path / "landing", LANDING).read_day(day)[0].cells)
        broken = whole.head(20).copy()
        broken.loc[3, "time_in_hospital"] = "-1"
        found = cls(home, day, {"short": broken, "long": whole})
        for name in found.deliveries:
            found.deliver(name)
            assert run_until(home, None, *found.command).code == 0
            found.complete[name] = found.written()
        assert not found.complete["short"]["daily_predictions"].equals(found.complete["long"]["daily_predictions"])
        return found

    @property
    def command(self) -> tuple[str, ...]:
        return ("score", "--date", self.day)

    def deliver(self, name: str) -> None:
        Landing(self.home.path / "landing", LANDING).write_rows(self.day, self.deliveries[name])

    def partition(self, table: str) -> pd.DataFrame:
        """Return what a reader sees of the day now, whichever run wrote it."""
        rows = self.home.lake.read(table, where={"discharge_date": [self.day]})
        rows = rows.drop(columns=[name for name in INCIDENTAL if name in rows])
        keys = [name for name in ("encounter_id", "row", "column") if name in rows]
        return rows.sort_values(keys, ignore_index=True) if keys else rows

    def written(self) -> dict[str, pd.DataFrame]:
        return {table: self.partition(table) for table in TABLES}

    def torn(self) -> list[str]:
        """Return the tables in which a reader sees neither the old nor the new."""
        return [table for table in TABLES if not any(self.partition(table).equals(made[table])
                                                     for made in self.complete.values())]  # fmt: skip

    def differing(self, name: str) -> list[str]:
        """Return the tables that are not as undisturbed runs make them of a delivery."""
        return [table for table, rows in self.written().items() if not rows.equals(self.complete[name][table])]


def deliveries(last: str) -> Iterator[str]:
    """Alternate between the two deliveries, beginning with the one that is not in the lake."""
    name = last
    while True:
        name = "short" if name == "long" else "long"
        yield name


# ------------------------------------------------------------------------------------------- days that share encounters

SHARED_ROWS = 12
_FIRST = date(2024, 1, 1)


def days_of(place: int, rounds: int) -> list[str]:
    """Return the days that one of two processes takes in, one a round; the other has the days between them."""
    return [(_FIRST + timedelta(days=2 * number + place)).isoformat() for number in range(rounds)]


def deliver_twice(home: Home, rounds: int) -> None:
    """Deliver the same encounters on both days of each round, and others in the next round."""
    cells = clean_rows(SHARED_ROWS)
    for place in (0, 1):
        for number, day in enumerate(days_of(place, rounds)):
            folder = home.path / "landing/discharges" / day
            folder.mkdir(parents=True)
            ids = [str(1_000 * (number + 1) + row) for row in range(SHARED_ROWS)]
            # Not the same bytes: a file that was taken in before is told by these.
            cells.assign(encounter_id=ids).iloc[:: 1 if place else -1].to_csv(folder / "discharges.csv", index=False)
