"""Answering one row with a compiled boosting: risk, withholding, and reasons, with the bits of ``models.scoring``.

What belongs here: going through the steps of the batch for one row, and the part of the contract. What does not: the
steps themselves (the modules beside).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from readmission_platform.evaluation.estimates.calibration import logit
from readmission_platform.evaluation.estimates.recalibration import corrected
from readmission_platform.models.boosting.concepts import Concept
from readmission_platform.models.boosting.rows.encoding import Inputs, RowEncoder, RowEncoding
from readmission_platform.models.boosting.soundness import NO_RISK
from readmission_platform.models.contract import RowScore, RowScorer

if TYPE_CHECKING:
    from readmission_platform.models.boosting.rows.compiled import CompiledBoosting
    from readmission_platform.models.boosting.rows.reasons import RowReasons
    from readmission_platform.models.boosting.rows.trees import RowTrees

Row = Mapping[str, Any]


@dataclass(frozen=True)
class BoostingRows:
    """How rows are scored one at a time by a model that is a recalibrated boosting.

    Attributes
    ----------
    inputs_of
        Returns the inputs of one row, its history taken from what was known of its entity; as ``DataPart.inputs_of``.
    encoding
        The document of the model's encoder.
    concepts
        What reasons speak of, as in the model's explanation; none for a model that explains nothing.
    file
        Name of the file of a compiled model.
    """

    inputs_of: Callable[[Row, Sequence[Row]], Inputs]
    encoding: type[RowEncoding]
    concepts: tuple[Concept, ...] = ()
    file: str = "rows.safetensors"

    def compiled(self, model: Any) -> bytes:
        """Return the trees of a fitted model and what its encoder has learnt."""
        from readmission_platform.models.boosting.rows.compiled import CompiledBoosting, dump

        return dump(CompiledBoosting.of(model, self.encoding.of(model.classifier[0]).model_dump(mode="json")))

    def load(self, content: bytes) -> RowScorer:
        """Make a compiled model ready; raises ``ValueError`` for bytes that are none, or of another model."""
        from readmission_platform.models.boosting.rows.compiled import load
        from readmission_platform.models.boosting.rows.reasons import RowReasons
        from readmission_platform.models.boosting.rows.trees import RowTrees

        compiled = load(content)
        encoder = self._encoder(compiled)
        trees = RowTrees(compiled)
        reasons = RowReasons(compiled, trees.splits, self.concepts) if self.concepts else None
        return BoostingRowScorer(self.inputs_of, encoder, trees, (compiled.slope, compiled.intercept), reasons)

    def _encoder(self, compiled: "CompiledBoosting") -> RowEncoder:
        try:
            encoder = self.encoding.model_validate(compiled.encoding).ready()
        except ValidationError as error:
            raise ValueError("the compiled model's encoding is not of this model") from error
        said = {name for concept in self.concepts for name in concept.features}
        if tuple(encoder.features) != compiled.features or (self.concepts and not said.issuperset(compiled.features)):
            raise ValueError("the compiled model has other features than this model")
        return encoder


class BoostingRowScorer:
    """A compiled model that is ready. It keeps nothing of a row, so several threads may use it."""

    def __init__(
        self, inputs_of: Callable[[Row, Sequence[Row]], Inputs], encoder: RowEncoder, trees: "RowTrees",
        correction: tuple[float, float], reasons: "RowReasons | None",
    ) -> None:  # fmt: skip
        from scipy.special import expit

        self._inputs_of, self._encoder, self._trees, self._reasons = inputs_of, encoder, trees, reasons
        self._slope, self._intercept = correction
        self._expit = expit  # scikit-learn's own link: another one may differ in the last bit

    def score(self, row: Row, past: Sequence[Row], *, explain: bool = True) -> RowScore:
        """Score one row; see ``RowScorer``."""
        inputs = self._inputs_of(row, past)
        goes_left = self._trees.goes_left(self._encoder.encode(inputs))
        risk = corrected(self._expit(np.array([self._trees.log_odds(goes_left)])), self._slope, self._intercept)
        because = [*self._encoder.unsound(inputs), *([] if np.isfinite(risk[0]) else [NO_RISK])]
        if because:
            return RowScore(None, "; ".join(because))
        if not explain or self._reasons is None:
            return RowScore(float(risk[0]), None)
        said, account = self._reasons.of(goes_left, logit(risk), self._encoder.spoken_of(inputs))
        return RowScore(float(risk[0]), None, said, account)
