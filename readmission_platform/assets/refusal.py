"""A refusal as Dagster shows it: every reason on a line of its own, what to do below it, and a short stack.

What belongs here: that. What does not: deciding (``governance.promotion``), and how the command says it (``cli``).
"""

from collections.abc import Sequence

import dagster as dg

from readmission_platform.assets.model.stages import conditions_table
from readmission_platform.foundation import errors
from readmission_platform.governance.promotion.case import Condition, Judged


class Refused(dg.Failure, errors.Refused):
    """Policy says no, inside a run.

    Dagster wraps any other exception into one of its own and prints the stacks of both. It is still a
    ``foundation.errors.Refused`` for whoever launched the run, and has its name for whoever observes runs.
    """

    def __init__(self, refused: errors.Refused, judged: Judged) -> None:
        dg.Failure.__init__(
            self, _block(judged.conditions), metadata={"conditions": conditions_table(judged)}, allow_retries=False
        )
        self.reasons, self.args = refused.reasons, (self.description,)


def _block(conditions: Sequence[Condition]) -> str:
    blocking = [each for each in conditions if each.blocks]
    lines = [f"- {each.name}: {each.detail}" + (f"\n  what to do: {each.action}" if each.action else "")
             for each in blocking]  # fmt: skip
    return "\n".join(["refused, and nothing was changed:", *lines])
