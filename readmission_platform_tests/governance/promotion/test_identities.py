"""Who is who, from the records of joining and parting."""

import pandas as pd

from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event
from readmission_platform.governance.promotion.identities import MERGED, PARTED, Identities


def events(*changes: tuple[str, str] | int) -> list[Event]:
    """Return events: a pair joins the first with the second, a number parts what the event of this number joined."""
    return [
        Event(place, ENVIRONMENT, "2024-01-01T00:00:00.000000Z", *(
            (PARTED, None, "ops", {"event": change}) if isinstance(change, int)
            else (MERGED, None, "ops", {"retired": change[0], "kept": change[1]})), "", "")
        for place, change in enumerate(changes, start=1)
    ]  # fmt: skip


def test_whoever_was_joined_has_the_name_that_is_kept_along_any_chain() -> None:
    found = Identities.of(events(("a", "b"), ("b", "c"), ("d", "a")))
    assert found.named(pd.Series(["a", "b", "c", "d", "e"])).tolist() == ["c", "c", "c", "c", "e"]
    assert found.everybody(["b"]) == {"a", "b", "c", "d"}
    assert found.everybody(["e"]) == {"e"}
    assert found.event == 3


def test_a_parting_undoes_that_joining_and_no_other() -> None:
    found = Identities.of(events(("a", "b"), ("b", "c"), 1))
    assert found.named(pd.Series(["a", "b", "c"])).tolist() == ["a", "c", "c"]
    assert Identities.of(events(("a", "b"), 1)).kept == {}


def test_joining_in_a_circle_ends_with_one_name() -> None:
    found = Identities.of(events(("a", "b"), ("b", "a"), ("b", "c"), ("c", "a")))
    assert len(set(found.named(pd.Series(["a", "b", "c"])))) == 1
