"""A home that is watched, with assets of two models that nobody has prepared anything for."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import dagster as dg

from readmission_platform.assets.model_assets import RUN_MODEL_TAG
from readmission_platform.automation.observation import Observed, observation_sensor, observe
from readmission_platform.config.environment import settings
from readmission_platform.config.files import environment_config
from readmission_platform.foundation.errors import GovernanceError
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.operations.database import Operations
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.two_models import configs_of_two

SECRET = "patient 70461234"
OTHER = "visits_model"  # a second model, whose names begin with a prefix
tries: list[int] = []


class Mood(dg.Config):
    mood: str = "fine"


def _brand_new(*prefix: str) -> dg.AssetsDefinition:
    key = dg.AssetKey([*prefix, "brand_new"])

    @dg.asset(
        key=key,
        check_specs=[
            dg.AssetCheckSpec("plausible", asset=key, blocking=True),
            dg.AssetCheckSpec("usual", asset=key),
        ],
        code_version="7",
    )
    def brand_new(config: Mood) -> dg.MaterializeResult:
        """An asset as somebody writes it who knows nothing of observation."""
        if config.mood == "raise":
            raise ValueError(f"cannot read {SECRET}")
        if config.mood == "refuse":
            from readmission_platform.foundation.errors import BadInput

            raise BadInput("there is no such version")
        return dg.MaterializeResult(
            metadata={"dagster/row_count": 42},
            data_version=dg.DataVersion("sha256:42"),
            check_results=[
                dg.AssetCheckResult(
                    check_name="plausible", passed=config.mood != "implausible", description="It adds up."
                ),
                dg.AssetCheckResult(
                    check_name="usual",
                    passed=config.mood != "unusual",
                    severity=dg.AssetCheckSeverity.WARN,
                    description="It is as it usually is.",
                ),
            ],
        )

    return brand_new


brand_new, brand_new_of_other = _brand_new(), _brand_new("visits")


@dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
def shaky(config: Mood) -> None:
    """An asset that works at the second try, or never."""
    tries.append(1)
    if config.mood == "never" or len(tries) < 2:
        raise ConnectionError("not now")


@dg.job(tags={RUN_MODEL_TAG: MODEL})
def scoring_job() -> None:
    """A job of that name, to be killed."""


@dg.job(tags={RUN_MODEL_TAG: OTHER})
def visits_scoring_job() -> None:
    """The same of the other model."""


@dg.job
def backup_job() -> None:
    """A job of no model."""


@dataclass(frozen=True)
class Watched:
    """A home, its Dagster instance, and the definitions with the new assets in them."""

    home: Home
    instance: dg.DagsterInstance
    definitions: dg.Definitions

    def materialize(self, mood: str = "fine", *assets: str) -> str:
        """Materialize assets (default: ``brand_new``) by hand, as the UI's button does; returns the run's id."""
        chosen = assets or ("brand_new",)
        done = self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset.split("/")) for asset in chosen],
            run_config={"ops": {asset.replace("/", "__"): {"config": {"mood": mood}} for asset in chosen}},
            raise_on_error=False,
        )
        return done.run_id

    def start_without_end(self, job: dg.JobDefinition = scoring_job, **tags: str) -> dg.DagsterRun:
        """Start a run of a job that does nothing."""
        return self.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={**job.tags, **tags})

    def tick(self) -> str:
        """Tick the sensor as the daemon does; returns its summary."""
        sensor = self.definitions.get_repository_def().get_sensor_def("observation_sensor")
        resources = {key: (self.definitions.resources or {})[key] for key in sensor.required_resource_keys}
        with dg.build_sensor_context(instance=self.instance, resources=resources) as context:
            return str(sensor.evaluate_tick(context).skip_message)

    def observe(
        self,
        *,
        now: datetime,
        broken: Mapping[str, str] | None = None,
        **figures: Mapping[str, float] | GovernanceError,
    ) -> Observed:
        """Run a tick of a platform of both models, at a moment of the test's choice.

        Parameters
        ----------
        broken
            Models that could not be loaded, and why.
        figures
            Of each model (default: none), or the error that making them ends with.
        """
        platform = Platform(settings())
        made = {model: partial(_made, figures.get(model, {})) for model in platform.models}
        return observe(self.instance, platform=platform, figures=made, broken=broken or {}, now=now)

    @contextmanager
    def operations(self) -> Iterator[Operations]:
        with Operations(settings().operations_database) as opened:
            yield opened

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table of the operations database."""
        import sqlalchemy as sa

        with self.operations() as operations, operations.reading() as connection:
            query = sa.text(f"SELECT * FROM {table}")
            return [dict(row) for row in connection.execute(query).mappings()]

    def notices(self, *kinds: str) -> list[dict[str, Any]]:
        """Return what was written to the alert file, of these kinds (default: about alerts)."""
        file = self.home.path / "alerts" / "alerts.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        wanted = kinds or ("raised", "reminder", "recovered")
        return [each for each in map(json.loads, lines) if each["notice"] in wanted]

    def alerts(self) -> list[tuple[str | None, str, str]]:
        """Return model, rule and subject of the open alerts."""
        from readmission_platform.operations.alerts.records import find_alerts

        with self.operations() as operations:
            return [(alert.model, alert.rule, alert.subject) for alert in reversed(find_alerts(operations))]

    def audit(self, stream: str = MODEL) -> list[Any]:
        """Return the events of a stream of the ledger about failed runs and checks."""
        with self.home.ledger() as ledger:
            events = [event for event in ledger.events_of_all() if event.model == stream]
        return [event for event in events if event.kind in {"run_failed", "check_failed"}]

    def tracked(self, experiment_name: str = f"{MODEL} operations") -> list[Any]:
        """Return the runs of an experiment of MLflow."""
        client = self.home.registry()
        experiment = client.get_experiment_by_name(experiment_name)
        return list(client.search_runs([experiment.experiment_id])) if experiment else []


def _made(figures: Mapping[str, float] | GovernanceError) -> Mapping[str, float]:
    if isinstance(figures, GovernanceError):
        raise figures
    return figures


@contextmanager
def watched_home(home: Home, *, in_memory: bool = False) -> Iterator[Watched]:
    """Live in a home that has the new assets and the sensor; with Dagster's own storage in it, or in memory."""
    tries.clear()
    home = home.having(READMISSION_CONFIGS=str(configs_of_two(home.path.parent, OTHER, prefix="visits")))
    with home.lived_in(), dg.DagsterInstance.ephemeral() if in_memory else home.instance() as instance:
        definitions = dg.Definitions(
            assets=[brand_new, brand_new_of_other, shaky],
            sensors=[observation_sensor(environment_config(settings()), {})],
            resources={"platform": Platform(settings())},
        )
        yield Watched(home, instance, definitions)
