"""What is said of groups, once small cells are hidden: the same on every page.

What belongs here: whether a group is large enough to be judged by itself. What does not: hiding small cells
(``evaluation.disclosure``), and judging (``gates``).
"""

from collections.abc import Mapping
from typing import Any

from readmission_platform.config.governance import GatePolicy
from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.words import Words

JUDGED, INSUFFICIENT = "judged", "insufficient"
NOT_SHOWN = f"hidden: a count of 1 to {SMALLEST_SHOWN - 1} people could be read or worked out from it"
NO_GATE = "no gate of the policy judges it"


def judged_groups(
    shown: Mapping[str, Any], counted: Mapping[str, Any], policy: GatePolicy | None, words: Words
) -> dict[str, dict[str, dict[str, Any]]]:
    """Say of each group whether it was large enough to be judged by itself, and why not.

    A group is judged when a gate of the policy looks at its observed over expected and it has the positives that the
    gate asks for. Without such a gate nobody judges it.

    Parameters
    ----------
    shown
        ``groups`` of an evidence document, as they may be shown.
    counted
        The same with every count.

    Returns
    -------
    ``shown`` with ``result`` (``judged`` or ``insufficient``) and ``reason`` of each group.
    """
    gates = policy.gates.values() if policy else ()
    needed = {gate.metric: gate.min_positives for gate in gates if gate.enabled}
    return {
        attribute: {
            name: {
                **group,
                **_judged(group, counted[attribute][name], needed.get(f"observed_expected.{attribute}.*"), words),
            }
            for name, group in groups.items()
        }
        for attribute, groups in shown.items()
    }


def _judged(group: Mapping[str, Any], counted: Mapping[str, Any], least: int | None, words: Words) -> dict[str, str]:
    if group.get("suppressed"):
        return {"result": INSUFFICIENT, "reason": NOT_SHOWN}
    if least is None:
        return {"result": INSUFFICIENT, "reason": NO_GATE}
    known = group["positives"] is not None
    seen = f"{group['positives']:,} {words.events}" if known else f"how many {words.events} is hidden"
    if counted["positives"] < least:
        return {"result": INSUFFICIENT, "reason": f"{seen}, {least} are needed"}
    return {"result": JUDGED, "reason": f"{seen}, at least {least} are needed"}
