"""What people and scripts are shown: status, gates, work lists, the summary of a run.

What belongs here: reading state into plain values, and rendering these as tables. What does not: changing anything.
Light on imports, so that asking for the status takes a moment only.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from readmission_platform.config.files import check_files
from readmission_platform.config.models import all_models
from readmission_platform.evaluation.words import Wording
from readmission_platform.foundation.counting import counted, decimal, is_count
from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.values import ConfigurationError, digest_of
from readmission_platform.governance.ledger.chain import STAGES, Event
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.adoptable import ADOPTABLE
from readmission_platform.governance.policy.adoption import everything_in_force
from readmission_platform.governance.policy.key_changes import key_history
from readmission_platform.lifecycle.proposals import PROPOSALS
from readmission_platform.lifecycle.versions.stages import pointer_problems
from readmission_platform.lifecycle.workspace import Platform, Workspace, contract_of

HEADLINES = (
    *("auroc", "auroc_test", "average_precision_ratio", "brier_skill", "calibration_slope", "observed_expected"),
    *("recall_at_flag", "ppv_at_flag"),
)
# What of a flagged row is shown besides its day and number: nothing that names the patient.
_LISTED = ("rank", "risk", "band", "flagged", "reasons", "model_version",
           "artifact_digest", "scored_at", "run_id")  # fmt: skip
_COUNTED = ("received", "accepted", "quarantined", "duplicate", "scored", "withheld")
# Of a day: one file, read once, nobody withheld.
_USUAL = {"files": 1, "files_quarantined": 0, "revision": 1, "withheld": 0}
_COLOURS = {"pass": "green", "fail": "red", "insufficient": "yellow"}


def models(platform: Platform) -> list[dict[str, Any]]:
    """Return every model of the installation: what it predicts, whose it is, whether it is in use, and what is live.

    Of a model whose files are wrong, ``error`` says what is wrong, and what they would have said is None.
    """
    known, found = all_models(platform.settings), []
    for name in known.names:
        with platform.ledger(name) as ledger:
            live = {stage: pointer.version for stage, pointer in ledger.pointers().items()}
        entry, error, title = known.entries.get(name), known.broken.get(name), None
        if entry is not None:
            try:
                title = contract_of(entry.contract).words.title
                check_files(platform.settings, name)
            except ConfigurationError as wrong:
                error = str(wrong)
        found.append({
            "model": name,
            "title": title,
            "owner": entry and entry.owner,
            "cost_center": entry and entry.cost_center,
            "example": entry and entry.example,
            "in_use": name in platform.models,
            "prefix": entry and entry.prefix,
            "stages": live,
            "error": error,
        })  # fmt: skip
    return found


def show_models(console: Console, found: Iterable[Mapping[str, Any]]) -> None:
    """Print the models for people."""
    rows = (
        (
            each["model"],
            each["title"] or "cannot be loaded",
            each["owner"] or "",
            each["cost_center"] or "",
            ("yes" if each["in_use"] else "no") + (", an example" if each["example"] else ""),
            *(each["stages"][stage] or "none" for stage in STAGES),
        )
        for each in found
    )
    console.print(make_table(("model", "predicts", "owner", "cost center", "in use", *STAGES), rows))
    for each in found:
        if each["error"]:
            console.print(f"{each['model']}: {each['error']}", markup=False, soft_wrap=True)


def status(workspace: Workspace) -> dict[str, Any]:
    """Return environment, model, what is in each stage, and every version with its state (stable keys)."""
    settings, name = workspace.settings, workspace.name
    with workspace.ledger() as ledger:
        events, pointers = ledger.snapshot()
        installation = ledger.binding.installation
    records, problems = version_records(events, pointers), pointer_problems(events, pointers)
    in_force = everything_in_force(events)
    return {
        "environment": settings.environment,
        "installation": installation,
        "model": name,
        "example": workspace.entry.example,
        "home": str(settings.home),
        "stages": {
            stage: {
                "version": pointers[stage].version,
                **_since(events, pointers[stage].seq),
                "problem": problems.get(stage),
            }
            for stage in STAGES
        },
        **{
            kind.removesuffix("_adopted"): _adopted(adopted, digest_of(PROPOSALS[kind].read(settings, name)))
            for kind, adopted in in_force.adoptions.items()
        },
        "keys": [each for each in _keys(events) if each["state"] == "in use"],
        "rotate_keys_after_days": workspace.rules.rotate_keys_after_days,
        "versions": [_version(record) for record in records.values()],
    }


def keys(platform: Platform) -> list[dict[str, Any]]:
    """Return every signing key that ever counted in the environment, its state, age in days and use."""
    with platform.ledger() as ledger:
        return _keys(ledger.events_of_all())


def _keys(events: Sequence[Event]) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [{**each.to_json(), "age_days": each.age_days(now)} for each in key_history(events)]


def _adopted(adopted: Any, in_checkout: str) -> dict[str, Any]:
    if adopted is None:
        return {"digest": None, "adopted_by": None, "differs_from_configs": False}
    return {
        "digest": adopted.digest,
        "adopted_by": adopted.adopted_by,
        "differs_from_configs": adopted.digest != in_checkout,
    }


def _since(events: Sequence[Any], seq: int) -> dict[str, Any]:
    moved = next((event for event in events if event.seq == seq and seq), None)
    return {
        "since": moved.at if moved else None,
        "by": moved.actor if moved else None,
        "identity": moved.payload.get("identity", "claimed") if moved else None,
    }


def _version(record: VersionRecord) -> dict[str, Any]:
    return {
        "version": record.version,
        "state": record.state,
        "source": record.source,
        "auroc": record.auroc,
        "artifact_digest": record.artifact_digest,
        "data_version": record.data_version,
        "code_version": record.code_version,
        "trained_by": record.trained_by,
        "trained_at": record.trained_at,
        "failed_gates": sorted({gate["gate"] for gate in record.gates if gate.get("blocks")}),
    }


def gates(workspace: Workspace, version: str) -> list[dict[str, Any]]:
    """Return the gate results of a version's last validation.

    Raises
    ------
    BadInput
        When there is no such version, or it has not been judged.
    """
    with workspace.ledger() as ledger:
        record = version_records(*ledger.snapshot()).get(version)
    if record is None:
        raise BadInput(f"there is no version {version}; `readmission status` lists them")
    if not record.validated:
        raise BadInput(f"version {version} has not been judged yet; materialize validation_report")
    return record.gates


def day_accounts(workspace: Workspace, days: Sequence[str]) -> list[dict[str, Any]]:
    """Return per day: received, accepted, quarantined, duplicate, scored, withheld and the version that scored it.

    A count that would tell of 1 to 10 people is None (``evaluation.operation.shown``).
    Besides these ``files``, ``files_quarantined`` and ``revision``, which are None for days that were not taken in.
    """
    from readmission_platform.evaluation.operation.shown import shown_counts
    from readmission_platform.storage.tables import ACCOUNTING, PREDICTIONS

    lake = workspace.lake
    where = {lake.day: list(days)}
    accounts = _rows(lake, ACCOUNTING, where)
    scored: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(lake, PREDICTIONS, where, [lake.day, "risk", "model_version"]):
        scored.setdefault(row[lake.day], []).append(row)
    found = {row[lake.day]: row for row in accounts}
    nothing = {"received": 0, "accepted": 0, "quarantined": 0, "duplicate": 0}
    accounts_of_days = []
    for day in days:
        counts = {
            **{name: int(found.get(day, nothing)[name]) for name in nothing},
            # A withheld row has no risk.
            "scored": sum(row["risk"] == row["risk"] for row in scored.get(day, [])),
            "withheld": sum(row["risk"] != row["risk"] for row in scored.get(day, [])),
        }
        shown = shown_counts(counts)
        accounts_of_days.append({
            "date": day,
            **{name: shown[name] for name in nothing},
            **{name: _count(found.get(day, {}).get(name)) for name in ("files", "files_quarantined", "revision")},
            **{name: shown[name] for name in ("scored", "withheld")},
            "version": scored[day][0]["model_version"] if day in scored else None,
        })  # fmt: skip
    return accounts_of_days


def _count(value: Any) -> int | None:
    return None if value is None else int(value)


def work_list(workspace: Workspace, day: str) -> list[dict[str, Any]]:
    """Return a day's flagged rows, highest risk first."""
    from readmission_platform.storage.tables import PREDICTIONS

    lake = workspace.lake
    rows = _rows(lake, PREDICTIONS, {lake.day: [day]})
    flagged = sorted((row for row in rows if row["flagged"]), key=lambda row: int(row["rank"]))
    return [{name: row[name] for name in (lake.day, lake.row, *_LISTED)} for row in flagged]


