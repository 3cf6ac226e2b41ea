"""The home: created once, safe to repeat, and its secret kept."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from readmission_platform.config.environment import PROJECT_ROOT, Settings
from readmission_platform.storage.home import prepare_home, pseudonym_key, replace_file, write_secret


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
