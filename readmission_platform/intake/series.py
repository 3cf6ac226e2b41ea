"""Numbers of rows as a series: telling when one has started anew, as after a change of the source's record system.

What belongs here: comparing the numbers of a day with those before it. What does not: what follows from it: nothing is
ordered by these numbers across days, but whoever has new row numbers may have new numbers of entities too.
"""

import pandas as pd

# So many days with rows tell what the numbers of a source are like.
ENOUGH_DAYS = 7
# A day beyond the highest number by so many times the span of those before continues no series.
FAR = 10


def has_jumped(numbers: pd.Series, before: pd.Series) -> bool:
    """Tell whether most numbers of a day lie below all of those before it, or far above them.

    Numbers that are drawn at random lie among those before them, numbers that count upwards a little above.
    """
    if numbers.empty or before.empty:
        return False
    middle, lowest, highest = float(numbers.median()), float(before.min()), float(before.max())
    return middle < lowest or middle > highest + FAR * max(highest - lowest, 1.0)


def days_that_jumped(rows: pd.DataFrame, *, day: str, row: str, judged: list[str], earlier: pd.Series) -> list[str]:
    """Return those of the days judged whose numbers do not continue the ones before, in order.

    Parameters
    ----------
    rows
        Accepted rows of these days and of days before them: the columns ``day`` and ``row``.
    earlier
        Numbers from before the first of all days, which count while there are fewer than ``ENOUGH_DAYS``.
    """
    by_day = {str(each): numbers for each, numbers in rows.groupby(day)[row]}
    found = []
    for each in sorted(set(judged) & set(by_day)):
        past = [by_day[other] for other in sorted(by_day) if other < each]
        before = pd.concat(past) if past else earlier.head(0)
        if len(past) < ENOUGH_DAYS:
            before = pd.concat([earlier, before])
        if has_jumped(by_day[each], before):
            found.append(each)
    return found
