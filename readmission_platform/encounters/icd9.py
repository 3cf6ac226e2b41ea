"""ICD-9-CM diagnosis codes, as far as a model and the clinical scores need them.

Chapters follow the tabular list of ICD-9-CM (CMS/NCHS); diabetes (250) is kept apart, since every patient has
it and its fourth digit tells of complications.
"""

from bisect import bisect_right

import pandas as pd

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


def numeric_code(codes: pd.Series) -> pd.Series:
    """Return ICD-9 codes as numbers (``250.83``); missing, V and E codes become NaN."""
    return pd.to_numeric(codes, errors="coerce")


def category(codes: pd.Series) -> pd.Series:
    """Return the category of each code, what stands before the point: ``250`` of ``250.83``; None if missing."""
    known = {code: code.partition(".")[0] for code in codes.dropna().unique()}
    return pd.Series([known.get(code) for code in codes], index=codes.index, name=codes.name, dtype=object)


def chapter(codes: pd.Series) -> pd.Series:
    """Return the chapter of each code by name: ``supplementary`` for V, ``external`` for E, None if missing."""
    # A few hundred codes describe any number of encounters: look each up once.
    known = {code: chapter_of(code) for code in codes.dropna().unique()}
    return pd.Series([known.get(code) for code in codes], index=codes.index, name=codes.name, dtype=object)


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
