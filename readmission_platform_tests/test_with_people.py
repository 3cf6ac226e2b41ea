"""An environment of people and services, through the command line: each acts with a key and within a role."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.governance.signatures import create_key
from readmission_platform_tests.support.homes import COHORT, Home

PEOPLE = {
    "a.rivera": "platform_engineer",
    "b.chen": "clinical_approver",
    "scheduler": "mlops_engineer",  # a service
    "d.okafor": "data_scientist",
}
ADOPTED = ("--roles", "--promotion", "", "--plan", "--monitoring", "--evaluation")


@pytest.fixture(scope="module")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A staging environment in which people adopted everything, and a data scientist trained version 1."""
    folder = tmp_path_factory.mktemp("staffed")
    configs = folder / "configs"
    shutil.copytree(PROJECT_ROOT / "configs", configs)
    roles = yaml.safe_load((configs / "roles.yaml").read_text(encoding="utf-8"))
    roles["people"] = {
        who: {"name": who, "roles": [role], "public_key": create_key(key_of(folder, who))}
        for who, role in PEOPLE.items()
    }
    (configs / "roles.yaml").write_text(yaml.safe_dump(roles), encoding="utf-8")
    home = Home.new(folder / "home", READMISSION_ENVIRONMENT="staging", READMISSION_CONFIGS=str(configs))
    for option in ADOPTED:
        signer = "a.rivera" if option == "--roles" else "b.chen"
        signed = ("--key", str(key_of(folder, signer)), "--signer", signer)
        done = home.command("policy", "adopt", *([option] if option else []), *signed)
        assert done.code == 0, done.err
    trained = acting(home, "d.okafor").command("train", *COHORT)
    assert trained.code == 0, trained.err
    return home


@pytest.fixture
def home(staffed: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(staffed)


def key_of(folder: Path, who: str) -> Path:
    return folder / f"{who}.pem"


def acting(home: Home, who: str, key: Path | None = None) -> Home:
    """Return the home with somebody at work in it, with a key of theirs or without."""
    variables = {**home.variables, "READMISSION_ACTOR": who}
    return home.having(**variables | ({"READMISSION_KEY": str(key)} if key else {}))


def keys(home: Home) -> Path:
    return Path(home.variables["READMISSION_CONFIGS"]).parent


TO_STAGING = ("promote", "--version", "1", "--to-stage", "staging", "--reason", "judged good")


def test_a_promotion_takes_the_key_of_somebody_with_the_permission(home: Home):
    folder = keys(home)
    claimed = acting(home, "scheduler").command(*TO_STAGING)
    assert claimed.code == 3
    assert "asks without a signature" in claimed.err
    assert "READMISSION_KEY" in claimed.err
    stolen = acting(home, "scheduler", key_of(folder, "b.chen")).command(*TO_STAGING)
    assert "not one of scheduler's registered key" in stolen.err
    other = acting(home, "a.rivera", key_of(folder, "a.rivera")).command(*TO_STAGING)
    assert "a.rivera does not have the permission write_staging" in other.err
    assert home.stages["staging"] is None
    done = acting(home, "scheduler", key_of(folder, "scheduler")).command(*TO_STAGING)
    assert done.code == 0, done.err
    status = home.command("status", "--json").json
    assert (status["stages"]["staging"]["by"], status["stages"]["staging"]["identity"]) == ("scheduler", "signed")
    assert "by scheduler (signed)" in home.command("status").out
    checks = {each["name"]: each for each in home.command("verify", "1", "--json").json["checks"]}
    assert checks["signed_requests"]["result"] == "pass"


def test_a_dry_run_says_whether_the_request_would_count(home: Home):
    key = str(key_of(keys(home), "scheduler"))
    who = acting(home, "scheduler")
    assert who.command(*TO_STAGING, "--dry-run").code == 3
    assert who.command(*TO_STAGING, "--dry-run", "--key", key).code == 0
    assert home.stages["staging"] is None


def test_what_is_only_claimed_is_permitted_by_role_and_recorded_as_claimed(home: Home):
    with home.ledger() as ledger:
        trained, validated = ledger.events(kind="version_trained")[0], ledger.events(kind="version_validated")[0]
    assert (trained.actor, trained.payload["identity"], validated.payload["identity"]) == (
        "d.okafor", "claimed", "claimed"
    )  # fmt: skip
    before = home.kinds()
    refused = acting(home, "a.rivera").command("train", *COHORT)
    assert refused.code == 3
    assert "a.rivera does not have the permission train" in refused.err
    assert "version_trained" not in home.kinds()[len(before) :]


@pytest.mark.parametrize(
    "command",
    [
        ("worklist",),
        ("trace", "1"),
        ("quarantine", "show", "--date", "2024-02-29"),
        ("quarantine", "release", "--date", "2024-02-29", "--file", "ab", "--all-rows", "--dry-run"),
    ],
)
def test_rows_of_people_are_shown_to_whoever_may_read_them(home: Home, command: tuple[str, ...]):
    stranger = acting(home, "visitor").command(*command)
    assert stranger.code == 3
    assert "visitor does not have the permission read_production" in stranger.err
    assert "permission" not in acting(home, "d.okafor").command(*command).err


def test_a_key_is_rotated_listed_and_revoked(home: Home, tmp_path: Path):
    folder, new = keys(home), tmp_path / "new.pem"
    assert home.command("keys", "create", str(new)).code == 0
    mine = ("--signer", "scheduler", "--key", str(key_of(folder, "scheduler")))
    assert home.command("keys", "rotate", *mine, "--new-key", str(new), "--dry-run").code == 0
    rotated = home.command("keys", "rotate", *mine, "--new-key", str(new), "--json")
    assert rotated.code == 0, rotated.err
    assert home.kinds()[-1] == "key_rotated"
    former = acting(home, "scheduler", key_of(folder, "scheduler")).command(*TO_STAGING)
    assert "not one of scheduler's registered key" in former.err
    assert acting(home, "scheduler", new).command(*TO_STAGING).code == 0
    states = {(each["identity"], each["state"]) for each in home.command("keys", "list", "--all", "--json").json}
    assert {("scheduler", "rotated"), ("scheduler", "in use"), ("b.chen", "in use")} <= states
    stale = home.command("policy", "adopt", "--roles", "--signer", "a.rivera", "--key", str(key_of(folder, "a.rivera")))
    assert stale.code == 3
    assert "it gives scheduler a key that was rotated or revoked" in stale.err
    admin = ("--signer", "a.rivera", "--key", str(key_of(folder, "a.rivera")))
    revoked = home.command("keys", "revoke", "scheduler", "--reason", "laptop stolen", *admin)
    assert revoked.code == 0, revoked.err
    assert "scheduler" not in {each["identity"] for each in home.command("keys", "list", "--json").json}
    again = acting(home, "scheduler", new).command("promote", "--version", "1", "--reason", "x")
    assert "scheduler has no registered key" in again.err
    assert home.command("audit", "verify").code == 0


def test_status_says_how_old_the_keys_are(home: Home):
    assert {each["age_days"] for each in home.command("status", "--json").json["keys"]} == {0}
    assert "days old" not in home.command("status").out
