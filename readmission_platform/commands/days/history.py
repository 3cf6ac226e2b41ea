"""Commands that look back: ``timeline`` (what was live when) and ``trace`` (what one prediction rests on)."""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from readmission_platform import tables
from readmission_platform.commands.terminal import Json, check_reader, out, print_json, workspace
from readmission_platform.foundation.counting import percent
from readmission_platform.foundation.errors import BadInput

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
    rows = ((period.version, period.stage, _minute(period.since), _minute(period.until), _grounds(period))
            for period in periods)  # fmt: skip
    out.print(tables.make_table(("version", "stage", "from (UTC)", "to", "how"), rows))


def _minute(moment: str | None) -> str:
    return moment[:16].replace("T", " ") if moment else "now"


def _grounds(period: "Period") -> str:
    said = [f"{period.how} by {period.by}", f"evidence {_short(period.evidence_digest)}"]
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
    as_json: Json = False,
) -> None:
    """Trace a prediction back to version, training run, data, code, gates, approvals; score it again on request."""
    from readmission_platform.lifecycle.days import tracing
    from readmission_platform.lifecycle.versions.verification import VerificationFailed

    if day is not None:
        _check_date(day)
    current = workspace()
    check_reader(current)
    with current.ledger() as ledger:
        found = tracing.trace(row, day=day, ledger=ledger, lake=current.lake)
        every = [*found["predictions"], *found["replaced"]]
        again = [tracing.rescored(each, row, ledger=ledger, workspace=current) for each in every] if replay else []
    if as_json:
        print_json(found | ({"replays": again} if replay else {}))
    else:
        _show(found, current)
        _show_replays(again)
    differing = [each for each in again if not (each["identical"] and each["inputs_as_recorded"])]
    if differing:
        days = ", ".join(f"{each['date']} ({each['kind']})" for each in differing)
        raise VerificationFailed(f"scored again, this {current.contract.words.row} does not get the recorded risk from "
                                 f"the recorded inputs: {days}")  # fmt: skip


def _check_date(day: str) -> None:
    try:
        date.fromisoformat(day)
    except ValueError as error:
        raise BadInput("--date is not a date of the form YYYY-MM-DD") from error


def _show(found: Mapping[str, Any], current: "Workspace") -> None:
    _show_predictions(found["predictions"], current)
    if found["replaced"]:
        out.print("\nshown before, until the day was scored again:")
        _show_predictions(found["replaced"], current)
    for each in found["corrections"]:
        out.print(
            f"{each['date']}: {escape(each['newer_file'])} corrected {each['differing_columns']} of "
            f"{escape(each['older_file'])}",
            soft_wrap=True,
        )
    for version, record in found["versions"].items():
        out.print(f"\n[bold]version {version}[/], {record['state']}, trained on {record['source']} data")
        out.print(tables.make_table(("it rests on", ""), _rests_on(version, found, record)))


def _show_predictions(predictions: list[dict[str, Any]], current: "Workspace") -> None:
    names = current.contract.names
    for each in predictions:
        listed = "to be followed up" if each["flagged"] else "not to be followed up"
        if each["status"] == "withheld":
            listed = "to be assessed without a risk"
        if each["kind"] == "shadow":
            listed = "in shadow mode: seen by nobody"
        if "replaced_at" in each:
            listed += f", until {_minute(each['replaced_at'])}"
        out.print(f"[bold]{each['date']}[/], version {each['model_version']}: {_said(each)}, {listed}")
        if each["contributions"]:
            out.print(f"  log odds: {_made_of(each['contributions'])}", soft_wrap=True)
        out.print(f"  scored at {each['scored_at']} in Dagster run {each['run_id']}", soft_wrap=True)
        outcomes = "none" if each["outcomes_version"] is None else f"version {each['outcomes_version']}"
        out.print(
            f"  from {names.delivered} version {each['delivered_version']} ({_short(each['delivered_digest'])}), "
            f"{names.cohort} version {each['cohort_version']}, outcomes: {outcomes}",
            soft_wrap=True,
        )
        for code in each["translated"]:
            out.print(f"  {code['column']} came as {code['system']} and was translated {code['said']}", soft_wrap=True)


def _said(prediction: Mapping[str, Any]) -> str:
    if prediction["risk"] is None:
        return f"not scored ({prediction['withheld_because']})"
    return f"risk {percent(prediction['risk'], 1)} ({prediction['band'].replace('_', ' ')}), rank {prediction['rank']}"


def _made_of(contributions: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{part['feature']} {part['log_odds']:+z.2f}" for part in contributions["parts"])
    return f"{contributions['baseline']:+z.2f} to begin with, {parts}, all others {contributions['other']:+z.2f}"


def _rests_on(version: str, found: Mapping[str, Any], record: Mapping[str, Any]) -> list[tuple[str, str]]:
    training, data = record["training"], record["data"]
    entries = [each["put_into_stage_by"] for each in [*found["predictions"], *found["replaced"]]
               if each["model_version"] == version and each["put_into_stage_by"]]  # fmt: skip
    moves = {entry["event"]: f"event {entry['event']}, {entry['kind'].replace('_', ' ')} by {entry['by']} at "
             f"{entry['at'][:19]}: {entry['reason']}" for entry in entries}  # fmt: skip
    approvals = [f"event {each['event']}, {each['by']} as {each['role']}: {each['reason']}"
                 for each in record["approvals"]]  # fmt: skip
    rows = [
        ("trained by", f"{training['by']} at {training['at'][:19]}, seed {training['seed']}"),
        ("training runs", f"Dagster {training['dagster_run']}, MLflow {training['mlflow_run']}"),
        ("data", f"{data.get('table')} version {data.get('table_version')}, {data.get('digest')}"),
        ("code", record["code_version"] or "-"),
        ("artifact", record["artifact_digest"] or "-"),
        ("evidence", record["evidence"].get("digest") or "-"),
        ("judged", f"{record['verdict']} under policy {record['policy_digest'] or 'none'}"),
        ("gates", _gates(version, record["gates"])),
        ("put into its stage by", "\n".join(moves.values()) or "-"),
        ("approvals", "\n".join(approvals) or "none"),
    ]
    return [(name, escape(value)) for name, value in rows]


def _gates(version: str, gates: list[dict[str, Any]]) -> str:
    named = ((result, [gate["gate"] for gate in gates if gate["result"] == result])
             for result in ("fail", "insufficient"))  # fmt: skip
    passed = sum(gate["result"] == "pass" for gate in gates)
    others = [f"{len(names)} {result} ({', '.join(names)})" for result, names in named if names]
    return ", ".join([f"{passed} pass", *others]) + f"; `readmission gates {version}`"


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


def _short(digest: str | None) -> str:
    return digest.removeprefix("sha256:")[:12] if digest else "-"