def _rows(lake: Any, table: str, where: Mapping[str, Sequence[str]], columns: Sequence[str] | None = None) -> list[Any]:
    if not lake.exists(table):
        return []
    return list(lake.read(table, where=where, columns=columns).to_dict("records"))


def show_status(console: Console, found: Mapping[str, Any]) -> None:
    """Print the status for people."""
    if found["example"]:
        console.print("[yellow]An example: it shows how the platform works, and is not for decisions about people.[/]")
    console.print(f"[bold]{found['model']}[/] in environment [bold]{found['environment']}[/] ({found['home']})")
    console.print(f"  installation {found['installation']}")
    for stage, held in found["stages"].items():
        since = f" since {held['since'][:19]} UTC, by {held['by']} ({held['identity']})" if held["version"] else ""
        console.print(f"  {stage}: {'version ' + held['version'] if held['version'] else 'none'}{since}")
        if held["problem"]:
            console.print(f"    [red]{escape(held['problem'])}; it scores nothing[/]", soft_wrap=True)
    for kind, (_, _, option) in PROPOSALS.items():
        if found[kind.removesuffix("_adopted")]["differs_from_configs"]:
            command = " ".join(filter(None, ("readmission policy diff", option)))
            console.print(f"  [yellow]configs/ differs from the {ADOPTABLE[kind].words} in force; see `{command}`[/]")
    limit = found["rotate_keys_after_days"]
    for each in found["keys"]:
        if each["age_days"] > limit:
            old = f"the key of {each['identity']} is {each['age_days']} days old, more than {limit}"
            console.print(f"  [yellow]{escape(old)}: `readmission keys rotate`[/]")
    if not found["versions"]:
        console.print("  no version has been trained yet: `readmission train`, or `readmission run` for everything")
        return
    rows = (
        (
            each["version"],
            each["state"],
            each["source"],
            interval_text(each["auroc"]),
            ", ".join(each["failed_gates"]),
        )
        for each in found["versions"]
    )
    console.print(make_table(("version", "state", "source", "AUROC", "failed gates"), rows))


