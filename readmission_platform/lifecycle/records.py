"""What is recorded of a model: its entry in ``configs/`` and its ledger, without its contract and its data.

What belongs here: what suffices to say which version is live and how each did at the gates. What does not: anything
that needs the model's contract (``workspace``), which costs a second of imports.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from readmission_platform.config.environment import Settings
from readmission_platform.config.files import environment_config
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.config.models import ModelEntry
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.lifecycle.installation import open_ledger


class ModelRecords:
    """A model in one environment, as far as configuration and ledger know it."""

    def __init__(self, settings: Settings, entry: ModelEntry) -> None:
        self.settings, self.entry = settings, entry

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.entry.name

    @property
    def environment(self) -> str:
        """Name of the environment."""
        return self.settings.environment

    @property
    def rules(self) -> EnvironmentConfig:
        """``configs/environments/<name>.yaml``."""
        return environment_config(self.settings)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger of the model."""
        with open_ledger(self.settings, self.name) as ledger:
            yield ledger


def records_of(settings: Settings, entry: ModelEntry) -> ModelRecords:
    """Return what is recorded of a model.

    Raises
    ------
    ConfigurationError
        When there is no such package as ``defs.yaml`` names; whether it has a contract is not looked at.
    """
    try:
        found = find_spec(entry.contract)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise ConfigurationError(f"{entry.contract}: cannot be imported (it is not there)")
    return ModelRecords(settings, entry)
