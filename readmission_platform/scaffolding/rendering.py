"""Writing the package of a new model, and writing it again when its template has changed (copier).

What belongs here: what a template is told, and running copier. What does not: looking at the table, and limits.

A template is told everything in one answer, ``model``. It lives in ``readmission_platform/templates/table``, or in a
repository of its own with the same questions (``copier.yml``); an update merges what has changed in it, since the
commit that a model was made from, with what was changed by hand. So both have to be committed: what is not in a commit
does not count.
"""

import hashlib
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from readmission_platform.config.models import DEFS_FILE
from readmission_platform.foundation.errors import BadInput, Conflict
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.models.contract import ModelContract, SourceRequest
from readmission_platform.models.tabular.estimator import BOOSTING, other_types
from readmission_platform.models.tabular.source import FOLDER, MINIMUM_ROWS
from readmission_platform.scaffolding.proposal import Measured, measure, proposed_limits, thresholds
from readmission_platform.scaffolding.recipes import TEMPLATES, recipe_of
from readmission_platform.scaffolding.table import WINDOW, Looked, days_since, replay_share

PACKAGE = "readmission_platform.models"
ANSWERS = "template.yaml"
# Days in production that a replay shows after the window that no version goes live without.
_DAYS, _MOST_A_DAY = 14, 200
_GENERATED = 5_000
# What entities are called whose column has a name that nobody would say.
_PEOPLE = dict.fromkeys(("mrn", "pid", "subject_id", "patient_key", "entity"), "patient")


@dataclass(frozen=True)
class Plan:
    """What whoever makes a model decides besides the table.

    Attributes
    ----------
    template
        ``sklearn`` or ``pytorch``; or path or address of another repository with a template.
    owner, cost_center
        Who answers for the model, and who pays for its runs.
    estimator
        Path of a classifier of scikit-learn.
    maturity_days
        Days from a row's day until its outcome is known.
    made_on
        The day, as text.
    """

    name: str
    template: str
    owner: str
    cost_center: str
    estimator: str = BOOSTING
    maturity_days: int = 30
    made_on: str = ""

    @property
    def library(self) -> str:
        """What the model is fitted with: a template of your own is told what ours is told for scikit-learn."""
        return self.template if self.template in TEMPLATES else TEMPLATES[0]


@dataclass(frozen=True)
class Written:
    """The files of a new model, relative to the checkout, what one model of the table shows, and what to look at."""

    files: tuple[str, ...]
    shown: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def write_model(plan: Plan, looked: Looked, table: Path, *, checkout: Path, cache: Path) -> Written:
    """Measure one model of the table, and write the package with limits around what it shows.

    The table is copied into the cache of the home, where training looks for it. Nothing is written before everything is
    known; a file that is there already is never overwritten.

    Raises
    ------
    BadInput
        When the template cannot be rendered.
    Conflict
        When a file of the model is there already.
    """
    _check_no_target(plan.name, checkout)
    for there in (Path("readmission_platform") / "models" / plan.name, Path("configs") / "models" / plan.name):
        _check_free(there, checkout)
    told = _told(plan, looked, table)
    with tempfile.TemporaryDirectory(prefix="new-model-") as folder:
        first = Path(folder) / "first"
        _render(plan, told, first, checkout, only_code=True)
        with _importable(first / "readmission_platform" / "models", plan.name) as contract:
            found = _measured(contract, table, told, seed=int(told["seed"]))
            final = Path(folder) / "final"
            sklearn = told["library"] == "sklearn"
            types = other_types(contract.estimator, found["real"].model) if sklearn else ()
            _render(plan, {**told, **_figures(found, contract), "types": list(types)}, final, checkout)
        files = sorted(str(path.relative_to(final)) for path in final.rglob("*") if path.is_file())
        for name in files:
            _check_free(Path(name), checkout)
        kept = cache / FOLDER / str(told["kept"])
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(table, kept)
        # Last the file by which a model is found, so that one that is half written is none.
        shutil.copytree(final, checkout, dirs_exist_ok=True, ignore=shutil.ignore_patterns(DEFS_FILE))
        for name in files:
            if Path(name).name == DEFS_FILE:
                shutil.copyfile(final / name, checkout / name)
    real = found["real"]
    names = ("auroc", "average_precision_ratio", "calibration_slope", "observed_expected", "recall_at_flag")
    shown = {name: real.figures[name].said for name in names if name in real.figures}
    return Written(tuple(files), shown, tuple(_warnings(real, looked)))


def _check_no_target(name: str, checkout: Path) -> None:
    makefile = checkout / "Makefile"
    if makefile.is_file() and f"\n{name}:" in makefile.read_text(encoding="utf-8"):
        raise Conflict(f"{name} is what `make {name}` does already; choose another name")


def _check_free(there: Path, checkout: Path) -> None:
    """Refuse what is taken by more than what Python leaves behind of a package that was removed."""
    path = checkout / there
    if path.is_file() or any(each.is_file() and each.suffix != ".pyc" for each in path.rglob("*")):
        raise Conflict(f"{there} is there already; choose another name, or remove the model first")


