"""Commands of the day.

``replay`` delivers discharges, ``score`` takes them in and scores them, ``outcomes`` takes in what became of them.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from readmission_platform import summary, tables
from readmission_platform.commands.terminal import Json, advice, checked_day, err, launching, out, print_json, workspace
from readmission_platform.foundation.counting import counted
from readmission_platform.foundation.errors import BadInput

if TYPE_CHECKING:
    from readmission_platform.lifecycle.workspace import Workspace


def replay(
    days: Annotated[int, typer.Option(help="Days to deliver.")] = 14,
    start: Annotated[
        str | None, typer.Option(help="First date, YYYY-MM-DD; default: chosen so that the last is yesterday.")
    ] = None,
    outcomes: Annotated[
        bool, typer.Option("--outcomes", help="Also deliver outcomes of days that are old enough.")
    ] = False,
    form: Annotated[str, typer.Option("--format", help="File format: csv, parquet or, for encounters, fhir.")] = "csv",
    as_json: Json = False,
) -> None:
    """Deliver days of the set-aside rows to the landing zone, with simulated dates."""
    from readmission_platform import launcher as lifecycle
    from readmission_platform.assets.feed.replay import ReplayConfig

    if days < 1:
        raise BadInput(f"--days: {days}; a replay needs at least one day")
    current = workspace(make=True)
    before = set(current.landing.days())
    with launching(current, quiet=as_json) as launcher:
        delivered = lifecycle.replay(launcher, ReplayConfig(days=days, start=start, outcomes=outcomes, form=form))
    written = [day for day in delivered if day not in before]
    if as_json:
        print_json({"days": delivered, "written": written, "simulated": True})
        return
    there = len(delivered) - len(written)
    said = f"{counted(len(written), 'day')} written" + (f", {there} {_were(there)} there already" if there else "")
    out.print(f"{said}: {_stretch(delivered[0], delivered[-1])} (simulated dates)")
    if not written:
        folder = f"landing/{current.landing.folders.rows}"
        out.print(f"what is there stays as it is; remove the folder of a day from {folder} to have it delivered again, "
                  "also in another format", soft_wrap=True)  # fmt: skip


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _stretch(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def score(
    day: Annotated[str | None, typer.Option("--date", help="One day, YYYY-MM-DD.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    version: Annotated[str | None, typer.Option(help="A previously approved version; needs a reason.")] = None,
    reason: Annotated[str, typer.Option(help="Why another version is to score; recorded.")] = "",
    as_json: Json = False,
) -> None:
    """Take in and score a day, or all days of a range that have files, in one run."""
    begin, end = _range(day, first, last)
    current = workspace()
    landing = current.landing
    there = landing.days()
    landed = [found for found in there if begin <= found <= end]
    if not landed:
        raise BadInput(
            f"no files in landing/{landing.folders.rows} for {_stretch(begin, end)}; `readmission replay` delivers some"
        )
    if version is not None and not reason.strip():
        raise BadInput("--version needs --reason")
    from readmission_platform import launcher as lifecycle
    from readmission_platform.lifecycle.days.intake import due_again
    from readmission_platform.lifecycle.days.progress import stretches
    from readmission_platform.lifecycle.days.work_lists import days_with_lists

    listed = days_with_lists(current.lake, there)
    with launching(current, quiet=as_json) as launcher:
        for days in stretches(landed, longest=len(landed)):
            lifecycle.score(launcher, days, version=version, reason=reason)
        # A correction may have moved rows from these days to others, which had left them to these.
        moved = due_again(current.lake, there) - set(landed)
        for days in stretches(sorted(moved), longest=len(moved)):
            lifecycle.score(launcher, days)
    landed = sorted({*landed, *moved})
    accounts = summary.day_accounts(current, landed)
    if as_json:
        print_json(accounts)
    else:
        tables.show_days(out, accounts)
    taken_back = sorted(listed.intersection(landed) - days_with_lists(current.lake, landed))
    if taken_back:
        err.print(f"the earlier list of {', '.join(taken_back)} is withdrawn: nobody on it is accepted any more")
    _check_something_accepted(current, landed)


def _check_something_accepted(current: "Workspace", days: list[str]) -> None:
    from readmission_platform.lifecycle.days.progress import Progress, day_states

    without = [each.day for each in day_states(current, days) if each.progress is Progress.nothing_accepted]
    if without:
        raise BadInput(
            f"nothing of {', '.join(without)} was accepted; `readmission quarantine show --date {without[0]}` says why"
        )


def outcomes(
    day: Annotated[str | None, typer.Option("--date", help="One day, YYYY-MM-DD.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    as_json: Json = False,
) -> None:
    """Take in the outcomes of a day, or of all days of a range that have files; those not matured are set aside."""
    from readmission_platform.lifecycle.days.outcomes import days_of_nothing, outcome_accounts
    from readmission_platform.lifecycle.days.progress import check_days, stretches

    begin, end = _range(day, first, last)
    current = workspace()
    landing = current.landing
    landed = [found for found in landing.days("outcomes") if begin <= found <= end]
    if not landed:
        raise BadInput(
            f"no files in landing/{landing.folders.outcomes} for {_stretch(begin, end)}; "
            "`readmission replay --outcomes` delivers those that have matured"
        )
    check_days(landed, current.rules)
    with launching(current, quiet=as_json) as launcher:
        for days in stretches(landed, longest=len(landed)):
            launcher.launch("outcomes_job", days=days)
    accounts = outcome_accounts(current.lake, landed)
    if as_json:
        print_json(accounts)
    else:
        tables.show_outcomes(out, accounts)
    without = days_of_nothing(current.lake, landed)
    if without:
        why = f"`readmission quarantine show --date {without[0]}` says why"
        raise BadInput(f"no outcome of {', '.join(without)} was accepted; {why}")
    said = tables.set_aside_text(accounts)
    if said:
        err.print(advice(said), soft_wrap=True, markup=False)


def _range(day: str | None, first: str | None, last: str | None) -> tuple[str, str]:
    if (day is None) == (first is None and last is None):
        raise BadInput("give either --date, or --from and --to")
    begin, end = (day, day) if day else (first, last)
    if begin is None or end is None:
        raise BadInput("--from and --to must be given together")
    begin, end = checked_day(begin), checked_day(end)
    if begin > end:
        raise BadInput(f"--from {begin} is after --to {end}")
    return begin, end
