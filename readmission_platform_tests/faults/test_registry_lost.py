"""What somebody deletes in MLflow, or a training that dies, takes nothing from the record and lends no number again."""

from collections.abc import Callable

import pytest

from readmission_platform_tests.support.homes import COHORT, MODEL, Home
from readmission_platform_tests.support.interruption import run_until

# Judging it is not the point, so it may be rejected for being small.
SMALL = ("train", "--encounters", "4000", "--seed", "21")


def trained(home: Home) -> list[str | None]:
    with home.ledger() as ledger:
        ledger.verify()
        return [event.version for event in ledger.events(kind="version_trained")]


def registered(home: Home) -> dict[str, str]:
    with home.workspace() as workspace:
        return workspace.registry.registered()


@pytest.mark.slow
def test_after_the_registered_model_was_deleted_numbers_go_on_and_nothing_unshown_moves(
    succeeded_home: Home, changing: Callable[[Home], Home]
) -> None:
    home = changing(succeeded_home)
    home.aliases()  # the registry follows the copied home
    home.registry().delete_registered_model(MODEL)
    assert (registered(home), home.aliases()) == ({}, {})

    assert home.command("train", *COHORT).code == 0
    assert trained(home) == ["1", "2", "3"]
    assert registered(home) == {"3": "1"}
    for version in ("1", "2", "3"):
        assert home.command("verify", version).code == 0

    stages, events = home.stages, home.kinds()
    ended = home.command("rollback", "--reason", "it went wrong")
    assert ended.code == 5
    (said,) = (line for line in ended.err.splitlines() if line.startswith("error: "))
    assert "does not hold version 1 " in said
    assert "nothing was moved" in said
    assert (home.stages, home.kinds()) == (stages, [*events, "run_failed"])

    # Another version may move while the one in production cannot be shown, which is said.
    assert home.command("promote", "--version", "3", "--to-stage", "staging").code == 0
    assert home.stages == {"staging": "3", "production": "2"}
    assert home.aliases() == {"staging": "3"}
    assert home.registry().get_model_version_by_alias(MODEL, "staging").version == 1
    found = home.command("reconcile", "--json")
    assert (found.code, [each["what"] for each in found.json["differences"]]) == (
        5,
        ["version missing from the registry"],
    )
    assert not home.materialize("production_model").success
    for command in (("status",), ("review", "3"), ("report", "1"), ("card", "1"), ("timeline",), ("gates", "2")):
        assert home.command(*command).code == 0, command
    assert home.command("score", "--date", home.landed()[-1]).code == 0
    assert "3" in set(home.lake.read("shadow_predictions")["model_version"])


@pytest.mark.slow
def test_a_single_version_that_was_deleted_is_not_rolled_back_to(
    succeeded_home: Home, changing: Callable[[Home], Home]
) -> None:
    home = changing(succeeded_home)
    home.aliases()
    home.registry().delete_model_version(MODEL, registered(home)["1"])
    stages, aliases = home.stages, home.aliases()
    ended = home.command("rollback", "--reason", "it went wrong")
    assert (ended.code, "does not hold version 1 " in ended.err) == (5, True)
    assert (home.stages, home.aliases()) == (stages, aliases)


@pytest.mark.slow
def test_the_number_of_a_training_that_was_killed_is_not_used_again(
    trained_home: Home, changing: Callable[[Home], Home]
) -> None:
    home = changing(trained_home)
    for step in ("ledger: version reserved", "training: version registered"):
        assert run_until(home, step, *SMALL).code < 0
    assert trained(home) == ["1"]
    assert home.command(*SMALL).code in {0, 3}
    assert trained(home) == ["1", "4"]
    assert registered(home) == {"1": "1", "3": "2", "4": "3"}
    # A number without a version is no version.
    assert [each["version"] for each in home.command("status", "--json").json["versions"]] == ["1", "4"]
    refused = home.command("promote", "--version", "3", "--to-stage", "staging")
    assert (refused.code, "there is no version 3" in refused.err) == (2, True)
    assert home.command("audit", "verify").code == 0
    assert home.command("verify", "1").code == 0
