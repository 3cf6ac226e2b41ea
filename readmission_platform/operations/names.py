"""Which model an asset, a job, a sensor or a schedule belongs to, by its name in Dagster.

What belongs here: splitting a name in Dagster into a model and the name that all models have in common. What does not:
which models there are, and which prefix each one has.

Every model has the same assets, jobs and sensors. Their names in Dagster differ by the model's prefix
(``visits/daily_predictions``, ``visits_scoring_job``); one model may have none. Rules and alerts use
the name without the prefix, and say separately which model they mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass

OBSERVATION_SENSOR = "observation_sensor"
# Names that belong to the platform itself, whichever models it has.
PLATFORM = frozenset({OBSERVATION_SENSOR})

_IN_KEYS, _IN_NAMES = "/", "_"


@dataclass(frozen=True)
class Named:
    """Something in Dagster.

    Attributes
    ----------
    key
        Its name in Dagster.
    name
        The same without the prefix of its model.
    model
        None for what belongs to no model, or to several.
    """

    key: str
    name: str
    model: str | None = None


@dataclass(frozen=True)
class ModelNames:
    """The models of a platform by their prefixes.

    Attributes
    ----------
    prefixes
        Prefix by name of the model; at most one is "", and everything that has no other model's prefix is that model's.
    shared
        Keys of assets, and names of sensors and schedules, that belong to no model.
    """

    prefixes: Mapping[str, str]
    shared: frozenset[str] = PLATFORM

    def of_asset(self, key: str) -> Named:
        """Name an asset by its key, the parts of which are separated by slashes."""
        return self._of(key, _IN_KEYS)

    def of_instigator(self, name: str) -> Named:
        """Name a sensor or a schedule."""
        return self._of(name, _IN_NAMES)

    def of_job(self, name: str, model: str | None) -> Named:
        """Name a job whose model is known from its tag or its assets."""
        prefix = self.prefixes.get(model, "") if model is not None else ""
        return Named(name, name.removeprefix(f"{prefix}{_IN_NAMES}") if prefix else name, model)

    def _of(self, key: str, separator: str) -> Named:
        if key in self.shared:
            return Named(key, key)
        # The longest prefix first: "visits" is also what "visits_at_night" begins with.
        for model, prefix in sorted(self.prefixes.items(), key=lambda each: len(each[1]), reverse=True):
            start = f"{prefix}{separator}" if prefix else ""
            if key.startswith(start):
                return Named(key, key.removeprefix(start), model)
        return Named(key, key)
