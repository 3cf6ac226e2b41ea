"""Commands that train: ``run`` (the whole life), ``train``, ``demo-blocked``."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from readmission_platform import summary
from readmission_platform.commands.terminal import (
    Archive,
    Encounters,
    Json,
    Seed,
    Source,
    home,
    launching,
    out,
    print_json,
    source_config,
)
from readmission_platform.config.environment import settings
from readmission_platform.config.files import read_yaml
from readmission_platform.config.governance import AdditionalGates
from readmission_platform.evaluation.words import Wording
from readmission_platform.foundation.errors import BadInput, Refused, Unavailable


def run(
    source: Source = "synthetic",
    archive: Archive = None,
    encounters: Encounters = 20_000,
    seed: Seed = 7,
    as_json: Json = False,
) -> None:
    """Show the whole life of a model: data, features, training, gates, staging, shadow days, production, work lists."""
    import resource

    from readmission_platform.launcher import GateFailed, whole_life

    began = time.monotonic()
    with launching(quiet=as_json) as launcher:
        try:
            life = whole_life(launcher, source_config(source, archive, encounters, seed))
        except GateFailed as error:
            raise Refused([f"{error}; `readmission status` and `readmission gates VERSION` say why"]) from error
    current = settings()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {
        "source": source,
        "version": life.record.version,
        "estimates": life.record.validated_payload["estimates"] if life.record.validated_payload else {},
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
    _show_run(found, life.record.gates)


def _show_run(found: dict[str, Any], gates: list[dict[str, Any]]) -> None:
    kind = "real data (UCI)" if found["source"] == "uci" else "synthetic data: nothing here is about real patients"
    out.print(f"\n[bold]Version {found['version']}[/], trained on {kind}")
    summary.show_estimates(out, found["estimates"], _wording())
    count = {result: sum(gate["result"] == result for gate in gates) for result in ("pass", "fail", "insufficient")}
    unsure = [gate["gate"] for gate in gates if gate["result"] == "insufficient"]
    out.print(f"\nGates: {count['pass']} passed, {count['fail']} failed, {count['insufficient']} could not be judged"
              + (f" ({', '.join(unsure)})" if unsure else ""))  # fmt: skip
    stages = ", ".join(f"{stage}: {version or 'none'}" for stage, version in found["stages"].items())
    out.print(f"Stages: {stages} (approved by the demo approver)")
    scored = sum(day["scored"] for day in found["days"])
    out.print(f"Scored: {len(found['shadow_days'])} days in the shadow, {len(found['days'])} days in production "
              f"({scored} encounters)\n")  # fmt: skip
    summary.show_work_list(out, found["days"][-1]["date"], found["work_list"], simulated=True)
    steps: dict[str, float] = {}
    for step, seconds in found["seconds"]["steps"]:
        steps[step] = steps.get(step, 0.0) + seconds
    slowest = ", ".join(f"{step.replace('_', ' ')} {seconds:.1f} s"
                        for step, seconds in sorted(steps.items(), key=lambda item: -item[1])[:4])  # fmt: skip
    rest = found["seconds"]["wall"] - sum(steps.values())
    out.print(f"\n{found['seconds']['wall']:.1f} s, {found['peak_memory_mb']} MB at the peak; {slowest}, "
              f"outside steps {rest:.1f} s")  # fmt: skip
    out.print("Next: `make dev` opens the UI, `make mlflow` the experiments, `readmission status` says what is live,\n"
              f"`readmission gates {found['version']}` why, `make demo-blocked` shows a gate that fails.")  # fmt: skip


def train(
    source: Source = "synthetic",
    archive: Archive = None,
    encounters: Encounters = 20_000,
    seed: Seed = 7,
    gates: Annotated[Path | None, typer.Option(help="Limits in addition to the policy; they can only tighten.")] = None,
    sample: Annotated[
        float | None,
        typer.Option(help="Fast path on this share of the patients; registers and records nothing."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train and judge one version. Exit code 3 when a gate fails."""
    config = source_config(source, archive, encounters, seed)
    if sample is not None:
        if gates is not None:
            raise BadInput("--gates judges a version, and --sample makes none: use one of them")
        _train_sample(config, sample, as_json=as_json)
        return
    from readmission_platform.launcher import GateFailed
    from readmission_platform.launcher import train as train_version

    additional = (
        read_yaml(gates, AdditionalGates).model_dump(mode="json", exclude_none=True)["gates"] if gates else None
    )
    _known_gates(additional or {})
    with launching(quiet=as_json) as launcher:
        try:
            record = train_version(launcher, config, additional_gates=additional)
        except GateFailed as error:
            raise Refused([str(error).replace("\n", " ")]) from error
    if record is None:
        raise Unavailable("the run ended without a version")
    failed = sorted({gate["gate"] for gate in record.gates if gate.get("blocks")})
    if as_json:
        print_json({"version": record.version, "state": record.state, "auroc": record.auroc, "failed_gates": failed})
    else:
        summary.show_gates(out, record.gates)
        out.print(f"version {record.version}: {'rejected' if failed else 'accepted'}")
    if failed:
        raise Refused([f"version {record.version} failed {', '.join(failed)}; nothing was promoted"])


