"""How much each source of information contributes to a version: what becomes of its risks when the source is lost.

What belongs here: moving the inputs of one source from row to row, and how far the risks follow. What does not: which
sources there are (``estimates.schema``), and how much a version has to draw on each (the gates ``information_*``).

The ranking is no measure of this. A model whose utilisation counts are gone leans on the previous stays instead, ranks
nearly as well, and would be told from an honest one only by a limit that honest ones miss. How far the risks follow a
source says it at once, and as it needs no outcomes, a few hundred rows say it as well as many thousands: nought for a
source that the fit never saw or that is the same for everybody, little for one that was noise to it.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd

from readmission_platform.evaluation.estimates.calibration import logit
from readmission_platform.evaluation.estimates.schema import InformationSource

# Rows that say it. Drawn again and again from 18,011, so many spread a result by one or two hundredths of itself; the
# limits are a quarter of it away.
ROWS = 5_000


def risks_moved(
    score: Callable[[pd.DataFrame], np.ndarray],
    inputs: pd.DataFrame,
    sources: Iterable[InformationSource],
    *,
    seed: int,
) -> Mapping[str, float]:
    """Measure how far risks move when each source's inputs are those of another row, drawn at random.

    All inputs of a source come from the same other row: they go together, and one of them alone would be vouched for
    by the others.

    Parameters
    ----------
    score
        Gives risks, shape (rows,), in the order of the inputs.
    inputs
        Of rows whose entities the model never saw; at most ``ROWS`` of them are drawn.

    Returns
    -------
    By name of the source, the root mean square of the differences in log odds; 0 when the risks stay what they are.
    """
    drawn = np.random.default_rng(seed)
    inputs = inputs.iloc[np.sort(drawn.permutation(len(inputs))[:ROWS])]
    order = drawn.permutation(len(inputs))
    reference = logit(score(inputs))
    moved = {}
    for source in sources:
        columns = list(source.inputs)
        theirs = inputs[columns].iloc[order].set_axis(inputs.index)
        difference = logit(score(inputs.assign(**{name: theirs[name] for name in columns}))) - reference
        moved[source.name] = float(np.sqrt(np.mean(np.square(difference))))
    return moved