def show_gates(console: Console, results: Iterable[Mapping[str, Any]]) -> None:
    """Print gate results for people, the blocking ones first."""
    ordered = sorted(results, key=lambda result: (not result.get("blocks"), result["result"] == "pass", result["gate"]))
    acting = any(result.get("blocks") for result in ordered)
    rows = (
        (
            result["gate"] + (" (additional)" if result.get("additional") else ""),
            f"[{_COLOURS[result['result']]}]{result['result']}[/]",
            interval_text({"value": result["observed"], "low": result["low"], "high": result["high"]}),
            result["limit"],
            _whole(result["n"]),
            *([result.get("action", "") if result.get("blocks") else ""] if acting else []),
        )
        for result in ordered
    )
    console.print(
        make_table(
            ("gate", "result", "observed (95 % interval)", "limit", "n", *(["what to do"] if acting else [])), rows
        )
    )


def show_conditions(console: Console, conditions: Iterable[Any]) -> None:
    """Print the conditions of a promotion for people: the deployment checklist."""
    rows = (
        (item.name.replace("_", " "), f"[{_COLOURS[item.result]}]{item.result}[/]", item.detail, item.action)
        for item in conditions
    )
    console.print(make_table(("condition", "result", "found", "what to do"), rows))


def show_policy(console: Console, adopted: Any) -> None:
    """Print the gate policy in force for people."""
    console.print(f"policy {adopted.digest}, adopted by {adopted.adopted_by} at {adopted.adopted_at}")
    rows = (
        (
            name,
            rule.stage,
            "" if rule.enabled else "off",
            *(_limits(rule, kind) for kind in ("real", "synthetic")),
        )
        for name, rule in adopted.content.gates.items()
    )
    console.print(make_table(("gate", "stage", "", "real data", "synthetic data"), rows))


def _limits(rule: Any, kind: str) -> str:
    from readmission_platform.governance.policy.limits import describe

    return describe(rule.limits[kind]) if kind in rule.limits else "-"


