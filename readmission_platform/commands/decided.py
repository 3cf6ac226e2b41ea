"""What a decision that was asked for comes to: its conditions, or that it was done; as text or as JSON.

What belongs here: what ``drift``, ``identities``, ``quarantine`` and ``rollback`` share of asking and answering. What
does not: deciding (``governance.promotion``).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from readmission_platform import tables
from readmission_platform.commands.terminal import out, print_json
from readmission_platform.foundation.errors import BadInput, Refused

if TYPE_CHECKING:
    from readmission_platform.governance.ledger.chain import Event
    from readmission_platform.governance.promotion.case import Condition


class _Decided(Protocol):
    """What every decision says."""

    @property
    def conditions(self) -> "Sequence[Condition]": ...
    @property
    def allowed(self) -> bool: ...
    def reasons(self) -> list[str]: ...


def check_reason(reason: str, *, dry_run: bool) -> None:
    """Make sure that a reason is given for what is going to be recorded.

    Raises
    ------
    BadInput
        When there is none.
    """
    if not dry_run and not reason.strip():
        raise BadInput("--reason is required: it is recorded")


def event_number(text: str) -> int:
    """Read the number of an event of the ledger as it was given.

    Raises
    ------
    BadInput
        When it is none.
    """
    if not (text.isascii() and text.isdigit() and int(text)):
        raise BadInput(f"{text!r} is not an event number: give a whole number, 1 or more, as in the list")
    return int(text)


def show_decision(
    decision: _Decided, event: "Event | None", *, possible: tuple[str, str], done: str, as_json: bool, **more: Any
) -> None:
    """Print what was decided.

    Parameters
    ----------
    event
        What was recorded; None where nothing was.
    possible
        What can, or cannot, be done, in two parts: ``("it", "be withdrawn")``.
    done
        What is printed where something was recorded.
    more
        What JSON says besides.

    Raises
    ------
    Refused
        When it is not allowed, with every reason.
    """
    if as_json:
        conditions = [each.to_json() for each in decision.conditions]
        print_json({"event": event.seq if event else None, "allowed": decision.allowed, "conditions": conditions}
                   | more)  # fmt: skip
    elif event is None:
        tables.show_conditions(out, decision.conditions)
        what, to_do = possible
        out.print(f"{what} can{'' if decision.allowed else 'not'} {to_do}; nothing changed")
    else:
        out.print(done, markup=False, soft_wrap=True)
    if not decision.allowed:
        raise Refused(decision.reasons())
