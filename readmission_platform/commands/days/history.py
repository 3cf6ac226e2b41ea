"""Commands that look back: ``timeline`` (what was live when) and ``trace`` (what one prediction rests on)."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from readmission_platform import tables
from readmission_platform.commands.terminal import Json, check_reader, out, print_json, workspace
from readmission_platform.foundation.errors import BadInput, Unavailable
from readmission_platform.reports.trace import (
    answered,
    answered_from,
    corrected,
    listed_as,
    minute,
    read_from,
    rests_on,
    risk_of,
    scored_again,
    short,
)

if TYPE_CHECKING:
    from readmission_platform.governance.ledger.timeline import Period
    from readmission_platform.lifecycle.workspace import Workspace


def timeline(as_json: Json = False) -> None:
    """Show which version was in which stage, from when to when, by whom, approved by whom, on which evidence."""
    from readmission_platform.governance.ledger.timeline import timeline as periods_of

    current = workspace()
    with current.ledger() as ledger:
        periods = periods_of(ledger.events())
    if as_json:
        print_json([period.to_json() for period in periods])
        return
    if not periods:
        out.print("no version has been in a stage yet")
        return
    rows = ((period.version, period.stage, minute(period.since), minute(period.until), _grounds(period))
            for period in periods)  # fmt: skip
    out.print(tables.make_table(("version", "stage", "from (UTC)", "to", "how"), rows))


def _grounds(period: "Period") -> str:
    said = [f"{period.how} by {period.by}", f"evidence {short(period.evidence_digest)}"]
    if period.approved_by:
        said.insert(1, f"approved by {', '.join(period.approved_by)}")
    said += [f"drift accepted: {each}" for each in period.drift_accepted]
    if period.reason:
        said.append(f"reason: {period.reason}")
    return escape("\n".join(said))


def trace(
    row: Annotated[int, typer.Argument(metavar="ROW", help="The row's number.")],
    day: Annotated[str | None, typer.Option("--date", help="Its day, YYYY-MM-DD; default: every day.")] = None,
    replay: Annotated[bool, typer.Option("--replay", help="Score it again from the inputs read at the time.")] = False,
    page: Annotated[bool, typer.Option("--page", help="Write it as a page, and print where that is.")] = False,
    show: Annotated[bool, typer.Option("--open", help="Write the page, and open it in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Trace a prediction back to version, training run, data, code, gates, approvals; score it again on request."""
    from readmission_platform.lifecycle.days import tracing
    from readmission_platform.lifecycle.days.served_answers import answered_again
    from readmission_platform.lifecycle.versions.verification import VerificationFailed

    if day is not None:
        _check_date(day)
    current = workspace()
    check_reader(current)
    with current.ledger() as ledger:
        found = tracing.trace(row, day=day, ledger=ledger, lake=current.lake)
        every = [*found["predictions"], *found["replaced"]]
        again = [tracing.rescored(each, row, ledger=ledger, workspace=current) for each in every] if replay else []
        answers = [answered_again(each, row, ledger=ledger, workspace=current) for each in found["answers"] if replay]
    written = _page(found, again, answers, row, current) if page or show else None
    if as_json:
        replays = {"replays": again, "answers_again": answers} if replay else {}
        print_json(found | replays | ({"page": str(written)} if written else {}))
    elif written:
        out.print(str(written), markup=False, soft_wrap=True)
    else:
        _show(found, answers, current)
        _show_replays(again)
    if show and written:
        typer.launch(written.absolute().as_uri())
    differing = [each for each in again if not (each["identical"] and each["inputs_as_recorded"])]
    if differing:
        days = ", ".join(f"{each['date']} ({each['kind']})" for each in differing)
        raise VerificationFailed(f"scored again, this {current.contract.words.row} does not get the recorded risk from "
                                 f"the recorded inputs: {days}")  # fmt: skip


def _page(
    found: Mapping[str, Any], again: list[dict[str, Any]], answers: list[dict[str, Any]], row: int, current: "Workspace"
) -> Path:
    from readmission_platform.lifecycle.monitoring.figure_sources import dates_are_simulated
    from readmission_platform.lifecycle.pages import write_trace
    from readmission_platform.reports.trace import Trace

    names = current.contract.names
    traced = Trace(
        current.name, row, current.contract.words, names.delivered, names.cohort, found, again, answers,
        simulated=dates_are_simulated(current), example=current.entry.example,
        traced_at=datetime.now(UTC).isoformat(),
    )  # fmt: skip
    try:
        return write_trace(current.settings, traced)
    except OSError as error:
        raise Unavailable(f"the page cannot be written ({error.strerror})") from error


def _check_date(day: str) -> None:
    try:
        date.fromisoformat(day)
    except ValueError as error:
        raise BadInput("--date is not a date of the form YYYY-MM-DD") from error


def _show(found: Mapping[str, Any], answers: list[dict[str, Any]], current: "Workspace") -> None:
    _show_predictions(found["predictions"], current)
    if found["replaced"]:
        out.print("\nshown before, until the day was scored again:")
        _show_predictions(found["replaced"], current)
    _show_answers(found["answers"], answers, current)
    for each in found["corrections"]:
        out.print(escape(corrected(each)), soft_wrap=True)
    for version, record in found["versions"].items():
        out.print(f"\n[bold]version {version}[/], {record['state']}, trained on {record['source']} data")
        grounds = [(name, escape(value)) for name, value in rests_on(version, found)]
        out.print(tables.make_table(("it rests on", ""), grounds))


def _show_predictions(predictions: list[dict[str, Any]], current: "Workspace") -> None:
    names = current.contract.names
    for each in predictions:
        out.print(f"[bold]{each['date']}[/], version {each['model_version']}: {risk_of(each)}, {listed_as(each)}")
        if each["contributions"]:
            out.print(f"  log odds: {_made_of(each['contributions'])}", soft_wrap=True)
        out.print(f"  scored at {each['scored_at']} in Dagster run {each['run_id']}", soft_wrap=True)
        out.print(f"  from {read_from(each, delivered=names.delivered, cohort=names.cohort)}", soft_wrap=True)
        for code in each["translated"]:
            out.print(f"  {code['column']} came as {code['system']} and was translated {code['said']}", soft_wrap=True)


def _show_answers(answers: list[dict[str, Any]], again: list[dict[str, Any]], current: "Workspace") -> None:
    names = current.contract.names
    if answers:
        out.print("\nanswered by the service:")
    for place, each in enumerate(answers):
        out.print(escape(answered(each)), soft_wrap=True)
        if each["reasons"]:
            out.print(escape(f"  {each['reasons']}"), soft_wrap=True)
        read = answered_from(each, delivered=names.delivered, cohort=names.cohort)
        repeated = f"; {scored_again(again[place])}" if again else ""
        out.print(f"  from {read}{repeated}", soft_wrap=True)


def _made_of(contributions: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{part['feature']} {part['log_odds']:+z.2f}" for part in contributions["parts"])
    return f"{contributions['baseline']:+z.2f} to begin with, {parts}, all others {contributions['other']:+z.2f}"


def _show_replays(again: list[dict[str, Any]]) -> None:
    for each in again:
        by = "" if each["difference"] is None else f" by {each['difference']:.3g}"
        same = "[green]identical[/]" if each["identical"] else f"[red]different{by}[/]"
        inputs = "" if each["inputs_as_recorded"] else "; [red]the inputs are not those recorded[/]"
        out.print(
            f"{each['date']} ({each['kind']}), version {each['model_version']}: recorded {each['recorded']!r}, "
            f"scored again {each['replayed']!r}: {same}{inputs}",
            soft_wrap=True,
        )
