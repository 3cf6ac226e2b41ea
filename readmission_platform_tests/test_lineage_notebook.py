"""The notebook that follows a prediction: it runs from its first cell to its last, and holds no outputs."""

import json
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform_tests.support.homes import Home

NOTEBOOK = PROJECT_ROOT / "docs" / "lineage.ipynb"


@pytest.fixture(scope="module")
def code() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run(code: list[str], home: Home) -> dict[str, Any]:
    """Execute the cells one after the other, as a notebook does."""
    names: dict[str, Any] = {}
    with home.lived_in():
        for cell in code:
            exec(compile(cell, str(NOTEBOOK), "exec"), names)
    return names


def test_it_follows_a_prediction_to_data_commit_and_approvals_and_forward(code: list[str], lived_home: Home) -> None:
    names = run(code, lived_home)
    assert names["again"]["identical"]
    assert names["version"]["approvals"]
    assert names["version"]["code_version"]
    assert not names["arrived"]
    assert len(names["days"]) == 14


def test_it_stops_where_a_model_file_was_swapped(code: list[str], lived_home: Home, tmp_path: Path) -> None:
    home = lived_home.copy(tmp_path / "home")
    for file in (home.path / "mlartifacts").rglob("*.skops"):
        file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(Exception, match="has been changed"):
        run(code, home)


def test_it_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert [cell.get("outputs") or cell.get("execution_count") for cell in cells if cell["cell_type"] == "code"] == [
        None
    ] * sum(cell["cell_type"] == "code" for cell in cells)