def show_days(console: Console, accounts: Iterable[Mapping[str, Any]]) -> None:
    """Print the account of days for people; what is as usual on every day is left out to save width."""
    rows = [{name: "hidden" if value is None and name in _COUNTED else value for name, value in row.items()}
            for row in accounts]  # fmt: skip
    names = ("date", "received", "accepted", "quarantined", "duplicate", "files", "files_quarantined", "revision",
             "scored", "withheld", "version")  # fmt: skip
    telling = [name for name in names if name not in _USUAL or {row[name] for row in rows} - {None, _USUAL[name]}]
    headers = [name.replace("_", " ") for name in telling]
    console.print(make_table(headers, (["-" if row[name] is None else str(row[name]) for name in telling]
                                   for row in rows)))  # fmt: skip


def show_outcomes(console: Console, accounts: Sequence[Mapping[str, Any]]) -> None:
    """Print the account of the outcomes of days for people; files are left out where all of them could be read."""
    files = ("files", "files_quarantined") if any(each["files_quarantined"] for each in accounts) else ()
    names = ("date", "expected", "received", "accepted", "quarantined", "duplicate", *files)
    rows = ([*("hidden" if each[name] is None else str(each[name]) for name in names),
             _coverage(each)] for each in accounts)  # fmt: skip
    console.print(make_table([*(name.replace("_", " ") for name in names), "coverage"], rows))


def _coverage(account: Mapping[str, Any]) -> str:
    if account["coverage"] is None:
        return "-" if account["expected"] == 0 else "hidden"
    return f"{account['coverage']:.1%}"


def set_aside_text(accounts: Iterable[Mapping[str, Any]]) -> str:
    """Say how much of the outcomes of days was set aside, and where to look; empty where nothing was.

    Rows are not counted where the count of a day is hidden.
    """
    aside = [each for each in accounts if each["files_quarantined"] or each["quarantined"] != 0]
    if not aside:
        return ""
    files, rows = sum(each["files_quarantined"] for each in aside), [each["quarantined"] for each in aside]
    said = [*([counted(files, "whole file")] if files else []),
            *(["some rows"] if None in rows else [counted(sum(rows), "row")] if sum(rows) else [])]  # fmt: skip
    days = f"--from {aside[0]['date']} --to {aside[-1]['date']}"
    return f"set aside: {' and '.join(said)}; `readmission quarantine list {days}` says why"


def show_work_list(
    console: Console, day: str, listed: Iterable[Mapping[str, Any]], workspace: Workspace, *, simulated: bool
) -> None:
    """Print the flagged rows of a day for people."""
    words, row_id = workspace.contract.words, workspace.contract.row
    note = " (simulated date)" if simulated else ""
    console.print(f"[bold]Work list of {day}{note}[/]: flagged for follow-up, highest risk first")
    rows = ((str(int(row["rank"])), str(row[row_id]), f"{row['risk']:.1%}", row["band"].replace("_", " "),
             reason_lines(row["reasons"])) for row in listed)  # fmt: skip
    console.print(make_table(("rank", words.row, "risk", "band", "what stands out"), rows))


def reason_lines(reasons: Any) -> str:
    """Write each of a row's reasons on a line of its own; nothing where there are none."""
    return escape(reasons.replace("; ", "\n")) if isinstance(reasons, str) else ""


def show_estimates(console: Console, estimates: Mapping[str, Mapping[str, Any]], wording: Wording) -> None:
    """Print the headline figures with their intervals."""
    rows = (
        (wording.short(name), interval_text(estimates[name]), _whole(estimates[name]["n"]))
        for name in HEADLINES
        if name in estimates
    )
    console.print(make_table(("quality", "estimate (95 % interval)", "n"), rows))


def _whole(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def interval_text(figures: Mapping[str, Any] | None) -> str:
    """Write an estimate with its 95 % interval, as far as there is one."""
    if not figures or figures.get("value") is None:
        return "-"
    value, low, high = figures["value"], figures.get("low"), figures.get("high")
    if is_count(value) and low == high:
        return decimal(value, 0)
    if low is None or high is None:
        return f"{value:z.4g}"
    return f"{decimal(value, 3)} ({decimal(low, 3)} to {decimal(high, 3)})"


def make_table(
    headers: Sequence[str], rows: Iterable[Sequence[str | None]], *, unbroken: Collection[str] = ()
) -> Table:
    """Lay out rows of text under headers; cells of the first column and of those named stay in one line."""
    table = Table(show_edge=False, pad_edge=False)
    for position, header in enumerate(headers):
        table.add_column(header, overflow="fold", no_wrap=position == 0 or header in unbroken)
    for row in rows:
        table.add_row(*(cell or "" for cell in row))
    return table
