"""The home: created once, safe to repeat, and its secret kept."""

import os
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from dotenv import dotenv_values

from readmission_platform.config.environment import PROJECT_ROOT, Settings
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform.storage.home import (
    Installation,
    prepare_home,
    pseudonym_key,
    record_installation,
    replace_file,
    write_dagster_environment,
    write_secret,
)
from readmission_platform.storage.registry import Registry

ODD = (
    "a b",
    "a#b",
    "a&b",
    "a'b",
    'a"b',
    "a+b",
    "a%zz",
    "a;b",
    "a=b",
    "a:b",
    "aé€",
    "a*b",
    "a$HOME",
    "a{b}",
    "~a",
    "a<b>",
)
IMPOSSIBLE = ("a%2Fb", "a?b", "%20", "a[b]", "a\\b", "a|b", "a^b", "a\nb")


@pytest.fixture(autouse=True)
def umask_of_a_login() -> Iterator[None]:
    """Begin every test with what a login gives, and leave the process as it was."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DAGSTER_HOME", "to be restored after the test")
    monkeypatch.delenv("DAGSTER_HOME")
    return Settings(home=tmp_path / "a home")


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_fresh_home_has_every_folder_and_the_settings_of_dagster(settings: Settings) -> None:
    home = prepare_home(settings)
    assert {path.name for path in home.iterdir()} >= {"lake", "mlartifacts", "dagster", "landing", "reports", "keys"}
    assert (settings.dagster_home / "dagster.yaml").read_bytes() == (PROJECT_ROOT / "dagster.yaml").read_bytes()
    assert os.environ["DAGSTER_HOME"] == str(settings.dagster_home)
    assert permissions(settings.keys) == 0o700


def test_preparing_again_keeps_what_is_there_and_puts_changed_settings_back_into_force(settings: Settings) -> None:
    prepare_home(settings)
    kept = settings.lake / "table"
    kept.write_text("content", encoding="utf-8")
    (settings.dagster_home / "dagster.yaml").write_text("telemetry: {enabled: true}", encoding="utf-8")
    prepare_home(settings)
    assert kept.read_text(encoding="utf-8") == "content"
    assert (settings.dagster_home / "dagster.yaml").read_bytes() == (PROJECT_ROOT / "dagster.yaml").read_bytes()


def test_a_dagster_home_that_is_set_for_another_project_does_not_get_our_runs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/elsewhere")
    prepare_home(settings)
    assert os.environ["DAGSTER_HOME"] == str(settings.dagster_home)


def test_a_home_that_cannot_be_made_is_an_error_of_the_system(settings: Settings) -> None:
    settings.home.write_text("a file in the way", encoding="utf-8")
    with pytest.raises(OSError, match="home"):
        prepare_home(settings)


def test_the_key_is_made_once_is_private_and_differs_between_homes(settings: Settings, tmp_path: Path) -> None:
    key = pseudonym_key(settings)
    assert len(key) == 32
    assert pseudonym_key(settings) == key
    assert permissions(settings.keys / "pseudonyms.key") == 0o600
    assert pseudonym_key(Settings(home=tmp_path / "another")) != key


def test_all_who_ask_for_the_key_at_the_same_time_get_the_same_one(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: pseudonym_key(settings), range(16)))
    assert len(keys) == 1
    assert [path.name for path in settings.keys.iterdir()] == ["pseudonyms.key"]


def test_a_secret_is_never_overwritten(tmp_path: Path) -> None:
    write_secret(tmp_path / "secret", b"first")
    with pytest.raises(FileExistsError):
        write_secret(tmp_path / "secret", b"second")
    assert (tmp_path / "secret").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_replacing_a_file_leaves_nothing_else_behind(tmp_path: Path) -> None:
    replace_file(tmp_path / "file", b"old")
    replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ODD)
def test_the_databases_of_a_home_are_in_it_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    settings = Settings(home=tmp_path / name)
    prepare_home(settings)
    for url, file in (
        (settings.ledger_database, "ledger.db"),
        (settings.operations_database, "operations.db"),
        (settings.mlflow_database, "mlflow.db"),
    ):
        assert sa.make_url(url).database == str(tmp_path / name / file)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_registry_of_a_home_is_in_it_and_nothing_is_made_beside_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "a b#c&d'e+f%zz;é=:*")
    prepare_home(settings)
    assert Registry(settings.mlflow_database, settings.mlflow_artifacts, "model").registered() == {}
    assert (settings.home / "mlflow.db").is_file()
    assert list(tmp_path.iterdir()) == [settings.home]


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_home_that_could_not_be_addressed_is_refused_and_nothing_is_made(tmp_path: Path, name: str) -> None:
    settings = Settings(home=tmp_path / name)
    with pytest.raises(ConfigurationError, match="give another folder"):
        prepare_home(settings)
    assert list(tmp_path.iterdir()) == []
    assert sa.make_url(settings.ledger_database).database == str(tmp_path / name / "ledger.db")


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_a_home_is_its_owners_alone_whatever_the_umask(settings: Settings, umask: int) -> None:
    settings.home.mkdir(mode=0o755)  # as an operator makes it before
    os.umask(umask)
    prepare_home(settings)
    pseudonym_key(settings)
    (settings.landing / "made later").write_text("")
    assert permissions(settings.home) == 0o700
    assert [path for path in settings.home.rglob("*") if permissions(path) & 0o077] == []


def test_what_a_group_may_do_is_the_operators_decision_and_nobody_else_gets_in(settings: Settings) -> None:
    prepare_home(settings)
    record_installation(settings, Installation("local", "1"))
    settings.home.chmod(0o711)
    settings.landing.chmod(0o2770)
    prepare_home(settings)
    assert permissions(settings.home) == 0o710
    assert permissions(settings.landing) == 0o2770


def plain_dagster(checkout: Path) -> dict[str, str | None]:
    """Return the variables that a dagster command gets which is started in the checkout."""
    return dotenv_values(checkout / ".env")


@pytest.mark.parametrize("name", ODD)
def test_plain_dagster_commands_find_the_home(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("READMISSION_HOME", raising=False)
    monkeypatch.setenv("DAGSTER_HOME", "/of/another/project")
    settings = Settings(home=tmp_path / name)
    kept = write_dagster_environment(settings, tmp_path)
    if "}" in name:
        assert kept is not None
        return
    assert kept is None
    assert plain_dagster(tmp_path) == {
        "READMISSION_HOME": str(settings.home),
        "DAGSTER_HOME": str(settings.dagster_home),
    }
    assert write_dagster_environment(settings, tmp_path) is None
    monkeypatch.setenv("READMISSION_HOME", "/named")
    assert plain_dagster(tmp_path) == {"READMISSION_HOME": "/named", "DAGSTER_HOME": "/named/dagster"}


def test_setting_up_a_second_home_does_not_redirect_the_first(tmp_path: Path) -> None:
    first, second = Settings(home=tmp_path / "first"), Settings(home=tmp_path / "second")
    for each in (first, second):
        prepare_home(each)
        record_installation(each, Installation("local", "1"))
    assert write_dagster_environment(first, tmp_path) is None
    written = (tmp_path / ".env").read_bytes()
    said = write_dagster_environment(second, tmp_path)
    assert said is not None
    assert str(first.home) in said
    assert "\n" not in said
    assert (tmp_path / ".env").read_bytes() == written
    shutil.rmtree(first.home)
    assert write_dagster_environment(second, tmp_path) is None
    assert plain_dagster(tmp_path)["READMISSION_HOME"] == str(second.home)


def test_a_file_of_variables_that_is_not_ours_is_kept(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SECRET=of somebody\n")
    assert "is kept" in str(write_dagster_environment(settings, tmp_path))
    assert (tmp_path / ".env").read_text() == "SECRET=of somebody\n"
