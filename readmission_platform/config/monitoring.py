"""What is watched once a model is live: shape of ``monitoring.yaml``."""

from pydantic import Field, model_validator

from readmission_platform.foundation.values import Frozen, Limits


class DriftConfig(Frozen):
    """How the rows of today are compared with the training data of a version."""

    columns: int = Field(ge=1, description="How many of the model's most important input columns are compared.")
    reference_rows: int = Field(ge=1000, description="Training rows drawn for the comparison.")
    window_rows: int = Field(ge=200, description="A window closes with the day on which it holds so many.")
    rare_category_share: float = Field(ge=0, lt=1, description="Rarer categories are compared as one.")
    column_score: float = Field(gt=0, description="Evidently's stability index from which a column has drifted.")
    risk_score: float = Field(gt=0, description="The same for the distribution of the predicted risks.")
    missing_difference: float = Field(gt=0, description="Difference of the share of missing values, either way.")
    unseen_share: float = Field(gt=0, description="Share of values that training never saw.")
    drifted_columns: int = Field(ge=1, description="A window has drifted when so many columns have.")
    alarm_windows: int = Field(ge=1, description="Alarm when so many ...")
    of_windows: int = Field(ge=1, description="... of the latest windows have drifted.")
    acceptance_days: int = Field(ge=1, le=366, description="Drift of named columns is accepted for so long at most.")

    @model_validator(mode="after")
    def _an_alarm_is_possible(self) -> "DriftConfig":
        if self.alarm_windows > self.of_windows:
            raise ValueError("alarm_windows cannot be more than of_windows: there would never be an alarm")
        return self


class PerformanceConfig(Frozen):
    """When matured outcomes say that the model no longer does what validation promised."""

    days: int = Field(ge=30, description="Matured days that are judged together.")
    outcome_coverage: float = Field(gt=0, le=1, description="A day with fewer of its outcomes has not matured.")
    min_positives: int = Field(ge=10, description="Fewer readmissions are shown and not judged.")
    limits: dict[str, Limits] = Field(description="By measure, of everybody in the judged period.")


class TranslationConfig(Frozen):
    """When codes that came in another system are lost, or lose what they say, too often."""

    lost_share: float = Field(ge=0, le=1, description="Share of a day's codes that may be lost in translation.")
    inexact_share: float = Field(ge=0, le=1, description="Share that may be read as what comes closest.")


class RetrainingConfig(Frozen):
    """When training starts by itself; what comes of it is a candidate like any other."""

    cool_down_days: int = Field(ge=0, description="Days after the last training before an alarm may start another one.")
    regularly: str = Field(description="Cron expression of the regular training, in the environment's time zone.")


class RecalibrationConfig(Frozen):
    """What a recalibration is fitted on."""

    rows: int = Field(ge=1000, description="The latest so many rows whose outcome is known.")
    min_positives: int = Field(ge=50, description="So many events have to have matured since the training.")


class GapConfig(Frozen):
    """How far back missing days are looked for."""

    lookback_days: int = Field(ge=7)
    days_per_run: int = Field(ge=1, description="A longer gap is filled in several runs.")


class DeliveriesConfig(Frozen):
    """When a day that was delivered is unusual, so that somebody should ask its source."""

    quarantined_share: float = Field(ge=0, lt=1, description="More of a day's rows than this are not set aside.")
    volume_ratio: float = Field(gt=1, description="So many times as many rows as usual, or as few, are unusual.")
    usual_weeks: int = Field(ge=4, description="Usual is what the same day of the week had in so many weeks.")
    trained_on_share: float = Field(ge=0, lt=1, description="More of a day's rows than this were not trained on.")


class MonitoringConfig(Frozen):
    """``monitoring.yaml``: gaps, deliveries, drift, performance, retraining, recalibration, translation if any."""

    gaps: GapConfig
    deliveries: DeliveriesConfig
    drift: DriftConfig
    performance: PerformanceConfig
    retraining: RetrainingConfig
    recalibration: RecalibrationConfig
    translation: TranslationConfig | None = None