def _known_gates(additional: dict[str, Any]) -> None:
    from readmission_platform.config.files import gate_policy

    unknown = sorted(set(additional) - set(gate_policy(settings()).gates))
    if unknown:
        raise BadInput(f"--gates: unknown gate(s) {', '.join(unknown)}; configs/gates.yaml lists them")


def _train_sample(config: Any, share: float, *, as_json: bool) -> None:
    from readmission_platform.lifecycle.training.sampling import train_on_sample

    if not 0 < share <= 1:
        raise BadInput("--sample: a share of the patients above 0 and up to 1")
    document, gates = train_on_sample(home(), config, share)
    if as_json:
        print_json({"sample": share, "estimates": document["estimates"], "gates": [gate.to_json() for gate in gates]})
        return
    summary.show_estimates(out, document["estimates"], _wording())
    summary.show_gates(out, [gate.to_json() for gate in gates])
    out.print("A sample: nothing was registered or recorded.")


def _wording() -> Wording:
    from readmission_platform.config.files import model_config
    from readmission_platform.lifecycle.wording import wording_of

    return wording_of(model_config(settings()))


def demo_blocked(
    source: Source = "synthetic", archive: Archive = None, encounters: Encounters = 20_000, seed: Seed = 7
) -> None:
    """Show a failing gate: a limit out of reach rejects a version and nothing moves; then it is undone."""
    from readmission_platform.launcher import train as train_version

    before = summary.status(home())["stages"]
    config = source_config(source, archive, encounters, seed)
    out.print("Training with an additional limit nobody can reach: AUROC of at least 0.99")
    with launching(quiet=False) as launcher:
        blocked = train_version(launcher, config, additional_gates={"discrimination_auroc": {"at_least": 0.99}})
        if blocked is None or blocked.state != "rejected":
            raise Unavailable("the version was not rejected, which it should have been")
        summary.show_gates(out, [gate for gate in blocked.gates if gate.get("blocks")])
        after = summary.status(settings())["stages"]
        out.print(f"version {blocked.version} is rejected; staging and production "
                  f"{'are as before' if after == before else 'CHANGED'}\n")  # fmt: skip
        out.print("The same again without that limit")
        accepted = train_version(launcher, config)
    if accepted is None or not accepted.accepted:
        raise Refused(["the ordinary gates did not accept the version; see `readmission status`"])
    out.print(f"version {accepted.version} is a candidate; `readmission promote --version {accepted.version} "
              "--to-stage staging`, or the sensor of `make dev`, takes it further")  # fmt: skip
