"""Accepting drift of named columns, and taking that back: what was measured, turned into a statement and signed.

What belongs here: reading what has drifted and having a statement signed. What does not: whether it counts
(``governance.promotion.drift_acceptances``), which is judged whenever it is used.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

from readmission_platform.evaluation.drift.kinds import RISK
from readmission_platform.foundation.errors import BadInput, Refused
from readmission_platform.governance.demo_approver import DEMO_ROLE, Signer, demo_signer
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.adoptable import ADOPTABLE
from readmission_platform.governance.policy.adoption import counting_demo_keys, everything_in_force
from readmission_platform.governance.policy.keys import KEY_CHANGES
from readmission_platform.governance.promotion.case import Condition, Judged, condition
from readmission_platform.governance.promotion.drift_acceptances import Acceptance, counting, stands
from readmission_platform.governance.promotion.drift_statement import (
    ACCEPTED,
    AcceptedColumn,
    SeenWindow,
    acceptance_statement,
    accepted_columns,
    check_acceptance,
)
from readmission_platform.governance.promotion.drift_withdrawals import (
    WITHDRAWN,
    WithdrawalDecision,
    WithdrawalRequest,
    decide_withdrawal,
)
from readmission_platform.governance.signatures import load_key, sign
from readmission_platform.lifecycle.asking import signed as signed_request
from readmission_platform.lifecycle.monitoring.windows import LatestWindows, latest_windows
from readmission_platform.lifecycle.workspace import Workspace

_JUDGE_FIRST = "Have the latest windows judged: `readmission drift judge`."
_SCORE_FIRST = "Score more days (`readmission score`), then have them judged: `readmission drift judge`."
_CHANGES_SOMETHING = "not_accepted_already"


@dataclass(frozen=True)
class Asked:
    """What somebody wants accepted: named columns of a version, until a day (YYYY-MM-DD), why, and in which role."""

    version: str
    columns: tuple[str, ...]
    until: str
    reason: str
    role: str = DEMO_ROLE


@dataclass(frozen=True)
class ConsideredAcceptance(Judged):
    """The conditions of an acceptance, and what was signed; None where nothing could be or nobody signs."""

    asked: Asked
    signed: dict[str, Any] | None

    @property
    def allowed(self) -> bool:
        """Whether it was signed and no condition blocks."""
        return self.signed is not None and super().allowed

    @property
    def changes_nothing(self) -> bool:
        """Whether all of it is accepted already, as far and as long."""
        return any(each.name == _CHANGES_SOMETHING and each.blocks for each in self.conditions)


def drifted_measures(seen: LatestWindows) -> dict[tuple[str, str], float]:
    """Return what had drifted in the latest windows: by column and measure the highest score, the largest first.

    Predicted risks, and scores that are not numbers, are left out: neither can be accepted.
    """
    if not seen.whole:
        return {}
    rows = seen.rows[seen.rows["drifted"] & (seen.rows["column"] != RISK) & seen.rows["score"].notna()]
    found: dict[tuple[str, str], float] = {}
    for column, measure, score in zip(rows["column"], rows["measure"], rows["score"], strict=True):
        found[column, measure] = max(found.get((column, measure), 0.0), float(score))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def signer_of_acceptance(
    workspace: Workspace, ledger: Ledger, *, key: Path | None, approver: str | None
) -> Signer | None:
    """Return who signs: whoever has a key, else the demo approver (local); None where nobody does.

    Raises
    ------
    BadInput
        When the key cannot be read, or key and approver are not given together.
    """
    if (key is None) != (approver is None):
        raise BadInput("--key and --approver must be given together")
    if key is not None and approver is not None:
        return Signer(approver, load_key(key))
    return demo_signer(ledger, workspace.settings.keys) if workspace.platform.has_demo_approver else None


def consider_acceptance(
    asked: Asked, signer: Signer | None, *, ledger: Ledger, workspace: Workspace
) -> ConsideredAcceptance:
    """Find out whether drift may be accepted, and sign it; records nothing.

    Raises
    ------
    BadInput
        When there is no such version, a name is no column that is watched of it, or the day is none or over.
    """
    events, pointers = ledger.snapshot()
    record = version_records(events, pointers).get(asked.version)
    if record is None:
        raise BadInput(f"there is no version {asked.version} of {ledger.model}; `readmission status` lists them")
    in_force, now, last = everything_in_force(events), ledger.now(), _day(asked.until)
    config = workspace.monitoring.drift
    seen = latest_windows(workspace.lake, record, config)
    drifted = drifted_measures(seen)
    wanted = accepted_columns({key: score for key, score in drifted.items() if key[0] in asked.columns}, config)
    already = counting(events, asked.version, now=now)
    today = now.astimezone(UTC).date()
    days = (last - today).days
    if days < 0:
        raise BadInput(f"--until: {asked.until} is over; name a day from {today} to "
                       f"{today + timedelta(days=config.acceptance_days)}")  # fmt: skip
    found = [
        _judged(seen, config.window_rows),
        *(_has_drifted(name, drifted) for name in dict.fromkeys(asked.columns)),
        condition("until", days <= config.acceptance_days, f"{asked.until} ({days} days from today)",
                  f"Name a day from today on, at most {config.acceptance_days} days ahead."),
        condition("reason_given", bool(asked.reason.strip()), asked.reason.strip() or "no reason",
                  "Give one: --reason."),
        _changes_something(asked, wanted, already),
    ]  # fmt: skip
    signed = None
    if signer is None:
        found.append(condition("signed", False, "nobody signs it", "Sign it with --key and --approver."))
    elif wanted and in_force.monitoring is not None and not any(each.blocks for each in found):
        statement = acceptance_statement(
            record, in_force=in_force, environment=workspace.environment, installation=ledger.binding.installation,
            columns=wanted, windows=_windows(seen), until=asked.until, approver=signer.identity, role=asked.role,
            reason=asked.reason, now=now, demo=signer.demo,
        )  # fmt: skip
        signed = sign(statement, signer.key)
        problems = check_acceptance(
            signed, record=record, in_force=in_force, registered_keys=counting_demo_keys(events),
            environment=workspace.environment, installation=ledger.binding.installation, now=now,
        )  # fmt: skip
        detail = "; ".join(problems) or f"by {signer.identity} as {asked.role}"
        found.append(condition("signature_counts", not problems, detail, "Have it signed by somebody who may approve."))
    elif in_force.monitoring is None:
        found.append(condition("in_force", False, "no monitoring limits are in force", "Adopt them first."))
    return ConsideredAcceptance(found, {}, events[-1].seq if events else 0, asked=asked, signed=signed)


def record_acceptance(ledger: Ledger, considered: ConsideredAcceptance) -> Event:
    """Record an acceptance.

    Raises
    ------
    Refused
        With every reason; nothing is recorded.
    Conflict
        When what it rests on changed since it was considered.
    """
    if considered.signed is None or not considered.allowed:
        raise Refused(considered.reasons())
    return ledger.append(
        ACCEPTED,
        considered.signed,
        actor=str(considered.signed["statement"]["approver"]),
        version=considered.asked.version,
        since=considered.seen,
        binding_kinds=(*ADOPTABLE, *KEY_CHANGES, "version_trained", ACCEPTED, WITHDRAWN),
    )


def accept_everything_as_demo(version: str, reason: str, *, ledger: Ledger, workspace: Workspace) -> Event | None:
    """Let the demo approver accept all drift of a version for as long as may be; None when none is left to accept.

    Raises
    ------
    Refused
        Where demonstrations are not allowed or do not count, or something besides input columns has drifted.
    """
    if not workspace.platform.has_demo_approver:
        raise Refused([f"there is no demo approver in {workspace.environment}; a person has to accept the drift"])
    config = workspace.monitoring.drift
    columns = tuple(dict.fromkeys(name for name, _ in drifted_measures(latest_windows(
        workspace.lake, _record(version, ledger), config))))  # fmt: skip
    if not columns:
        return None
    until = (ledger.now().astimezone(UTC) + timedelta(days=config.acceptance_days)).date().isoformat()
    signer = demo_signer(ledger, workspace.settings.keys)
    asked = Asked(version, columns, until, reason)
    considered = consider_acceptance(asked, signer, ledger=ledger, workspace=workspace)
    return None if considered.changes_nothing else record_acceptance(ledger, considered)


def consider_withdrawal(event: int, reason: str, *, ledger: Ledger, workspace: Workspace) -> WithdrawalDecision:
    """Decide whether an acceptance may be withdrawn; changes nothing."""
    events, now = ledger.events(), ledger.now()
    standing, nonce = stands(event, events, now=now)
    request = signed_request(
        WithdrawalRequest(event, nonce, workspace.actor, reason), WITHDRAWN, ledger=ledger, workspace=workspace
    )
    return decide_withdrawal(
        request, standing, events=events, environment_name=workspace.environment, model=ledger.model, now=now
    )


def drift_of(version: VersionRecord, ceilings: Mapping[tuple[str, str], float], workspace: Workspace) -> dict[str, Any]:
    """Return what the latest windows of a version say, for people and scripts: each measure that has drifted.

    Where a window is not judged, ``to_do`` says why, and what to do about it.
    """
    seen = latest_windows(workspace.lake, version, workspace.monitoring.drift)
    drifted: list[dict[str, Any]] = []
    if seen.whole:
        # What cannot be judged comes last, and so stays.
        rows = seen.rows[seen.rows["drifted"]].sort_values(["column", "measure", "score"])
        drifted = [_told(row, ceilings) for row in rows.drop_duplicates(["column", "measure"], keep="last").to_dict(
            "records")]  # fmt: skip
    whole = _judged(seen, workspace.monitoring.drift.window_rows)
    return {
        "version": version.version,
        "state": version.state,
        "windows": [
            {"number": each.number, "first_day": each.first_day, "last_day": each.last_day} for each in seen.whole
        ],
        "unjudged": len(seen.latest) - len(seen.whole),
        "to_do": f"{whole.detail}. {whole.action}" if whole.blocks else "",
        "drifted": drifted,
    }


def _told(row: Mapping[Any, Any], ceilings: Mapping[tuple[str, str], float]) -> dict[str, Any]:
    ceiling = ceilings.get((row["column"], row["measure"]))
    score = float(row["score"])
    return {
        "column": row["column"],
        "measure": row["measure"],
        "score": None if math.isnan(score) else round(score, 3),
        "limit": row["limit"],
        "accepted_up_to": ceiling,
        "accepted": ceiling is not None and score <= ceiling,
    }


def _record(version: str, ledger: Ledger) -> VersionRecord:
    return version_records(*ledger.snapshot())[version]


def _judged(seen: LatestWindows, window_rows: int) -> Condition:
    if seen.closed == 0:  # how many are scored is not said: beside the day before it would tell of a day
        scored = (
            f"fewer than the {window_rows:,} rows of a window are scored" if seen.collecting else "nothing scored yet"
        )
        return condition("windows_judged", False, scored, _SCORE_FIRST)
    open_ones = len(seen.latest) - len(seen.whole)
    detail = f"{len(seen.whole)} of the latest {len(seen.latest)} windows judged"
    return condition("windows_judged", bool(seen.whole) and not open_ones, detail, _JUDGE_FIRST)


def _has_drifted(name: str, drifted: Mapping[tuple[str, str], float]) -> Condition:
    measures = [f"{measure} {score:.3f}" for (column, measure), score in drifted.items() if column == name]
    others = ", ".join(dict.fromkeys(column for column, _ in drifted)) or "no input column"
    if name == RISK:
        said = "the predicted risks cannot be accepted: when these move, retrain, recalibrate or roll back"
        return condition("column_drifted", False, said, "Name input columns.")
    detail = f"{name}: {', '.join(measures)}" if measures else f"{name} has not drifted"
    return condition("column_drifted", bool(measures), detail, f"Name columns that have drifted: {others}.")


def _changes_something(asked: Asked, wanted: Sequence[AcceptedColumn], already: Sequence[Acceptance]) -> Condition:
    """Check that something of it goes further, or lasts longer, than what is accepted already, which it names."""
    names = {each.column for each in wanted}
    standing = [each for each in already if names.intersection(each.names)]
    covered = bool(wanted) and all(any(other.covers([each], asked.until) for other in standing) for each in wanted)
    detail = f"accepted already: {'; '.join(each.says() for each in standing)}" if standing else "none of it so far"
    action = "Nothing to do: what counts already goes as far and lasts as long."
    return condition(_CHANGES_SOMETHING, not covered, detail, action)


def _windows(seen: LatestWindows) -> Sequence[SeenWindow]:
    return [SeenWindow(number=each.number, first_day=each.first_day, last_day=each.last_day, digest=each.digest)
            for each in seen.whole]  # fmt: skip


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"--until: {text} is not a date of the form YYYY-MM-DD") from error
    if found.isoformat() != text:
        raise BadInput(f"--until: {text} is not a date of the form YYYY-MM-DD")
    return found
