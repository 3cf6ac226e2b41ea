"""Which models there are: the files ``configs/models/<name>/defs.yaml``.

What belongs here: reading these files without Dagster, and which of the models are in use. What does not: the models
themselves; a file names the package that holds the contract.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from readmission_platform.config.environment import Settings
from readmission_platform.config.files import read_yaml
from readmission_platform.foundation.values import ConfigurationError, Frozen

DEFS_FILE = "defs.yaml"
# Longer ones would stand in the way of lines, and of names of jobs.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
# Dagster takes these for the values of tags.
_TAG = r"^[A-Za-z0-9_.-]{1,63}$"


def is_model_name(name: str) -> bool:
    """Tell whether a name is one that models, and the prefixes of their assets, may have."""
    return _NAME.fullmatch(name) is not None


class ModelAttributes(Frozen):
    """What ``defs.yaml`` says of a model in this installation."""

    contract: str = Field(description="Package whose CONTRACT is the model's, as Python imports it.")
    prefix: str = Field(description="Of asset, job, sensor and schedule names; empty for one model at most.")
    owner: str = Field(pattern=r"^(team:[A-Za-z0-9_-]+|[^@\s]+@[^@\s]+)$", description="E-mail address, or team:name.")
    cost_center: str = Field(pattern=_TAG, description="Who pays for its runs.")
    example: bool = Field(default=False, description="Left out unless READMISSION_MODELS names it.")

    @model_validator(mode="after")
    def _prefix_is_a_name(self) -> "ModelAttributes":
        if self.prefix and not is_model_name(self.prefix):
            raise ValueError("prefix has to be lower-case letters, digits and underscores, beginning with a letter")
        return self


class ModelDefs(Frozen):
    """``configs/models/<name>/defs.yaml``: a Dagster component, which is read here without Dagster."""

    type: Literal["readmission_platform.components.GovernedModel"]
    attributes: ModelAttributes


class ModelEntry(ModelAttributes):
    """A model of this installation: its name, and what its file says."""

    name: str

    def named(self, name: str) -> str:
        """Return the name of a job, sensor or schedule of this model."""
        return f"{self.prefix}_{name}" if self.prefix else name


@dataclass(frozen=True)
class Models:
    """Models by name: entries of those whose file can be read, and what is wrong with the file of each other one."""

    entries: dict[str, ModelEntry]
    broken: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in their order."""
        return tuple(sorted([*self.entries, *self.broken]))


def all_models(current: Settings) -> Models:
    """Return every model that has a folder in ``configs/models``; examples too.

    Raises
    ------
    ConfigurationError
        When there is none.
    """
    folder = current.configs / "models"
    entries, broken = {}, {}
    for file in sorted(folder.glob(f"*/{DEFS_FILE}")):
        name = file.parent.name
        try:
            entries[name] = _entry(file)
        except ConfigurationError as error:  # of this model; the others are none the worse for it
            broken[name] = str(error)
    if not entries and not broken:
        raise ConfigurationError(f"{folder}: holds no model ({DEFS_FILE} in a folder of its name)")
    return Models(entries, broken)


def models_in_use(current: Settings) -> Models:
    """Return the models that this process works with: those of READMISSION_MODELS, or all but examples.

    Raises
    ------
    ConfigurationError
        When there is no model, READMISSION_MODELS names one that there is not, or two have the same prefix.
    """
    known = all_models(current)
    if not (current.models or "").strip():  # unset, or empty as a compose file leaves it
        chosen = [name for name, entry in known.entries.items() if not entry.example] + [*known.broken]
    else:
        names = [name.strip() for name in str(current.models).split(",") if name.strip()]
        unknown = [name for name in names if name not in known.names]
        if not names:
            raise ConfigurationError(f"READMISSION_MODELS names no model; there are {', '.join(known.names)}")
        if unknown:
            raise ConfigurationError(f"READMISSION_MODELS: there is no model {', '.join(unknown)}; there are "
                                     f"{', '.join(known.names)}")  # fmt: skip
        chosen = list(dict.fromkeys(names))
    entries = {name: known.entries[name] for name in chosen if name in known.entries}
    holders: dict[str, str] = {}
    for name, entry in entries.items():
        if (other := holders.setdefault(entry.prefix, name)) != name:
            raise ConfigurationError(f"the models {other} and {name} have the same prefix, {entry.prefix!r}")
    return Models(entries, {name: known.broken[name] for name in chosen if name in known.broken})


def _entry(file: Path) -> ModelEntry:
    name = file.parent.name
    if not is_model_name(name):
        raise ConfigurationError(f"{file.parent}: a model's name has lower-case letters, digits and underscores only")
    return ModelEntry(name=name, **read_yaml(file, ModelDefs).attributes.model_dump())
