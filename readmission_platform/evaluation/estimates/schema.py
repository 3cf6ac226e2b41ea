"""The evidence schema: which subgroups and baselines the evidence of a model holds.

What belongs here: naming them. What does not: reading rows (``rows``), and the gates that follow from the schema
(``governance.policy.required``).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Attribute:
    """A column of subgroups that fairness is judged for.

    Attributes
    ----------
    name
        Column of the evidence rows; part of the names of estimates.
    words
        For people: "age group".
    gate
        Ending of the names of its gates: ``fairness_<gate>``.
    every_group
        Whether equalised odds compares every group; otherwise only groups with 100 positives or more.
    """

    name: str
    words: str
    gate: str
    every_group: bool = True


@dataclass(frozen=True)
class Baseline:
    """A score that the model is compared with.

    Attributes
    ----------
    name
        Column of the evidence rows; part of the names of estimates.
    words
        For people: "LACE".
    probability
        Whether the scores are probabilities, between 0 and 1.
    required
        Whether a gate asks for a gain over it. One at least has to be.
    fitted
        Whether it is fitted, and so may be left out of the fast path's evidence.
    """

    name: str
    words: str
    probability: bool = False
    required: bool = False
    fitted: bool = False


@dataclass(frozen=True)
class EvidenceSchema:
    """Subgroups and baselines of a model's evidence, in the order in which they are shown and digested."""

    attributes: tuple[Attribute, ...]
    baselines: tuple[Baseline, ...]

    def __post_init__(self) -> None:
        """Refuse a schema without anything to be fair to or to be better than."""
        if not self.attributes:
            raise ValueError("a model needs at least one attribute whose groups are compared")
        if not any(baseline.required for baseline in self.baselines):
            raise ValueError("a model needs at least one baseline that it has to beat")
        names = [*(each.name for each in self.attributes), *(each.name for each in self.baselines)]
        if len(set(names)) != len(names):
            raise ValueError("attributes and baselines need different names")
