"""Settings of a network and its training: what the block ``settings.network`` of a ``model.yaml`` holds.

What belongs here: names, limits and their meaning. What does not: acting on them.
"""

from typing import Annotated, Literal

from pydantic import Field

from readmission_platform.foundation.values import Frozen

MOST_LAYERS = 8
Units = Annotated[int, Field(ge=1, le=4_096)]


class NeuralConfig(Frozen):
    """Hyperparameters of the network, and how it is trained.

    Those without a default are numbers that a change plan can give a range.

    Attributes
    ----------
    layers, units
        Hidden layers, and units in each of them; without any it is a logistic regression.
    batch_rows
        Rows of a step, all processes together: the result does not depend on how many processes share them.
    learning_rate, weight_decay
        Of AdamW; the rate falls to zero along half a cosine.
    dropout
        Share of the hidden units that are left out at a step, drawn from the seed and the number of the step.
    processes
        How many share each step. On a GPU one process a GPU; on CPUs each process uses one core.
    checkpoint_every
        Steps after which training can go on from where it was when it is killed.
    precision
        ``bfloat16`` is mixed precision on GPUs; on CPUs training is in ``float32`` in either case.
    """

    layers: int = Field(ge=0, le=MOST_LAYERS)
    units: Units
    epochs: int = Field(ge=1, le=1_000)
    batch_rows: int = Field(ge=2, le=1_048_576)
    learning_rate: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0, le=1)
    dropout: float = Field(default=0.0, ge=0, le=0.9)
    processes: int = Field(default=1, ge=1, le=64)
    checkpoint_every: int = Field(default=500, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"

    @property
    def hidden(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return (self.units,) * self.layers


class NeuralSettings(Frozen):
    """The block ``settings`` of ``model.yaml``."""

    network: NeuralConfig
