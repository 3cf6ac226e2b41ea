"""A version's training data and what it scored later, read from the lake in a form that can be compared.

What belongs here: reading, with digests verified. What does not: measuring (``evaluation.drift.stability``).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd

from readmission_platform.config.monitoring import DriftConfig
from readmission_platform.evaluation.drift.kinds import RISK
from readmission_platform.evaluation.drift.stability import Reference, reference_of
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.promotion.identities import Identities
from readmission_platform.lifecycle.days.scoring import InputVersions, known_rows
from readmission_platform.lifecycle.versions.version_facts import EvidenceMissing, recorded_evidence
from readmission_platform.storage.lake import TableDamaged, TableMissing
from readmission_platform.storage.tables import ModelLake

# Shares of translated rows are told apart by so much: what is finer, chance hides, and each costs a reference.
_STEPS = 20


def training_references(
    lake: ModelLake, record: VersionRecord, columns: list[str], config: DriftConfig
) -> Callable[[float], Reference]:
    """Return what windows of a version are compared with: its own training data and out-of-fold risks.

    Codes that came in another system are not what the source had: translation alone would look like drift. So the
    reference is given by the share of a window's rows that were translated, and as large a share of the source's rows
    is translated in it (``contract.watch.translated``), to the nearest twentieth. The risks stay as they are.

    Raises
    ------
    EvidenceMissing
        When either is gone or is not what the ledger recorded.
    """
    training = _training_rows(lake, record)
    risks = recorded_evidence(lake, record)["score"].to_numpy(dtype=np.float64)

    @cache
    def reference(twentieths: int) -> Reference:
        rows = _translated(training, twentieths / _STEPS, lake) if twentieths else training
        return reference_of(
            lake.contract.watch.comparable(rows, columns),
            risks,
            rows=config.reference_rows,
            rare_share=config.rare_category_share,
            seed=record.seed or 0,
        )

    return lambda translated: reference(round(translated * _STEPS))


def _translated(training: pd.DataFrame, share: float, lake: ModelLake) -> pd.DataFrame:
    """Translate a share of the source's rows, the same ones whenever asked; rows that were delivered are as they came.

    A larger share has the rows of a smaller one among its own.
    """
    draws = pd.util.hash_array(training[lake.row].to_numpy())
    chosen = draws / 2.0**64 < share
    if lake.day in training:
        chosen &= training[lake.day].isna().to_numpy()
    rows = lake.contract.watch.translated(training[chosen], draws[chosen])
    return pd.concat([rows, training[~chosen]]).loc[training.index]


def _training_rows(lake: ModelLake, record: VersionRecord) -> pd.DataFrame:
    data = record.trained.get("data") or {}
    try:
        rows = lake.read(data["table"], version=data["table_version"])
    except (TableMissing, TableDamaged, KeyError) as error:
        raise EvidenceMissing(f"the training data of version {record.version} cannot be read") from error
    if frame_digest(rows) != record.data_version:
        raise EvidenceMissing(f"the training data of version {record.version} are not those recorded in the ledger")
    return rows


def scored_inputs(
    lake: ModelLake, record: VersionRecord, scored: pd.DataFrame, columns: list[str], identities: Identities
) -> pd.DataFrame:
    """Return what a version was given for rows it scored: the delivered row and the history known on that day.

    Parameters
    ----------
    scored
        As ``lifecycle.monitoring.windows.scored_by`` returns it.

    Returns
    -------
    The columns in comparable form, with ``row``, ``day`` and the risk.
    """
    contract = lake.contract
    delivered = lake.read(lake.names.delivered, where={lake.day: sorted(set(scored["day"]))})
    given = delivered[delivered[lake.row].isin(scored["row"])].reset_index(drop=True)
    known = known_rows(lake, given, InputVersions.newest(lake, record.cohort_version, identities))
    given = given.assign(entity_key=identities.named(given["entity_key"]))
    inputs = contract.watch.comparable(contract.data.inputs_of(given, known), columns)
    identified = given[[lake.row, lake.day]].rename(columns={lake.row: "row", lake.day: "day"})
    return pd.concat([identified, inputs], axis=1).merge(scored[["row", RISK]], on="row", how="left")
