"""How the gates of a version look in the UI: as checks, as a table, and as the verdict.

What belongs here: arranging results. What does not: judging (``governance.policy.gates``), and recording the verdict
(``validation``).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from readmission_platform.assets.presentation import plain, table
from readmission_platform.foundation.counting import counted, decimal, is_count
from readmission_platform.governance.policy.gates import GateResult, verdict

OTHER_GATES = "other_gates"
# So many gates are named in the verdict.
NAMED = 4


def gate_checks(results: Sequence[GateResult], required: Sequence[str]) -> Iterator[dg.AssetCheckResult]:
    """Yield one check result per required gate, and one for all others.

    A gate asked for twice (in the policy and in addition) shows its worse result.
    """
    for name in required:
        yield _check(name, [result for result in results if result.gate == name])
    yield _check(OTHER_GATES, [result for result in results if result.gate not in required])


def _check(name: str, results: Sequence[GateResult]) -> dg.AssetCheckResult:
    failed = [result for result in results if result.blocks]
    unsure = [result for result in results if result.result == "insufficient"]
    missing = not results and name != OTHER_GATES
    if failed:
        shown = failed[0]
        description = f"{shown.rule} Observed {_figure(shown)}, limit {shown.limit}. {shown.action}"
    elif unsure:
        description = f"Cannot be judged: {unsure[0].rule} {unsure[0].detail}"
    elif missing:
        description = "The policy in force lacks this gate, which every policy needs."
    else:
        description = results[0].rule if results else "No gate of this kind."
    return dg.AssetCheckResult(
        check_name=name,
        passed=not (failed or unsure or missing),
        severity=dg.AssetCheckSeverity.ERROR if failed or missing else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=_check_metadata((failed or unsure or list(results))[:1], results),
    )


def _check_metadata(shown: Sequence[GateResult], results: Sequence[GateResult]) -> dict[str, Any]:
    """Show one gate, observation and limit first, and several as a table.

    The UI sorts by name, and plots every number: only an estimate with an interval is worth a plot over versions.
    """
    metadata: dict[str, Any] = {"gates, all": gate_table(results)} if len(results) > 1 else {}
    for result in shown:
        metadata["finding"] = f"{_figure(result)}; limit: {result.limit}"
        if result.n is not None:
            metadata["judged on"] = f"{result.n:,}"
        metadata |= {"metric": result.metric, "what to do if it fails": result.action}
        if result.observed is not None and _has_interval(result):
            metadata["observed"] = plain(result.observed)
    return metadata


def gate_table(results: Sequence[GateResult]) -> dg.MetadataValue:
    """Show gates with result, observation, limit and size: first those that fail, then those that cannot be judged."""
    order = {"fail": 0, "insufficient": 1, "pass": 2}
    return table(
        {
            "gate": result.gate + (" (additional)" if result.additional else ""),
            "result": result.result,
            "observed": _figure(result),
            "limit": result.limit,
            "n": result.n,
        }
        for result in sorted(results, key=lambda each: order[each.result])
    )


def verdict_text(results: Sequence[GateResult], closest: GateResult | None) -> str:
    """Return the verdict in Markdown, with the gates that fail, or the one that was passed most closely."""
    by = {kind: [each for each in results if each.result == kind] for kind in ("pass", "fail", "insufficient")}
    blocking = [each for each in results if each.blocks]
    counts = [f"{counted(len(by['pass']), 'gate')} passed"]
    counts += [f"{len(by['fail'])} failed"] if by["fail"] else []
    counts += [f"{len(by['insufficient'])} could not be judged"] if by["insufficient"] else []
    said = f"**{'Rejected' if verdict(results) == 'fail' else 'Accepted'}**: {', '.join(counts)}."
    lines = [f"- **{each.gate}**: {_figure(each)}; limit: {each.limit}" for each in blocking[:NAMED]]
    if len(blocking) > NAMED:
        lines.append(f"- and {len(blocking) - NAMED} more, see below")
    if not blocking and closest is not None:
        lines.append(f"- closest to its limit: **{closest.gate}**, {_figure(closest)}; limit: {closest.limit}")
    lines += [f"- not judged: **{each.gate}**" for each in by["insufficient"][:NAMED] if not each.blocks]
    return "\n".join([said, "", *lines])


def _has_interval(result: GateResult) -> bool:
    return result.low is not None and result.high is not None and result.low < result.high


def _figure(result: GateResult) -> str:
    """Say what was observed, with its interval; a count has none."""
    if result.observed is None:
        return "nothing"
    low, high = result.low, result.high
    if low is None or high is None or (low == high and is_count(result.observed)):
        return decimal(result.observed, 4)
    return f"{decimal(result.observed, 4)} ({decimal(low, 4)} to {decimal(high, 4)})"
