"""One value, many spellings: reading a cell of text into the one spelling that the contract knows.

What belongs here: which differences between two texts say nothing (case, blanks, typographic signs), and what every
feed understands. What does not: the words of one feed (its package has them), and judging what was read (``contract``).
"""

import html
import unicodedata
from collections.abc import Iterable, Mapping

# Hyphens, dashes and the minus sign; marks that stand for "less" and "more".
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_SIGNS = str.maketrans({**dict.fromkeys(_DASHES, "-"), "\u203a": ">", "\u2039": "<"})
# How programs write that there is no value: people, pandas, R, Excel, MySQL and Hive, SAS, Python.
MISSING = frozenset({"", *"? - -- . na n/a #n/a <na> nan nat null none \\n".split()})
_YES, _NO = ("yes", "y", "true", "t", "1", "1.0"), ("no", "n", "false", "f", "0", "0.0")


def folded(text: str) -> str:
    """Return what the spellings of a text have in common: no case, no blanks, plain signs, none of them as in HTML."""
    plain = unicodedata.normalize("NFKC", html.unescape(text)).translate(_SIGNS)
    return "".join(plain.split()).casefold()


def is_missing(text: object) -> bool:
    """Tell whether a cell says that there is no value: one rule for every column.

    A text that the list of its own column has is a value all the same, which the caller has to know: ``None`` is how a
    test that was not done is written.
    """
    return text is None or text != text or (isinstance(text, str) and folded(text) in MISSING)


def readings(texts: Iterable[str], others: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the text that each folded spelling is read as; one that would fit several texts is left out.

    Parameters
    ----------
    texts
        The texts themselves.
    others
        Other words for them, and which text each means.
    """
    meant: dict[str, set[str]] = {}
    for spelling, text in [*((text, text) for text in texts), *(others or {}).items()]:
        meant.setdefault(folded(spelling), set()).add(text)
    return {spelling: found.pop() for spelling, found in meant.items() if len(found) == 1}


def yes_or_no(*, yes: str, no: str) -> dict[str, str]:
    """Return other words for yes and no, as people, programs and data frames write them."""
    return {**dict.fromkeys(_YES, yes), **dict.fromkeys(_NO, no)}
