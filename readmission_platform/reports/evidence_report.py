"""The evidence report: everything the evidence document holds, as one page for people, in one file that prints well.

What belongs here: how the page looks. What does not: any figure of its own: each comes out of the document
(``lifecycle.versions.evidence_document``), with small cells hidden there. The page loads nothing: style and pictures
are inside it.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from readmission_platform.evaluation.words import Wording
from readmission_platform.foundation.counting import BELOW_INTERVAL, below_interval
from readmission_platform.governance.policy.shown import INSUFFICIENT
from readmission_platform.reports.card_tables import flat_settings
from readmission_platform.reports.pictures import comparisons as evidence_plots
from readmission_platform.reports.pictures import evidence as plots
from readmission_platform.reports.review import NOTHING, figure, interval, marked, short, signed

Draw = Callable[[Mapping[str, Any], Wording], bytes]

_TEMPLATE = "evidence_report.html.j2"

# Estimates in the order in which they are read, by section; * stands for a threshold, an attribute or a source. Gains
# over other scores and figures of groups have tables of their own.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Discrimination": ("auroc", "auroc_test", "average_precision", "average_precision_ratio", "latest_auroc"),
    "Calibration": (
        *("calibration_slope", "calibration_intercept", "observed_expected", "latest_observed_expected", "ece"),
        *("brier", "brier_skill"),
    ),
    "Sources of information": ("risks_moved_by_*",),
    "Use at capacity": ("recall_at_flag", "ppv_at_flag", "recall_at_wide_flag", "net_benefit_at_*"),
    "Fairness": ("equalised_odds_*", "auroc_gap.*"),
    "Compared with the version then in production (above 0 is better, except for the Brier score)": (
        *("champion_auroc_difference", "champion_average_precision_difference", "champion_brier_difference"),
        *("champion_net_benefit_difference", "champion_net_benefit_difference_at_*"),
    ),
    "At the flag, under older names": ("accuracy", "precision", "recall", "f1"),
    "On the artifact itself": (
        *("roundtrip_difference", "parity_difference", "single_rows_that_differ", "permuted_labels_auroc"),
    ),
    "Against leakage": (
        *("inputs_changed_without_future", "future_told_by_one_input", "outcome_told_by_one_input"),
        *("distinct_share_of_one_input", "clock_told_by_one_input", "identifiers_among_inputs"),
        *("entities_in_two_folds", "prevalence_difference_of_folds"),
    ),
}
# Captions name fields of ``Words`` in braces.
PICTURES: Mapping[str, tuple[Draw, str]] = {
    "calibration": (lambda d, w: plots.calibration_png(d["curves"], w), "Observed against predicted risk, in tenths of "
                    "the {rows}, and below how many {rows} have which risk."),
    "roc": (lambda d, w: plots.roc_png(d["curves"], w), "Sensitivity against false alarms."),
    "precision": (lambda d, w: plots.precision_recall_png(d["curves"], w), "Share of the flagged that are {events}."),
    "decision": (lambda d, w: plots.decision_curve_png(d["curves"], w), "Whether acting on the prediction is worth it. "
                 "Point scores are converted to risks on these same {rows}, which favours them."),
    "groups": (lambda d, w: evidence_plots.groups_png(d["groups"], w), "By subgroup; hollow if there are too few "
               "{events} to judge the group on its own, or no gate judges it."),
    "comparisons": (lambda d, w: evidence_plots.comparisons_png(d["comparisons"], w), "Every score compared with every "
                    "other, on the same {rows} and bootstrap replicates."),
}  # fmt: skip
IMPORTANCE: tuple[Draw, str] = (
    lambda d, _: plots.importances_png(_drawn_importance(d), title="What the model relies on",
                                       axis="AUROC lost when permuted"),
    "On test {entities}, with 95 % interval over {entities}.",
)  # fmt: skip
# Inches: an effect stands beside its table.
_BESIDE = 4.0


def evidence_html(document: Mapping[str, Any]) -> str:
    """Render the page of an evidence document (see ``lifecycle.versions.evidence_document``)."""
    wording = Wording.of(document)
    pictures, effects = _drawn(json.dumps(document, sort_keys=True))
    return _template().render(
        document,
        sections=list(_sections(document["estimates"], wording)),
        pictures=pictures,
        effects=effects,
        recipe_settings=list(flat_settings((document["provenance"]["recipe"] or {}).get("settings") or {})),
        wording=wording,
        judged=_judged(document["gates"]),
        below_interval=BELOW_INTERVAL,
    )


def _judged(gates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Count the candidate gates, how many of them passed, and the others; name those that could not be judged."""
    asked = [gate for gate in gates if gate["stage"] == "candidate"]
    return {
        "asked": len(asked),
        "passed": sum(gate["result"] == "pass" for gate in asked),
        "unjudged": [gate for gate in asked if gate["result"] == INSUFFICIENT],
        "others": len(gates) - len(asked),
    }


