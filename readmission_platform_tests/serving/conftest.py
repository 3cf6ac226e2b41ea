"""A home with a version in production, and the service of it, asked without a network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from starlette.testclient import TestClient

from readmission_platform.models.single_rows import plain
from readmission_platform.serving.http.app import make_app
from readmission_platform.serving.service import Service
from readmission_platform.serving.tokens import SCOPES, create_token, tokens_file
from readmission_platform_tests.support.homes import MODEL, Home


@dataclass(frozen=True)
class Served:
    """The service of a home, a client of it, and the tokens of clients with one scope each."""

    home: Home
    service: Service
    client: TestClient
    tokens: dict[str, str]

    def headers(self, scope: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[scope]}"}

    def score(self, rows: list[dict[str, Any]], **more: Any) -> Any:
        answer = self.client.post(
            f"/v1/models/{MODEL}/score", json={"rows": rows, **more}, headers=self.headers("score")
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]


@contextmanager
def serving(home: Home) -> Iterator[Served]:
    """Serve a home in this process."""
    with home.lived_in() as settings:
        path = tokens_file(settings)
        tokens = {scope: create_token(path, scope, [scope], None) for scope in SCOPES}
        service = Service(settings, [MODEL])
    with TestClient(make_app(service), raise_server_exceptions=False) as client:
        yield Served(home, service, client, tokens)


@pytest.fixture(scope="package")
def served(lived_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service of a home that is only asked."""
    with serving(lived_home.copy(tmp_path_factory.mktemp("served") / "home")) as found:
        yield found


@pytest.fixture
def own_service(lived_home: Home, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Return a function that serves a home of the test's own."""
    return lambda: serving(lived_home.copy(tmp_path / "home"))


def delivered_rows(home: Home, days: int = 14) -> list[dict[str, Any]]:
    """Return what a client would send for the newest delivered days: cells of the landed files, with their day."""
    found = []
    for file in sorted((home.path / "landing" / "discharges").glob("*/*.csv"))[-days:]:
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        found += plain(rows.assign(discharge_date=file.parent.name))
    return found


def altered(home: Home, version: str, name: str) -> None:
    """Change a byte of a stored file of a version: its ``artifact``, or what its single ``rows`` are scored with."""
    with home.ledger() as ledger:
        (trained,) = ledger.events(kind="version_trained", version=version)
    file = home.path / "mlartifacts" / trained.payload[name]["path"]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
