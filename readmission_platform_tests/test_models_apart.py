"""Models apart: the platform knows none of them, and no two share a table, an alert or a landing folder by accident."""

import ast
import re
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from readmission_platform.config.environment import PROJECT_ROOT, Settings
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform.intake.sources import LandingFolders
from readmission_platform.lifecycle.installation import make_installation
from readmission_platform.lifecycle.workspace import Platform, check_landing
from readmission_platform.models import frequent_visits, readmission_30d
from readmission_platform.models.contract import ModelContract

PACKAGE = PROJECT_ROOT / "readmission_platform"
CONTRACTS = {"readmission_30d": readmission_30d.CONTRACT, "frequent_visits": frequent_visits.CONTRACT}
# Where a model's names may stand: its package, and the feed that it reads. Their configuration is below configs/models.
SHARED = {"boosting", "conformance", "neural", "tabular"}
OF_MODELS = [*(each for each in (PACKAGE / "models").iterdir() if each.is_dir() and each.name not in SHARED),
             PACKAGE / "encounters"]  # fmt: skip
# What the platform adds to rows, and words that mean something else to it, to Dagster or Kubernetes than to a model.
OF_THE_PLATFORM = {"entity_key", "clock", "part", "fold", "synthetic", "outcomes", "plan", "change", "start_date",
                   "weight"}  # fmt: skip


def names_of(contract: ModelContract) -> set[str]:
    """What a model calls its columns, tables, subgroups, baselines, sources and folders."""
    evidence = contract.evidence
    return {
        *contract.feed.columns, *contract.raw.columns, *contract.inputs, *contract.identifiers,
        contract.row, contract.day, contract.outcome, contract.feed.entity,
        *astuple(contract.names), *contract.sources, contract.landing.rows, contract.landing.outcomes,
        *(each.name for each in (*evidence.attributes, *evidence.baselines)), *contract.data.source_columns,
    } - OF_THE_PLATFORM  # fmt: skip


def texts_of(path: Path) -> Iterator[str]:
    """The strings of a module, without its docstrings; of a template what stands for a value."""
    content = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from re.findall(r"(?<=[.\[])\w+", content)
        return
    tree = ast.parse(content)
    docs = {node.body[0].value for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body
            and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs:
            yield node.value
        if isinstance(node, ast.Attribute):
            yield node.attr


def the_platform() -> list[Path]:
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.j2")]
    return sorted(file for file in files if not any(file.is_relative_to(folder) for folder in OF_MODELS))


@pytest.mark.parametrize("model", CONTRACTS)
def test_nothing_outside_a_models_package_names_what_is_its_own(model: str) -> None:
    names = names_of(CONTRACTS[model])
    assert len(names) > 15
    found = {
        f"{file.relative_to(PACKAGE)}: {text}" for file in the_platform() for text in texts_of(file) if text in names
    }
    assert found == set()


def test_names_that_can_mean_nothing_else_are_not_even_in_comments_and_texts() -> None:
    names = {name for contract in CONTRACTS.values() for name in names_of(contract) if "_" in name}
    # These are also what the platform's example in a docstring is called.
    pattern = re.compile(rf"\b({'|'.join(sorted(names - {'patient_split'}))})\b")
    found = {f"{file.relative_to(PACKAGE)}: {hit}" for file in the_platform()
             for hit in pattern.findall(file.read_text(encoding="utf-8"))}  # fmt: skip
    assert found == set()


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('"""Not here: encounter_id."""\nrows["encounter_id"], rows.lace, f"{x}"\n', encoding="utf-8")
    assert {"encounter_id", "lace"} == set(texts_of(module)) & names_of(readmission_30d.CONTRACT)


def both_in_use(tmp_path: Path) -> Platform:
    current = Settings(home=tmp_path / "home", models="readmission_30d,frequent_visits")
    make_installation(current)
    return Platform(current)


def test_every_model_has_its_own_tables_reports_registry_and_stream_of_the_ledger(tmp_path: Path) -> None:
    platform = both_in_use(tmp_path)
    make_installation(platform.settings)
    ours, theirs = platform.workspaces
    assert not ours.lake.root.is_relative_to(theirs.lake.root)
    assert not theirs.lake.root.is_relative_to(ours.lake.root)
    assert ours.reports != theirs.reports
    assert ours.registry.name != theirs.registry.name
    with ours.ledger() as one, theirs.ledger() as other:
        one.append("noted", {}, actor="a")
        assert other.events(after=1) == []


def test_two_models_read_the_same_folder_only_if_both_say_so() -> None:
    own = LandingFolders(rows="discharges", outcomes="outcomes")
    for ours, theirs in ((own, own), (own, replace(own, shared=True)), (replace(own, shared=True), own)):
        with pytest.raises(ConfigurationError, match="one and other both read landing/discharges"):
            check_landing({"one": ours, "other": theirs})
    check_landing({"one": replace(own, shared=True), "other": replace(own, shared=True)})
    check_landing({"one": own, "other": LandingFolders(rows="visits", outcomes="counts")})


def test_what_one_calls_rows_cannot_be_what_another_calls_outcomes() -> None:
    with pytest.raises(ConfigurationError, match="landing/visits"):
        check_landing({"one": LandingFolders("visits", "ends"), "other": LandingFolders("stays", "visits")})


def test_an_asset_is_told_to_its_model_by_its_key_alone(tmp_path: Path) -> None:
    names = both_in_use(tmp_path).names
    assert names.of_asset("daily_predictions").model == "readmission_30d"
    assert names.of_asset("frequent_visits/daily_predictions").model == "frequent_visits"
    assert names.of_instigator("frequent_visits_landing_sensor").model == "frequent_visits"
    assert names.of_instigator("observation_sensor").model is None


@pytest.mark.parametrize(("models", "said"), [("nobody", "there is no model nobody"), (",", "names no model")])
def test_models_that_there_are_not_are_named(tmp_path: Path, models: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Platform(Settings(home=tmp_path, models=models))


def test_an_example_is_in_use_only_where_it_is_named(tmp_path: Path) -> None:
    assert Platform(Settings(home=tmp_path)).models == ("readmission_30d",)
    assert both_in_use(tmp_path).models == ("readmission_30d", "frequent_visits")
