"""Codes of another system than the feed's own: reading them as codes of the feed, and keeping account of it.

What belongs here: applying the translator of a pattern to the cells of each file. What does not: any translator (the
package of a feed has it), and the spelling of the feed's own codes (``contract``).
"""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from readmission_platform.intake.spellings import is_missing

if TYPE_CHECKING:
    from readmission_platform.intake.contract import RowContract


class Translated(NamedTuple):
    """What a text is read as, None where it cannot be, and the way that was found."""

    text: str | None
    how: str


class Way(NamedTuple):
    """How a code was translated: in words that follow "it was translated", and what that does to what it says."""

    words: str
    kind: Literal["exact", "inexact", "lost"]


class Translator(NamedTuple):
    """What reads codes of another system.

    Attributes
    ----------
    system
        What the other system is called.
    read
        Given all texts of one file, those in columns of this translator: returns the translation of each text that is a
        code of the other system. It is given them all since some can be told only by the others.
    ways
        The ways of translating, by the name that ``Translated.how`` has.
    load
        Loads what it reads by, so that the first code does not have to wait for it.
    """

    system: str
    read: Callable[[Collection[str]], Mapping[str, Translated]]
    ways: Mapping[str, Way]
    load: Callable[[], object] = lambda: None


def translators(contract: "RowContract") -> dict[str, Translator]:
    """Return the translator of each column that has one."""
    return {name: pattern.translator for name, pattern in contract.patterns.items() if pattern.translator is not None}


KINDS = ("native", "exact", "inexact", "lost")


def codes_by_kind(accepted: pd.DataFrame, translations: pd.DataFrame, contract: "RowContract") -> pd.DataFrame:
    """Count the codes of accepted rows by what became of them.

    Parameters
    ----------
    accepted
        Rows with the contract's day and the columns that have a translator.
    translations
        What was translated in them (see ``rows.Intake``).

    Returns
    -------
    By day (index): ``native`` (they came in the feed's own system) and, of another system, ``exact``, ``inexact`` and
    ``lost``.
    """
    known = translators(contract)
    there = accepted[list(known)].notna().sum(axis=1).groupby(accepted[contract.day]).sum()
    kinds = [known[column].ways[how].kind for column, how in
             zip(translations["column"], translations["how"], strict=True)]  # fmt: skip
    of_other = pd.crosstab(translations[contract.day], pd.Series(kinds, index=translations.index, dtype=object))
    counts = of_other.reindex(index=there.index, columns=KINDS[1:], fill_value=0)
    native = there - counts["exact"] - counts["inexact"]
    return counts.assign(native=native)[list(KINDS)].astype("int64")


def translate(cells: pd.DataFrame, number: pd.Series, contract: "RowContract") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read codes of other systems as codes of the feed.

    Parameters
    ----------
    cells
        Cells of text, of several files.
    number
        Which file each row is of.

    Returns
    -------
    The cells with translations in their place, missing where there is none; and one line per code of another system:
    ``at`` (the row's label), ``column``, ``how``.
    """
    by_translator: dict[int, list[str]] = {}
    known = translators(contract)
    for name, translator in known.items():
        by_translator.setdefault(id(translator), []).append(name)
    lines, read = [pd.DataFrame({"at": pd.Series(dtype="int64"), "column": "", "how": ""})], cells
    for names in by_translator.values():
        for _, of_file in cells[names].groupby(number.to_numpy(), sort=False):
            texts = {text for name in names for text in of_file[name].unique()
                     if isinstance(text, str) and not is_missing(text)}  # fmt: skip
            found = known[names[0]].read(texts)
            if not found:
                continue
            read = read.copy() if read is cells else read
            for name in names:
                of_other = of_file[name].index[of_file[name].isin(list(found))]
                meant = [found[text] for text in of_file.loc[of_other, name]]
                read.loc[of_other, name] = np.array([each.text for each in meant], dtype=object)
                lines.append(pd.DataFrame({"at": of_other, "column": name, "how": [each.how for each in meant]}))
    return read, pd.concat(lines, ignore_index=True)
