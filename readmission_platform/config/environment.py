"""Where state lives and which environment this is, from environment variables.

What belongs here: ``Settings``. What does not: the files of ``configs/`` (``files``).
"""

import getpass
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from readmission_platform.foundation.values import ConfigurationError

PROJECT_ROOT = Path(__file__).resolve().parents[2]

Environment = Literal["local", "staging", "production"]


def user_of_machine() -> str:
    """Return the name of the user, or the number of one without a name, as containers have them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # what it raises differs between versions of Python
        return f"uid-{os.getuid()}"


class Settings(BaseSettings):
    """Where state lives and which environment this is (environment variables ``READMISSION_*``)."""

    model_config = SettingsConfigDict(env_prefix="READMISSION_", frozen=True, extra="ignore")

    environment: Environment = "local"
    home: Path = PROJECT_ROOT / "var"
    configs: Path = PROJECT_ROOT / "configs"
    actor: str = Field(default_factory=user_of_machine, description="Who acts, as recorded in the ledger.")
    key: Path | None = Field(default=None, description="Private key of whoever acts, to sign requests with.")
    models: str | None = Field(
        default=None, description="Names of the models in use, separated by commas; default: all that are no examples."
    )
    ledger_url: str | None = None
    mlflow_url: str | None = None
    operations_url: str | None = None
    ui_url: str | None = Field(default=None, description="Address of the Dagster UI, for links in alerts.")
    code_version: str | None = Field(default=None, description="Set where the checkout's git is not at hand.")

    @field_validator("home", mode="before")
    @classmethod
    def _home_is_named(cls, given: object) -> object:
        if given == "":
            raise ValueError("it is empty: give a folder, or do not set it")
        return given

    @field_validator("home", "key")
    @classmethod
    def _is_absolute(cls, given: Path | None) -> Path | None:
        if given is None:
            return None
        try:
            found = given.expanduser().absolute()
            str(found).encode()
        except RuntimeError as error:  # "~" of somebody without a home directory
            raise ValueError(f"{given} is not known ({error}): give the whole path") from error
        except UnicodeEncodeError as error:
            raise ValueError("the path is not UTF-8: give another folder") from error
        return found

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
    def serving(self) -> Path:
        """Folder of what the service answered and the lake does not have yet; each model has a folder in it."""
        return self.home / "serving"

    @property
    def reports(self) -> Path:
        """Folder of generated reports."""
        return self.home / "reports"

    @property
    def ledger_database(self) -> str:
        """SQLAlchemy URL of the promotion ledger."""
        return self.ledger_url or _sqlite_url(self.home / "ledger.db")

    @property
    def mlflow_database(self) -> str:
        """MLflow tracking and registry URI."""
        return self.mlflow_url or _sqlite_url(self.home / "mlflow.db")

    @property
    def operations_database(self) -> str:
        """SQLAlchemy URL of what the platform observed of itself: runs, alerts, deliveries."""
        return self.operations_url or _sqlite_url(self.home / "operations.db")

    @property
    def mlflow_artifacts(self) -> Path:
        """Folder of MLflow's artifacts."""
        return self.home / "mlartifacts"


def _sqlite_url(path: Path) -> str:
    # In a URL "?" begins the options, and "%2F" is a slash: neither may come from the name of a folder. Everything else
    # stands for itself, and has to stay so: MLflow makes the folder that it reads in the URL.
    return "sqlite:///" + re.sub(r"%(?=[0-9A-Fa-f]{2})|[?]", lambda found: quote(found[0]), str(path))


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
        raise ConfigurationError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from error
