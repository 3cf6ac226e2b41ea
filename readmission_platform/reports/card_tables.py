"""The tables of the model card, from the evidence document of a version.

What belongs here: choosing rows and writing their figures as people read them; every figure comes out of the document.
What does not: texts, crosswalks and how the card looks (``model_card``).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from readmission_platform.evaluation.estimates.schema import MODEL
from readmission_platform.evaluation.words import Wording
from readmission_platform.foundation.counting import percent
from readmission_platform.reports.review import NOTHING, count, figure, interval, marked, signed

Document = Mapping[str, Any]
Row = Sequence[str]

_QUALITY = (
    *("auroc", "auroc_test", "average_precision", "average_precision_ratio", "brier_skill", "calibration_slope"),
    *("calibration_intercept", "observed_expected", "ece", "recall_at_flag", "ppv_at_flag", "recall_at_wide_flag"),
    *("latest_auroc", "latest_observed_expected"),
)
_NET_BENEFIT = "net_benefit_at_"


@dataclass(frozen=True)
class Table:
    """A table of the card; ``path`` is the part of the document it is made from.

    Title, headers and note name fields of ``Words`` in braces.
    """

    name: str
    title: str
    path: str
    headers: tuple[str, ...]
    rows: Callable[[Document, Wording], Iterable[Row]]
    note: str = ""


def _release(document: Document, wording: Wording) -> Iterator[Row]:
    provenance = document["provenance"]
    yield "model", document["model"]
    yield "version", document["version"]
    yield "data", document["source"] or NOTHING
    yield "trained", f"{(provenance['trained_at'] or NOTHING)[:16].replace('T', ' ')} UTC"
    made = provenance["recalibrated"]
    if made:
        yield "keeps the model of", (f"version {made['of_version']}, its log odds times {figure(made['slope'])} plus "
                                     f"{figure(made['intercept'])}, by the latest {count(made['rows'])} "
                                     f"{wording.words.rows} whose outcome is known")  # fmt: skip
    yield "verdict of the gates", {"pass": "accepted", "fail": "rejected"}.get(document["verdict"], "not judged yet")


def _counts(document: Document, wording: Wording) -> Iterator[Row]:
    words = wording.words
    yield f"{words.rows} judged", count(document["n"])
    yield f"of these, {words.positive}", count(document["positives"])
    yield words.entities, count(document["entities"])
    yield f"share {words.positive}", figure(document["prevalence"])


def _cohort(document: Document, wording: Wording) -> Iterator[Row]:
    for step in (document["cohort"] or {}).get("flow") or ():
        yield step["step"], count(step["rows"])


def _missing(document: Document, wording: Wording) -> Iterator[Row]:
    shares = (document["cohort"] or {}).get("missing") or {}
    for column, share in sorted(shares.items(), key=lambda each: (-(each[1] or 0), each[0])):
        yield column, "hidden" if share is None else percent(share, 1)


def _recipe(document: Document, wording: Wording) -> Iterator[Row]:
    recipe = document["provenance"].get("recipe") or {}
    for name, value in flat_settings(recipe.get("settings") or {}):
        yield name, f"{value}"
    if recipe:
        yield "algorithm", recipe["algorithm"]
        yield "folds", f"{recipe['folds']}"
        yield "seed", f"{document['provenance']['seed']}"


def _quality(document: Document, wording: Wording) -> Iterator[Row]:
    estimates = document["estimates"]
    attributes = wording.schema.attributes if wording.schema else ()
    fairness = [f"equalised_odds_{attribute.name}" for attribute in attributes]
    benefits = sorted(name for name in estimates if name.startswith(_NET_BENEFIT))
    drawn_on = [f"risks_moved_by_{source.name}" for source in wording.schema.information] if wording.schema else []
    for name in [*_QUALITY, *fairness, *drawn_on, "permuted_labels_auroc", *benefits]:
        if name in estimates:
            shown = estimates[name]
            yield wording.label(name), marked(shown), _people(shown.get("n")), _people(shown.get("positives"))


def _baselines(document: Document, wording: Wording) -> Iterator[Row]:
    yield wording.score(MODEL), interval(document["estimates"]["auroc"])
    for each in document["baselines"]:
        yield wording.score(each["name"]), interval(each["auroc"])


def _comparisons(document: Document, wording: Wording) -> Iterator[Row]:
    for each in document["comparisons"]:
        first, second = (wording.score(each[side]) for side in ("first", "second"))
        yield first, second, signed(each["difference"])


def _groups(document: Document, wording: Wording) -> Iterator[Row]:
    for attribute, members in document["groups"].items():
        for name, group in members.items():
            named = wording.group(attribute, name)
            why = group.get("reason", "") if group.get("result") == "insufficient" else ""
            verdict = f"insufficient: {why}" if why else group.get("result", "")
            if group.get("suppressed"):
                yield named, "hidden", "hidden", NOTHING, NOTHING, NOTHING, verdict
            else:
                figures = (interval(group[measure]) for measure in ("auroc", "observed_expected", "tpr"))
                yield named, _people(group["n"]), _people(group["positives"]), *figures, verdict


def _importance(document: Document, wording: Wording) -> Iterator[Row]:
    for each in ((document["explanations"] or {}).get("importance") or ())[:15]:
        yield each["feature"], interval({"value": each["loss"], "low": each["low"], "high": each["high"]})


def _gates(document: Document, wording: Wording) -> Iterator[Row]:
    for gate in sorted(document["gates"], key=lambda each: (not each["blocks"], each["result"] == "pass")):
        observed = marked({"value": gate["observed"], "low": gate["low"], "high": gate["high"]})
        additional = " (additional)" if gate.get("additional") else ""
        yield f"{gate['gate']}{additional}", gate["result"], observed, gate["limit"], gate["rule"]


def _seeds(document: Document, wording: Wording) -> Iterator[Row]:
    seeds = (document["robustness"] or {}).get("seeds") or {}
    for each in seeds.get("figures") or ():
        spread = f"{figure(each['mean'])} ({figure(each['low'])} to {figure(each['high'])})"
        yield wording.label(each["name"]), spread, figure(each["sd"], 4)


def _rules(document: Document, wording: Wording) -> Iterator[Row]:
    for each in (document["robustness"] or {}).get("cohort_rules") or ():
        figures = (interval(each["figures"].get(name)) for name in ("auroc", "observed_expected"))
        yield each["rule"], each["kind"], _people(each["n"]), *figures


def _provenance(document: Document, wording: Wording) -> Iterator[Row]:
    provenance = document["provenance"]
    for name in ("trained_by", "run_id", "code_version", "artifact_digest", "evidence_digest"):
        yield name.replace("_", " "), provenance.get(name) or NOTHING
    for name in ("data", "split"):
        part = provenance.get(name) or {}
        yield name, f"{part.get('table') or NOTHING} version {part.get('table_version')}, {part.get('digest')}"
    yield "policy", document["policy_digest"] or NOTHING
    recipe = provenance.get("recipe") or {}
    yield "inputs", ", ".join(recipe.get("inputs") or ()) or NOTHING
    yield "features", ", ".join(recipe.get("features") or ()) or NOTHING


_TABLES = (
    Table("release", "This version", "version", ("what", "is"), _release),
    Table("counts", "{rows} behind the figures", "n", ("what", "how many"), _counts),
    Table("cohort", "From the source to the study", "cohort/flow", ("step", "{rows}"), _cohort),
    Table("missing", "Missing values by input", "cohort/missing", ("input", "missing"), _missing),
    Table("recipe", "Recipe", "provenance/recipe", ("setting", "value"), _recipe),
    Table("quality", "Figures", "estimates", ("figure", "estimate (95 % interval)", "n", "{events}"), _quality,
          "Out-of-fold by {entity}: each {row} is scored by a model that never saw its {entity}."),
    Table("baselines", "Compared with simpler scores", "baselines", ("score", "AUROC (95 % interval)"), _baselines),
    Table("comparisons", "Pairwise comparisons", "comparisons", ("first", "second", "AUROC, first minus second"),
          _comparisons, "If the interval contains 0, the two cannot be told apart."),
    Table("groups", "By group", "groups",
          ("group", "{rows}", "{events}", "AUROC", "observed / expected", "found at the flag", "judged"), _groups,
          "Counts of 1 to 10 people are hidden, as is anything that would reveal them."),
    Table("importance", "Importance", "explanations/importance",
          ("information", "AUROC lost when permuted (95 % interval)"), _importance,
          "What the model looks at on its test {entities}; not what causes {events}."),
    Table("seeds", "Over seeds", "robustness/seeds",
          ("figure", "mean (smallest to largest)", "standard deviation"), _seeds),
    Table("rules", "Under other cohort rules", "robustness/cohort_rules",
          ("rule", "how", "{rows}", "AUROC", "observed / expected"), _rules),
    Table("gates", "Acceptance gates", "gates", ("gate", "result", "observed", "limit", "what it requires"), _gates),
    Table("provenance", "Provenance", "provenance", ("what", "is"), _provenance),
)  # fmt: skip
TABLES = {table.name: table for table in _TABLES}


def _people(number: int | None) -> str:
    return NOTHING if number is None else count(number)


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting of a recipe, by its path with dots."""
    for key, part in settings.items():
        if isinstance(part, Mapping):
            yield from flat_settings(part, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", part
