"""The evidence schema: which subgroups and baselines the evidence of a model holds, and what the model draws on.

What belongs here: naming them, and the columns of evidence rows that every model has. What does not: reading rows
(``rows``), and the gates that follow from the schema (``governance.policy.required``).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["key", "category", "whole", "number"]

# What the evidence of every model has: pseudonyms of the row and of the entity it is about, the fold that it was held
# out in, where on the clock from 0 to 1 its slice of time begins (``pooled.time_slices``), the outcome (0 or 1), and
# the probability that the model gave it.
ROW_COLUMNS: Mapping[str, Kind] = {
    "row_key": "key",
    "entity_key": "key",
    "fold": "whole",
    "clock": "number",
    "label": "whole",
    "score": "number",
}
# What is measured in every subgroup.
GROUP_MEASURES = ("auroc", "observed_expected", "tpr", "fpr")
# What comparisons call the model's own score.
MODEL = "model"


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
        Short name: the ending of the names of its gates, ``fairness_<gate>``, and the beginning of the names of its
        cohorts in operation, ``<gate>: <group>``.
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
    note
        For people, a sentence: how it was worked out, where that matters for the comparison.
    """

    name: str
    words: str
    probability: bool = False
    required: bool = False
    fitted: bool = False
    note: str = ""


@dataclass(frozen=True)
class InformationSource:
    """Inputs that come from one place and are lost together, and that every version has to draw on.

    Attributes
    ----------
    name
        Short name: the ending of the names of its metric and gate.
    words
        For people: "utilisation counts".
    inputs
        Of the model.
    """

    name: str
    words: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class EvidenceSchema:
    """Subgroups, baselines and sources of information of a model, in the order in which they are shown.

    Evidence rows have columns of the first two, and are digested in this order.
    """

    attributes: tuple[Attribute, ...]
    baselines: tuple[Baseline, ...]
    information: tuple[InformationSource, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a schema without anything to be fair to or to be better than, and names that mean two things."""
        if not self.attributes:
            raise ValueError("a model needs at least one attribute whose groups are compared")
        if not any(baseline.required for baseline in self.baselines):
            raise ValueError("a model needs at least one baseline that it has to beat")
        names = [*(each.name for each in self.attributes), *(each.name for each in self.baselines)]
        if len(set(names)) != len(names):
            raise ValueError("attributes and baselines need different names")
        gates = [each.gate for each in self.attributes]
        if len(set(gates)) != len(gates):
            raise ValueError("attributes need different gates")
        taken = sorted({MODEL, *ROW_COLUMNS} & set(names))
        if taken:
            raise ValueError(f"an attribute or baseline cannot be called {taken[0]}")
        sources = [each.name for each in self.information]
        if len(set(sources)) != len(sources):
            raise ValueError("sources of information need different names")
        drawn = [name for each in self.information for name in each.inputs]
        if len(set(drawn)) != len(drawn) or not all(each.inputs for each in self.information):
            raise ValueError("a source of information has inputs, and shares none of them with another")
        odd = sorted(name for name in [*names, *gates, *sources] if not name.isidentifier())
        if odd:
            raise ValueError(
                f"names of attributes, gates, baselines and sources are letters, digits, underscores, not {odd[0]}"
            )

    def to_json(self) -> dict[str, list[dict[str, Any]]]:
        """Return the schema as plain JSON values."""
        return {
            "attributes": [asdict(each) for each in self.attributes],
            "baselines": [asdict(each) for each in self.baselines],
            "information": [asdict(each) | {"inputs": list(each.inputs)} for each in self.information],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "EvidenceSchema":
        """Read what ``to_json`` returned; raises ``ValueError``, ``KeyError`` or ``TypeError`` for anything else."""
        return cls(
            attributes=tuple(Attribute(**each) for each in content["attributes"]),
            baselines=tuple(Baseline(**each) for each in content["baselines"]),
            information=tuple(
                InformationSource(**each | {"inputs": tuple(each["inputs"])}) for each in content["information"]
            ),
        )
