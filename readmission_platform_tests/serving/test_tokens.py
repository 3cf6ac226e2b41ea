"""Who may ask the service, while tokens come and go."""

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from readmission_platform.foundation.errors import BadInput, Conflict, Unavailable
from readmission_platform.serving.tokens import Tokens, create_token, read_tokens, revoke_token

TODAY = datetime.now(UTC).date()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "serving_tokens.json"


def known(path: Path) -> Tokens:
    tokens = Tokens(path)
    tokens.refresh()
    return tokens


def test_a_token_says_who_asks_and_what_for(path: Path) -> None:
    token = create_token(path, "ward-3", ["score", "read"], None)
    client = known(path).client(token)
    assert client is not None
    assert (client.name, client.scopes) == ("ward-3", frozenset({"score", "read"}))


def test_the_token_itself_is_kept_nowhere(path: Path) -> None:
    token = create_token(path, "ward-3", ["score"], None)
    assert token not in path.read_text(encoding="utf-8")


def test_a_token_nobody_made_is_nobodys(path: Path) -> None:
    create_token(path, "ward-3", ["score"], None)
    assert known(path).client("rdm_guess") is None
    assert known(path).client("") is None
    assert known(path).client("\udcff") is None


def test_a_token_is_valid_through_its_last_day(path: Path) -> None:
    token = create_token(path, "ward-3", ["score"], TODAY)
    assert known(path).client(token) is not None
    kept = path.read_text(encoding="utf-8")
    path.write_text(
        kept.replace(f'"expires": "{TODAY}"', f'"expires": "{TODAY - timedelta(days=1)}"'), encoding="utf-8"
    )
    assert known(path).client(token) is None


def test_a_token_that_would_have_expired_already_is_not_made(path: Path) -> None:
    with pytest.raises(BadInput, match="would have expired"):
        create_token(path, "ward-3", ["score"], TODAY - timedelta(days=1))
    assert read_tokens(path) == ()


def test_tokens_made_and_revoked_count_without_a_restart(path: Path) -> None:
    tokens = known(path)
    token = create_token(path, "ward-3", ["score"], None)
    tokens.refresh()
    assert tokens.client(token) is not None
    revoke_token(path, "ward-3")
    tokens.refresh()
    assert tokens.client(token) is None


def test_a_file_that_was_damaged_takes_nobodys_token_away_and_is_told_of(path: Path) -> None:
    token = create_token(path, "ward-3", ["score"], None)
    tokens = known(path)
    path.write_text('{"tokens": [{"name"', encoding="utf-8")
    tokens.refresh()
    assert tokens.client(token) is not None
    assert tokens.problem is not None
    with pytest.raises(Unavailable, match="cannot be read as a file of tokens"):
        create_token(path, "ward-4", ["score"], None)


def test_a_name_is_given_once(path: Path) -> None:
    create_token(path, "ward-3", ["score"], None)
    with pytest.raises(Conflict, match="there is a token of the name ward-3"):
        create_token(path, "ward-3", ["read"], None)


@pytest.mark.parametrize(("name", "scopes"), [("two words", ["score"]), ("ward-3", []), ("", ["score"])])
def test_a_name_or_scope_that_makes_no_sense_is_refused(path: Path, name: str, scopes: list[str]) -> None:
    with pytest.raises(BadInput):
        create_token(path, name, scopes, None)  # type: ignore[arg-type]
    assert read_tokens(path) == ()


def test_a_token_that_is_not_there_cannot_be_revoked(path: Path) -> None:
    with pytest.raises(BadInput, match="no token of the name ward-3"):
        revoke_token(path, "ward-3")


def test_of_many_who_make_tokens_at_once_none_is_lost(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: create_token(path, f"client-{number}", ["score"], None), range(24)))
    tokens = known(path)
    assert all(tokens.client(token) is not None for token in made)


def test_only_the_owner_of_the_home_can_read_who_has_tokens(path: Path) -> None:
    create_token(path, "ward-3", ["score"], None)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
