"""``readmission serve`` and ``tokens``: what cannot be served is said in a line before anything starts."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform_tests.support.homes import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.new(tmp_path / "home")


def refused(home: Home, *arguments: str, code: int) -> str:
    outcome = home.command(*arguments)
    assert outcome.code == code, outcome.err
    (line,) = outcome.err.strip().splitlines()
    return line


def test_a_model_that_is_not_there_is_refused(home: Home):
    assert "there is no model nobody" in refused(home, "serve", "--model", "nobody", code=2)


def test_a_port_that_is_taken_is_named(home: Home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in refused(home, "serve", "--port", str(port), code=5)


def test_without_the_key_of_the_pseudonyms_nobody_is_served(home: Home):
    (home.path / "keys" / "pseudonyms.key").unlink()
    assert "the key of the pseudonyms is not in" in refused(home, "serve", code=5)
    assert not (home.path / "keys" / "pseudonyms.key").exists()


@pytest.mark.parametrize("options", [("--certificate", "cert.pem"), ("--key", "key.pem")])
def test_a_certificate_that_is_not_there_is_refused(home: Home, options: tuple[str, ...]):
    assert "no such file" in refused(home, "serve", *options, code=2)


def test_a_certificate_needs_its_key(home: Home, tmp_path: Path):
    (tmp_path / "cert.pem").touch()
    assert "a certificate needs its key" in refused(home, "serve", "--certificate", str(tmp_path / "cert.pem"), code=2)


def test_limits_that_make_no_sense_are_refused(home: Home, tmp_path: Path):
    configs = tmp_path / "configs"
    shutil.copytree(Path(home.environment.get("READMISSION_CONFIGS", PROJECT_ROOT / "configs")), configs)
    file = configs / "serving.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("most_rows: 500", "most_rows: 0"), encoding="utf-8")
    assert "most_rows" in refused(home.having(READMISSION_CONFIGS=str(configs)), "serve", code=2)


def test_outside_local_somebody_has_to_have_a_token(tmp_path: Path, changing: Callable[[Home], Home]):
    home = Home.new(tmp_path / "staging", READMISSION_ENVIRONMENT="staging")
    outcome = home.command("serve")
    assert outcome.code == 3
    assert "no client has a token" in outcome.err


def test_a_token_is_shown_once_and_revoked(home: Home):
    made = home.command(
        "tokens", "create", "ward", "--scope", "score", "--scope", "read", "--expires", "2099-01-01", "--json"
    ).json
    assert made["scopes"] == ["score", "read"]
    listed = home.command("tokens", "list", "--json")
    assert [(each["name"], each["expires"]) for each in listed.json] == [("ward", "2099-01-01")]
    assert made["token"] not in listed.out
    assert home.command("tokens", "revoke", "ward").code == 0
    assert home.command("tokens", "list", "--json").json == []


@pytest.mark.parametrize("scope", ["write", "Score"])
def test_a_scope_that_is_none_is_refused(home: Home, scope: str):
    assert "scopes are score, read, admin" in refused(home, "tokens", "create", "ward", "--scope", scope, code=2)
