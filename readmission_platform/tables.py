"""Status, gates, accounts of days and work lists as tables in a terminal.

What belongs here: how plain values look. What does not: reading them (``summary``), and pages (``reports``).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from readmission_platform.evaluation.disclosure import rough_in_words
from readmission_platform.evaluation.words import Wording
from readmission_platform.foundation.counting import BELOW_INTERVAL, below_interval, counted, decimal, is_count, percent
from readmission_platform.governance.ledger.chain import STAGES
from readmission_platform.governance.policy.adoptable import ADOPTABLE
from readmission_platform.lifecycle.proposals import PROPOSALS

if TYPE_CHECKING:
    from readmission_platform.lifecycle.workspace import Workspace

HEADLINES = (
    *("auroc", "auroc_test", "average_precision_ratio", "brier_skill", "calibration_slope", "observed_expected"),
    *("recall_at_flag", "ppv_at_flag"),
)

_COUNTED = ("received", "accepted", "quarantined", "duplicate", "scored", "withheld")
# Of a day: one file, read once, nobody withheld.
_USUAL = {"files": 1, "files_quarantined": 0, "revision": 1, "withheld": 0}
_COLOURS = {"pass": "green", "fail": "red", "insufficient": "yellow"}


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


def show_status(console: Console, found: Mapping[str, Any]) -> None:
    """Print the status for people."""
    if found["example"]:
        console.print("[yellow]An example: it shows how the platform works and is not for decisions about people.[/]")
    console.print(f"[bold]{found['model']}[/] in environment [bold]{found['environment']}[/] ({found['home']})")
    console.print(f"  installation {found['installation']}")
    for stage, held in found["stages"].items():
        since = f" since {held['since'][:19]} UTC, by {held['by']} ({held['identity']})" if held["version"] else ""
        console.print(f"  {stage}: {'version ' + held['version'] if held['version'] else 'none'}{since}")
        if held["problem"]:
            console.print(f"    [red]{escape(held['problem'])}; it scores nothing[/]", soft_wrap=True)
    if (rollout := found["rollout"]) is not None:
        console.print(f"  roll-out: {_of_rollout(rollout)}; `readmission rollout status`", soft_wrap=True)
    for kind, (_, _, option) in PROPOSALS.items():
        if found[kind.removesuffix("_adopted")]["differs_from_configs"]:
            command = " ".join(filter(None, ("readmission policy diff", option)))
            console.print(f"  [yellow]configs/ differs from the {ADOPTABLE[kind].words} in force; see `{command}`[/]")
    limit = found["rotate_keys_after_days"]
    for each in found["keys"]:
        if each["age_days"] > limit:
            old = f"the key of {each['identity']} is {each['age_days']} days old, over the limit of {limit}"
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
    """Print gate results for people, the blocking ones first; below, what those that did not pass ask for."""
    ordered = sorted(results, key=lambda result: (not result.get("blocks"), result["result"] == "pass", result["gate"]))
    rows = (
        (
            _gate_name(result),
            f"[{_COLOURS[result['result']]}]{result['result']}[/]",
            interval_text({"value": result["observed"], "low": result["low"], "high": result["high"]})
            + (" *" if _outside(result) else ""),
            result["limit"],
            _whole(result["n"]),
        )
        for result in ordered
    )
    console.print(make_table(("gate", "result", "observed (95 % interval)", "limit", "n"), rows))
    if any(_outside(result) for result in ordered):
        console.print(BELOW_INTERVAL, style="dim", soft_wrap=True)
    for result in ordered:
        if result["result"] != "pass":
            show_gate(console, result)
        elif _why(result):
            console.print(f"{_gate_name(result)}: {_why(result)}", style="dim", markup=False, soft_wrap=True)


def show_gate(console: Console, result: Mapping[str, Any]) -> None:
    """Print for one gate what it asks for, what was found, and what to do."""
    passed, name = result["result"] == "pass", _gate_name(result)
    said = {"fail": "failed", "insufficient": "could not be judged", "pass": "passed"}[result["result"]]
    observed = interval_text({"value": result["observed"], "low": result["low"], "high": result["high"]})
    why = f" ({_why(result)})" if _why(result) else ""
    lines = [f"{said}{why}; observed {observed}, limit {result['limit']}", result["rule"],
             f"{'If it fails' if passed else 'What to do'}: {result['action']}"]  # fmt: skip
    console.print(f"\n[bold]{name}[/]: {escape(chr(10).join(lines))}", soft_wrap=True)


def _gate_name(result: Mapping[str, Any]) -> str:
    return f"{result['gate']}{' (additional)' if result.get('additional') else ''}"


def _why(result: Mapping[str, Any]) -> str:
    """Return what stands beside a result; of groups, the one whose figure is shown and how many were judged."""
    return "" if result["detail"] == "within the limit" else str(result["detail"])


def _outside(result: Mapping[str, Any]) -> bool:
    return below_interval(result["observed"], result["low"])


def show_conditions(console: Console, conditions: Iterable[Any]) -> None:
    """Print the conditions of a promotion for people: the deployment checklist."""
    rows = (
        (item.name.replace("_", " "), f"[{_COLOURS[item.result]}]{item.result}[/]", item.detail, item.action)
        for item in conditions
    )
    console.print(make_table(("condition", "result", "found", "what to do"), rows))


def show_rollout(console: Console, found: Mapping[str, Any]) -> None:
    """Print the roll-out that is open for people: where it is, what its arms answered, and what comes next."""
    console.print(f"{_of_rollout(found)} (event {found['event']})")
    console.print(f"  watched for {found['watched_minutes']:g} of {found['bake_minutes']:g} minutes since "
                  f"{found['step_since'][:19]} UTC")  # fmt: skip
    arms = found["figures"]["arms"]
    rows = ((name, *_of_arm(arms[name])) for name in ("candidate", "control"))
    headers = ("arm", "answers", "in this step", "failed", "withheld", "mean risk", "p50 ms", "p95 ms", "p99 ms")
    console.print(make_table(headers, rows))
    tests = ((name.replace("_", " "), each["verdict"], "" if each["p_value"] is None else f"{each['p_value']:g}",
              escape(each["said"])) for name, each in found["figures"]["tests"].items())  # fmt: skip
    console.print(make_table(("test", "verdict", "p", "found"), tests))
    following = str(found["next"] or "nothing yet").removeprefix("rollout_").replace("_", " ")
    console.print(f"next: {following}. {found['why']}", markup=False, soft_wrap=True)


def show_rollouts(console: Console, found: Iterable[Mapping[str, Any]]) -> None:
    """Print every roll-out there was for people."""
    rows = (
        (str(each["event"]), each["kind"], each["candidate"], each["control"], each["status"].replace("_", " "),
         f"{each['step']} of {each['steps']}", each["started_at"][:19], each["started_by"], each["last_by"],
         escape(each["reason"]))
        for each in found
    )  # fmt: skip
    headers = ("event", "kind", "version", "beside", "status", "step", "started (UTC)", "by", "last by", "reason")
    console.print(make_table(headers, rows))


def _of_rollout(found: Mapping[str, Any]) -> str:
    return (f"[bold]{found['kind']}[/] of version {found['candidate']} beside version {found['control']}: "
            f"{found['status']}, step {found['step']} of {found['steps']}, {100 * found['share']:g} % of the patients"
            )  # fmt: skip


def _of_arm(arm: Mapping[str, Any]) -> Iterable[str]:
    yield from (rough_in_words(arm[name]) for name in ("answers", "in_step"))
    yield from ("" if arm[name] is None else f"{100 * arm[name]:.1f} %" for name in ("failed_share", "withheld_share"))
    yield "" if arm["mean_risk"] is None else f"{arm['mean_risk']:.3f}"
    yield from ("" if arm[name] is None else f"{arm[name]:g}" for name in ("p50_ms", "p95_ms", "p99_ms"))


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
    return percent(account["coverage"], 1)


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
    console: Console, day: str, listed: Iterable[Mapping[str, Any]], workspace: "Workspace", *, simulated: bool
) -> None:
    """Print the flagged rows of a day for people."""
    words, row_id = workspace.contract.words, workspace.contract.row
    note = " (simulated date)" if simulated else ""
    console.print(f"[bold]Work list of {day}{note}[/]: flagged for follow-up, highest risk first")
    rows = ((str(int(row["rank"])), str(row[row_id]), percent(row['risk'], 1), row["band"].replace("_", " "),
             reason_lines(row["reasons"])) for row in listed)  # fmt: skip
    console.print(make_table(("rank", words.row, "risk", "band", "main reasons"), rows))


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
