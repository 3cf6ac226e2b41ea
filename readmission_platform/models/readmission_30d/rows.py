"""Scoring encounters one at a time: inputs, encoding and what is withheld, without data frames.

What belongs here: the rules of ``data``, ``features`` and ``soundness`` on one encounter's plain values. What does not:
trees and reasons (``boosting.rows``); both ways have to say the same of every encounter.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from readmission_platform.encounters.cohort import DRUG_COLUMNS
from readmission_platform.encounters.icd9 import as_recorded, category_of, chapter_of
from readmission_platform.encounters.past import past_of
from readmission_platform.foundation.values import Frozen
from readmission_platform.models.boosting.rows.encoding import FarBeyond, Inputs, RowEncoding, Unseen, number
from readmission_platform.models.boosting.rows.scorer import BoostingRows
from readmission_platform.models.readmission_30d.concepts import CONCEPTS
from readmission_platform.models.readmission_30d.inputs import (
    CHAPTER_NAMES,
    CODE_LISTS,
    COUNTS,
    DIAGNOSES,
    LEARNT,
    NAMED_VALUES,
    ORDERED_VALUES,
    TARGET_STATISTICS,
    feature_names,
)
from readmission_platform.models.readmission_30d.soundness import CODES, COUNT_WORDS, NO_DIAGNOSIS

_NAN = float("nan")
_CHANGED = frozenset({"Up", "Down"})
_CHAPTERS = {name: float(place) for place, name in enumerate(CHAPTER_NAMES)}
_NAMED = {name: {value: float(place) for place, value in enumerate(values)} for name, values in NAMED_VALUES.items()}


class Statistic(Frozen):
    """A target statistic: the values that have one of their own, the mean of each, of a missing one, and of others."""

    values: list[int | str]
    means: list[float]
    missing: float
    others: float


class EncounterEncoding(RowEncoding):
    """What ``features.EncounterEncoder`` has learnt; pairs where the order counts."""

    learnt: dict[str, list[str]]
    statistics: dict[str, Statistic]
    ranges: list[tuple[str, tuple[float, float]]]
    seen: dict[str, list[int | float | str]]

    @classmethod
    def of(cls, encoder: Any) -> Self:
        """Write down what a fitted encoder has learnt."""
        statistics = {} if encoder.target_smoothing is None else _statistics(encoder)
        return cls(learnt=encoder.learnt_, statistics=statistics, ranges=list(encoder.ranges_.items()),
                   seen=encoder.seen_)  # fmt: skip

    def ready(self) -> "EncounterRowEncoder":
        """Make it ready for encounters."""
        named = (set(self.learnt) == set(LEARNT), set(self.statistics) in (set(), set(TARGET_STATISTICS)),
                 set(CODES) <= set(self.seen), {name for name, _ in self.ranges} <= set(COUNTS))  # fmt: skip
        if not all(named) or any(len(each.values) != len(each.means) for each in self.statistics.values()):
            raise ValueError("the compiled model's encoding contradicts itself")
        return EncounterRowEncoder(self)


def _statistics(encoder: Any) -> dict[str, Statistic]:
    """Take the statistics out of scikit-learn's encoder of numbered values; a number it never saw is the average."""
    fitted, found = encoder.statistics_, {}
    for place, (name, common) in enumerate(encoder.common_.items()):
        known = dict(zip(fitted.categories_[place].tolist(), fitted.encodings_[place].tolist(), strict=True))
        means = [known.get(code, float(fitted.target_mean_)) for code in range(len(common) + 2)]
        found[name] = Statistic(values=common, means=means[:-2], missing=means[-2], others=means[-1])
    return found


class EncounterRowEncoder:
    """Encodes one encounter after the other; see ``features.EncounterEncoder``."""

    def __init__(self, document: EncounterEncoding) -> None:
        self.features = feature_names(target_statistics=bool(document.statistics))
        self._learnt = [(name, {value: float(place) for place, value in enumerate(document.learnt[name])})
                        for name in LEARNT]  # fmt: skip
        self._known_specialties = frozenset(document.learnt["medical_specialty"])
        self._statistics = [_Lookup(name, document.statistics[name]) for name in TARGET_STATISTICS
                            if name in document.statistics]  # fmt: skip
        self._unseen = Unseen(document.seen, CODES)
        self._far_beyond = FarBeyond(document.ranges, COUNT_WORDS)

    def encode(self, inputs: Inputs) -> list[float]:
        """Return the features of one encounter; NaN is missing."""
        doses = [inputs[name] for name in DRUG_COLUMNS]
        given = [dose for dose in doses if dose is not None and dose != "No"]
        diagnoses = (inputs[name] for name in DIAGNOSES)
        return [
            *(number(inputs[name]) for name in COUNTS),
            number(inputs["number_emergency"] + inputs["number_inpatient"]),
            float(len(given)),
            float(sum(dose in _CHANGED for dose in given)),
            *(order.get(inputs[name], _NAN) for name, order in ORDERED_VALUES.items()),
            *(number(inputs[name]) for name in CODE_LISTS),
            *(codes.get(inputs[name], _NAN) for name, codes in _NAMED.items()),
            *(_NAN if code is None else _CHAPTERS.get(chapter_of(code) or "", _NAN) for code in diagnoses),
            *(_NAN if inputs[name] is None else places.get(inputs[name], len(places) + 1.0)
              for name, places in self._learnt),
            *(statistic.of(inputs) for statistic in self._statistics),
        ]  # fmt: skip

    def unsound(self, inputs: Inputs) -> Iterator[str]:
        """Yield why an encounter is withheld; see ``soundness``."""
        yield from self._unseen.found(inputs)
        yield from self._far_beyond.found(inputs)
        if all(inputs[name] is None for name in DIAGNOSES):
            yield NO_DIAGNOSIS

    def spoken_of(self, inputs: Inputs) -> Inputs:
        """Return inputs without a specialty that the model does not know; see ``explanation``."""
        known = inputs["medical_specialty"] in self._known_specialties
        return inputs if known else {**inputs, "medical_specialty": None}


class _Lookup:
    """A target statistic of one encounter."""

    def __init__(self, name: str, statistic: Statistic) -> None:
        self._column = TARGET_STATISTICS[name]
        self._means = dict(zip(statistic.values, statistic.means, strict=True))
        self._missing, self._others = statistic.missing, statistic.others
        self._meaning: Callable[[str], str] | None = None
        if self._column in DIAGNOSES:
            self._meaning = category_of if name.endswith("_category_rate") else as_recorded

    def of(self, inputs: Inputs) -> float:
        value = inputs[self._column]
        if value is None:
            return self._missing
        return self._means.get(value if self._meaning is None else self._meaning(value), self._others)


def inputs_of(row: Mapping[str, Any], past: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the inputs of one encounter, and what else its row has; see ``data.ReadmissionData.inputs_of``."""
    return {**row, **past_of(row, past)}


ROWS = BoostingRows(inputs_of, EncounterEncoding, CONCEPTS)
