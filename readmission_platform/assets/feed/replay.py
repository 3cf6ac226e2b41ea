"""The job that delivers the replay stream.

What belongs here: the job. What does not: the replay itself (``lifecycle.days.replay``).
"""

from collections.abc import Sequence
from datetime import date

import dagster as dg
from pydantic import Field

from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.foundation.errors import BadInput
from readmission_platform.lifecycle.days.progress import hospital_day
from readmission_platform.lifecycle.days.replay import replay
from readmission_platform.lifecycle.workspace import Platform

REPLAY_OP = "deliver_replay"


class ReplayConfig(dg.Config):
    """How much to replay, and as which dates."""

    days: int = Field(default=14, description="Days to deliver.")
    start: str | None = Field(
        default=None, description="First date, YYYY-MM-DD; default: chosen so that the last is yesterday."
    )
    outcomes: bool = Field(default=False, description="Also deliver outcomes of days that are old enough.")
    form: str = Field(default="csv", description="File format: csv, parquet or, for encounters, fhir.")


def replay_job(model: ModelAssets) -> dg.JobDefinition:
    """Return the job that writes landing files of the replay stream."""

    @dg.op(
        name=model.named(REPLAY_OP),
        description="Write landing files of the replay stream with simulated dates.",
        out=dg.Out(list, io_manager_key="memory"),
    )
    def deliver(
        context: dg.OpExecutionContext, config: ReplayConfig, platform: dg.ResourceParam[Platform]
    ) -> Sequence[str]:
        workspace = model.workspace(platform)
        try:
            start = date.fromisoformat(config.start) if config.start else None
        except ValueError as error:
            raise BadInput(f"start: {config.start} is not a date of the form YYYY-MM-DD") from error
        delivered = replay(
            workspace.lake,
            workspace.landing,
            days=config.days,
            start=start,
            today=hospital_day(workspace.rules),
            per_day=workspace.config.daily_rows,
            outcomes=config.outcomes,
            form=config.form,
        )
        context.add_output_metadata({"written": len(delivered.written), "present": len(delivered.present)})
        return sorted(delivered.written + delivered.present)

    @dg.job(
        name=model.named("replay_job"),
        description=f"Deliver days of the set-aside {model.words.rows} to the landing zone, with simulated dates "
        "ending yesterday. Use it to try out the daily part without a hospital's interface.",
        tags=model.job_tags("replay"),
    )
    def job() -> None:
        deliver()

    return job
