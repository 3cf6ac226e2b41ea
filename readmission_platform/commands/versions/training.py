"""Commands that train: ``run`` (the whole life), ``train``, ``demo-blocked``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from readmission_platform import summary, tables
from readmission_platform.commands.terminal import (
    Archive,
    Json,
    Rows,
    Seed,
    Source,
    advice,
    check_source,
    launching,
    open_page,
    out,
    print_json,
    source_config,
    workspace,
)
from readmission_platform.config.files import read_yaml
from readmission_platform.config.governance import AdditionalGates
from readmission_platform.evaluation.disclosure import shown_estimates
from readmission_platform.foundation.counting import counted
from readmission_platform.foundation.errors import BadInput, Refused, Unavailable
from readmission_platform.intake.sources import SourceRequest

if TYPE_CHECKING:
    from readmission_platform.governance.ledger.versions import VersionRecord
    from readmission_platform.lifecycle.workspace import Workspace


def run(
    source: Source = None,
    archive: Archive = None,
    rows: Rows = 20_000,
    seed: Seed = 7,
    as_json: Json = False,
) -> None:
    """Run a model's whole life cycle: data, features, training, gates, staging, shadow days, production, work lists."""
    import resource

    from readmission_platform.launcher import GateFailed, whole_life

    began, current = time.monotonic(), workspace(make=True)
    config = source_config(current, source, archive, rows, seed)
    with launching(current, quiet=as_json) as launcher:
        try:
            life = whole_life(launcher, config)
        except GateFailed as error:
            raise Refused([f"{error}; `readmission status` and `readmission gates VERSION` say why"]) from error
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {
        "model": current.name,
        "source": config.source,
        "version": life.record.version,
        "estimates": shown_estimates((life.record.validated_payload or {}).get("estimates") or {}),
        "stages": {stage: held["version"] for stage, held in summary.status(current)["stages"].items()},
        "shadow_days": life.shadow_days,
        "days": summary.day_accounts(current, life.production_days),
        "work_list": summary.work_list(current, life.production_days[-1]),
        "seconds": {"wall": round(time.monotonic() - began, 1), "steps": launcher.timings.seconds},
        "peak_memory_mb": round(memory),
    }
    if as_json:
        print_json(found)
        return
    _show_run(found, life.record, current)


def _show_run(found: dict[str, Any], record: "VersionRecord", current: "Workspace") -> None:
    real, words = record.limit_set == "real", current.contract.words
    kind = f"real data ({found['source']})" if real else f"synthetic data: nothing here is about real {words.entities}"
    out.print(f"\n[bold]Version {found['version']}[/], trained on {kind}")
    tables.show_estimates(out, found["estimates"], current.wording)
    gates = record.gates
    count = {result: sum(gate["result"] == result for gate in gates) for result in ("pass", "fail", "insufficient")}
    unsure = [gate["gate"] for gate in gates if gate["result"] == "insufficient"]
    out.print(f"\nGates: {count['pass']} passed, {count['fail']} failed, {count['insufficient']} could not be judged"
              + (f" ({', '.join(unsure)})" if unsure else ""))  # fmt: skip
    stages = ", ".join(f"{stage}: {version or 'none'}" for stage, version in found["stages"].items())
    out.print(f"Stages: {stages} (approved by the demo approver)")
    shadow, production = (counted(len(found[days]), "day") for days in ("shadow_days", "days"))
    out.print(f"Scored: {shadow} in shadow mode, {production} in production\n")
    tables.show_work_list(out, found["days"][-1]["date"], found["work_list"], current, simulated=True)
    steps: dict[str, float] = {}
    for step, seconds in found["seconds"]["steps"]:
        steps[step] = steps.get(step, 0.0) + seconds
    slowest = ", ".join(f"{step.replace('_', ' ')} {seconds:.1f} s"
                        for step, seconds in sorted(steps.items(), key=lambda item: -item[1])[:4])  # fmt: skip
    rest = found["seconds"]["wall"] - sum(steps.values())
    out.print(f"\n{found['seconds']['wall']:.1f} s, {found['peak_memory_mb']} MB at the peak; {slowest}, "
              f"outside steps {rest:.1f} s")  # fmt: skip
    out.print(advice("Next: `make dev` opens the UI, `make mlflow` the experiments, `readmission status` says what is "
                     f"live,\n`readmission gates {found['version']}` why, `readmission demo-blocked` shows a gate that "
                     "fails."))  # fmt: skip


