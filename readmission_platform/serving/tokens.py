"""Who may ask the service: tokens of clients, kept as digests in one file that can change while the service runs.

What belongs here: making, revoking and recognising tokens. What does not: which scope a route asks for (``routes``).
"""

import fcntl
import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, ValidationError

from readmission_platform.config.environment import Settings
from readmission_platform.foundation.errors import BadInput, Conflict, Unavailable
from readmission_platform.foundation.values import Frozen
from readmission_platform.storage.home import replace_file

Scope = Literal["score", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
FILE = "serving_tokens.json"
_PREFIX = "rdm_"


class Token(Frozen):
    """A token as it is kept: whose it is, the SHA-256 of it, what it is good for, and until which day (included)."""

    name: str = Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9_.@-]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = Field(min_length=1)
    created: date
    expires: date | None = None


class _TokenFile(Frozen):
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Client:
    """Who asks, and what for."""

    name: str
    scopes: frozenset[Scope]


class Tokens:
    """The tokens of a file, read again when it changes; one that became unreadable leaves the former ones valid."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._by_digest: Mapping[str, Token] = {}
        self.problem: str | None = None

    def client(self, token: str) -> Client | None:
        """Return whose token this is; None of one that is unknown, revoked or expired."""
        found = self._by_digest.get(_digest(token))
        if found is None or (found.expires is not None and found.expires < datetime.now(UTC).date()):
            return None
        return Client(found.name, frozenset(found.scopes))

    def refresh(self) -> None:
        """Read the file if it changed since the last time."""
        try:
            state = self._path.stat()
            seen = (state.st_mtime_ns, state.st_size)
            if seen != self._seen:
                self._by_digest = {each.sha256: each for each in read_tokens(self._path)}
                self._seen = seen
            self.problem = None
        except (OSError, Unavailable) as error:
            self.problem = f"the file of tokens cannot be read ({type(error).__name__}); those read before stay valid"


def tokens_file(settings: Settings) -> Path:
    """Return where the tokens of a home are."""
    return settings.keys / FILE


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Return the tokens of a file, none where there is no file.

    Raises
    ------
    Unavailable
        When it is there and cannot be read.
    """
    try:
        return _TokenFile.model_validate_json(path.read_bytes()).tokens
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError) as error:
        raise Unavailable(f"{path} cannot be read as a file of tokens: restore it, or delete it and make new tokens "
                          "(`readmission tokens create`)") from error  # fmt: skip


def create_token(path: Path, name: str, scopes: Iterable[Scope], expires: date | None) -> str:
    """Make a token and keep its digest; the token itself is returned this once and kept nowhere.

    Raises
    ------
    BadInput
        When the name or the scopes make no sense.
    Conflict
        When there is a token of that name.
    Unavailable
        When the file cannot be read.
    """
    if expires is not None and expires < datetime.now(UTC).date():
        raise BadInput(f"the token would have expired on {expires}; give a day to come")
    token = _PREFIX + secrets.token_urlsafe(32)
    try:
        made = Token(
            name=name,
            sha256=_digest(token),
            scopes=tuple(dict.fromkeys(scopes)),
            created=datetime.now(UTC).date(),
            expires=expires,
        )
    except ValidationError as error:
        raise BadInput(f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}") from error
    with _changing(path) as there:
        if any(each.name == name for each in there):
            raise Conflict(f"there is a token of the name {name}; revoke it first, or make one under another name and "
                           "revoke the old one when the client has changed over")  # fmt: skip
        _write(path, (*there, made))
    return token


def revoke_token(path: Path, name: str) -> None:
    """Take a token away; raises ``BadInput`` when there is none of that name."""
    with _changing(path) as there:
        if all(each.name != name for each in there):
            raise BadInput(f"there is no token of the name {name}; `readmission tokens list` shows them")
        _write(path, [each for each in there if each.name != name])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


@contextmanager
def _changing(path: Path) -> Iterator[tuple[Token, ...]]:
    """Let one process at a time change the file; yields what it holds."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield read_tokens(path)


def _write(path: Path, tokens: Iterable[Token]) -> None:
    content = {"tokens": [json.loads(each.model_dump_json()) for each in tokens]}
    replace_file(path, (json.dumps(content, indent=1) + "\n").encode())
