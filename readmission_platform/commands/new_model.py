"""The command ``new-model``: from a table to the package of a governed model."""

from datetime import UTC, datetime
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from readmission_platform.commands.terminal import Json, home, out, print_json
from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.config.models import ModelAttributes, is_model_name
from readmission_platform.foundation.errors import BadInput

_Table = Annotated[Path | None, typer.Option("--from", help="The table: CSV with a header, or Parquet.")]
_Several = "Give the option again for each."


def new_model(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and underscores.")],
    template: Annotated[
        str, typer.Option(help="sklearn, pytorch, or path or address of a repository with a template of your own.")
    ] = "sklearn",
    table: _Table = None,
    target: Annotated[str | None, typer.Option(help="Column with the outcome, a yes or no.")] = None,
    entity: Annotated[str | None, typer.Option(help="Column that says whose row it is.")] = None,
    time: Annotated[str | None, typer.Option(help="Column that says when: dates, or whole numbers.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it: team:name, or an e-mail address.")] = None,
    cost_center: Annotated[str | None, typer.Option(help="Who pays for its runs.")] = None,
    row: Annotated[str | None, typer.Option(help="Column with the number of the row; default: looked for.")] = None,
    event: Annotated[str | None, typer.Option(help="Text of the outcome that counts as the event.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help=f"Column to leave out. {_Several}")] = None,
    groups: Annotated[
        list[str] | None, typer.Option(help=f"Column whose groups fairness is judged for. {_Several}")
    ] = None,
    estimator: Annotated[
        str, typer.Option(help="Any classifier of scikit-learn that gives probabilities.")
    ] = "sklearn.ensemble.HistGradientBoostingClassifier",
    maturity_days: Annotated[int, typer.Option(min=1, help="Days until an outcome is known.")] = 30,
    update: Annotated[bool, typer.Option("--update", help="Merge what has changed in the template instead.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look at the table and write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make a governed model from a table: package, configuration with proposed limits, and tests.

    What is not given is asked for, at a terminal. `readmission run --model NAME` takes it through its life.
    """
    if not is_model_name(name) or iskeyword(name):
        raise BadInput(f"{name}: a model's name has lower-case letters, digits and underscores, no word of Python")
    if update:
        _update(name, as_json=as_json)
        return
    asking = not as_json and out.is_terminal
    source = Path(_given("--from", str(table) if table else None, "Table", asking))
    from readmission_platform.models.tabular.source import read_table
    from readmission_platform.scaffolding.rendering import Plan, write_model
    from readmission_platform.scaffolding.table import Asked, look

    frame = read_table(source)
    columns = ", ".join(map(str, frame.columns))
    asked = Asked(
        target=_given("--target", target, f"Outcome, one of {columns}", asking),
        entity=_given("--entity", entity, "Whose row it is", asking),
        time=_given("--time", time, "When", asking),
        row=row, event=event, drop=tuple(drop or ()), groups=tuple(groups or ()),
    )  # fmt: skip
    looked = look(frame, asked)
    if dry_run:
        _show(name, looked, None, as_json=as_json)
        return
    attributes = _attributes(
        name,
        _given("--owner", owner, "Owner, team:name or an e-mail address", asking),
        _given("--cost-center", cost_center, "Cost center", asking),
    )
    plan = Plan(
        name, template, attributes.owner, attributes.cost_center, estimator=estimator, maturity_days=maturity_days,
        made_on=datetime.now(UTC).date().isoformat(),
    )  # fmt: skip
    current = home(make=True)
    written = write_model(plan, looked, source, checkout=PROJECT_ROOT, cache=current.home / "cache")
    _show(name, looked, written, as_json=as_json)


def _attributes(name: str, owner: str, cost_center: str) -> ModelAttributes:
    """Return what ``defs.yaml`` will say; raises ``BadInput`` for what Dagster does not take."""
    contract = f"readmission_platform.models.{name}"
    try:
        return ModelAttributes(contract=contract, prefix=name, owner=owner, cost_center=cost_center)
    except ValidationError as error:
        (field, *_), *_ = (each["loc"] for each in error.errors())
        said = {"owner": "--owner: give an e-mail address, or team: and a name of letters, digits, - and _",
                "cost_center": "--cost-center: has letters, digits, points, - and _ only, 63 at most"}  # fmt: skip
        raise BadInput(said.get(str(field), f"{field} cannot be used")) from error


def _given(option: str, value: str | None, words: str, asking: bool) -> str:
    if value:
        return value
    if not asking:
        raise BadInput(f"{option} is needed: {words[:1].lower() + words[1:]}")
    return str(typer.prompt(words))


def _update(name: str, *, as_json: bool) -> None:
    from readmission_platform.scaffolding.rendering import update_model

    conflicts = update_model(name, checkout=PROJECT_ROOT)
    if as_json:
        print_json({"model": name, "conflicts": list(conflicts)})
    else:
        out.print(f"{name}: what has changed in the template was merged; look at it with `git diff`.", markup=False)
        for file in conflicts:
            out.print(f"  both changed the same lines of {file}", markup=False, soft_wrap=True)
    if conflicts:
        raise typer.Exit(4)


def _show(name: str, looked: Any, written: Any, *, as_json: bool) -> None:
    from readmission_platform.evaluation.disclosure import shown_share

    inputs = [*looked.number_inputs, *looked.texts]
    found = {
        "model": name,
        "rows": looked.rows,
        "share_with_event": shown_share(looked.prevalence, looked.rows),
        "event": list(looked.events),
        "row": looked.row,
        "inputs": inputs,
        "left_out": looked.left_out,
        "groups": [each.column for each in looked.groups],
        "to_beat": looked.baseline[0],
        "warnings": [*looked.warnings, *(written.warnings if written else ())],
        "files": list(written.files) if written else [],
        "shown_by_one_model": dict(written.shown) if written else {},
    }
    if as_json:
        print_json(found)
        return
    out.print(f"the event: {looked.target} is {' or '.join(looked.events)}, {found['share_with_event']} of the rows",
              markup=False, soft_wrap=True)  # fmt: skip
    out.print(f"{looked.rows:,} rows; {len(inputs)} inputs: {', '.join(inputs)}", markup=False, soft_wrap=True)
    for column, why in looked.left_out.items():
        out.print(f"left out: {column} {why}", markup=False, soft_wrap=True)
    out.print(f"fairness by {', '.join(found['groups'])}; to beat: {looked.baseline[0]} alone", markup=False)
    for warning in found["warnings"]:
        out.print(f"look at this: {warning}", markup=False, soft_wrap=True)
    if written is None:
        out.print("Nothing was written.")
        return
    for file in written.files:
        out.print(f"  {file}", markup=False, soft_wrap=True)
    shown = "; ".join(f"{metric.replace('_', ' ')} {said}" for metric, said in written.shown.items())
    out.print(f"One model of the table: {shown}", markup=False, soft_wrap=True)
    out.print(f"Limits in configs/models/{name}/gates.yaml are proposals around it: read them.\n"
              f"Next: `readmission run --model {name}`", markup=False, soft_wrap=True)  # fmt: skip
