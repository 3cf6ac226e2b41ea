"""Who is given which version's answer while a roll-out is open.

What belongs here: the keyed hash that decides. What does not: pseudonyms, and scoring.

A patient's place between 0 and 1 follows from the key of the installation, the roll-out and the pseudonym, so it is the
same in every worker and after every restart, and tells nothing to whoever lacks the key. The candidate answers from 0
up to its share, the control arm is as large and counted from 1 down. Whoever was given the candidate at 10 % keeps it
at 50 %, and whoever was compared with them stays in the control arm. Another roll-out divides the patients anew.
"""

import hmac
from typing import Literal

from readmission_platform.governance.rollouts.state import RolloutState

Arm = Literal["candidate", "control", "rest"]
_BITS = 53  # as many as a float holds, so that no place is rounded up to 1


def arm_of(state: RolloutState, entity_key: str, key: bytes) -> Arm:
    """Return the arm of a patient.

    Parameters
    ----------
    state
        The roll-out that is open.
    entity_key
        The patient's pseudonym.
    key
        The secret of the installation.

    Returns
    -------
    Arm
        ``candidate``: the candidate answers. ``control``: the version in production answers, and is compared with the
        candidate; the arm is as large as the candidate's, or, above one half, everybody else. ``rest``: it answers,
        and is not compared. In the shadow everybody is in the control arm, beside which the candidate scores unseen.
    """
    if state.in_shadow:
        return "control"
    place = place_of(state.plan_event, entity_key, key)
    if place < state.share:
        return "candidate"
    return "control" if place >= 1 - state.share else "rest"


def place_of(plan_event: int, entity_key: str, key: bytes) -> float:
    """Return the place of a patient in a roll-out, uniform over [0, 1): by HMAC-SHA256."""
    digest = hmac.digest(key, f"rollout:{plan_event}:{entity_key}".encode(), "sha256")
    return (int.from_bytes(digest[:8], "big") >> (64 - _BITS)) / (1 << _BITS)
