"""Who is who in a home: numbers as they are given, turned into pseudonyms, and what the ledger says of these.

What belongs here: reading numbers and records. What does not: the decision (``governance.promotion.identities``).
"""

from typing import Any

import pandas as pd

from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.pseudonyms import pseudonyms
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.identities import (
    MERGED,
    PARTED,
    Identities,
    IdentityDecision,
    IdentityRequest,
    decide_identity,
)
from readmission_platform.governance.promotion.permission import Kind
from readmission_platform.governance.promotion.requested import proper_identity_changes
from readmission_platform.lifecycle.asking import signed
from readmission_platform.lifecycle.workspace import Workspace


def known_identities(ledger: Ledger, *, until: int | None = None) -> Identities:
    """Return who is who by now, or as it was known at an event of the ledger."""
    changes = proper_identity_changes(ledger.events())
    return Identities.of([event for event in changes if until is None or event.seq <= until])


def consider_merge(retired: str, kept: str, reason: str, *, ledger: Ledger, workspace: Workspace) -> IdentityDecision:
    """Decide whether two numbers may be joined; changes nothing.

    Raises
    ------
    BadInput
        When one of them is no number of the feed, or nobody is known by it; it is not repeated.
    """
    keys = [_known_key(number, workspace, which) for number, which in ((retired, "first"), (kept, "second"))]
    return _decided(MERGED, {"retired": keys[0], "kept": keys[1]}, reason, ledger=ledger, workspace=workspace)


def consider_parting(event: int, reason: str, *, ledger: Ledger, workspace: Workspace) -> IdentityDecision:
    """Decide whether what an event joined may be parted; changes nothing."""
    return _decided(PARTED, {"event": event}, reason, ledger=ledger, workspace=workspace)


def _decided(
    kind: Kind, what: dict[str, Any], reason: str, *, ledger: Ledger, workspace: Workspace
) -> IdentityDecision:
    events = ledger.events()
    asked = IdentityRequest(kind, what, workspace.actor, reason)
    request = signed(asked, kind, ledger=ledger, workspace=workspace, of_environment=True)
    return decide_identity(
        request, events=events, proper=proper_identity_changes(events), environment_name=workspace.environment,
        now=ledger.now(),
    )  # fmt: skip


def _known_key(number: str, workspace: Workspace, which: str) -> str:
    feed, words, lake = workspace.contract.feed, workspace.contract.words, workspace.lake
    cells = feed.parse_text(pd.DataFrame({feed.entity: [number]}, dtype=object))
    if not feed.broken_rules(cells).empty:
        raise BadInput(f"the {which} is not a {words.entity} number")
    (key,) = pseudonyms(feed.typed(cells)[feed.entity], workspace.pseudonym_key, purpose=words.entity)
    tables = [name for name in (lake.names.cohort, lake.names.delivered) if lake.exists(name)]
    if not any(len(lake.read(name, columns=["entity_key"], where={"entity_key": [key]})) for name in tables):
        raise BadInput(f"nothing is known of a {words.entity} with the {which} number: is it of this hospital?")
    return key
