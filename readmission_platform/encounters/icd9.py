"""ICD-9-CM diagnosis codes: their one spelling here, and what a model and the clinical scores need of them.

Systems write one code in many ways. The development data hold codes as a column of numbers does: no zeros before the
category, none at the end behind the point (``38`` for 038, ``250`` for 250.00). ``normal_code`` reads every spelling
into that one, so that a code counts as the same wherever it comes from.

Chapters follow the tabular list of ICD-9-CM (CMS/NCHS); diabetes (250) is kept apart, since every patient has
it and its fourth digit tells of complications.
"""

import re
from bisect import bisect_right

import numpy as np
import pandas as pd

from readmission_platform.foundation.distinct import looked_up

# First code of each chapter and its name, ascending; a code belongs to the last chapter that starts at or
# below it.
CHAPTERS = (
    (1, "infectious"),
    (140, "neoplasms"),
    (240, "endocrine"),
    (250, "diabetes"),
    (251, "endocrine"),
    (280, "blood"),
    (290, "mental"),
    (320, "nervous"),
    (390, "circulatory"),
    (460, "respiratory"),
    (520, "digestive"),
    (580, "genitourinary"),
    (630, "pregnancy"),
    (680, "skin"),
    (710, "musculoskeletal"),
    (740, "congenital"),
    (760, "perinatal"),
    (780, "symptoms"),
    (800, "injury"),
)


# What a code looks like in its one spelling: the category, and where there are any the digits behind the point.
NORMAL_CODE = r"(?:[1-9][0-9]{0,2}|V[0-9]{2}|E[0-9]{3})(?:\.[0-9]?[1-9])?"
# Of each kind first with a point (or the category alone), then without one. [0-9], since \d also means other scripts.
_SPELLINGS = tuple(
    re.compile(expression)
    for expression in (
        r"(?P<letter>)(?P<category>[0-9]{1,3})(?:\.(?P<digits>[0-9]{1,2}))?",
        r"(?P<letter>)(?P<category>[0-9]{3})(?P<digits>[0-9]{1,2})(?:\.0{1,2})?",
        r"(?P<letter>V) *(?P<category>[0-9]{1,2})(?:\.(?P<digits>[0-9]{1,2}))?",
        r"(?P<letter>V) *(?P<category>[0-9]{2})(?P<digits>[0-9]{1,2})",
        r"(?P<letter>E) *(?P<category>[0-9]{3})(?:\.(?P<digits>[0-9]0?))?",
        r"(?P<letter>E) *(?P<category>[0-9]{3})(?P<digits>[0-9])",
    )
)
# E codes are of activities (E000 to E030) or of causes (E800 to E999). What lies between is none, but an ICD-10 code.
_WIDTHS, _RANGES = {"": 0, "V": 2, "E": 3}, {"": ((1, 999),), "V": ((1, 99),), "E": ((0, 30), (800, 999))}


def normal_code(text: str) -> str | None:
    """Return the one spelling of an ICD-9-CM code; None where no rule makes a code of the text.

    Case, and blanks around it or behind the letter, do not matter. Then:

    - With a point, what stands before it is the category: ``038.9`` and ``38.9`` are the same, ``008.45`` and ``8.45``.
    - Without a point, one to three digits are a category (``389`` is 389, ``38`` is 038): so the development data write
      it. Of four or five digits the first three are the category, zeros among them: ``0389`` is 038.9, ``00845`` is
      008.45, ``25083`` is 250.83, ``4280`` is 428.0. A code that lost its zeros *and* its point cannot be told from
      another code and is read by the same rule: ``389`` stays category 389.
    - Zeros at the end behind the point say nothing: a column of numbers adds and drops them. ``428.0`` is ``428``,
      ``250.60`` is ``250.6``; ``25083.0`` is ``25083`` with the point of such a column.
    - ``V`` has two digits before the point (``V4581`` is V45.81, ``V8`` is V08), ``E`` three (``E8490`` is E849.0).

    Nothing else is a code: 0, a decimal comma, three digits behind the point, categories that ICD-9-CM does not have.
    """
    wanted = text.strip().upper()
    for spelling in _SPELLINGS:
        found = spelling.fullmatch(wanted)
        if found is None:
            continue
        letter, number = found["letter"], int(found["category"])
        if not any(first <= number <= last for first, last in _RANGES[letter]):
            return None
        digits = (found["digits"] or "").rstrip("0")
        return f"{letter}{number:0{_WIDTHS[letter]}d}" + (f".{digits}" if digits else "")
    return None


def numeric_code(codes: pd.Series) -> pd.Series:
    """Return ICD-9 codes as numbers (``250.83``); missing, V and E codes become NaN."""
    return pd.to_numeric(codes, errors="coerce")


def category_of(code: str) -> str:
    """Return the category of a code: ``250`` of ``250.83``, ``38`` of ``038.9``; what is no code stays what it is."""
    return (normal_code(code) or code).partition(".")[0]


def as_recorded(code: str) -> str:
    """Return a code with the detail that the development data have: ``250.83``, but ``428`` of ``428.23``.

    They give digits for diabetes alone, so nothing was learnt of ``427.31`` that was not learnt of ``427``.
    """
    category = category_of(code)
    return code if category == "250" else category


def chapter(codes: pd.Series) -> pd.Series:
    """Return the chapter of each code by name: ``supplementary`` for V, ``external`` for E, None if missing."""
    found = looked_up(
        codes, lambda distinct: np.array([chapter_of(code) for code in distinct], dtype=object), missing=None
    )
    return pd.Series(found, index=codes.index, name=codes.name, dtype=object)


def chapter_of(code: str) -> str | None:
    """Return the chapter of one ICD-9 code, None where it is none."""
    if code.startswith("V"):
        return "supplementary"
    if code.startswith("E"):
        return "external"
    try:
        number = float(code)
    except ValueError:
        return None
    position = bisect_right([start for start, _ in CHAPTERS], number) - 1
    return CHAPTERS[position][1] if position >= 0 else None
