"""The evidence report: everything the evidence document holds, as one page for people, in one file that prints well.

What belongs here: how the page looks. What does not: any figure of its own: each comes out of the document
(``lifecycle.versions.evidence_document``), with small cells hidden there. The page loads nothing: style and pictures
are inside it.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from readmission_platform.reports.pictures import comparisons as evidence_plots
from readmission_platform.reports.pictures import evidence as plots
from readmission_platform.reports.review import NOTHING, figure, interval, short, signed
from readmission_platform.storage.home import replace_file

Draw = Callable[[Mapping[str, Any]], bytes]

_TEMPLATE = "evidence_report.html.j2"

# Estimates in the order in which they are read, by section, in plain words. Gains over other scores and figures of
# groups have tables of their own.
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Telling high risk from low": {
        "auroc": "AUROC",
        "auroc_test": "AUROC on the test patients of this very model",
        "average_precision": "Average precision",
        "average_precision_ratio": "Average precision over prevalence",
        "latest_auroc": "AUROC on the latest fifth of the patients",
    },
    "Meaning what it says": {
        "calibration_slope": "Calibration slope (1 is right)",
        "calibration_intercept": "Calibration intercept (0 is right)",
        "observed_expected": "Observed / expected readmissions (1 is right)",
        "latest_observed_expected": "Observed / expected on the latest fifth of the patients",
        "ece": "Expected calibration error, ten groups of equal size",
        "brier": "Brier score (lower is better)",
        "brier_skill": "Brier skill against always telling the average risk",
    },
    "Use at capacity": {
        "recall_at_*": "Readmissions found when * % are flagged",
        "ppv_at_*": "Flagged who are readmitted, * % flagged",
        "net_benefit_at_*": "Net benefit when followed up from a risk of *",
    },
    "Even-handedness": {
        "equalised_odds_gender": "Equalised odds, gender (0 is even)",
        "equalised_odds_race": "Equalised odds, race",
        "equalised_odds_age_band": "Equalised odds, age",
        "auroc_gap.gender": "AUROC gap between genders",
        "auroc_gap.race": "AUROC gap between races",
        "auroc_gap.age_band": "AUROC gap between age groups",
    },
    "Against the version in production then (above 0 is better, but for the Brier score)": {
        "champion_auroc_difference": "AUROC, difference",
        "champion_average_precision_difference": "Average precision, difference",
        "champion_brier_difference": "Brier score, difference (below 0 is better)",
        "champion_net_benefit_difference": "Net benefit, mean difference over the thresholds in use",
        "champion_net_benefit_difference_at_*": "Net benefit, difference at *",
    },
    "Flagged from a risk of one half on (asked for by older handbooks; nobody is flagged so)": {
        "accuracy": "Accuracy",
        "precision": "Precision",
        "recall": "Recall",
        "f1": "F1",
    },
    "On the artifact itself": {
        "roundtrip_difference": "Largest difference of a risk after storing and loading",
        "parity_difference": "Largest difference of a risk between training and daily scoring",
        "permuted_labels_auroc": "AUROC of the recipe trained on labels dealt out at random (0.5 is right)",
    },
}
PICTURES: Mapping[str, tuple[Draw, str]] = {
    "calibration": (lambda d: plots.calibration_png(d["curves"]), "Observed against predicted risk, in tenths of the "
                    "encounters, and below how many encounters have which risk."),
    "roc": (lambda d: plots.roc_png(d["curves"]), "Sensitivity against false alarms."),
    "precision": (lambda d: plots.precision_recall_png(d["curves"]), "How many of the flagged are readmitted."),
    "decision": (lambda d: plots.decision_curve_png(d["curves"]), "Whether acting on the prediction is worth it. Point "
                 "scores are turned into risks on these very encounters, which favours them."),
    "groups": (lambda d: evidence_plots.groups_png(d["groups"]), "By subgroup; hollow where there are too few "
               "readmissions to judge the group by itself."),
    "comparisons": (lambda d: evidence_plots.comparisons_png(d["comparisons"]), "Every score against every other, on "
                    "the same encounters and the same bootstrap replicates."),
}  # fmt: skip
IMPORTANCE: tuple[Draw, str] = (
    lambda d: plots.importances_png(_drawn_importance(d), title="What the model relies on",
                                    axis="AUROC lost when it is shuffled"),
    "On test patients, with 95 % interval over patients.",
)  # fmt: skip
# Inches: an effect stands beside its table.
_BESIDE = 4.0


def evidence_html(document: Mapping[str, Any]) -> str:
    """Render the page of an evidence document (see ``lifecycle.versions.evidence_document``)."""
    return _template().render(
        document,
        sections=list(_sections(document["estimates"])),
        pictures=_pictures(document),
        effects=_effects(document),
        attributes=evidence_plots.ATTRIBUTES,
        scores=evidence_plots.SCORES,
        figures=evidence_plots.FIGURES,
    )


def write_report(document: Mapping[str, Any], target: Path) -> Path:
    """Write the page, whole or not at all, and return where it is; raises OSError when it cannot be written."""
    page = evidence_html(document)
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_file(target, page.encode())
    return target


def _sections(estimates: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for title, named in SECTIONS.items():
        rows = [{"label": label, **estimates[name]} for pattern, words in named.items()
                for name, label in _matching(pattern, words, estimates)]  # fmt: skip
        if rows:
            yield {"title": title, "rows": rows}


def _matching(pattern: str, words: str, estimates: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not pattern.endswith("*"):
        yield from ((name, words) for name in estimates if name == pattern)
        return
    prefix = pattern[:-1]
    found = sorted((name.removeprefix(prefix) for name in estimates if name.startswith(prefix)), key=float)
    yield from ((prefix + end, words.replace("*", end)) for end in found)


def _pictures(document: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    drawn: dict[str, tuple[Draw, str]] = dict(PICTURES)
    if document["explanations"]:
        drawn["importance"] = IMPORTANCE
    if document["robustness"]:
        drawn["seeds"] = (lambda d: evidence_plots.seeds_png(d["robustness"]["seeds"]), "A dot for each seed.")
    return {name: {"source": _source(draw(document)), "caption": caption} for name, (draw, caption) in drawn.items()}


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