def _sections(estimates: Mapping[str, Any], wording: Wording) -> Iterator[dict[str, Any]]:
    for title, patterns in SECTIONS.items():
        rows = [{"label": wording.label(name), **estimates[name]}
                for pattern in patterns for name in _matching(pattern, estimates, wording)]  # fmt: skip
        if rows:
            yield {
                "title": title,
                "rows": rows,
                "marked": any(below_interval(each["value"], each.get("low")) for each in rows),
            }


def _matching(pattern: str, estimates: Mapping[str, Any], wording: Wording) -> Iterator[str]:
    """Yield the estimates of a pattern: by threshold, or in the order of the schema."""
    if not pattern.endswith("*"):
        yield from (name for name in estimates if name == pattern)
        return
    prefix = pattern[:-1]
    schema, named = wording.schema, []
    if schema:
        named = [*(each.name for each in schema.attributes), *(each.name for each in schema.information)]
    ends = [name.removeprefix(prefix) for name in estimates if name.startswith(prefix)]
    known = [name for name in named if name in ends]
    yield from (prefix + end for end in [*known, *sorted(set(ends) - set(known), key=float)])


@lru_cache(maxsize=2)
def _drawn(content: str) -> tuple[dict[str, dict[str, str]], list[dict[str, Any]]]:
    """Draw what a document holds, once per content: a dossier's page is made, and then made again to be compared."""
    document = json.loads(content)
    return _pictures(document, Wording.of(document)), _effects(document)


def _pictures(document: Mapping[str, Any], wording: Wording) -> dict[str, dict[str, str]]:
    drawn: dict[str, tuple[Draw, str]] = dict(PICTURES)
    if document["explanations"]:
        drawn["importance"] = IMPORTANCE
    if document["robustness"]:
        drawn["seeds"] = (lambda d, w: evidence_plots.seeds_png(d["robustness"]["seeds"], w), "A dot for each seed.")
    return {
        name: {"source": _source(draw(document, wording)), "caption": caption.format(**vars(wording.words))}
        for name, (draw, caption) in drawn.items()
    }


def _source(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _effects(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the effects with a picture each, all to the same scale."""
    effects = (document["explanations"] or {}).get("effects", [])
    highest = evidence_plots.highest_risk(effects)
    return [
        {**effect, "source": _source(evidence_plots.effects_png([effect], highest=highest, width=_BESIDE))}
        for effect in effects
    ]


def _drawn_importance(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = document["explanations"]["importance"]
    return [{"name": row["feature"], "value": row["loss"], "low": row["low"], "high": row["high"]}
            for row in rows if row["loss"] is not None]  # fmt: skip


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "figure": figure,
        "interval": interval,
        "marked": marked,
        "signed": signed,
        "count": _count,
        "short": short,
        "share": _share,
        "tiny": _tiny,
    }
    return environment.from_string(files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8"))


def _count(people: int | None) -> str:
    return "hidden" if people is None else f"{people:,}"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.1f} %"


def _tiny(value: float | None) -> str:
    """Write a difference that ought to be 0."""
    return NOTHING if value is None else f"{value:.1e}"
