"""The component ``GovernedModel``: a model's twelve lines of YAML, read by Dagster's own loader."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from readmission_platform.assets.model_assets import RUN_COST_TAG, RUN_MODEL_TAG
from readmission_platform.components import GovernedModel
from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.definitions import build_definitions
from readmission_platform_tests.support.homes import MODEL, Home

MODELS = PROJECT_ROOT / "configs" / "models"
OTHER = "frequent_visits"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which both models are in use."""
    return Home.new(tmp_path_factory.mktemp("both") / "home").having(READMISSION_MODELS=f"{MODEL},{OTHER}")


@contextmanager
def loaded(name: str) -> Iterator[dg.Definitions]:
    """Load the file of a model as Dagster loads the components of a project."""
    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.defs_folder_path / name
        folder.mkdir(parents=True)
        shutil.copy(MODELS / name / "defs.yaml", folder)
        with sandbox.load_component_and_build_defs(defs_path=folder) as (component, definitions):
            assert isinstance(component, GovernedModel)
            yield definitions


def keys(definitions: dg.Definitions) -> set[str]:
    return {spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()}


@pytest.mark.parametrize("name", [MODEL, OTHER])
def test_dagsters_own_loader_makes_of_the_file_what_the_platform_makes_of_it(home: Home, name: str):
    with home.lived_in() as current, loaded(name) as definitions:
        ours = build_definitions(current)
        # What belongs to the environment comes from elsewhere in a project.
        merged = dg.Definitions.merge(definitions, dg.Definitions(resources=ours.resources))
        whole, repository = merged.get_repository_def(), ours.get_repository_def()
    prefix = "" if name == MODEL else f"{OTHER}/"
    of_model = {key for key in keys(ours) if key.startswith(prefix) and (prefix or "/" not in key)}
    assert keys(merged) == of_model
    assert {job.name for job in whole.get_all_jobs()} <= {job.name for job in repository.get_all_jobs()}
    sensors = {sensor.name for sensor in whole.sensor_defs}
    assert sensors < {sensor.name for sensor in repository.sensor_defs}
    assert len(sensors) == 8


def test_every_model_has_the_same_graph_under_names_of_its_own(home: Home):
    with home.lived_in() as current:
        graph = build_definitions(current).resolve_asset_graph()
    ours, theirs = {}, {}
    for key in graph.materializable_asset_keys:
        parents = frozenset(parent.path[-1] for parent in graph.get(key).parent_keys)
        (theirs if len(key.path) == 2 else ours)[key.path[-1]] = parents
    named = {"raw_encounters": "raw_enrolments", "eligible_encounters": "eligible_enrolments",
             "encounter_features": "enrolment_features", "patient_split": "person_split",
             "daily_discharges": "daily_enrolments"}  # fmt: skip
    assert {
        named.get(name, name): frozenset(named.get(parent, parent) for parent in parents)
        for name, parents in ours.items()
    } == theirs


def test_no_asset_of_a_model_depends_on_one_of_another(home: Home):
    with home.lived_in() as current:
        graph = build_definitions(current).resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        assert {len(parent.path) for parent in graph.get(key).parent_keys} <= {len(key.path)}, key


def test_what_belongs_to_a_model_is_tagged_with_it_and_with_who_pays(home: Home):
    with home.lived_in() as current:
        definitions = build_definitions(current)
        specs = list(definitions.resolve_all_asset_specs())
        jobs = [job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")]
    of = {OTHER: {"readmission/model": OTHER}, MODEL: {"readmission/model": MODEL}}
    for spec in specs:
        model = OTHER if len(spec.key.path) == 2 else MODEL
        assert of[model].items() <= spec.tags.items(), spec.key
        assert spec.tags["readmission/cost_center"], spec.key
    for job in jobs:
        model = OTHER if job.name.startswith(f"{OTHER}_") else MODEL
        assert job.tags[RUN_MODEL_TAG] == model, job.name
        assert job.tags[RUN_COST_TAG], job.name