def _warnings(real: Measured, looked: Looked) -> Iterator[str]:
    """Say which gates the model of the proposal itself would not pass, and what to do."""
    ranked = looked.baseline[0]
    if real.figures[f"auroc_gain_over_by_{ranked}"].value <= 0:
        yield (f"this model ranks no better than {ranked} alone, so its versions will be rejected: bring more rows or "
               "columns, or try a simpler one (--estimator sklearn.linear_model.LogisticRegression)")  # fmt: skip


def update_model(name: str, *, checkout: Path) -> tuple[str, ...]:
    """Merge what has changed in a model's template into its files; returns those that a person has to look at.

    Raises
    ------
    BadInput
        When there is no such model, something is not committed, or the template is not kept in git.
    """
    copier = importlib.import_module("copier")
    answers = Path("configs") / "models" / name / ANSWERS
    if not (checkout / answers).is_file():
        raise BadInput(f"{answers} is not there: only a model that `readmission new-model` made can be updated")
    with _quiet(), chdir(checkout):  # where its own template is
        try:
            copier.run_update(".", answers_file=str(answers), vcs_ref="HEAD", defaults=True, overwrite=True,
                              quiet=True, conflict="inline")  # fmt: skip
        except (copier.errors.UserMessageError, ValueError) as error:
            raise BadInput(f"the template could not be updated: {' '.join(str(error).split())}") from error
    ours = [f"{PACKAGE.replace('.', '/')}/{name}", f"configs/models/{name}"]
    files = [path for folder in ours for path in (checkout / folder).rglob("*") if path.is_file()]
    return tuple(str(path.relative_to(checkout)) for path in files if b"<<<<<<<" in path.read_bytes())


def _render(plan: Plan, told: Mapping[str, Any], into: Path, checkout: Path, *, only_code: bool = False) -> None:
    copier = importlib.import_module("copier")
    own = plan.template in TEMPLATES
    source = str(checkout) if own else plan.template
    data = {"name": plan.name, "template": plan.library, "model": dict(told)}
    left_out = ["configs", "readmission_platform_tests"] if only_code else []
    with _quiet():
        try:
            copier.run_copy(source, into, data=data, vcs_ref=_commit(checkout) if own else "HEAD", defaults=True,
                            overwrite=True, quiet=True, exclude=left_out)  # fmt: skip
        except (copier.errors.CopierError, copier.errors.UserMessageError, ValueError) as error:
            raise BadInput(
                f"the template {plan.template} cannot be rendered: {' '.join(str(error).split())}"
            ) from error
    answers = into / "configs" / "models" / plan.name / ANSWERS
    if own and answers.is_file():
        _without_address(answers, checkout)


