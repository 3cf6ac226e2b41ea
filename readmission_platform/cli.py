"""The ``readmission`` command: its subcommands by name, and what a failure ends with.

Exit codes: 0 done, 1 unexpected, 2 usage or bad input, 3 refused by policy, 4 conflict, 5 a needed service is
unavailable. What belongs here: registering commands and reporting errors. What does not: the commands (``commands``).
"""

import atexit
import gc
import sys
import warnings
from collections.abc import Callable

import typer

from readmission_platform.commands import alerts as alerting
from readmission_platform.commands import audit as auditing
from readmission_platform.commands import installation, new_model
from readmission_platform.commands import keys as signing_keys
from readmission_platform.commands import policy as policies
from readmission_platform.commands import serving as services
from readmission_platform.commands.days import daily, drift, history, identities, monitor, worklist
from readmission_platform.commands.days import quarantine as quarantining
from readmission_platform.commands.terminal import advice, command_begins, err, print_refusal, with_model
from readmission_platform.commands.versions import (
    card,
    dossier,
    evidence,
    manifests,
    promotion,
    recalibration,
    recovery,
    reproduce,
    review,
    rollouts,
    training,
)
from readmission_platform.foundation.errors import GovernanceError, Refused, Unavailable, problem_of_disk
from readmission_platform.foundation.values import ConfigurationError

app = typer.Typer(
    help="Governed models, from data to daily predictions: train, judge, promote, score, watch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
COMMANDS: dict[str, Callable[..., None]] = {
    "run": training.run,
    "demo-year": training.demo_year,
    "train": training.train,
    "recalibrate": recalibration.recalibrate,
    "demo-blocked": training.demo_blocked,
    "status": promotion.status,
    "gates": promotion.gates,
    "promote": promotion.promote,
    "approve": promotion.approve,
    "rollback": recovery.rollback,
    "reconcile": recovery.reconcile,
    "verify": review.verify,
    "review": review.review,
    "card": card.card,
    "report": evidence.report,
    "study": evidence.study,
    "reproduce": reproduce.reproduce,
    "dossier": dossier.dossier,
    "monitor": monitor.monitor,
    "timeline": history.timeline,
    "trace": history.trace,
    "replay": daily.replay,
    "score": daily.score,
    "worklist": worklist.worklist,
    "outcomes": daily.outcomes,
}
# These are about the installation, whichever models it has.
INSTALLATION: dict[str, Callable[..., None]] = {
    "setup": installation.setup,
    "models": installation.models,
    "new-model": new_model.new_model,
    "pages": installation.pages,
    "dev": installation.dev,
    "mlflow-ui": installation.mlflow_ui,
    "serve": services.serve,
}
for name, command in INSTALLATION.items():
    app.command(name)(command)
for name, command in COMMANDS.items():
    app.command(name)(with_model(command))

keys = typer.Typer(help="Signing keys.", no_args_is_help=True)
keys.command("create")(signing_keys.create)
keys.command("list")(signing_keys.list_keys)
keys.command("rotate")(signing_keys.rotate)
keys.command("revoke")(signing_keys.revoke)
app.add_typer(keys, name="keys")

policy = typer.Typer(
    help="What takes effect only with a signature: gate policy, change plan, monitoring limits, roles.",
    no_args_is_help=True,
)
policy.command("show")(with_model(policies.policy_show))
policy.command("adopt")(with_model(policies.policy_adopt))
policy.command("diff")(with_model(policies.policy_diff))
policy.command("simulate")(with_model(policies.policy_simulate))
app.add_typer(policy, name="policy")

quarantine = typer.Typer(help="Rows and files that were set aside during intake.", no_args_is_help=True)
quarantine.command("list")(with_model(quarantining.list_quarantined))
quarantine.command("show")(with_model(quarantining.show))
quarantine.command("release")(with_model(quarantining.release))
app.add_typer(quarantine, name="quarantine")

who_is_who = typer.Typer(help="Numbers that turn out to be one person.", no_args_is_help=True)
who_is_who.command("list")(with_model(identities.list_identities))
who_is_who.command("merge")(with_model(identities.merge))
who_is_who.command("part")(with_model(identities.part))
app.add_typer(who_is_who, name="identities")

drifting = typer.Typer(
    help="What differs from the training data, and which differences are accepted.", no_args_is_help=True
)
drifting.command("list")(with_model(drift.list_drift))
drifting.command("judge")(with_model(drift.judge))
drifting.command("accept")(with_model(drift.accept))
drifting.command("withdraw")(with_model(drift.withdraw))
app.add_typer(drifting, name="drift")

tokens = typer.Typer(help="Who may ask the service.", no_args_is_help=True)
tokens.command("create")(services.create)
tokens.command("list")(services.list_tokens)
tokens.command("revoke")(services.revoke)
app.add_typer(tokens, name="tokens")

rollout = typer.Typer(
    help="A new version beside the one in production, step by step; it is taken back when it is worse.",
    no_args_is_help=True,
)
rollout.command("start")(with_model(rollouts.start))
rollout.command("power")(with_model(rollouts.power))
rollout.command("status")(with_model(rollouts.status))
rollout.command("pause")(with_model(rollouts.pause))
rollout.command("resume")(with_model(rollouts.resume))
rollout.command("abort")(with_model(rollouts.abort))
rollout.command("promote")(with_model(rollouts.promote))
rollout.command("manifests")(with_model(manifests.manifests))
app.add_typer(rollout, name="rollout")

audit = typer.Typer(help="The ledger's integrity, for the auditor.", no_args_is_help=True)
audit.command("export-head")(auditing.export_head)
audit.command("verify")(auditing.verify)
app.add_typer(audit, name="audit")

alerts = typer.Typer(help="What is wrong now, and who is notified.", no_args_is_help=True)
alerts.command("list")(with_model(alerting.alerts_list))
alerts.command("ack")(alerting.alerts_ack)
alerts.command("test")(alerting.alerts_test)
alerts.command("check")(alerting.alerts_check)
app.add_typer(alerts, name="alerts")


def main() -> None:
    """Run the command; every expected failure is one line on standard error and its exit code."""
    command_begins()
    # At its end Python would look through all that libraries have loaded for objects that hold each other, which takes
    # up to a second, and throw it away.
    atexit.register(gc.freeze)
    warnings.filterwarnings("ignore", message=".*currently in (beta|preview)")
    try:
        app()
    except ConfigurationError as error:
        err.print(f"error: {error}", markup=False, soft_wrap=True)
        sys.exit(2)
    except Refused as error:
        print_refusal(error.reasons)
        for reason in error.reasons:
            err.print(advice(f"refused: {reason}"), markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except GovernanceError as error:
        err.print(advice(f"error: {error}"), markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except Exception as error:  # raised again, but for what a disk does not let anybody do
        problem = problem_of_disk(error)
        if problem is None:
            raise
        err.print(f"error: the disk does not allow this ({problem}): free up space, or have the disk made writable",
                  markup=False, soft_wrap=True)  # fmt: skip
        sys.exit(Unavailable.exit_code)


if __name__ == "__main__":
    main()