def demo_year(
    days: Annotated[int | None, typer.Option(help="Simulated days, up to yesterday; default 365.")] = None,
    source: Source = None,
    archive: Archive = None,
    rows: Annotated[
        int | None,
        typer.Option("--encounters", "--rows", help="Rows of a generated source; default: as many as the days need."),
    ] = None,
    seed: Seed = 7,
    retrain_every: Annotated[
        int,
        typer.Option(help="Simulated days between regular trainings; in real operation the schedule decides."),
    ] = 120,
    show: Annotated[bool, typer.Option("--open", help="Open the monitoring page in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Simulate a year in one go: days, outcomes, drift, retraining, a second version, the monitoring page."""
    from readmission_platform import demonstration
    from readmission_platform.launcher import GateFailed
    from readmission_platform.lifecycle.monitoring.page import monitor_of, write_monitor

    began, current = time.monotonic(), workspace(make=True)
    plan = demonstration.begun(current)
    if plan is None:
        wanted = 365 if days is None else days
        rows = rows or demonstration.encounters_for(wanted, current.config.daily_rows)
        config = source_config(current, source, archive, rows, seed)
        plan = demonstration.begin(current, config, days=wanted, retrain_every=retrain_every)
    elif days is not None and days != plan.days:
        raise BadInput(f"--days: this home demonstrates {counted(plan.days, 'day')} from {plan.start} on already")
    said = f"{counted(plan.days, 'simulated day')}, {plan.dates[0]} to {plan.dates[-1]}"
    if not as_json:
        out.print(f"{said}; interrupted, the same command goes on", soft_wrap=True)

    def tell(step: str) -> None:
        if not as_json:
            out.print(f"[dim]{time.monotonic() - began:5.0f} s[/]  {step}", soft_wrap=True, highlight=False)

    with launching(current, quiet=True) as launcher:
        try:
            demonstration.live_through(launcher, plan, tell)
        except GateFailed as error:
            raise Refused([f"{error}; `readmission status` and `readmission gates VERSION` say why"]) from error
    page = monitor_of(current, days=plan.days + 1)
    written = write_monitor(current, page)
    status = summary.status(current)
    found = {
        "model": current.name, "source": plan.source["source"], "first_day": plan.dates[0],
        "last_day": plan.dates[-1], "simulated": True, "trained_on_day": plan.trained,
        "stages": {stage: held["version"] for stage, held in status["stages"].items()},
        "states": {each["version"]: each["state"] for each in status["versions"]},
        "standing": page["standing"]["text"], "why": page["standing"]["more"], "page": str(written),
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    if as_json:
        print_json(found)
    else:
        versions = ", ".join(f"{version} {state}" for version, state in found["states"].items())
        out.print(f"\nVersions: {versions} (approved by the demo approver, see `readmission timeline`)")
        out.print(f"{found['standing']}: {found['why']}", markup=False, soft_wrap=True)
        out.print(f"{written}\n{found['seconds']:.0f} s", markup=False, soft_wrap=True)
    if show:
        open_page(written)


def train(
    source: Source = None,
    archive: Archive = None,
    rows: Rows = 20_000,
    seed: Seed = 7,
    gates: Annotated[
        Path | None, typer.Option(help="Limits in addition to the policy; they can only be tighter.")
    ] = None,
    sample: Annotated[
        float | None,
        typer.Option(help="Fast path on this share of the entities (such as patients); registers and records nothing."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train and judge one version, or only a sample. Exit code 3 when a gate fails."""
    current = workspace(make=True)
    if sample is not None:
        if gates is not None:
            raise BadInput("--gates judges a version, and --sample makes none: use one of them")
        check_source(current, source, archive, rows)
        name = source or next(iter(current.contract.sources))
        request = SourceRequest(archive=archive, rows=rows, seed=seed, cache=current.settings.home / "cache")
        _train_sample(current, name, request, sample, as_json=as_json)
        return
    config = source_config(current, source, archive, rows, seed)
    from readmission_platform.launcher import GateFailed
    from readmission_platform.launcher import train as train_version

    additional = (
        read_yaml(gates, AdditionalGates).model_dump(mode="json", exclude_none=True)["gates"] if gates else None
    )
    _known_gates(additional or {}, current)
    with launching(current, quiet=as_json) as launcher:
        try:
            record = train_version(launcher, config, additional_gates=additional)
        except GateFailed as error:
            raise Refused([str(error).replace("\n", " ")]) from error
    failed = failed_gates(record)
    if as_json:
        print_json({"version": record.version, "state": record.state, "auroc": record.auroc, "failed_gates": failed})
    else:
        tables.show_gates(out, record.gates)
        out.print(f"version {record.version}: {'rejected' if failed else 'accepted'}")
    if failed:
        raise Refused([f"version {record.version} failed {', '.join(failed)}; nothing was promoted"])


def failed_gates(record: "VersionRecord") -> list[str]:
    """Return the gates that a version failed.

    Raises
    ------
    Refused
        When a blocking check stopped the run before the version was judged.
    """
    if not record.validated:
        raise Refused([f"version {record.version} was not judged, since a blocking check stopped the run before that; "
                       "`readmission alerts list` names it"])  # fmt: skip
    return sorted({gate["gate"] for gate in record.gates if gate.get("blocks")})


def _known_gates(additional: dict[str, Any], current: "Workspace") -> None:
    from readmission_platform.config.files import gate_policy

    unknown = sorted(set(additional) - set(gate_policy(current.settings, current.name).gates))
    if unknown:
        raise BadInput(f"--gates: unknown gate(s) {', '.join(unknown)}; gates.yaml of the model lists them")


def _train_sample(current: "Workspace", source: str, request: SourceRequest, share: float, *, as_json: bool) -> None:
    from readmission_platform.lifecycle.training.sampling import train_on_sample

    if not 0 < share <= 1:
        raise BadInput("--sample: a share of the entities, above 0 and at most 1")
    document, gates = train_on_sample(current, source, request, share)
    estimates = shown_estimates(document["estimates"])
    if as_json:
        print_json({"sample": share, "estimates": estimates, "gates": [gate.to_json() for gate in gates]})
    else:
        tables.show_estimates(out, estimates, current.wording)
        tables.show_gates(out, [gate.to_json() for gate in gates])
        out.print("A sample: nothing was registered or recorded.")
    failed = sorted({gate.gate for gate in gates if gate.blocks})
    if failed:
        raise Refused([f"the sample failed {', '.join(failed)}; nothing was registered or recorded"])


def demo_blocked(source: Source = None, archive: Archive = None, rows: Rows = 20_000, seed: Seed = 7) -> None:
    """Show a failing gate: a limit that cannot be met rejects a version, and nothing moves; then undo it."""
    from readmission_platform.launcher import train as train_version

    current = workspace(make=True)
    before = summary.status(current)["stages"]
    config = source_config(current, source, archive, rows, seed)
    out.print("Training with an additional limit nobody can reach: AUROC of at least 0.99")
    with launching(current, quiet=False) as launcher:
        blocked = train_version(launcher, config, additional_gates={"discrimination_auroc": {"at_least": 0.99}})
        if blocked.state != "rejected":
            raise Unavailable("the version was not rejected, which it should have been")
        tables.show_gates(out, [gate for gate in blocked.gates if gate.get("blocks")])
        after = summary.status(current)["stages"]
        out.print(f"version {blocked.version} is rejected; staging and production "
                  f"{'are as before' if after == before else 'CHANGED'}\n")  # fmt: skip
        out.print("The same again without that limit")
        accepted = train_version(launcher, config)
    if not accepted.accepted:
        raise Refused(["the ordinary gates did not accept the version; see `readmission status`"])
    out.print(advice(f"version {accepted.version} is a candidate; `readmission promote --version {accepted.version} "
                     "--to-stage staging`, or the sensor of `make dev`, takes it further"))  # fmt: skip
