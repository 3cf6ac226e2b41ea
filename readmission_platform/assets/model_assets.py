"""How the assets of one model are named, grouped and tagged; every factory of assets, jobs and sensors takes one.

What belongs here: names and tags. What does not: what an asset does.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.storage.tags import HIDDEN_TAG_PREFIX

from readmission_platform.assets.partitions import daily_partitions
from readmission_platform.config.models import ModelEntry
from readmission_platform.lifecycle.days.progress import FIRST_DAY
from readmission_platform.lifecycle.workspace import Platform, Workspace, contract_of
from readmission_platform.models.contract import AssetNames, ModelContract, Words

MODEL_TAG, COST_TAG = "readmission/model", "readmission/cost_center"
# Of jobs and their runs, for machines: what people want to know of a run, the name of its job says. The UI shows them
# neither in the list of runs nor in a launchpad.
RUN_MODEL_TAG, RUN_OWNER_TAG, RUN_COST_TAG, RUN_LIFECYCLE_TAG = (
    f"{HIDDEN_TAG_PREFIX}readmission_{name}" for name in ("model", "owner", "cost_center", "lifecycle")
)

Decorator = Callable[[Callable[..., Any]], dg.AssetsDefinition]


class ModelAssets:
    """Names, groups, tags and days of one model's assets.

    Parameters
    ----------
    timezone
        Of the hospital, whose days are the partitions (IANA name).
    first_day
        The first partition.
    today
        Whether the last partition is today; else it is yesterday.
    """

    def __init__(
        self,
        entry: ModelEntry,
        timezone: str,
        contract: ModelContract | None = None,
        *,
        first_day: str = FIRST_DAY,
        today: bool = True,
    ) -> None:
        self.entry = entry
        self.contract = contract or contract_of(entry.contract)
        self.days = daily_partitions(timezone, first_day, today=today)

    @property
    def names(self) -> AssetNames:
        """Names of the assets that speak of the model's own rows."""
        return self.contract.names

    @property
    def words(self) -> Words:
        """How texts speak of the model."""
        return self.contract.words

    @property
    def library(self) -> str:
        """What fits the model, as Dagster shows it."""
        return self.contract.estimator.artifact.library

    def workspace(self, platform: Platform) -> Workspace:
        """Return the model's workspace."""
        return platform.model(self.entry.name)

    def key(self, name: str) -> dg.AssetKey:
        """Return the key of an asset of the model."""
        return dg.AssetKey([self.entry.prefix, name] if self.entry.prefix else [name])

    def keys(self, *names: str) -> list[dg.AssetKey]:
        """Return the keys of assets of the model."""
        return [self.key(name) for name in names]

    def group(self, name: str) -> str:
        """Return the name of a group of assets of the model."""
        return self.entry.named(name)

    def op(self, name: str) -> str:
        """Return the name that run configuration knows an asset of the model by."""
        return self.key(name).to_python_identifier()

    def named(self, name: str) -> str:
        """Return the name of a job, sensor or schedule of the model."""
        return self.entry.named(name)

    @property
    def tags(self) -> dict[str, str]:
        """Tags of every asset, sensor and schedule of the model."""
        return {MODEL_TAG: self.entry.name, COST_TAG: self.entry.cost_center}

    def job_tags(self, part: str) -> dict[str, str]:
        """Return the tags of a job and its runs: the model, who answers, who pays, the part of the model's life."""
        return {
            RUN_MODEL_TAG: self.entry.name,
            RUN_OWNER_TAG: self.entry.owner,
            RUN_COST_TAG: self.entry.cost_center,
            RUN_LIFECYCLE_TAG: part,
        }

    def asset(
        self,
        name: str,
        *,
        group: str,
        owners: Sequence[str],
        kinds: set[str],
        description: str,
        code_version: str = "1",
        inputs: Mapping[str, str] | None = None,
        deps: Sequence[str] = (),
        blocking: Mapping[str, str] | None = None,
        warning: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Decorator:
        """Return the decorator ``dg.asset`` for an asset of the model.

        Parameters
        ----------
        inputs
            Parameters of the function to names of assets of the model, whose tables they are.
        deps
            Names of assets of the model that it follows without reading what they return.
        blocking, warning
            Checks that the asset itself reports, so that no selection can leave them out: name to rule.
        more
            Further arguments of ``dg.asset``.
        """
        key = self.key(name)
        checks = [
            dg.AssetCheckSpec(check, asset=key, description=rule, blocking=blocks)
            for rules, blocks in ((blocking, True), (warning, False))
            for check, rule in (rules or {}).items()
        ]
        options: dict[str, Any] = {
            "key": key,
            "ins": {parameter: dg.AssetIn(key=self.key(asset)) for parameter, asset in (inputs or {}).items()},
            "group_name": self.group(group),
            "owners": [*owners, self.entry.owner],
            "kinds": kinds,
            "description": description,
            "code_version": code_version,
            "tags": self.tags,
            "deps": self.keys(*deps),
            "check_specs": checks,
        }
        decorator: Decorator = dg.asset(**options, **more)
        return decorator

    def frame(self, name: str, **options: Any) -> Decorator:
        """Return the decorator for an asset that returns a frame, which the lake keeps as a table."""
        return self.asset(name, **options, dagster_type=dg.Any)

    def daily(self, name: str, **options: Any) -> Decorator:
        """Return the decorator for a daily asset; a day without anything to do yields nothing."""
        return self.asset(
            name,
            **options,
            dagster_type=dg.Any,
            partitions_def=self.days,
            backfill_policy=dg.BackfillPolicy.single_run(),
            metadata={"partition_column": self.contract.day},
            output_required=False,
        )
