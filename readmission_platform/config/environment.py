"""Where state lives and which environment this is, from environment variables.

What belongs here: ``Settings``. What does not: the files of ``configs/`` (``files``).
"""

import getpass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from readmission_platform.foundation.values import ConfigurationError

PROJECT_ROOT = Path(__file__).resolve().parents[2]

Environment = Literal["local", "staging", "production"]


class Settings(BaseSettings):
    """Where state lives and which environment this is (environment variables ``READMISSION_*``)."""

    model_config = SettingsConfigDict(env_prefix="READMISSION_", frozen=True, extra="ignore")

    environment: Environment = "local"
    home: Path = PROJECT_ROOT / "var"
    configs: Path = PROJECT_ROOT / "configs"
    actor: str = Field(default_factory=getpass.getuser, description="Who acts, as recorded in the ledger.")
    models: str | None = Field(
        default=None, description="Names of the models in use, separated by commas; default: all that are no examples."
    )
    ledger_url: str | None = None
    mlflow_url: str | None = None
    operations_url: str | None = None
    ui_url: str | None = Field(default=None, description="Address of the Dagster UI, for links in alerts.")
    code_version: str | None = Field(default=None, description="Set where the checkout's git is not at hand.")

    @model_validator(mode="after")
    def _home_is_absolute(self) -> "Settings":
        object.__setattr__(self, "home", self.home.expanduser().absolute())
        return self

    @property
    def lake(self) -> Path:
        """Folder of the Delta tables; each model has a folder in it."""
        return self.home / "lake"

    @property
    def dagster_home(self) -> Path:
        """Folder of Dagster's own storage."""
        return self.home / "dagster"

    @property
    def landing(self) -> Path:
        """Folder where daily files arrive."""
        return self.home / "landing"

    @property
    def keys(self) -> Path:
        """Folder of secret keys (pseudonyms, demo signatures); readable by its owner only."""
        return self.home / "keys"

    @property
    def reports(self) -> Path:
        """Folder of generated reports."""
        return self.home / "reports"

    @property
    def ledger_database(self) -> str:
        """SQLAlchemy URL of the promotion ledger."""
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def mlflow_database(self) -> str:
        """MLflow tracking and registry URI."""
        return self.mlflow_url or f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def operations_database(self) -> str:
        """SQLAlchemy URL of what the platform observed of itself: runs, alerts, deliveries."""
        return self.operations_url or f"sqlite:///{self.home / 'operations.db'}"

    @property
    def mlflow_artifacts(self) -> Path:
        """Folder of MLflow's artifacts."""
        return self.home / "mlartifacts"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read from the environment once.

    Raises
    ------
    ConfigurationError
        When a variable has a value that is not allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "READMISSION_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigurationError(f"{name}: {first['msg']}") from error
