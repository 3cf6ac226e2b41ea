"""Does what is shown give a group of 1 to 10 people away?

Three ways are looked for: a count of 1 to 10 itself; two counts about the same people that are 1 to 10 apart; and a
share that makes such a count when it is multiplied by what it is a share of.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from readmission_platform_tests.support.outlets import Said

SMALL = range(1, 11)
# A number that is as close as this to a total of a thousand is not there by chance.
_TELLING_TOTAL = 1000
_WHOLE = re.compile(r"(?<![\w.:/-])(?<!\d,)(\d{1,3}(?:,\d{3})+|\d{4,})(?![\w:/-]|[.,]\d)")
# What counts people, by the names that outlets give it.
PEOPLE = frozenset({"n", "positives", "entities", "rows", "lines", "encounters", "patients", "readmissions", "stays",
                    "cases", "received", "accepted", "quarantined", "duplicate", "scored", "withheld", "flagged",
                    "not scored", "to follow up"})  # fmt: skip
# Of a day: which counts are parts of which.
WITHIN = {
    "received": ("accepted", "quarantined", "duplicate"),
    "accepted": ("scored", "withheld"),
    "scored": ("flagged",),
}
_SAME = {"not scored": "withheld", "to follow up": "flagged"}
_COUNTED = re.compile(
    r"(?<![\w.,])(?:(received|accepted|quarantined|duplicate|scored|withheld|flagged|expected|unknown) (\d+)"
    r"|(\d+) (received|accepted|quarantined|duplicates?|scored|withheld|flagged|listed))(?![\w-]|[.,]\d)"
)
_SHARES = frozenset({"missing", "share", "coverage", "quarantined_share", "outcome_coverage", "matured_coverage"})


@dataclass(frozen=True)
class Leak:
    """What tells a small group, and where."""

    outlet: str
    what: str

    def __str__(self) -> str:
        return f"{self.outlet}: {self.what}"


def leaks_of_version(said: Iterable[Said], totals: Mapping[str, int]) -> list[Leak]:
    """Return what is shown of a version that tells a small group.

    Parameters
    ----------
    totals
        How many there are in all of what counts are shown of: ``n``, ``positives``, ``source`` rows and the like.
    """
    return [leak for one in said for leak in (*_near_a_total(one, totals), *_in_records(one, totals))]


def leaks_of_days(said: Iterable[Said]) -> list[Leak]:
    """Return what is shown of days that tells a small group, all outlets taken together."""
    known: dict[str, dict[str, tuple[int, str]]] = {}
    leaks = []
    for one in said:
        for day, name, count in counts_of_days(one):
            known.setdefault(day, {}).setdefault(_SAME.get(name, name), (count, one.outlet))
            if count in SMALL:
                leaks.append(Leak(one.outlet, f"{name} {count} on {day}"))
        leaks += [Leak(one.outlet, f"{name} {count}") for name, count in _in_words(one) if count in SMALL]
        leaks += [Leak(one.outlet, f"share {share:g} of {n}") for share, n in _shares(one) if _tells(share, n)]
    for day, counts in known.items():
        leaks += _by_subtraction(day, counts)
    return leaks


def counts_of_days(said: Said) -> Iterator[tuple[str, str, int]]:
    """Yield the counts of people on single days: day, name, count."""
    for record in said.records:
        day = said.day or record.get("date") or record.get("discharge_date") or record.get("day")
        if "figure" in record and str(record["figure"]).startswith("rows_"):
            day, name = record.get("last_day") or "the newest day", str(record["figure"]).removeprefix("rows_")
            count = _whole(record["value"])
            if count is not None:
                yield str(day), name, count
        elif day:
            for name, value in record.items():
                count = _whole(value)
                if name in PEOPLE and count is not None:
                    yield str(day), name, count


def _near_a_total(said: Said, totals: Mapping[str, int]) -> Iterator[Leak]:
    for number in dict.fromkeys(int(found.replace(",", "")) for found in _WHOLE.findall(said.text)):
        for name, total in totals.items():
            if total >= _TELLING_TOTAL and total - number in SMALL and number not in totals.values():
                yield Leak(said.outlet, f"{number} beside {total} ({name}): {total - number} people")


def _in_records(said: Said, totals: Mapping[str, int]) -> Iterator[Leak]:
    for record in said.records:
        called = next((str(record[key]) for key in ("metric", "gate", "called", "step") if record.get(key)), "")
        counts = {name: _whole(value) for name, value in record.items() if name in PEOPLE}
        for name, count in counts.items():
            if count in SMALL:
                yield Leak(said.outlet, f"{name} {count} ({called})")
        n, positives = counts.get("n"), counts.get("positives")
        if n is not None and positives is not None:
            if n - positives in SMALL or totals["n"] - totals["positives"] - (n - positives) in SMALL:
                yield Leak(said.outlet, f"n {n}, positives {positives}: few negatives are in or out ({called})")
            if totals["positives"] - positives in SMALL:
                yield Leak(said.outlet, f"positives {positives} beside {totals['positives']} ({called})")
        missing = _number(record.get("missing"))
        if missing is not None and _tells(missing, totals["source"]):
            yield Leak(said.outlet, f"share {missing:g} of {totals['source']} ({record.get('column', called)})")


def _by_subtraction(day: str, counts: Mapping[str, tuple[int, str]]) -> Iterator[Leak]:
    for whole, parts in WITHIN.items():
        if whole not in counts:
            continue
        total, where = counts[whole]
        apart = [(f"{whole} {total} less {part} {counts[part][0]} ({counts[part][1]})", total - counts[part][0])
                 for part in parts if part in counts]  # fmt: skip
        rest = total - sum(counts[part][0] for part in parts if part in counts)
        apart.append((f"{whole} {total} less all of its parts shown", rest))
        yield from (Leak(where, f"{words} on {day}: {few}") for words, few in apart if few in SMALL)


def _in_words(said: Said) -> Iterator[tuple[str, int]]:
    for name, count, other_count, other_name in _COUNTED.findall(said.text):
        yield (name or other_name), int(count or other_count)


def _shares(said: Said) -> Iterator[tuple[float, int]]:
    """Yield shares of people with how many they are shares of."""
    for record in said.records:
        n, figure = _whole(record.get("n")), str(record.get("figure", ""))
        share = _number(record.get("value"))
        if n and share is not None and figure in _SHARES:
            yield share, n


def _tells(share: float, of: int) -> bool:
    """Tell whether a share is one of 1 to 10 people, or of all but as many."""
    count = round(share * of)
    return count in SMALL or of - count in SMALL


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(str(value).replace(",", ""))
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def named(leaks: Sequence[Leak]) -> str:
    """Return leaks as lines, each once."""
    return "\n".join(dict.fromkeys(map(str, leaks)))
