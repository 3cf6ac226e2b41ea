"""What the UI shows of a version's evidence: the document, as tables and pictures.

What belongs here: arranging what the evidence document holds. What does not: any figure of its own, and the page for
people without the UI (``reports.evidence_report``).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from readmission_platform.assets.presentation import picture, plain, table
from readmission_platform.evaluation.estimates.schema import MODEL
from readmission_platform.evaluation.words import Wording


def report_metadata(document: Mapping[str, Any], report: Path) -> dict[str, Any]:
    """Return the metadata of ``validation_report``, apart from the gates."""
    from readmission_platform.reports.pictures import evidence as plots
    from readmission_platform.reports.pictures.comparisons import effects_png, groups_png

    wording = Wording.of(document)
    curves, auroc = document["curves"], document["estimates"]["auroc"]
    explanations = document["explanations"] or {"importance": [], "effects": []}
    return {
        "model version": document["version"],
        "AUROC": _with_interval(auroc),
        "source": document["source"] or "",
        "policy in force": document["policy_digest"],
        "evidence": dg.MetadataValue.path(str(report)),
        "for the approver": f"`readmission review {document['version']}` writes one page with everything an approver "
        f"needs, `readmission report {document['version']}` all of the evidence",
        "estimates": table(
            {"metric": name, **{key: figures[key] for key in ("value", "low", "high", "n")}}
            for name, figures in sorted(document["estimates"].items())
        ),
        "baselines": table({"score": entry["name"], **entry["auroc"]} for entry in document["baselines"]),
        "comparisons": table(
            {"AUROC of": pair["first"], "minus that of": pair["second"], **pair["difference"]}
            for pair in document["comparisons"]
            if MODEL in (pair["first"], pair["second"])
        ),
        "ROC curve": picture(plots.roc_png(curves, wording), "Sensitivity against false alarms"),
        "precision and recall": picture(plots.precision_recall_png(curves, wording), "Precision against recall"),
        "calibration": picture(plots.calibration_png(curves, wording), "Observed against predicted risk"),
        "decision curve": picture(plots.decision_curve_png(curves, wording), "Net benefit by threshold"),
        "subgroups": picture(groups_png(document["groups"], wording), "Observed over expected and AUROC by subgroup"),
        "effects": picture(effects_png(explanations["effects"]), "What the model does with an input"),
    }


def study_metadata(document: Mapping[str, Any], report: Path) -> dict[str, Any]:
    """Return the metadata of ``robustness_study``."""
    from readmission_platform.reports.pictures.comparisons import seeds_png

    found = document["robustness"]
    seeds, reasons = found["seeds"], found["reasons"]
    return {
        "model version": document["version"],
        "evidence": dg.MetadataValue.path(str(report)),
        "seeds that pass the candidate gates": f"{seeds['gates']['passed']} of {seeds['gates']['of']}",
        "figures over seeds": table(
            {"figure": row["name"], **{name: row[name] for name in ("mean", "sd", "low", "high")}}
            for row in seeds["figures"]
        ),
        "likeness between seeds": table(
            {"what": name.replace("_", " "), **seeds[name]}
            for name in ("rank_correlation", "flagged_overlap", "importance_rank_correlation")
        ),
        "reasons shared between seeds": plain(reasons["shared"]),
        "reasons shared by chance": plain(reasons["by_chance"]),
        "cohort rules": table(
            {
                "rule": row["rule"],
                "kind": row["kind"],
                "n": row["n"],
                **{name: row["figures"][name]["value"] for name in ("auroc", "calibration_slope", "observed_expected")},
            }
            for row in found["cohort_rules"]
        ),
        "seeds": picture(seeds_png(seeds, Wording.of(document)), "The same recipe with other seeds"),
    }


def _with_interval(estimate: Mapping[str, Any]) -> str:
    if None in (estimate["value"], estimate["low"], estimate["high"]):
        return "not defined"
    n = "hidden" if estimate["n"] is None else f"{estimate['n']:,}"
    return f"{estimate['value']:z.4f} ({estimate['low']:z.4f} to {estimate['high']:z.4f}), n = {n}"