def _commit(checkout: Path) -> str:
    """Return the commit that a model is made from; of HEAD copier would take changes along that are in no commit."""
    asked = ["git", "-C", str(checkout), "rev-parse", "--verify", "--quiet", "HEAD"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "HEAD"


def _without_address(answers: Path, checkout: Path) -> None:
    """Let answers say that the template is in the checkout, wherever that is."""
    told = answers.read_text(encoding="utf-8")
    answers.write_text(told.replace(f"_src_path: {checkout}\n", "_src_path: .\n"), encoding="utf-8")


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # copier warns that changes which are not committed are rendered too
        yield


@contextmanager
def _importable(folder: Path, name: str) -> Iterator[ModelContract]:
    """Import a package that lies elsewhere as one of the models, and forget it again."""
    models = importlib.import_module(PACKAGE)
    models.__path__.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module(f"{PACKAGE}.{name}").CONTRACT
    finally:
        models.__path__.remove(str(folder))
        for module in [
            each for each in sys.modules if each == f"{PACKAGE}.{name}" or each.startswith(f"{PACKAGE}.{name}.")
        ]:
            del sys.modules[module]
        importlib.invalidate_caches()


def _measured(contract: ModelContract, table: Path, told: Mapping[str, Any], *, seed: int) -> dict[str, Measured]:
    settings = told["settings"]
    share = float(told["replay_share"])
    real = contract.sources["table"].load(SourceRequest(archive=table)).frame
    made = contract.sources["synthetic"].load(SourceRequest(rows=max(_GENERATED, MINIMUM_ROWS), seed=seed)).frame
    return {"real": measure(contract, real, settings, replay_share=share, seed=seed),
            "synthetic": measure(contract, made, settings, replay_share=0.1, seed=seed)}  # fmt: skip


def _told(plan: Plan, looked: Looked, table: Path) -> dict[str, Any]:
    """Return what the template is told of the table."""
    share = replay_share(looked.rows)
    replayed, kept = int(looked.rows * share), looked.rows - int(looked.rows * share)
    entity = _PEOPLE.get(looked.entity.lower(), looked.entity.removesuffix("_id").replace("_", " "))
    event = looked.target.replace("_", " ")
    recipe = recipe_of(plan.library, plan.estimator, looked, rows=kept)
    ranked, sign = looked.baseline
    made_of = {days_since(name): name for name in looked.dates}
    nullable = {made_of.get(name, name) for name in looked.missing}
    low, middle, high = (round(min(times * looked.prevalence, 0.9), 2) for times in (1, 1.5, 2.5))
    return {
        **recipe.to_json(),
        "title": plan.name.replace("_", " ").capitalize(),
        "title_inline": plan.name.replace("_", " "),
        "purpose": f"The probability of {event}, for each row at its time.",
        "source_words": f"the table {table.name}",
        "outcome_said": f"{event.capitalize()}, yes or no, as the column {looked.target} of the table has it.",
        "made_on": plan.made_on,
        "owner": plan.owner,
        "cost_center": plan.cost_center,
        "row": looked.row,
        "entity": looked.entity,
        "time": looked.time,
        "target": looked.target,
        "day": next(name for name in ("day", "delivery_day", "scored_day") if name not in _columns(looked)),
        "digest": f"sha256:{hashlib.sha256(table.read_bytes()).hexdigest()}",
        "kept": f"{plan.name}{table.suffix or '.csv'}",
        "numbered": looked.numbered,
        "entity_is_number": looked.entity_is_number,
        "time_is_number": looked.time_is_number,
        "events": [_literal(text) for text in looked.events],
        "whole_numbers": {name: list(limits) for name, limits in looked.whole_numbers.items()},
        "numbers": {name: list(limits) for name, limits in looked.numbers.items()},
        "texts": {name: [_literal(text) for text in texts] for name, texts in looked.texts.items()},
        "open_texts": list(looked.open_texts),
        "dates": list(looked.dates),
        "patterns": bool(looked.dates) or not looked.time_is_number,
        "dated": _dated(looked),
        "left_out": dict(looked.left_out),
        "nullable": sorted(nullable),
        "raw_inputs": [*looked.whole_numbers, *looked.numbers, *looked.texts, *looked.dates],
        "inputs": [*looked.number_inputs, *looked.texts],
        "groups": [{"column": each.column, "name": f"{each.column}_group", "gate": each.column,
                    "words": each.column.replace("_", " "), "cuts": list(each.cuts)} for each in looked.groups],
        "baseline": {"name": f"by_{ranked}", "column": ranked, "sign": sign, "words": ranked.replace("_", " ")},
        "information": [{"name": name, "words": name.replace("_", " "), "inputs": [name]} for name in looked.telling],
        "words": {"row": "row", "rows": "rows", "entity": entity, "entities": f"{entity}s", "event": event,
                  "events": f"rows with {event}", "positive": f"with {event}", "delivery": "rows"},
        "maturity_days": plan.maturity_days,
        "prevalence": round(looked.prevalence, 3),
        "prevalence_range": [round(0.6 * looked.prevalence, 3), round(min(1.5 * looked.prevalence, 0.95), 3)],
        "rows_said": f"{looked.rows:,}",
        "rows_least": kept // 2,
        "rows_most": 10 * looked.rows,
        "min_rows": kept // 2,
        "replay_share": share,
        "daily_rows": max(1, min((replayed - WINDOW) // (_DAYS + 1), _MOST_A_DAY)),
        "thresholds": list(thresholds(looked.prevalence)),
        "bands": [low, middle, high] if low < middle < high else [0.2, 0.4, 0.6],
        "max_mean_difference": round(max(0.02, 0.2 * looked.prevalence), 3),
        "max_missing": {name: round(min(value + max(0.05, value / 2), 1.0), 2) for name, value in looked.missing.items()
                        if name not in made_of},
        "seed": 20_240_101,
    }  # fmt: skip


def _literal(text: str) -> str:
    """Return a text as Python and its formatter write it."""
    if '"' in text and "'" not in text:
        escaped = text.replace("\\", "\\\\")
        return f"'{escaped}'"
    return json.dumps(text, ensure_ascii=False)


def _dated(looked: Looked) -> str:
    """Return the columns of dates as the feed names them."""
    time = [] if looked.time_is_number else ["TIME"]
    return f"({', '.join([*time, '*DATES'])})" if looked.dates and time else "DATES" if looked.dates else "(TIME,)"


def _columns(looked: Looked) -> set[str]:
    keys = {looked.row, looked.entity, looked.time, looked.target}
    return keys | {*looked.whole_numbers, *looked.numbers, *looked.texts, *looked.dates}


def _figures(found: Mapping[str, Measured], contract: ModelContract) -> dict[str, Any]:
    """Return limits and why, around what was measured."""
    real = found["real"]
    limits = {name: proposed_limits(each, contract) for name, each in found.items()}
    metric = {gate: metric for _stage, gate, metric in required_gates(contract.evidence)}
    shown = {gate: real.figures[name].said for gate, name in metric.items() if name in real.figures}
    live = {name: real.figures[name].below(4, least=0.0) for name in ("auroc", "brier_skill", "recall_at_flag",
                                                                       "ppv_at_flag")}  # fmt: skip
    return {
        "limits": limits,
        "why": {gate: f"Proposed: one model of the table shows {shown[gate]}." if gate in shown
                else "Proposed: as for the other models of this platform." for gate in limits["real"]},
        "live": live,
        "min_positives": max(20, min(200, real.positives // 2)),
        "few_positives": max(10, min(100, real.positives // 8)),
    }  # fmt: skip
