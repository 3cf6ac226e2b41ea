"""The figures of operation in the UI.

What belongs here: the asset that shows the table. What does not: the table (``lifecycle.monitoring.figures``).
"""

from datetime import UTC, datetime

import dagster as dg
import pandas as pd

from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import PLATFORM_TEAM, check_result, table
from readmission_platform.evaluation.operation import figures as made
from readmission_platform.evaluation.operation.catalogue import CATALOGUE
from readmission_platform.evaluation.operation.cohorts import ALL
from readmission_platform.evaluation.operation.shown import shown
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.lifecycle.monitoring.figure_sources import dates_are_simulated, put_answers_together
from readmission_platform.lifecycle.monitoring.figures import figures
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.storage.tables import DRIFT, PERFORMANCE, PREDICTIONS

FIGURES = "monitoring_figures"
HEADLINES = ("rows_received", "mean_risk", "drifted_share", "live_observed_expected", "live_auroc")
CHECK = "every_figure_known"
RULE = "Every figure is in the catalogue and has a value, and no day is later than its last day."


def figures_table(observed: pd.DataFrame) -> dg.MetadataValue:
    """Show the newest value of every figure over everybody as a table in the UI, small cells hidden."""
    newest = shown(observed)
    newest = newest[(newest["cohort"] == ALL) & ~newest["hidden"]].groupby(["figure", "kind"]).tail(1)
    columns = ["figure", "value", "low", "high", "unit", "kind", "first_day", "last_day", "version"]
    return table({name: None if pd.isna(value) else value for name, value in row.items()}
                 for row in newest[columns].to_dict("records"))  # fmt: skip


def figures_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of the figures of operation."""

    @model.frame(
            FIGURES, group="monitoring", owners=[PLATFORM_TEAM], kinds={"pandas", "deltalake"},
            deps=[DRIFT, PERFORMANCE, PREDICTIONS], blocking={CHECK: RULE},
            description="The figures of the last 90 days in one table: volumes, risks, drift, matured performance, "
            "runs. docs/figures.md gives each figure's name, unit and meaning. `readmission monitor` shows the "
            "same table as a page for printing.",
    )  # fmt: skip
    def monitoring_figures(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
        workspace = model.workspace(platform)
        together = put_answers_together(workspace.lake, now=datetime.now(UTC))
        observed = figures(workspace)
        visible = shown(observed)
        newest = made.latest(visible[~visible["hidden"]], live=None)
        known = observed["figure"].isin(list(CATALOGUE)) & observed["value"].notna()
        known &= observed["first_day"] <= observed["last_day"]
        return dg.MaterializeResult(
            value=observed,
            data_version=dg.DataVersion(frame_digest(observed)),
            metadata={
                **{name: newest[name] for name in HEADLINES if name in newest},
                "newest figures": figures_table(observed),
                "days of answers put together": len(together),
                "dates": "simulated" if dates_are_simulated(workspace) else "as delivered",
            },
            check_results=[
                check_result(CHECK, bool(known.all()), observed=f"{int(known.sum())} of {len(observed)}", rule=RULE,
                             action="Do not use the page: a table behind the figures is not what it should be.")
            ],
        )  # fmt: skip

    return monitoring_figures
