"""The statement by which drift is accepted: what an approver signs, and whether that counts.

What belongs here: pure functions over one statement. What does not: what all acceptances of a ledger say together
(``drift_acceptances``), and measuring drift (``evaluation.drift``).

An approver accepts that named columns of what one version scores differ from what this version was trained on, until
a day. For each measure that had drifted, what was seen is accepted and as much again as counts as drift, no more: a
known change may go on, a worse one in the same column is drift again. What had not drifted stays at its limit, also in
a named column. Predicted risks cannot be accepted: when these move, the version has to be looked at.

Whoever may approve a version may accept drift, and nobody who trained it. Like an approval the statement is judged
whenever it is used, by the roles and limits in force at that moment, and a day is over when it is over in UTC.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, ValidationError

from readmission_platform.config.monitoring import DriftConfig
from readmission_platform.evaluation.drift.kinds import DRIFT, MISSING, RISK, UNSEEN
from readmission_platform.foundation.values import Frozen
from readmission_platform.governance.demo_approver import DEMO_ROLE
from readmission_platform.governance.ledger.chain import utc_text
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.policy.adoptable import InForce
from readmission_platform.governance.roles import role_permits
from readmission_platform.governance.signatures import is_signed_by

ACCEPTED: Final = "drift_accepted"
MEANING = (
    "I have looked at how these columns differ from the training data of this version, and accept it until the day "
    "named."
)
_CLOCK_TOLERANCE = timedelta(minutes=5)
_ROUNDING = 1e-6
_NO_STATEMENT = "the statement is incomplete or in another form"

_strict = ConfigDict(frozen=True, extra="forbid", strict=True)


class AcceptedColumn(Frozen):
    """A measure of a column that had drifted: the highest score seen, the limit, and up to where it is accepted."""

    model_config = _strict

    column: str
    measure: Literal["drift", "missing", "unseen"]
    seen: float = Field(ge=0, allow_inf_nan=False)
    limit: float = Field(gt=0, allow_inf_nan=False)
    up_to: float = Field(gt=0, allow_inf_nan=False)


class SeenWindow(Frozen):
    """A window that the approver saw."""

    model_config = _strict

    number: int
    first_day: str
    last_day: str
    digest: str


class AcceptanceStatement(Frozen):
    """What is signed: exactly these fields, of exactly these types."""

    model_config = _strict

    kind: Literal["drift_accepted"]
    environment: str
    installation: str
    model: str
    version: str
    artifact_digest: str
    monitoring_digest: str
    columns: list[AcceptedColumn] = Field(min_length=1)
    windows: list[SeenWindow] = Field(min_length=1)
    until: str
    approver: str
    role: str
    meaning: str
    reason: str
    issued_at: str
    nonce: str
    demo: bool


def up_to(seen: float, limit: float) -> float:
    """Return up to which score drift is accepted: what was seen, and as much again as counts as drift."""
    return round(seen + limit, 6)


def limit_of(measure: str, config: DriftConfig) -> float:
    """Return the limit of a measure of an input column."""
    return {DRIFT: config.column_score, MISSING: config.missing_difference, UNSEEN: config.unseen_share}[measure]


def accepted_columns(seen: Mapping[tuple[str, str], float], config: DriftConfig) -> list[AcceptedColumn]:
    """Return what is accepted of what was seen: by column and measure, the highest score in the windows."""
    return [
        AcceptedColumn.model_validate({
            "column": column, "measure": measure, "seen": round(score, 6), "limit": limit_of(measure, config),
            "up_to": up_to(round(score, 6), limit_of(measure, config)),
        })
        for (column, measure), score in seen.items()
    ]  # fmt: skip


def acceptance_statement(
    record: VersionRecord,
    *,
    in_force: InForce,
    environment: str,
    installation: str,
    columns: Sequence[AcceptedColumn],
    windows: Sequence[SeenWindow],
    until: str,
    approver: str,
    role: str,
    reason: str,
    now: datetime,
    demo: bool = False,
) -> dict[str, Any]:
    """Build the statement to sign.

    Parameters
    ----------
    in_force
        With monitoring limits.
    columns
        What is accepted (``accepted_columns``).
    until
        The last day on which it counts, YYYY-MM-DD.
    """
    assert in_force.monitoring is not None
    return AcceptanceStatement(
        kind=ACCEPTED, environment=environment, installation=installation, model=record.model, version=record.version,
        artifact_digest=str(record.artifact_digest), monitoring_digest=in_force.monitoring.digest,
        columns=list(columns), windows=list(windows), until=until, approver=approver, role=role, meaning=MEANING,
        reason=reason, issued_at=utc_text(now), nonce=secrets.token_hex(16), demo=demo,
    ).model_dump()  # fmt: skip


def check_acceptance(
    signed: Mapping[str, Any],
    *,
    record: VersionRecord | None,
    in_force: InForce,
    registered_keys: Mapping[str, str],
    environment: str | None,
    installation: str | None,
    now: datetime,
) -> list[str]:
    """Say why a signed acceptance does not count; an empty list means that it does.

    Parameters
    ----------
    record
        Of the version that it names.
    in_force
        Everything in force at the moment that counts.
    registered_keys
        Public keys of demo approvers by identity; empty wherever demonstrations do not count.
    """
    try:
        statement = AcceptanceStatement.model_validate(signed.get("statement"))
        issued, last = datetime.fromisoformat(statement.issued_at), date.fromisoformat(statement.until)
    except (ValidationError, ValueError):
        return [_NO_STATEMENT]
    if last.isoformat() != statement.until:  # Python also reads 20260105; days are compared as text
        return [_NO_STATEMENT]
    roles, monitoring = in_force.roles, in_force.monitoring
    if roles is None or monitoring is None or issued.tzinfo is None:
        return ["what it is based on is not in force"]
    who = statement.approver
    person = roles.content.people.get(who)
    key = registered_keys.get(who) if statement.demo and person is None else None
    if person is not None and not statement.demo:
        key = person.public_key
    if key is None:
        return [f"{who} has no registered key"]
    if not is_signed_by(signed, key):
        return [f"the signature is not one of {who}'s registered key"]
    if record is None:
        return [f"there is no version {statement.version}"]
    trainer = roles.content.people.get(record.trained_by or "")
    holds_role = statement.role == DEMO_ROLE if statement.demo else person and statement.role in person.roles
    config = monitoring.content.drift
    days = (last - issued.astimezone(UTC).date()).days
    problems = {
        "it is for another environment, installation or model": (
            statement.environment, statement.installation, statement.model
        ) != (environment, installation, record.model),
        "it is for another model file": statement.artifact_digest != record.artifact_digest,
        "it was given before the monitoring limits in force were adopted": statement.monitoring_digest
        != monitoring.digest,
        "it accepts more than the drift seen plus the limit": not all(
            _within_rule(each, config) for each in statement.columns
        ),
        f"{who} trained this version": who in (record.trained_by, record.recorded_by),
        f"{who} signs with the key of {record.trained_by}, who trained this version": trainer is not None
        and trainer.public_key == key,
        f"{who} does not hold the role {statement.role}": not holds_role,
        f"the role {statement.role} may not approve": not role_permits(roles.content, statement.role, "approve"),
        "it does not say what it means": statement.meaning != MEANING,
        "it gives no reason": not statement.reason.strip(),
        "it is dated in the future": issued > now + _CLOCK_TOLERANCE,
        f"it is for more than {config.acceptance_days} days": days > config.acceptance_days,
        f"it ended with {statement.until}": last < now.astimezone(UTC).date(),
        "it has no number of its own": not statement.nonce,
    }  # fmt: skip
    return [problem for problem, holds in problems.items() if holds]


def _within_rule(each: AcceptedColumn, config: DriftConfig) -> bool:
    limit = limit_of(each.measure, config)
    return each.column != RISK and each.limit == limit and each.up_to <= up_to(each.seen, limit) + _ROUNDING
